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
_CRC = const(4)
# More names than this on a shelf are not ours: 64 events can wait.
_MAX_NAMES = const(128)


def record(event: Event, crc32: "Crc32") -> bytes:
    """Return an event's record, at most MAX_RECORD bytes; details that are too long for it are left out."""
    payload = message.encode_event(event, -1, 1)
    if len(payload) > MAX_RECORD - _CRC:
        payload = message.encode_event(Event(event.boot, event.seq, event.type, event.kind, event.of), -1, 1)
    return crc32(payload).to_bytes(_CRC, "big") + payload


def read_record(data: bytes, crc32: "Crc32") -> Event:
    """Return the event of a record.

    Raises:
        DamagedError: it is not what record() wrote.
        ValueError: it is whole, but not of this version.
    """
    payload = data[_CRC:]
    if not _CRC < len(data) <= MAX_RECORD or crc32(payload).to_bytes(_CRC, "big") != data[:_CRC]:
        raise DamagedError
    return message.to_event(message.decode_event(payload))


def name_of(event: Event) -> str:
    """Return the name of an event's record; names sort as their events happened."""
    return f"{event.boot:08x}{event.seq:08x}"


class DamagedError(Exception):
    """A record is not what was written."""


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
        damaged = False
        found: list[dict[str, Event]] = []
        for shelf in self._shelves:
            events, whole = self._read(shelf)
            found.append(events)
            damaged = damaged or not whole
        both = found[0].copy()
        both.update(found[1])
        for shelf, events in zip(self._shelves, found):  # noqa: B905  MicroPython's zip has no strict
            missing = [name for name in both if name not in events]
            self._mending += [(shelf, name, both[name]) for name in missing]
            # A power cut keeps one event off a shelf, at the most.
            damaged = damaged or len(missing) > 1
        return [both[name] for name in sorted(both)], damaged

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

    def _read(self, shelf: "Shelf") -> "tuple[dict[str, Event], bool]":
        """Return the events on a shelf by name, and whether all of it could be read."""
        events: dict[str, Event] = {}
        whole = True
        try:
            names = shelf.names()
        except OSError:
            return events, False
        for name in names[:_MAX_NAMES]:
            try:
                self._read_one(shelf, name, events)
            except (OSError, DamagedError):
                whole = False
                self._mending.append((shelf, name, None))
            except ValueError:
                # Of a later version: an older one can't send what it can't read, and leaves it where it is.
                continue
        return events, whole

    def _read_one(self, shelf: "Shelf", name: str, events: "dict[str, Event]") -> None:
        data = shelf.read(name)
        if not data:
            # The power went between making the file and writing it: its event was never sent from here.
            self._mending.append((shelf, name, None))
            return
        event = read_record(data, self._crc32)
        if name_of(event) != name:
            raise DamagedError
        events[name] = event


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
