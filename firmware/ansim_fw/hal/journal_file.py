"""The journal's two shelves, folders on LittleFS, and the room that is kept free for them."""

import os
from binascii import crc32

from micropython import const

from ansim_fw.core.journal import MAX_RECORD, Journal

# Side by side, each with blocks of its own: a folder around them would be one block on which both depend.
SHELVES = ("/journal_a", "/journal_b")
# Provisioning lays this file out, as large as the journal can grow. It holds nothing: should something else fill the
# filesystem, it is given up, and the journal has its room.
ROOM = "/journal_room"
# The filesystem is full; MicroPython's errno has no name for it.
_ENOSPC = const(28)


def open_journal(report: "Callable[[str], None]") -> Journal:
    """Return the journal, whose folders are there: see make_shelves().

    Args:
        report: called with a fault, when the room had to be given up.
    """
    return Journal((Shelf(SHELVES[0], report), Shelf(SHELVES[1], report)), crc32)


def room_is_kept() -> bool:
    """Tell whether the room for the journal is still kept free."""
    try:
        os.stat(ROOM)
    except OSError:
        return False
    return True


class Shelf:
    """A folder whose files are records; see core.journal.Journal."""

    def __init__(self, path: str, report: "Callable[[str], None]") -> None:
        self._path = path
        self._report = report

    def names(self) -> "list[str]":
        return os.listdir(self._path)

    def read(self, name: str) -> bytes:
        with open(self._path + "/" + name, "rb") as file:
            data: bytes = file.read(MAX_RECORD + 1)
        return data

    def write(self, name: str, data: bytes) -> None:
        try:
            self._write(name, data)
        except OSError as error:
            if error.errno != _ENOSPC:
                raise
            os.remove(ROOM)
            self._report("storage")
            self._write(name, data)

    def remove(self, name: str) -> None:
        os.remove(self._path + "/" + name)

    def _write(self, name: str, data: bytes) -> None:
        # LittleFS commits a file when it is closed, whole or not at all.
        with open(self._path + "/" + name, "wb") as file:
            file.write(data)


def make_shelves() -> None:
    """Make the journal's folders, if they are missing."""
    for path in SHELVES:
        try:
            os.mkdir(path)
        except OSError:
            # It is there, as always but once; if it can't be made, storing fails and says so.
            continue


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
