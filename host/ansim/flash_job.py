"""One device from the command to the PASS: what is flashed, in which order, and what is recorded of it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esptool import ESPLoader

from ansim.boards import Board, load_board
from ansim.client import Console
from ansim.errors import AnsimError, BadInput, DeviceError
from ansim.flasher import FLASH_BAUD, Flasher, FlashReport, Part, PartsForMac, Progress
from ansim.home import Home
from ansim.image import Firmware, build_firmware, filesystem_image
from ansim.micropython_source import image_for
from ansim.provisioning import Provisioner, Wishes
from ansim.serial_link import CONSOLE_BAUD, find_port, open_port
from ansim.waiting_events import waiting_events

START_S = 30.0


@dataclass(frozen=True)
class Job:
    """What is to be done with the device on a port."""

    home: Home
    port: str
    board: str
    wishes: Wishes = Wishes()
    baud: int = FLASH_BAUD
    micropython: Path | None = None
    discard_pending: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of it; device is empty where no identity was given."""

    device: str
    report: FlashReport
    info: dict[str, Any]
    micropython: str
    discarded: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": True,
            "device": self.device,
            "micropython": self.micropython,
            "discarded_events": self.discarded,
            **vars(self.report),
            "info": self.info,
        }


def flash(job: Job, on_progress: Progress) -> Outcome:
    """Put MicroPython, firmware and (after ``ansim init``) identity on a device, and wait until it runs.

    Raises:
        BadInput: an option, file or setting can't be used, or events would be lost; the device is as it was.
        PortError, DeviceError: it went wrong on the way; the next run takes it up from there.
    """
    board = load_board(job.board)
    on_progress("building", 0, 1)
    micropython = image_for(board, job.home, job.micropython)
    firmware = build_firmware(board, job.home)
    parts = [Part("MicroPython", micropython.segments(board)), firmware_part(board, firmware)]
    expected = {"build": firmware.build}
    details = {"build": firmware.build, "micropython": micropython.version, "sha256": micropython.sha256}
    with _provisioner(job, board) as provisioner:
        return _write(job, board, parts, provisioner, _Record("flash", expected, details), on_progress)


def firmware_part(board: Board, firmware: Firmware) -> Part:
    """The filesystem with firmware, where board has it.

    Raises:
        BadInput: it does not fit the board's partition.
    """
    vfs = board.partitions.vfs
    try:
        segments = filesystem_image(firmware.files, vfs.size)
    except BadInput as error:
        hint = f"Enlarge partitions.vfs in boards/{board.name}.toml. {error.hint}"
        raise BadInput(f"board {board.name}: {error.message}", hint) from error
    return Part("firmware", [(vfs.offset + offset, data) for offset, data in segments])


def provision(job: Job, on_progress: Progress) -> Outcome:
    """Give a flashed device its identity, and leave the rest of its flash alone; raises what flash raises."""
    board = load_board(job.board)
    with Provisioner(job.home, board, job.wishes) as provisioner:
        return _write(job, board, [], provisioner, _Record("provision", {}, {}), on_progress)


@contextlib.contextmanager
def _provisioner(job: Job, board: Board) -> Iterator[Provisioner | None]:
    """A provisioner, or None where this station has no fleet yet."""
    if not job.home.fleet_file.exists():
        if job.wishes.any:
            raise BadInput("there is no fleet to give the device a place in", "Make it first: ansim init")
        yield None
        return
    with Provisioner(job.home, board, job.wishes) as provisioner:
        yield provisioner


@dataclass(frozen=True)
class _Record:
    """What goes into the history, and what the device has to say of itself afterwards."""

    action: str
    expected: dict[str, str]
    details: dict[str, Any]


