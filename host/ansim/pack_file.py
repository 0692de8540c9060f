"""The file in which a device finds its modules; firmware/pack.py reads it.

    3 bytes  AP1
    1        n, the number of entries
    4        CRC-32 of all entries
    7 * n    an entry: CRC-32 of a path, and where in the file it begins (3 bytes)
    7        the end: zeros, and the length of the file
             the modules, one behind the other

Numbers are little-endian. A path is as in the folder that the file lies over: ``/core/device.mpy``. What has no bytes
is a folder. A device keeps the entries in memory, and no names: two paths with the same CRC can't be packed.
"""

import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from ansim.errors import BadInput

_MAGIC = b"AP1"
_OFFSET_BYTES = 3
_ENTRY_BYTES = 4 + _OFFSET_BYTES


def pack_file(modules: Mapping[str, bytes]) -> bytes:
    """Pack modules, absolute path to content, in their order.

    Raises:
        BadInput: a device could not tell one path from another.
    """
    folders = sorted({str(folder) for path in modules for folder in PurePosixPath(path).parents})
    paths = [*folders, *modules]
    end = len(_MAGIC) + 1 + 4 + (len(paths) + 1) * _ENTRY_BYTES
    index = b""
    for path in paths:
        index += _key(path) + end.to_bytes(_OFFSET_BYTES, "little")
        end += len(modules.get(path, b""))
    index += bytes(4) + end.to_bytes(_OFFSET_BYTES, "little")
    _check(index, paths)
    head = _MAGIC + len(paths).to_bytes(1) + zlib.crc32(index).to_bytes(4, "little")
    return b"".join([head, index, *modules.values()])


def _key(path: str) -> bytes:
    return zlib.crc32(path.encode()).to_bytes(4, "little")


def _check(index: bytes, paths: list[str]) -> None:
    """Look every path up as a device does; before a module it looks for a folder of that name."""
    for number, path in enumerate(paths):
        folder = index.find(_key(path.removesuffix(".mpy"))) if path.endswith(".mpy") else -1
        if index.find(_key(path)) != number * _ENTRY_BYTES or (folder >= 0 and folder % _ENTRY_BYTES == 0):
            raise BadInput(f"firmware{path}: its CRC-32 is another module's, too", "Give the module another name.")
