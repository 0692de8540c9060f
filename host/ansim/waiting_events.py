"""Reading a device's journal out of its flash: which events wait there that no receiver has acknowledged."""

import zlib
from collections.abc import Callable

from littlefs import LittleFS, LittleFSError, UserContext
from littlefs.lfs import LFSConfig

from ansim.errors import DeviceError
from ansim.image import BLOCK_BYTES, mount
from ansim_fw.core import journal, message

# Reads flash: (offset in the filesystem's partition, bytes) -> content.
ReadFlash = Callable[[int, int], bytes]

JOURNAL = "/journal"
# The firmware keeps its journal below 68 KB.
_MAX_JOURNAL_BYTES = 1 << 18
# Directories are short and at the start of their blocks, so a device's flash is fetched in pieces of this size.
_PIECE_BYTES = 1024


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


def waiting_events(read_flash: ReadFlash, size: int) -> int:
    """How many events wait in the journal of the filesystem of size bytes; 0 where there is no filesystem or journal.

    Raises whatever read_flash raises, and:
        DeviceError: there is a filesystem that can't be read, so that nobody knows.
    """
    flash = _RemoteFlash(read_flash)
    content = b""
    try:
        content = _journal(mount(flash, size))
    except (FileNotFoundError, IsADirectoryError):
        pass
    except LittleFSError as error:
        # A chip that is blank, or held something else before, is "corrupt" to LittleFS.
        if error.code != LittleFSError.Error.LFS_ERR_CORRUPT and not flash.failure:
            raise DeviceError(f"the device's filesystem can't be read: {error.name}", "") from error
    if flash.failure:
        raise flash.failure
    scanner = journal.Scanner(zlib.crc32)
    return _count([*scanner.feed(content), *scanner.finish()])


def _journal(filesystem: LittleFS) -> bytes:
    with filesystem.open(JOURNAL, "rb") as file:
        content: bytes = file.read(_MAX_JOURNAL_BYTES)
        return content


def _count(records: list[tuple[int, bytes]]) -> int:
    """Count the events without an acknowledgement; one that can't be read counts, for it may be an alarm."""
    waiting: set[tuple[int, int] | int] = set()
    for number, (kind, payload) in enumerate(records):
        if kind == journal.ACKNOWLEDGED:
            waiting.discard(journal.id_of(payload))
        elif kind == journal.EVENT:
            waiting.add(_event_id(payload) or number)
    return len(waiting)


def _event_id(payload: bytes) -> tuple[int, int] | None:
    try:
        event = message.to_event(message.decode_event(payload))
    except ValueError:
        return None
    return event.boot, event.seq
