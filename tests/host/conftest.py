"""Fixtures for the host's tests: a home of their own, and virtual boards in it."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from process_kit import StartCommand
from quick_tools import tool_command

from ansim.home import Home
from ansim.virtual import VirtualBoard, start_board, stop_board
from chip_kit import flash_content


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home, which commands in this process and its children take too."""
    monkeypatch.setenv("ANSIM_HOME", str(tmp_path / "home"))
    return Home.default()


@pytest.fixture
def start_command() -> Iterator[StartCommand]:
    """Start commands of ansim's, whose output is read; they end with the test, however it ends."""
    with contextlib.ExitStack() as ending:

        def start(*arguments: str) -> "subprocess.Popen[str]":
            command = [sys.executable, "-m", "ansim", *arguments]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            ending.enter_context(process)
            ending.callback(process.kill)
            return process

        yield start


@pytest.fixture
def start_virtual_board(home: Home) -> Iterator[Callable[..., VirtualBoard]]:
    """Start virtual boards with start_board's arguments; they end with the test, or with pytest."""
    started = []

    def start(name: str = "virtual", **options: Any) -> VirtualBoard:
        board = start_board(home, name, with_parent=True, **options)
        started.append(board)
        return board

    yield start
    for board in started:
        stop_board(board)


@pytest.fixture
def virtual_board(start_virtual_board: Callable[..., VirtualBoard]) -> VirtualBoard:
    """A running virtual board with an empty flash."""
    return start_virtual_board()


@pytest.fixture
def start_booting_board(home: Home, start_virtual_board: Callable[..., VirtualBoard]) -> Callable[..., VirtualBoard]:
    """Start virtual boards that were flashed in an earlier life, with MicroPython's stand-in and the given files."""

    def start(files: Mapping[str, str], name: str = "virtual", **options: Any) -> VirtualBoard:
        folder = home.virtual / name
        folder.mkdir()
        (folder / "flash.bin").write_bytes(flash_content(files))
        return start_virtual_board(name, **options)

    return start


@pytest.fixture
def esptool() -> Callable[..., str]:
    """Run the real esptool on a board and return what it printed."""

    def run(board: VirtualBoard, *arguments: object, fails: bool = False) -> str:
        command = tool_command("esptool", "--port", board.url, *arguments)
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    return run
