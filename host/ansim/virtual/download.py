"""Writing to flash as the ROM loader and the flasher stub do it: plain or deflated, in blocks.

The two differ in when they erase (ROM: at the start; stub: as it goes) and in when they tell of an error.
Sources: esptool's loader.py (what a tool sends and expects), Espressif's "Serial Protocol" page.
"""

import zlib
from dataclasses import dataclass

from ansim.virtual.flash import SECTOR_BYTES, Flash, FlashRangeError


class LoaderError(Exception):
    """A command that fails, and why: esptool's util.py has a table of the codes."""

    def __init__(self, code: int) -> None:
        super().__init__(f"loader error {code:#04x}")
        self.code = code


@dataclass(frozen=True)
class Codes:
    """The error codes of one loader."""

    format: int
    range: int
    flash: int
    not_begun: int
    checksum: int
    inflate: int
    adler: int
    too_much: int
    not_enough: int
    unknown: int


ROM_CODES = Codes(
    format=0x05,
    range=0x06,
    flash=0x08,
    not_begun=0x06,
    checksum=0x07,
    inflate=0x0B,
    adler=0x0C,
    too_much=0x0D,
    not_enough=0x0D,
    unknown=0x05,
)
STUB_CODES = Codes(
    format=0xC0,
    range=0xC2,
    flash=0xC4,
    not_begun=0xC6,
    checksum=0xC1,
    inflate=0xC7,
    adler=0xC7,
    too_much=0xC9,
    not_enough=0xC8,
    unknown=0xFF,
)


class Writer:
    """The write position in flash; erases ahead of itself unless all was erased before."""

    def __init__(self, flash: Flash, codes: Codes, address: int, size: int, erase_first: bool) -> None:
        self.left = size
        self._flash = flash
        self._codes = codes
        self._next = address
        self._erased_to = address - address % SECTOR_BYTES
        if address + size > flash.size:
            raise LoaderError(codes.range)
        if erase_first and size:
            self._erase_to(address + size)

    def write(self, data: bytes) -> None:
        """Write data; what is beyond the announced size is a block's padding and is left out."""
        data = data[: self.left]
        try:
            self._erase_to(self._next + len(data))
            self._flash.program(self._next, data)
        except (FlashRangeError, OSError) as error:
            raise LoaderError(self._codes.flash) from error
        self._next += len(data)
        self.left -= len(data)

    def _erase_to(self, end: int) -> None:
        if end > self._erased_to:
            self._flash.erase(self._erased_to, end - self._erased_to)
            self._erased_to = -(-end // SECTOR_BYTES) * SECTOR_BYTES


class Download:
    """One FLASH_BEGIN or FLASH_DEFL_BEGIN and the blocks that follow it."""

    def __init__(self, writer: Writer, codes: Codes, deflated: bool) -> None:
        self.deflated = deflated
        self.error: LoaderError | None = None
        self._writer = writer
        self._codes = codes
        self._inflator = zlib.decompressobj() if deflated else None

    def block(self, data: bytes) -> None:
        """Take the next block.

        Raises:
            LoaderError: it can't be inflated or written; the same error is kept for ``finish``.
        """
        try:
            self._writer.write(self._inflate(data) if self._inflator else data)
        except LoaderError as error:
            self.error = error
            raise

    def finish(self) -> None:
        """Check that all that was announced came.

        Raises:
            LoaderError: it did not, or a block failed before.
        """
        if self.error:
            raise self.error
        if self._writer.left or (self._inflator and not self._inflator.eof):
            raise LoaderError(self._codes.not_enough)

    def _inflate(self, data: bytes) -> bytes:
        """Return data inflated; never makes more than the announced size and one byte."""
        assert self._inflator
        if self._inflator.eof:
            raise LoaderError(self._codes.too_much)
        try:
            inflated = self._inflator.decompress(data, self._writer.left + 1)
        except zlib.error as error:
            damaged = "incorrect data check" in str(error)
            raise LoaderError(self._codes.adler if damaged else self._codes.inflate) from error
        if len(inflated) > self._writer.left:
            raise LoaderError(self._codes.too_much)
        return inflated
