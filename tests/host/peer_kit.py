"""A virtual board that lasts for a module's tests, and the real mpremote on it."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quick_tools import tool_command

from ansim.home import Home
from ansim.virtual import VirtualBoard, start_board, stop_board
from chip_kit import flash_content

PATIENCE_S = 60


@contextmanager
def lasting_board(folder: Path, files: Mapping[str, str] | None, **options: Any) -> Iterator[VirtualBoard]:
    """Run a board with MicroPython and these files in its flash; with None its flash is erased."""
    home = Home(folder)
    place = home.virtual / "virtual"
    place.mkdir()
    if files is not None:
        (place / "flash.bin").write_bytes(flash_content(files))
    board = start_board(home, with_parent=True, **options)
    try:
        yield board
    finally:
        stop_board(board)


def mpremote(board: VirtualBoard, *arguments: object, fails: bool = False, cwd: Path | None = None) -> str:
    """Run mpremote on the board's terminal, where it does not look for answers every 10 ms only; return its output.

    What it says itself and what the device says come in the order in which they are said.
    """
    done = subprocess.run(
        tool_command("mpremote", "connect", board.terminal, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=cwd,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout
