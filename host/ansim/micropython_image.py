"""MicroPython's merged image for a board: bootloader, partition table and app, checked before a board gets it."""

import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esptool import CHIP_DEFS, ESPLoader
from esptool.bin_image import LoadFirmwareImage

from ansim.boards import FIRST_PARTITION_OFFSET, PARTITION_TABLE_OFFSET, Board, Partition
from ansim.errors import BadInput
from ansim.image import Segment

# The name by which the virtual board's image calls itself.
STAND_IN_PROJECT = "ansim-virtual-stand-in"
DOWNLOAD_PAGE = "https://micropython.org/download/"
MAX_IMAGE_BYTES = 16 * 1024 * 1024

# ESP-IDF, "Partition Tables": 32-byte entries, closed by one with the MD5 of those before it.
TABLE_BYTES = 0xC00
ENTRY = struct.Struct("<2sBBII16sI")
ENTRY_MAGIC = b"\xaa\x50"
MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14

# ESP-IDF, "App Image Format": esp_app_desc_t is the first thing in the app's first segment.
APP_DESCRIPTION = struct.Struct("<II8s32s32s16s16s32s32s80x")
APP_DESCRIPTION_MAGIC = 0xABCD5432

# What esptool raises for data that is no program; its FatalError is a RuntimeError.
_NOT_WHOLE = (RuntimeError, ValueError, struct.error, IndexError, TypeError)


@dataclass(frozen=True)
class MicroPythonImage:
    """A checked image: bootloader, partition table and app in one piece, to be written at offset."""

    name: str
    version: str
    stand_in: bool
    offset: int
    data: bytes

    def segments(self, board: Board) -> list[Segment]:
        """The parts that are MicroPython's own, as (flash address, bytes).

        A merged image also has filling where NVS lies; it is left out, so that identity outlives a new firmware.
        """
        app = board.partitions.factory.offset - self.offset
        return [
            (self.offset, self.data[: FIRST_PARTITION_OFFSET - self.offset]),
            (board.partitions.factory.offset, self.data[app:]),
        ]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def load_image(path: Path, board: Board) -> MicroPythonImage:
    """Read and check the image file at path.

    Raises:
        BadInput: it can't be read, is not an image, damaged, or not for board.
    """
    try:
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise BadInput(f"{path} is larger than any ESP32's flash", f"Get an image from {DOWNLOAD_PAGE}")
        data = path.read_bytes()
    except OSError as error:
        hint = f"--micropython takes a .bin file from {DOWNLOAD_PAGE}"
        raise BadInput(f"can't read {path}: {error.strerror}", hint) from error
    return check_image(data, board, str(path))


def check_image(data: bytes, board: Board, name: str) -> MicroPythonImage:
    """Check that data is a whole MicroPython image for board.

    Raises:
        BadInput: says which check failed, and what to do; name is the image's in the message.
    """
    try:
        _check_program(data, 0, board, "bootloader")
        table = _read_table(data[PARTITION_TABLE_OFFSET - board.micropython.image_offset :])
        app = _check_program(data, board.partitions.factory.offset - board.micropython.image_offset, board, "app")
        image = _described(app, data, board, name)
        _check_fits(image, board)
        _check_partitions(table, board)
    except _Unfit as error:
        raise BadInput(f"{name}: {error}", error.hint or _where_to_get(board)) from error
    return image


def _where_to_get(board: Board) -> str:
    if board.micropython.stand_in:
        return f"Leave --micropython away: {board.name} has its own image. Official builds: {DOWNLOAD_PAGE}"
    return f"Get {board.micropython.build} from {DOWNLOAD_PAGE}{board.micropython.build}/ and give it as it is."


