"""Bytes of firmware on the device."""

import tempfile
from pathlib import Path

from ansim.boards import board_names, load_board
from ansim.home import Home
from ansim.image import PACK, build_firmware
from figure import Figure


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        built = {name: build_firmware(load_board(name), home) for name in board_names()}
    largest = max(built, key=lambda name: built[name].mpy_bytes)
    firmware = built[largest]
    packed = f"{len(firmware.modules)} modules in {PACK}, and what loads them"
    return [Figure(f"firmware as .mpy, at most ({largest})", firmware.mpy_bytes, "bytes", bound=80 * 1024, peer=packed)]
