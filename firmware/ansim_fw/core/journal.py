"""The journal: what is not acknowledged yet, so that a restart forgets nothing.

Each event is a record of its own, written once and removed with its acknowledgement, and stands on two shelves, so that
one rotten block of flash loses nothing. A record is a CRC-32 (4 bytes, big endian) and the event's message.
"""

from micropython import const

from ansim_fw.core import message
from ansim_fw.core.event import Event

# A file of up to 128 bytes LittleFS keeps inside its folder's metadata, as MicroPython mounts it (a cache of 4 * 32
# bytes): writing it is one commit, appended to a block, and mostly erases none.
MAX_RECORD = const(128)
CRC_BYTES = const(4)


def record(event: Event, crc32: "Crc32") -> bytes:
    """Return an event's record, at most MAX_RECORD bytes; details that are too long for it are left out."""
    payload = message.encode_event(event, -1, 1)
    if len(payload) > MAX_RECORD - CRC_BYTES:
        payload = message.encode_event(Event(event.boot, event.seq, event.type, event.kind, event.of), -1, 1)
    return crc32(payload).to_bytes(CRC_BYTES, "big") + payload


def name_of(event: Event) -> str:
    """Return the name of an event's record; names sort as their events happened."""
    return f"{event.boot:08x}{event.seq:08x}"


class Journal:
    """Waiting events on two shelves.

    Args:
        shelves: objects with names(), read(name), write(name, data) (whole and durable when it returns) and
            remove(name); each may raise OSError.
        crc32: the CRC-32 of zlib, as function of bytes.
    """

    def __init__(self, shelves: "tuple[Shelf, Shelf]", crc32: "Crc32") -> None:
        self._shelves = shelves
        self._crc32 = crc32
        # What load() found to mend: (shelf, name, event to write again, or None to remove it).
        self._mending: list[tuple[Shelf, str, "Event | None"]] = []

    def load(self) -> "tuple[list[Event], bool]":
        """Return the events that wait, oldest first, and whether anything was damaged. Changes nothing: see mend()."""
        # Needed once, at the start: its memory is of use elsewhere.
        from ansim_fw.core.journal_reader import Reader

        reader = Reader(self._shelves, self._crc32)
        self._mending = reader.mending
        return reader.read()

    def mend(self) -> None:
        """Put on both shelves again what load() found on one, and remove what could not be read.

        To be called once the damage is reported: a power cut in between must not hide it.
        """
        if not self._mending:
            return
        for shelf, name, event in self._mending:
            try:
                if event is None:
                    shelf.remove(name)
                else:
                    shelf.write(name, record(event, self._crc32))
            except OSError:
                # It is found again at the next start.
                pass
        self._mending.clear()

    def store(self, event: Event) -> bool:
        """Make event durable; tell whether that worked on both shelves."""
        data = record(event, self._crc32)
        worked = True
        for shelf in self._shelves:
            try:
                shelf.write(name_of(event), data)
            except OSError:
                worked = False
        return worked

    def forget(self, event: Event) -> bool:
        """Remove event, durably; tell whether that worked on both shelves. What stays comes again after a restart."""
        self._drop_mending(event)
        worked = True
        for shelf in self._shelves:
            try:
                shelf.remove(name_of(event))
            except OSError:
                worked = False
        return worked

    def _drop_mending(self, event: Event) -> None:
        name = name_of(event)
        self._mending = [one for one in self._mending if one[1] != name]


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    Crc32 = Callable[[bytes], int]

    class Shelf(Protocol):
        def names(self) -> list[str]: ...
        def read(self, name: str) -> bytes: ...
        def write(self, name: str, data: bytes) -> None: ...
        def remove(self, name: str) -> None: ...
