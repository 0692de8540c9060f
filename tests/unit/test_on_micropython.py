"""The files beside this one, on MicroPython's unix port."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware"
# What needs a library of CPython's, or looks at the source.
CPYTHON_ONLY = ("import hypothesis", "from hypothesis", "import ast", "import subprocess")
SHARED = sorted(
    path.stem for path in HERE.glob("test_*.py") if not any(line in path.read_text() for line in CPYTHON_ONLY)
)


@pytest.mark.parametrize("name", SHARED)
def test_the_same_file_passes_on_micropython(name: str) -> None:
    micropython = Path(sys.executable).parent / "micropython"
    command = [str(micropython), str(HERE / "run_on_micropython.py"), str(FIRMWARE), str(HERE), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
