"""Memory of the firmware, on a virtual board: its objects are twice as wide as an ESP32's, so the chip needs less."""

import subprocess
import sys
import tempfile
from pathlib import Path

from ansim.sandbox import Sandbox
from ansim.virtual.heap import FREE_HEAP_BYTES
from figure import Figure
from unit_under_test import UnitUnderTest

HERE = Path(__file__).parent


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder)) as sandbox:
        device = UnitUnderTest.on(sandbox, sandbox.start_board())
        device.flash()
        device.connect()
        heap_boot = device.until_connected()["heap_boot"]
        device.enter_safe_mode()
        allocated, cycles = idle_cycles(device.url)
        device.close()
    return [
        Figure("heap free after boot", heap_boot, "bytes"),
        Figure("heap used after boot, 64-bit objects", FREE_HEAP_BYTES - heap_boot, "bytes"),
        Figure(f"allocated by {cycles} idle cycles of the whole loop", allocated, "bytes", bound=0),
    ]


def idle_cycles(port: str) -> tuple[int, int]:
    command = [sys.executable, "-m", "mpremote", "connect", port, "resume", "run", str(HERE / "idle_cycles.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("idle"))
    _, allocated, cycles = line.split()
    return int(allocated), int(cycles)
