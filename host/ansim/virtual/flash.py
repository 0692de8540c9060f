"""The virtual board's SPI NOR flash: one file that lasts."""

import hashlib
import os
from pathlib import Path

from ansim.errors import BadInput

SECTOR_BYTES = 4096
_READ_BYTES = 1 << 16


class FlashRangeError(Exception):
    """An address range that is not in the flash."""


class Flash:
    """A NOR flash of ``size`` bytes in a file: programming clears bits, erasing sets whole sectors to 0xFF.

    Every change is in the kernel when the call returns, so it outlives a SIGKILL of this process. The file is
    shared with the chip's process, which reads it in place.
    """

    def __init__(self, path: Path, size: int) -> None:
        """Open the file at path, or make it, erased.

        Raises:
            BadInput: the file can't be opened, or holds a flash of another size.
        """
        self.path = path
        self.size = size
        try:
            if not path.exists():
                _make_erased(path, size)
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise BadInput(
                f"can't open the flash file {path}: {error.strerror}",
                "Check the disk and the folder's rights.",
            ) from error
        found = os.fstat(self._fd).st_size
        if found != size:
            os.close(self._fd)
            raise BadInput(
                f"the flash file {path} holds {found} bytes, but the board has {size}",
                "Delete the file to start with an empty flash, or choose another name for this board.",
            )

    def close(self) -> None:
        os.close(self._fd)

    def read(self, address: int, size: int) -> bytes:
        """Return size bytes from address on.

        Raises:
            FlashRangeError: they are not all in the flash.
        """
        self._check(address, size)
        return os.pread(self._fd, size, address)

    def program(self, address: int, data: bytes) -> None:
        """Clear the bits at address on that are 0 in data.

        Raises:
            FlashRangeError: data does not fit there.
        """
        before = self.read(address, len(data))
        if before.count(0xFF) != len(before):
            both = int.from_bytes(before, "little") & int.from_bytes(data, "little")
            data = both.to_bytes(len(before), "little")
        self._write(address, data)

    def erase(self, address: int, size: int) -> None:
        """Set every sector that the range touches to 0xFF.

        Raises:
            FlashRangeError: the range is not in the flash.
        """
        self._check(address, size)
        start = address - address % SECTOR_BYTES
        end = -(-(address + size) // SECTOR_BYTES) * SECTOR_BYTES
        self._write(start, b"\xff" * (end - start))

    def md5(self, address: int, size: int) -> bytes:
        """Return the MD5 digest of a range.

        Raises:
            FlashRangeError: the range is not in the flash.
        """
        self._check(address, size)
        digest = hashlib.md5(usedforsecurity=False)
        for start in range(address, address + size, _READ_BYTES):
            digest.update(self.read(start, min(_READ_BYTES, address + size - start)))
        return digest.digest()

    def _check(self, address: int, size: int) -> None:
        if address < 0 or size < 0 or address + size > self.size:
            raise FlashRangeError(f"{address:#x}+{size:#x} is not in a flash of {self.size:#x} bytes")

    def _write(self, address: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, address)
            view, address = view[written:], address + written


def _make_erased(path: Path, size: int) -> None:
    """Make the file in one step, so that a kill can't leave half of it; a device's secrets will be in it."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(b"\xff" * size)
    new.replace(path)
