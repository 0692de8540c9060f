"""RFC 7464 JSON text sequences, and Improv packets among them, read byte by byte in bounded memory."""

from micropython import const

RS = const(0x1E)
LF = const(0x0A)
MAX_REQUEST = const(200)

# What feed() tells.
NOTHING = const(0)
TEXT = const(1)
TOO_LONG = const(2)
PACKET = const(4)

# What an Improv packet begins with: its version is no character of a JSON text.
_HEADER = b"IMPROV\x01"


class Reader:
    """Finds texts between RS and LF, and packets; all else is noise. Holds MAX_REQUEST bytes, whatever comes."""

    def __init__(self) -> None:
        # Made when there is something to hold: most wakes out of sleep are over before anybody asks.
        self._buffer = bytearray()
        self._length = -1
        self._matched = 0

    def feed(self, byte: int) -> int:
        """Take one byte; TEXT or PACKET: one is complete, take it with text(); TOO_LONG: a text was dropped."""
        if self._matched == len(_HEADER):
            return self._feed_packet(byte)
        if byte == _HEADER[self._matched]:
            self._matched += 1
            if self._matched == len(_HEADER):
                self._begin(self._matched)
                return NOTHING
        else:
            self._matched = int(byte == _HEADER[0])
        if byte == RS:
            self._begin(0)
            return NOTHING
        if self._length < 0:
            return NOTHING
        if byte == LF:
            return TEXT
        if self._length == MAX_REQUEST:
            self._length = -1
            return TOO_LONG
        self._buffer[self._length] = byte
        self._length += 1
        return NOTHING

    def _begin(self, matched: int) -> None:
        # First: without memory for a buffer, what comes now is noise.
        self._length = -1
        self._matched = 0
        if not self._buffer:
            self._buffer = bytearray(MAX_REQUEST)
        self._length = 0
        self._matched = matched

    def _feed_packet(self, byte: int) -> int:
        """Take a byte after the header: type, length, so many bytes of data, a checksum."""
        self._buffer[self._length] = byte
        self._length += 1
        if self._length < 3 or self._length < self._buffer[1] + 3:
            # One that is longer than any that has a meaning is noise.
            if self._length == 2 and byte > MAX_REQUEST - 3:
                self.give_up()
            return NOTHING
        self._matched = 0
        return PACKET

    def give_up(self) -> None:
        """Nothing came for a while: the rest of a packet never will."""
        if self._matched == len(_HEADER):
            self._length = -1
        self._matched = 0

    def text(self) -> bytes:
        """Return the complete text, or the packet without its header, and wait for the next one."""
        found = bytes(self._buffer[: self._length])
        self._length = -1
        return found


def frame(text: str) -> bytes:
    """Return text as one element of a sequence."""
    return b"\x1e" + text.encode() + b"\n"
