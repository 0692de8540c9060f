"""Virtual boards as processes: start, find and stop them. Each has a folder below Home.virtual."""

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansim.errors import BadInput, DeviceError
from ansim.home import Home
from ansim.virtual.clock import MAX_SPEED
from ansim.virtual.control import ControlClient

DEFAULT_NAME = "virtual"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")
_START_S = 30.0
_STOP_S = 5.0

# The processes that this one started: kept so that their stdin stays open (with_parent) and they are reaped.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class BoardFolder:
    """What lies in a board's folder."""

    path: Path

    @property
    def flash(self) -> Path:
        return self.path / "flash.bin"

    @property
    def chip(self) -> Path:
        return self.path / "chip"

    @property
    def mac(self) -> Path:
        return self.path / "mac"

    @property
    def token(self) -> Path:
        return self.path / "token"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def running(self) -> Path:
        """JSON that the running process writes: pid, port, terminal, control_port, board, chip, mac."""
        return self.path / "running.json"


@dataclass(frozen=True)
class VirtualBoard:
    """A running virtual board; ``terminal`` is a pseudo-terminal to the same serial line as ``url``."""

    name: str
    folder: Path
    pid: int
    port: int
    terminal: str
    board: str
    chip: str
    mac: str
    control: ControlClient

    @property
    def url(self) -> str:
        """The serial port, as pyserial, esptool and mpremote open it."""
        return f"rfc2217://127.0.0.1:{self.port}"

    @property
    def flash_file(self) -> Path:
        return BoardFolder(self.folder).flash

    @property
    def log_file(self) -> Path:
        return BoardFolder(self.folder).log


def start_board(
    home: Home,
    name: str = DEFAULT_NAME,
    *,
    board: str = "virtual",
    chip: str | None = None,
    port: int = 0,
    paced: bool = False,
    speed: int = 1,
    skip_sleep: bool = False,
    with_parent: bool = False,
) -> VirtualBoard:
    """Start a board's process and return once its port is open.

    Args:
        home: where its folder is.
        name: of the board; the folder's name.
        board: name of its board file.
        chip: esptool's name of the chip, if not the board file's.
        port: TCP port of its serial port; 0 takes a free one.
        paced: bytes on the serial line take the time of its baud rate.
        speed: how many times faster than life the chip's time runs, 1 to 100.
        skip_sleep: the chip's time jumps over its sleep, to what ends it.
        with_parent: it ends when this process ends.

    Raises:
        BadInput: the name is illegal or taken, the speed out of range, the board file or flash file can't be used.
        DeviceError: the process did not start.
    """
    if not 1 <= speed <= MAX_SPEED:
        raise BadInput(f"a virtual board can't run at speed {speed}", f"Use 1 to {MAX_SPEED}.")
    folder = BoardFolder(home.virtual / _checked(name))
    folder.path.mkdir(mode=0o700, exist_ok=True)
    if running := _alive(folder.path):
        raise BadInput(
            f"the virtual board '{name}' is running already, at {running.url}",
            f"Use it, stop it with: ansim virtual stop {name}, or start another one under another name.",
        )
    options: dict[str, object] = {
        "board": board,
        "chip": chip,
        "port": port,
        "paced": paced,
        "speed": speed,
        "skip_sleep": skip_sleep,
        "with_parent": with_parent,
    }
    _await_ready(_spawn(folder, options), folder)
    started = _alive(folder.path)
    if started is None:
        raise DeviceError(f"the virtual board '{name}' ended at once", f"Read {folder.log}.")
    return started


def running_boards(home: Home) -> list[VirtualBoard]:
    """The boards whose process lives, sorted by name."""
    found = (_alive(folder) for folder in sorted(home.virtual.iterdir()) if folder.is_dir())
    return [board for board in found if board]


def find_board(home: Home, name: str | None = None) -> VirtualBoard:
    """The running board called name, or the only one that runs.

    Raises:
        BadInput: there is no such board, or several and no name.
    """
    boards = running_boards(home)
    names = ", ".join(board.name for board in boards) or "none"
    if name is None and len(boards) == 1:
        return boards[0]
    if name is None and boards:
        raise BadInput(f"several virtual boards are running: {names}", "Say which one.")
    for board in boards:
        if board.name == name:
            return board
    missing = name or DEFAULT_NAME
    raise BadInput(
        f"no virtual board '{missing}' is running; running: {names}",
        f"Start it with: ansim virtual start {missing}",
    )


def stop_board(board: VirtualBoard) -> None:
    """End the board's process and wait until it is gone; a board that has ended already is fine."""
    folder = BoardFolder(board.folder)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if _holder(folder) == board.pid:
            _signal(board.pid, number)
            _await_end(folder, board.pid)
    if child := _children.pop(board.pid, None):
        _reap(child)


def _reap(child: subprocess.Popen[bytes]) -> None:
    """Wait until a process that has let go of its folder has ended; it may be held up by what it did for the chip."""
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"'{name}' can't be a virtual board's name",
            "Use 1 to 24 of a-z 0-9 _ -, starting with a letter or digit.",
        )
    return name


def _alive(path: Path) -> VirtualBoard | None:
    folder = BoardFolder(path)
    try:
        data: dict[str, Any] = json.loads(folder.running.read_text())
        control = ControlClient(path.name, data.pop("control_port"), folder.token.read_text(), path)
        board = VirtualBoard(name=path.name, folder=path, control=control, **data)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return board if _holder(folder) == board.pid else None


def _spawn(folder: BoardFolder, options: dict[str, object]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ansim.virtual.board_process", str(folder.path), json.dumps(options)]
    with folder.log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if options["with_parent"] else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )


def _await_ready(process: subprocess.Popen[bytes], folder: BoardFolder) -> None:
    """Read the one line that the process writes when its port is open, or why it is not."""
    said = _first_line(process)
    if said.get("ready"):
        _children[process.pid] = process
        return
    process.kill()
    process.wait()
    if "error" in said:
        raise BadInput(said["error"], said["hint"])
    raise DeviceError(f"the virtual board '{folder.path.name}' did not start", f"Read {folder.log}.")


def _first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the process says first; empty if that is nothing within _START_S."""
    assert process.stdout
    with process.stdout as stdout:
        ready, _, _ = select.select([stdout], [], [], _START_S)
        try:
            said: dict[str, Any] = json.loads(stdout.readline()) if ready else {}
        except ValueError:
            said = {}
    return said


def _holder(folder: BoardFolder) -> int | None:
    """The pid of the process that holds the folder. Unlike a pid, the kernel ends a lock even for a zombie."""
    with folder.lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            pid = lock.read(20).strip()
            return int(pid) if pid.isdecimal() else 0
    return None


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _await_end(folder: BoardFolder, pid: int) -> None:
    deadline = time.monotonic() + _STOP_S
    while _holder(folder) == pid and time.monotonic() < deadline:
        time.sleep(0.01)
