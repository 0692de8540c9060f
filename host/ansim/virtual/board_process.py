"""The process of one virtual board: ``python -m ansim.virtual.board_process FOLDER OPTIONS`` (JSON)."""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansim import secret_files
from ansim.boards import Sensor, load_board
from ansim.chips import STAND_IN_CHIPS
from ansim.errors import AnsimError, BadInput
from ansim.virtual.bare_chip import BareChip
from ansim.virtual.board import DevBoard, Log, MakeRunner, Runner
from ansim.virtual.chip import Chip
from ansim.virtual.clock import Clock
from ansim.virtual.control_server import ControlServer
from ansim.virtual.flash import Flash
from ansim.virtual.running import BoardFolder

_MAC_PREFIX = b"\x02"  # locally administered, so that it can't be a real device's
_LOG_BYTES = 1 << 20
_LOCK_ATTEMPTS = 20


@dataclass(frozen=True)
class Options:
    """What ``start_board`` asks for."""

    board: str
    chip: str | None
    port: int
    paced: bool
    speed: int
    skip_sleep: bool
    with_parent: bool


def main() -> None:
    folder, options = BoardFolder(Path(sys.argv[1])), Options(**json.loads(sys.argv[2]))
    _bound_log(folder.log)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        lock = _lock(folder)
        asyncio.run(_Process(folder, options).run())
        lock.close()
    except AnsimError as error:
        logging.error("%s", error.message)
        _say({"error": error.message, "hint": error.hint})
        sys.exit(error.exit_code)


class _Process:
    """Builds the board, opens its ports, and waits for the end."""

    def __init__(self, folder: BoardFolder, options: Options) -> None:
        self._folder = folder
        self._options = options

    async def run(self) -> None:
        board_file = load_board(self._options.board)
        chip = self._options.chip or board_file.chip
        mac = lasting_mac(self._folder.mac)
        flash = Flash(self._folder.flash, board_file.flash_bytes)
        clock = Clock(self._options.speed, self._options.skip_sleep)
        runs = chip in STAND_IN_CHIPS and chip == board_file.chip
        make = _runner_maker(self._folder, mac, chip, clock, board_file.sensor, runs)
        board = DevBoard(board_file, flash, chip, mac, self._options.paced, make, clock)
        try:
            await self._serve(board, {"board": board_file.name, "chip": chip, "mac": mac.hex(":")})
        finally:
            board.chip.close()
            flash.close()

    async def _serve(self, board: DevBoard, about: dict[str, Any]) -> None:
        ended = asyncio.Event()
        _end_on(ended.set, self._options.with_parent)
        port = self._open_port(board)
        token = secrets.token_hex(16)
        server, control_port = await ControlServer(board, token, self._folder.path).open()
        secret_files.replace(self._folder.token, token.encode())
        about |= {"pid": os.getpid(), "port": port, "terminal": board.port.terminal_path, "control_port": control_port}
        secret_files.replace(self._folder.running, json.dumps(about).encode())
        board.power_on()
        serving = asyncio.ensure_future(board.port.serve())
        logging.info("serial port rfc2217://127.0.0.1:%d, %s", port, about["mac"])
        _say({"ready": True})
        await asyncio.wait((asyncio.ensure_future(ended.wait()), serving), return_when=asyncio.FIRST_COMPLETED)
        self._folder.running.unlink(missing_ok=True)
        server.close()
        if serving.done():
            serving.result()  # it serves for ever, so this raises what went wrong, for the log
        serving.cancel()
        logging.info("ended")

    def _open_port(self, board: DevBoard) -> int:
        try:
            return board.port.open(self._options.port)
        except OSError as error:
            raise BadInput(
                f"TCP port {self._options.port} can't be used: {error.strerror}",
                "Choose another one, or leave --port out to take any free one.",
            ) from error


def lasting_mac(path: Path) -> bytes:
    """The board's MAC, made on its first start and kept in path.

    Raises:
        BadInput: the file does not hold a MAC.
    """
    if not path.exists():
        secret_files.replace(path, (_MAC_PREFIX + secrets.token_bytes(5)).hex(":").encode())
    try:
        mac = bytes.fromhex(path.read_text().strip().replace(":", ""))
    except ValueError:
        mac = b""
    if len(mac) != 6:
        raise BadInput(f"{path} does not hold a MAC", "Delete it; the board then gets a new one.")
    return mac


def _runner_maker(
    folder: BoardFolder, mac: bytes, chip: str, clock: Clock, sensor: Sensor | None, runs: bool
) -> MakeRunner:
    def make(emit: Callable[[bytes], None], log: Log, power_lost: Callable[[], None]) -> Runner:
        if runs:
            return Chip(folder.chip, folder.flash, mac, emit, log, power_lost, clock, sensor, chip)
        return BareChip(chip, emit)

    return make


def _end_on(end: Callable[[], None], with_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    if with_parent:
        loop.add_reader(sys.stdin.fileno(), end)


def _lock(folder: BoardFolder) -> Any:
    """Hold the folder as long as this process lives.

    Raises:
        BadInput: another process holds it.
    """
    lock = folder.lock.open("a")
    for _ in range(_LOCK_ATTEMPTS):
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.truncate(0)
            print(os.getpid(), file=lock, flush=True)
            return lock
        time.sleep(0.05)  # who looks whether the board runs holds the lock for a moment
    raise BadInput(
        f"the virtual board '{folder.path.name}' is starting or running already",
        "See what runs with: ansim virtual list",
    )


def _bound_log(path: Path) -> None:
    """Start a new log when the old one, which stderr appends to, has grown large."""
    if path.stat().st_size > _LOG_BYTES:
        os.truncate(path, 0)


def _say(message: dict[str, object]) -> None:
    """Tell whoever started this process, who reads one line and closes the pipe."""
    print(json.dumps(message), flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    main()
