"""A stand-in for MicroPython's image, of the size of the official one and as hard to compress."""

import random
from pathlib import Path

from esptool.bin_image import LoadFirmwareImage

from ansim.boards import Board
from ansim.stand_in import APP_ADDRESS, program, stand_in_image

# ESP32_GENERIC v1.23.0 has 1,734,240 bytes, and zlib makes 1,142,447 of them.
IMAGE_BYTES = 1_734_240
# 32 bytes make 15 of 16, any byte the rest: 5.27 bits a byte, which is what zlib makes of the official image.
_LETTERS = bytes(byte & 0x1F if byte < 240 else byte for byte in range(256))


def write_image(path: Path, board: Board) -> Path:
    """Write to path an image for the virtual board, which boots it; the same bytes each time."""
    small = stand_in_image(board)
    app = board.partitions.factory.offset - small.offset
    description = LoadFirmwareImage(board.chip, small.data[app:]).segments[0].data
    size = IMAGE_BYTES - app - len(small.data[app:])
    filling = random.Random(1).randbytes(size - size % 16).translate(_LETTERS)
    path.write_bytes(small.data[:app] + program(APP_ADDRESS, description + filling, board.chip))
    return path
