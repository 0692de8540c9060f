"""The records of the journal: what is not acknowledged yet, so that a restart forgets nothing.

A record is a sync byte, a kind, the payload's length and a CRC-32 of all but the sync byte, then the payload:

    0xA5 | kind (1) | length (2, big endian) | crc32 (4, big endian) | payload

Reading skips what is damaged: the next sync byte whose record checks is where it goes on.
"""

from micropython import const

EVENT = const(1)
ACKNOWLEDGED = const(2)

_SYNC = const(0xA5)
_HEADER = const(8)
MAX_PAYLOAD = const(512)
_UNKNOWN = const(-1)


def record(kind: int, payload: bytes, crc32: "Crc32") -> bytes:
    """Return one record.

    Args:
        kind: EVENT (payload: the event's message) or ACKNOWLEDGED (payload: the id, see id_payload).
        crc32: the CRC-32 of zlib, as function of bytes.
    """
    head = bytes([kind]) + len(payload).to_bytes(2, "big")
    return bytes([_SYNC]) + head + crc32(head + payload).to_bytes(4, "big") + payload


def id_payload(boot: int, seq: int) -> bytes:
    return boot.to_bytes(4, "big") + seq.to_bytes(4, "big")


def id_of(payload: bytes) -> "tuple[int, int]":
    return int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big")


class Scanner:
    """Finds the whole records in a journal that comes piece by piece; holds one piece and one record.

    Attributes:
        damaged: bytes so far that belong to no record.
    """

    def __init__(self, crc32: "Crc32") -> None:
        self.damaged = 0
        self._crc32 = crc32
        self._data = b""

    def feed(self, piece: bytes) -> "list[tuple[int, bytes]]":
        """Take the next piece; return the records (kind, payload) that it completes."""
        self._data += piece
        return self._take(False)

    def finish(self) -> "list[tuple[int, bytes]]":
        """There are no more pieces; return the records behind a last one that was cut short."""
        return self._take(True)

    def _take(self, last: bool) -> "list[tuple[int, bytes]]":
        found = []
        at = 0
        data = self._data
        while at < len(data):
            end = _record_end(data, at, self._crc32)
            if end > 0:
                found.append((data[at + 1], data[at + _HEADER : end]))
                at = end
            elif end == _UNKNOWN and not last:
                break
            else:
                self.damaged += 1
                at += 1
        self._data = data[at:]
        return found


def _record_end(data: bytes, at: int, crc32: "Crc32") -> int:
    """Return where the record that starts at ends, 0 if none does, _UNKNOWN if more bytes are needed to tell."""
    if data[at] != _SYNC:
        return 0
    if at + _HEADER > len(data):
        return _UNKNOWN
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    if length > MAX_PAYLOAD:
        return 0
    end = at + _HEADER + length
    if end > len(data):
        return _UNKNOWN
    stored = int.from_bytes(data[at + 4 : at + 8], "big")
    if stored != crc32(data[at + 1 : at + 4] + data[at + _HEADER : end]):
        return 0
    return end


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Crc32 = Callable[[bytes], int]
