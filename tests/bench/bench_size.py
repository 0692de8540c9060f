"""Bytes of firmware on the device."""

import tempfile
from pathlib import Path

from ansim.boards import load_board
from ansim.home import Home
from ansim.image import build_firmware
from figure import Figure


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        firmware = build_firmware(load_board("esp32_devkit"), Home(Path(folder)))
    return [Figure("firmware as .mpy", firmware.mpy_bytes, "bytes", bound=80 * 1024)]