class _Unfit(Exception):
    """Why an image is not fit for a board."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


def _check_program(data: bytes, start: int, board: Board, part: str) -> Any:
    """Check the program (bootloader or app) at start: magic, chip, all segments, checksum and SHA-256."""
    program = data[start:]
    if len(program) < 24:
        raise _Unfit(f"is truncated: it ends before its {part} ({len(data)} bytes)")
    if program[0] != ESPLoader.ESP_IMAGE_MAGIC:
        raise _Unfit(f"is not an ESP image: there is no {part} at {start:#x}")
    _check_chip(int.from_bytes(program[12:14], "little"), board)
    try:
        image = LoadFirmwareImage(board.chip, program)
    except _NOT_WHOLE as error:
        raise _Unfit(f"is truncated or damaged: its {part} is not whole") from error
    if image.checksum != image.calculate_checksum():
        raise _Unfit(f"is damaged: the checksum of its {part} is wrong")
    if image.append_digest and image.stored_digest != image.calc_digest:
        raise _Unfit(f"is truncated or damaged: the SHA-256 of its {part} is wrong")
    return image


def _check_chip(chip_id: int, board: Board) -> None:
    if chip_id != CHIP_DEFS[board.chip].IMAGE_CHIP_ID:
        names = {chip.IMAGE_CHIP_ID: chip.CHIP_NAME for chip in CHIP_DEFS.values()}
        made_for = names.get(chip_id, f"an unknown chip ({chip_id})")
        raise _Unfit(f"is for {made_for}, but the board {board.name} has an {CHIP_DEFS[board.chip].CHIP_NAME}")


def _read_table(data: bytes) -> dict[str, Partition]:
    """Read the partition table at the start of data."""
    table, position = {}, 0
    for position in range(0, min(len(data), TABLE_BYTES), ENTRY.size):
        entry = data[position : position + ENTRY.size]
        if len(entry) < ENTRY.size or entry[:2] != ENTRY_MAGIC:
            break
        _, _, _, offset, size, label, _ = ENTRY.unpack(entry)
        table[_text(label)] = Partition(offset, size)
    if not table:
        raise _Unfit(f"has no partition table at {PARTITION_TABLE_OFFSET:#x} of the flash: is it an app only?")
    closing = data[position : position + 32]
    if closing[:16] == MD5_MAGIC and closing[16:] != hashlib.md5(data[:position]).digest():
        raise _Unfit("is damaged: the MD5 of its partition table is wrong")
    return table


def _check_partitions(found: dict[str, Partition], board: Board) -> None:
    if "vfs" not in found:
        # MicroPython from 1.26 on makes vfs of all the flash that the table leaves.
        end = max(part.end for part in found.values())
        found = found | {"vfs": Partition(end, board.flash_bytes - end)}
    expected: dict[str, Partition] = vars(board.partitions)
    for name, part in expected.items():
        if found.get(name) != part:
            raise _Unfit(
                f"its partition {name} is {_shown(found.get(name))}, but the board {board.name} has {_shown(part)}",
                f"Use the {board.micropython.build} build, or correct [partitions] in boards/{board.name}.toml.",
            )


def _shown(part: Partition | None) -> str:
    return f"{part.offset:#x}+{part.size:#x}" if part else "missing"


def _described(app: Any, data: bytes, board: Board, name: str) -> MicroPythonImage:
    """Find out what the app is: official builds leave their description empty and name themselves in a banner."""
    content = b"".join(segment.data for segment in app.segments)
    if _project(content) == STAND_IN_PROJECT:
        version = _text(APP_DESCRIPTION.unpack(content[: APP_DESCRIPTION.size])[3])
        return MicroPythonImage(name, version, True, board.micropython.image_offset, data)
    banner = re.search(rb"MicroPython (v\d+\.\d+[!-~]*) on \d{4}-", content)
    if not banner:
        raise _Unfit("is a program for the right chip, but not MicroPython")
    return MicroPythonImage(name, _text(banner[1]), False, board.micropython.image_offset, data)


def _project(content: bytes) -> str:
    if len(content) < APP_DESCRIPTION.size:
        return ""
    magic, _, _, _, project, *_ = APP_DESCRIPTION.unpack(content[: APP_DESCRIPTION.size])
    return _text(project) if magic == APP_DESCRIPTION_MAGIC else ""


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii", "replace")


def _check_fits(image: MicroPythonImage, board: Board) -> None:
    if image.stand_in and not board.micropython.stand_in:
        raise _Unfit(f"is the virtual board's stand-in and runs on no chip, so not on {board.name}")
    if image.offset + len(image.data) > board.partitions.factory.end:
        raise _Unfit(f"is too large: it passes the factory partition's end at {board.partitions.factory.end:#x}")
    number = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", image.version)
    minimum = tuple(int(part) for part in board.micropython.minimum.split("."))
    if number and tuple(int(part or 0) for part in number.groups()) < minimum:
        raise _Unfit(f"is MicroPython {image.version}; {board.name} needs {board.micropython.minimum} or later")
