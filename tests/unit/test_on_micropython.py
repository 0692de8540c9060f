"""The files beside this one, on MicroPython's unix port."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware"
CPYTHON_ONLY = ("test_on_micropython", "test_power_cuts", "test_properties", "test_purity")
SHARED = sorted(path.stem for path in HERE.glob("test_*.py") if path.stem not in CPYTHON_ONLY)


@pytest.mark.parametrize("name", SHARED)
def test_the_same_file_passes_on_micropython(name: str) -> None:
    micropython = Path(sys.executable).parent / "micropython"
    command = [str(micropython), str(HERE / "run_on_micropython.py"), str(FIRMWARE), str(HERE), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
