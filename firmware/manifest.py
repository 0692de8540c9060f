"""Freezes the firmware into a MicroPython of one's own: its modules need no search, no reading and little RAM.

    export ANSIM_BOARD=esp32_devkit
    make -C ports/esp32 BOARD=ESP32_GENERIC FROZEN_MANIFEST=/path/to/firmware/manifest.py

The Python that MicroPython's build runs must have ansim installed. NOT CHECKED with a build: what include(), package()
and module() take is as MicroPython's tools/manifestfile.py says.
"""

import os
import tempfile
from pathlib import Path

from ansim.boards import load_board
from ansim.home import Home
from ansim.image import write_sources

folder = tempfile.mkdtemp(prefix="ansim-frozen-")
write_sources(load_board(os.environ["ANSIM_BOARD"]), Home(Path(folder) / "home"), Path(folder))

include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821  (MicroPython's build gives these names)
package("ansim_fw", base_path=folder, opt=3)  # noqa: F821
module("main.py", base_path=folder, opt=3)  # noqa: F821