def _write(
    job: Job,
    board: Board,
    parts: Sequence[Part],
    provisioner: Provisioner | None,
    record: _Record,
    on_progress: Progress,
) -> Outcome:
    with open_port(job.port, job.home) as link:
        console = Console(link, job.port)
        journal = _JournalCheck(job, board)
        inspect = journal if parts else _FirmwareCheck(job, board)
        identity: PartsForMac = (lambda mac: [provisioner.part(mac)]) if provisioner else (lambda _: [])
        flasher = Flasher(link, job.port, board, on_progress)
        try:
            report = flasher.run(parts, identity, inspect, job.baud)
            on_progress("starting", 0, 1)
            info = _started(console, find_port(job.port, job.home), record.expected | _expected_identity(provisioner))
        except BaseException as error:
            # Ctrl-C, too: the history says that this device is half done.
            if provisioner:
                provisioner.record(record.action, "failed", {**record.details, "error": _reason(error)})
            raise
    device = ""
    if provisioner and provisioner.identity:
        provisioner.confirm()
        provisioner.record(record.action, "passed", {**record.details, **vars(report)})
        device = provisioner.identity.device
    return Outcome(device, report, info, str(record.details.get("micropython", "")), journal.discarded)


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return error.message if isinstance(error, AnsimError) else type(error).__name__


class _FirmwareCheck:
    """Stops a provisioning of a device that has nothing to run."""

    def __init__(self, job: Job, board: Board) -> None:
        self._job = job
        self._app = board.partitions.factory

    def __call__(self, read_flash: Callable[[int, int], bytes]) -> None:
        if read_flash(self._app.offset, 1) != bytes([ESPLoader.ESP_IMAGE_MAGIC]):
            raise BadInput(
                f"the device on {self._job.port} has no firmware yet",
                f"This gives it firmware and identity: ansim flash --port {self._job.port} --board {self._job.board}",
            )


class _JournalCheck:
    """Stops a flashing that would lose events, unless they may be lost; ``discarded`` says how many were."""

    def __init__(self, job: Job, board: Board) -> None:
        self.discarded = 0
        self._job = job
        self._vfs = board.partitions.vfs

    def __call__(self, read_flash: Callable[[int, int], bytes]) -> None:
        waiting = self._waiting(lambda at, size: read_flash(self._vfs.offset + at, size))
        if waiting and not self._job.discard_pending:
            raise BadInput(
                f"the device on {self._job.port} holds {waiting} events that no receiver has acknowledged;"
                " flashing would lose them",
                "Let it reach its receiver first (if it has no identity: ansim provision);"
                " or give --discard-pending if they may be lost.",
            )
        self.discarded = waiting

    def _waiting(self, read_vfs: Callable[[int, int], bytes]) -> int:
        try:
            return waiting_events(read_vfs, self._vfs.size)
        except DeviceError as error:
            if self._job.discard_pending:
                return 0
            raise DeviceError(
                f"{error.message}, so nobody knows whether events wait on {self._job.port}",
                "Give --discard-pending if they may be lost.",
            ) from error


def _expected_identity(provisioner: Provisioner | None) -> dict[str, str]:
    return {"device": provisioner.identity.device} if provisioner and provisioner.identity else {}


def _started(console: Console, where: str, expected: dict[str, str]) -> dict[str, Any]:
    """Wait until the device answers, and check that it is what was written; where is what pyserial calls its port.

    Raises:
        DeviceError: it does not answer, or is something else.
    """
    try:
        info = console.request("info", timeout_s=START_S, repeat=True)
    except DeviceError as error:
        raise DeviceError(
            f"the device on {console.name} was written and checked, but does not start ({START_S:g} s)",
            f"Read what it says when you press RESET: pyserial-miniterm {where} {CONSOLE_BAUD}",
        ) from error
    for key, value in expected.items():
        if info.get(key) != value:
            raise DeviceError(
                f"the device on {console.name} says that its {key} is '{str(info.get(key))[:40]}', not '{value}'",
                "Flash it again; if that repeats, its flash chip is failing.",
            )
    return info
