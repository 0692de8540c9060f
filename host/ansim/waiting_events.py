"""Reading a device's journal out of its flash: which events wait there that no receiver has acknowledged."""

import zlib
from collections.abc import Callable
from typing import NamedTuple

from littlefs import LittleFS, LittleFSError, UserContext
from littlefs.lfs import LFSConfig

from ansim.errors import DeviceError
from ansim.image import BLOCK_BYTES, SHELVES, mount
from ansim_fw.core.event import ALARM, FAULT
from ansim_fw.core.journal import MAX_RECORD
from ansim_fw.core.journal_reader import DamagedError, read_record

# Reads flash: (offset in the filesystem's partition, bytes) -> content.
ReadFlash = Callable[[int, int], bytes]

# Directories are short and at the start of their blocks, so a device's flash is fetched in pieces of this size.
_PIECE_BYTES = 1024


class Waiting(NamedTuple):
    """How many events wait.

    Attributes:
        events: all of them.
        calls: those that are, or may be, about a person who needs help: no test alarms and no faults.
    """

    events: int
    calls: int


class _RemoteFlash(UserContext):
    """A flash that is fetched piece by piece as LittleFS asks for it, and never written.

    LittleFS can't pass an exception on, so what went wrong in fetching is kept in ``failure``.
    """

    def __init__(self, read_flash: ReadFlash) -> None:
        super().__init__(buffer=bytearray())
        self.failure: BaseException | None = None
        self._read_flash = read_flash
        self._pieces: dict[int, bytes] = {}

    def read(self, cfg: LFSConfig, block: int, off: int, size: int) -> bytearray:
        del cfg
        start = block * BLOCK_BYTES + off
        first = start - start % _PIECE_BYTES
        try:
            found = b"".join(self._piece(at) for at in range(first, start + size, _PIECE_BYTES))
        except BaseException as error:
            self.failure = self.failure or error
            found = bytes(size + _PIECE_BYTES)
        return bytearray(found[start - first : start - first + size])

    def _piece(self, at: int) -> bytes:
        if at not in self._pieces:
            self._pieces[at] = self._read_flash(at, _PIECE_BYTES)
        return self._pieces[at]


def waiting_events(read_flash: ReadFlash, size: int) -> Waiting:
    """How many events wait in the journal of the filesystem of size bytes; none where neither of both is there.

    Raises whatever read_flash raises, and:
        DeviceError: there is a filesystem that can't be read, so that nobody knows.
    """
    flash = _RemoteFlash(read_flash)
    # By name: whether it may be about a person who needs help, by either of its records.
    waiting: dict[str, bool] = {}
    try:
        filesystem = mount(flash, size)
        for shelf in SHELVES:
            for name, data in _records(filesystem, shelf):
                waiting[name] = waiting.get(name, False) or _may_be_call(data)
    except LittleFSError as error:
        # A chip that is blank, or held something else before, is "corrupt" to LittleFS.
        if error.code != LittleFSError.Error.LFS_ERR_CORRUPT and not flash.failure:
            raise DeviceError(f"the device's filesystem can't be read: {error.name}", "") from error
    if flash.failure:
        raise flash.failure
    return Waiting(len(waiting), sum(waiting.values()))


def _records(filesystem: LittleFS, shelf: str) -> list[tuple[str, bytes]]:
    """Return the records on a shelf by name; one that is damaged counts, for it may be an alarm."""
    try:
        names = filesystem.listdir(shelf)
    except LittleFSError as error:
        if error.code == LittleFSError.Error.LFS_ERR_NOENT:
            return []
        raise
    found = [(name, _content(filesystem, f"{shelf}/{name}")) for name in names]
    # The power went before an empty one was written: its event never left the device, and never will.
    return [(name, data) for name, data in found if data]


def _content(filesystem: LittleFS, path: str) -> bytes:
    with filesystem.open(path, "rb") as file:
        return bytes(file.read(MAX_RECORD + 1))


def _may_be_call(data: bytes) -> bool:
    """Tell whether a record is about a person who needs help, as far as it can be read."""
    try:
        event = read_record(data, zlib.crc32)
    except (DamagedError, ValueError):
        return True
    return not (event.type == FAULT or (event.type == ALARM and event.kind == "test"))
