"""What the ROM and the second stage bootloader of an ESP32 do before MicroPython runs, from the flash alone.

Sources: esptool.bin_image for the image format, ESP-IDF's bootloader_support (esp_image_format.c, flash_partitions.c)
for the checks, their order and what is printed. A wake from deep sleep skips them all, as the official builds do
(CONFIG_BOOTLOADER_SKIP_VALIDATE_IN_DEEP_SLEEP; MicroPython's pull request 12252).
"""

import hashlib
import struct
from dataclasses import dataclass
from enum import Enum

from esptool.bin_image import LoadFirmwareImage

from ansim.virtual.flash import Flash

TABLE_OFFSET = 0x8000
_TABLE_BYTES = 0xC00
_ENTRY = struct.Struct("<HBBII16sI")
_ENTRY_MAGIC, _MD5_MAGIC = 0x50AA, 0xEBEB
_OFFSET_BY_CHIP = {"esp32": 0x1000, "esp32s2": 0x1000}
_IMAGE_MAGIC = 0xE9
_APP = 0
# What esptool raises for data that is no program; its FatalError is a RuntimeError.
_NOT_WHOLE = (RuntimeError, ValueError, struct.error, IndexError, TypeError)

_ROM_BANNER = "ets Jul 29 2019 12:21:46\r\n\r\n"


class Reset(Enum):
    """Why the chip starts: what the ROM prints, and the number of machine.reset_cause().

    Numbers as in MicroPython's ports/esp32/modmachine.c: EN can't be told from power-on; a panic, and the watchdog
    that goes through one, restart the chip by software; so does ESP-IDF's handler of the brownout detector, which
    MicroPython tells as power-on; deep sleep and power-on are the ROM's own.
    """

    POWER_ON = ("0x1 (POWERON_RESET)", 1, "power_on")
    EN = ("0x1 (POWERON_RESET)", 1, "en")
    SOFTWARE = ("0xc (SW_CPU_RESET)", 2, "software")
    CRASH = ("0xc (SW_CPU_RESET)", 2, "crash")
    WATCHDOG = ("0xc (SW_CPU_RESET)", 3, "watchdog")
    BROWNOUT = ("0xc (SW_CPU_RESET)", 1, "brownout")
    DEEP_SLEEP = ("0x5 (DEEPSLEEP_RESET)", 4, "deep_sleep")
    SOFT = ("", 5, "soft")

    def __init__(self, rom: str, cause: int, label: str) -> None:
        self.rom = rom
        self.cause = cause
        self.label = label

    def banner(self) -> bytes:
        """Return the ROM's first lines."""
        return f"{_ROM_BANNER}rst:{self.rom},boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n".encode()


@dataclass(frozen=True)
class Partition:
    """One entry of the partition table; offset and size in bytes."""

    label: str
    type: int
    subtype: int
    offset: int
    size: int


class NotBootable(Exception):
    """The flash holds nothing that starts; the message is what the chip prints."""


class Bootloader:
    """Decides whether a flash boots.

    Args:
        flash: the flash.
        chip: esptool's name of the chip, such as "esp32".
    """

    def __init__(self, flash: Flash, chip: str = "esp32") -> None:
        self._flash = flash
        self._chip = chip
        self._valid: set[bytes] = set()

    def check(self) -> list[Partition]:
        """Return the partitions of a flash that boots.

        Raises:
            NotBootable: it does not.
        """
        self._check_second_stage()
        table = read_table(self._flash.read(TABLE_OFFSET, _TABLE_BYTES), self._flash.size)
        app = next((entry for entry in table if entry.type == _APP), None)
        if app is None:
            raise NotBootable("E (51) boot: No bootable app partitions in the partition table\r\n")
        problem = self._image_problem(app.offset, app.size)
        if problem:
            raise NotBootable(
                f"E (51) esp_image: {problem}\r\nE (52) boot: Factory app partition is not bootable\r\n"
                "E (53) boot: No bootable app partitions in the partition table\r\n"
            )
        return table

    def _check_second_stage(self) -> None:
        offset = _OFFSET_BY_CHIP.get(self._chip, 0)
        first = self._flash.read(offset, 4)
        if first[0] != _IMAGE_MAGIC:
            raise NotBootable(f"invalid header: 0x{int.from_bytes(first, 'little'):08x}\r\n")
        problem = self._image_problem(offset, TABLE_OFFSET - offset)
        if problem:
            raise NotBootable(f"{problem}\r\nets_main.c 371\r\n")

    def _image_problem(self, offset: int, limit: int) -> str:
        """Return what is wrong with the image that starts at offset and has at most limit bytes; empty if nothing."""
        data = self._flash.read(offset, limit)
        digest = hashlib.sha256(data).digest()
        if digest in self._valid:
            return ""
        problem = image_problem(data, offset, self._chip)
        if not problem:
            # Checking a whole MicroPython takes a second; the same bytes are not checked at every reset.
            self._valid = {*list(self._valid)[-3:], digest}
        return problem


def image_problem(data: bytes, offset: int, chip: str) -> str:
    """Return what ESP-IDF's esp_image_verify says of the image that data begins with; empty if it is valid."""
    if data[:1] != bytes([_IMAGE_MAGIC]):
        return f"image at {offset:#x} has invalid magic byte (nothing flashed here?)"
    try:
        image = LoadFirmwareImage(chip, data)
    except _NOT_WHOLE:
        return f"image at {offset:#x} is not a whole image for this chip"
    if image.chip_id != image.ROM_LOADER.IMAGE_CHIP_ID:
        return (
            f"image at {offset:#x} mismatch chip ID, expected {image.ROM_LOADER.IMAGE_CHIP_ID}, found {image.chip_id}"
        )
    calculated = image.calculate_checksum()
    if calculated != image.checksum:
        return f"Checksum failed. Calculated {calculated:#x} read {image.checksum:#x}"
    if image.append_digest and image.stored_digest != image.calc_digest:
        return "Image hash failed - image is corrupt"
    return ""


def read_table(data: bytes, flash_bytes: int) -> list[Partition]:
    """Return the entries of a partition table.

    Raises:
        NotBootable: it has no entry, a wrong MD5 or none, or an entry outside the flash.
    """
    table: list[Partition] = []
    for start in range(0, len(data) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, subtype, offset, size, label, _ = _ENTRY.unpack_from(data, start)
        if magic == _MD5_MAGIC and table:
            if data[start + 16 : start + 32] != hashlib.md5(data[:start], usedforsecurity=False).digest():
                raise _bad_table("Incorrect MD5 checksum of the partition table")
            return table
        if magic != _ENTRY_MAGIC:
            raise _bad_table(
                "No MD5 found in partition table" if table else f"partition 0 invalid magic number 0x{magic:x}"
            )
        if offset + size > flash_bytes:
            extent = f"offset 0x{offset:x} size 0x{size:x}"
            raise _bad_table(f"partition {len(table)} invalid - {extent} exceeds flash chip size 0x{flash_bytes:x}")
        table.append(Partition(label.split(b"\0")[0].decode("ascii", "replace"), kind, subtype, offset, size))
    raise _bad_table("partition table has not been terminated with MD5")


def _bad_table(problem: str) -> NotBootable:
    lines = (
        f"E (31) flash_parts: {problem}",
        "E (38) boot: Failed to verify partition table",
        "E (43) boot: load partition table error!",
    )
    return NotBootable("\r\n".join(lines) + "\r\n")
