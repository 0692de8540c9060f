"""Serves the modules of ansim_fw out of one file, so that a start searches the flash once and not for each of them.

This module itself is the filesystem: ``vfs.mount(pack, "/ansim_fw")``. host/ansim/pack_file.py says how the file is
laid out. MicroPython asks stat() for a folder, for .py and for .mpy, then reads what open() gives from its start.
"""

import sys

from micropython import const

# The name of a built-in module is looked for in the filesystem first: some 40 flash reads.
_path = sys.path[:]
sys.path.clear()
import io  # noqa: E402
from binascii import crc32  # noqa: E402

sys.path[:] = _path

_FILE = "/ansim.pack"
_MAGIC = b"AP1"
_HEAD_BYTES = const(8)
_ENTRY_BYTES = const(7)
# An import searches little and reads much: so many bytes it gets at once (py/stream.h: MP_STREAM_GET_BUFFER_SIZE).
_GET_BUFFER_SIZE = const(11)
_BUFFER_BYTES = const(255)

_FOLDER_STAT = (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_FILE_STAT = (0x8000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
# There is one, since every import raises two: garbage between the modules would stay as holes.
_ABSENT = OSError(2)

_open = open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedReader

    _file: BufferedReader
    _index: bytes


class _Module(io.IOBase):
    """The file from where open() has put it. It never ends, as a module says itself how long it is."""

    def readinto(self, buffer: bytearray) -> "int | None":
        return _file.readinto(buffer)  # type: ignore[no-any-return]  # MicroPython's stubs say nothing of it

    def ioctl(self, request: int, _argument: int) -> int:
        return _BUFFER_BYTES if request == _GET_BUFFER_SIZE else 0


_module = _Module()


def mount(_readonly: bool, _mkfs: bool) -> None:
    """Open the file.

    Raises:
        OSError: there is none (ENOENT), or it is not whole (EIO).
    """
    global _file, _index
    _file = _open(_FILE, "rb")
    head = _file.read(_HEAD_BYTES)
    whole = len(head) == _HEAD_BYTES and head[:3] == _MAGIC
    if whole:
        _index = _file.read((head[3] + 1) * _ENTRY_BYTES)
        whole = crc32(_index) == int.from_bytes(head[4:], "little") and _file.seek(0, 2) == _offset(
            len(_index) - _ENTRY_BYTES
        )
    if not whole:
        raise OSError(5)


def stat(path: str) -> "tuple[int, ...]":
    at = _find(path)
    return _FOLDER_STAT if _offset(at) == _offset(at + _ENTRY_BYTES) else _FILE_STAT


def open(path: str, _mode: str) -> _Module:
    _file.seek(_offset(_find(path)))
    return _module


def _find(path: str) -> int:
    at = -1 if path.endswith(".py") else _index.find(crc32(path).to_bytes(4, "little"))
    if at < 0 or at % _ENTRY_BYTES:
        # Or it would keep the places of all that raised it.
        _ABSENT.__traceback__ = None
        raise _ABSENT
    return at


def _offset(at: int) -> int:
    return _index[at + 4] | _index[at + 5] << 8 | _index[at + 6] << 16
