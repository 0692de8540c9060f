"""Reads what the journal kept over a restart, and finds what is to be mended."""

from micropython import const

from ansim_fw.core import event_reader
from ansim_fw.core.event import Event
from ansim_fw.core.journal import CRC_BYTES, MAX_RECORD, name_of

# More names than this on a shelf are not ours: 64 events can wait.
_MAX_NAMES = const(128)


class DamagedError(Exception):
    """A record is not what was written."""


def read_record(data: bytes, crc32: "Crc32") -> Event:
    """Return the event of a record.

    Raises:
        DamagedError: it is not what journal.record() wrote.
        ValueError: it is whole, but not of this version.
    """
    payload = data[CRC_BYTES:]
    if not CRC_BYTES < len(data) <= MAX_RECORD or crc32(payload).to_bytes(CRC_BYTES, "big") != data[:CRC_BYTES]:
        raise DamagedError
    return event_reader.to_event(event_reader.decode_event(payload))


class Reader:
    """Reads the shelves of a core.journal.Journal.

    Attributes:
        mending: what read() found to mend: (shelf, name, event to write again, or None to remove it).
    """

    def __init__(self, shelves: "tuple[Shelf, Shelf]", crc32: "Crc32") -> None:
        self.mending: list[tuple[Shelf, str, Event | None]] = []
        self._shelves = shelves
        self._crc32 = crc32

    def read(self) -> "tuple[list[Event], bool]":
        """Return the events that wait, oldest first, and whether anything was damaged. Changes nothing."""
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
            self.mending += [(shelf, name, both[name]) for name in missing]
            # A power cut keeps one event off a shelf, at the most.
            damaged = damaged or len(missing) > 1
        return [both[name] for name in sorted(both)], damaged

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
                self.mending.append((shelf, name, None))
            except ValueError:
                # Of a later version: an older one can't send what it can't read, and leaves it where it is.
                continue
        return events, whole

    def _read_one(self, shelf: "Shelf", name: str, events: "dict[str, Event]") -> None:
        data = shelf.read(name)
        if not data:
            # The power went between making the file and writing it: its event was never sent from here.
            self.mending.append((shelf, name, None))
            return
        event = read_record(data, self._crc32)
        if name_of(event) != name:
            raise DamagedError
        events[name] = event


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.core.journal import Crc32, Shelf
