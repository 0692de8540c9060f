"""The few MQTT 3.1.1 packets that a device needs (OASIS standard, 29 October 2014; section numbers below)."""

from micropython import const

CONNACK = const(2)
PUBLISH = const(3)
PUBACK = const(4)
SUBACK = const(9)
PINGRESP = const(13)

PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"

# The longest packet taken from a broker: a command of 512 bytes with its topic.
MAX_PACKET = const(640)

# Feed a Reader at most this much at a time.
READ_BYTES = const(256)


def connect(client_id: str, user: str, password: bytes, keepalive_s: int) -> bytes:
    """Return a CONNECT with a clean session (3.1)."""
    head = b"\x00\x04MQTT\x04\xc2" + keepalive_s.to_bytes(2, "big")
    # The password is long, and copied once.
    size = len(password).to_bytes(2, "big")
    return _packet(0x10, head, _text(client_id.encode()), _text(user.encode()), size, password)


def subscribe(packet_id: int, topic: str) -> bytes:
    """Return a SUBSCRIBE to one topic with QoS 0 (3.8)."""
    return _packet(0x82, packet_id.to_bytes(2, "big") + _text(topic.encode()) + b"\x00")


def publish(packet_id: int, topic: str, payload: bytes) -> bytes:
    """Return a PUBLISH with QoS 1 (3.3)."""
    return _packet(0x32, _text(topic.encode()) + packet_id.to_bytes(2, "big") + payload)


def payload_of(flags: int, body: bytes) -> bytes:
    """Return what a PUBLISH of QoS 0 carries (3.3.2).

    Raises:
        ValueError: not QoS 0, or shorter than its own topic.
    """
    at = 2 + int.from_bytes(body[:2], "big")
    if flags & 0x06 or len(body) < at:
        raise ValueError("publish is not legal")
    return body[at:]


class Reader:
    """Cuts a byte stream into packets, in MAX_PACKET + READ_BYTES bytes of memory."""

    def __init__(self) -> None:
        self._buffer = bytearray(MAX_PACKET + READ_BYTES)
        self.clear()

    def clear(self) -> None:
        """Begin anew: what comes next is another connection's."""
        self._length = 0

    def feed(self, data: "bytes | bytearray | memoryview", count: int) -> None:
        """Take the first count bytes of data, at most READ_BYTES; then call next() until it has no more."""
        self._buffer[self._length : self._length + count] = data[:count]
        self._length += count

    def next(self) -> "tuple[int, int, bytes] | None":
        """Return the next whole packet as (type, flags, body); None until there is one.

        Raises:
            ValueError: a length that is not legal or too long.
        """
        size, at = self._remaining_length()
        if at == 0:
            return None
        if at + size > MAX_PACKET:
            raise ValueError("packet is too long")
        end = at + size
        if self._length < end:
            return None
        kind = self._buffer[0]
        body = bytes(self._buffer[at:end])
        self._buffer[: self._length - end] = self._buffer[end : self._length]
        self._length -= end
        return kind >> 4, kind & 0x0F, body

    def _remaining_length(self) -> "tuple[int, int]":
        """Return (remaining length, where the body starts); the second is 0 while not known (2.2.3)."""
        size = 0
        for at in range(1, 5):
            if at >= self._length:
                return 0, 0
            byte = self._buffer[at]
            size |= (byte & 0x7F) << (7 * (at - 1))
            if byte < 0x80:
                return size, at + 1
        raise ValueError("length is not legal")


def _text(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _packet(first: int, *parts: bytes) -> bytes:
    header = bytearray([first])
    size = 0
    for part in parts:
        size += len(part)
    while size > 0x7F:
        header.append(size & 0x7F | 0x80)
        size >>= 7
    header.append(size)
    return b"".join((bytes(header),) + parts)  # noqa: RUF005  MicroPython knows no star there
