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


def scan(data: bytes, crc32: "Crc32") -> "tuple[list[tuple[int, bytes]], int]":
    """Return the whole records (kind, payload) in data, and the number of bytes that belong to none."""
    found = []
    damaged = 0
    at = 0
    while at < len(data):
        end = _record_end(data, at, crc32)
        if end:
            found.append((data[at + 1], data[at + _HEADER : end]))
            at = end
        else:
            damaged += 1
            at += 1
    return found, damaged


def _record_end(data: bytes, at: int, crc32: "Crc32") -> int:
    """Return where the record that starts at ends, or 0 if none does."""
    if data[at] != _SYNC or at + _HEADER > len(data):
        return 0
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    end = at + _HEADER + length
    if length > MAX_PAYLOAD or end > len(data):
        return 0
    stored = int.from_bytes(data[at + 4 : at + 8], "big")
    if stored != crc32(data[at + 1 : at + 4] + data[at + _HEADER : end]):
        return 0
    return end


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Crc32 = Callable[[bytes], int]
