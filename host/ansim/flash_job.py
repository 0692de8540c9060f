"""One device from the command to the PASS: what is flashed, in which order, and what is recorded of it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from esptool import ESPLoader

from ansim import proof
from ansim.boards import Board, load_board
from ansim.client import Console
from ansim.errors import AnsimError, BadInput, DeviceError, ServiceError
from ansim.flasher import BACK_S, FLASH_BAUD, Flasher, FlashReport, OnMac, Progress, Task
from ansim.home import Home
from ansim.image import Firmware, build_firmware, filesystem_image
from ansim.micropython_source import image_for
from ansim.payload import Part, Payload, packed
from ansim.proof import Proof, ProofPlan, Step
from ansim.provisioning import Provisioner, Wishes
from ansim.schema import REASON_CHARS
from ansim.serial_link import CONSOLE_BAUD, OpenPort, PortGone
from ansim.waiting_events import Waiting, waiting_events
from ansim_fw.version import VERSION

START_S = 30.0


class EventsWaiting(BadInput):
    """The device holds events that no receiver has acknowledged."""


class ProofFailed(DeviceError):
    """The device runs, but did not pass its proof."""

    def __init__(self, message: str, hint: str = "", proof: Proof | None = None) -> None:
        super().__init__(message, hint)
        self.proof = proof


@dataclass(frozen=True)
class Job:
    """What is to be done with the device on a port; with a proof it is proven, too, before it counts as ready."""

    home: Home
    port: str
    board: str
    wishes: Wishes = Wishes()
    baud: int = FLASH_BAUD
    micropython: Path | None = None
    discard_pending: bool = False
    station: str | None = None
    proof: ProofPlan | None = None


@dataclass(frozen=True)
class Prepared:
    """What is the same for each board of a batch, made once; it can be sent to other processes.

    Attributes:
        build: what the device says of its firmware once that runs.
        micropython: its version.
        images: what the ledger says was written: MicroPython's file and the firmware's filesystem, by their SHA-256.
    """

    payloads: tuple[Payload, ...]
    build: str
    micropython: str
    images: Mapping[str, str]


@dataclass(frozen=True)
class Hooks:
    """Whom a job tells how it goes.

    Attributes:
        on_progress: each step, and how far it is.
        on_mac: the chip's MAC, before anything is written or issued. What it raises ends the job in order: the device
            starts as it was, and nothing is recorded.
        on_step: each step of the proof.
    """

    on_progress: Progress
    on_mac: OnMac = lambda _: None
    on_step: Callable[[Step], None] = lambda _: None


@dataclass(frozen=True)
class Outcome:
    """What became of it; device is empty where no identity was given."""

    device: str
    report: FlashReport
    info: dict[str, Any]
    micropython: str
    discarded: int
    proof: Proof | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": True,
            "device": self.device,
            "micropython": self.micropython,
            "discarded_events": self.discarded,
            **vars(self.report),
            "info": self.info,
            **({"proof": self.proof.as_dict()} if self.proof else {}),
        }


def prepare(home: Home, board_name: str, micropython: Path | None = None) -> Prepared:
    """Get MicroPython, build the firmware and compress both.

    Raises:
        BadInput: the board or a file can't be used, or the firmware does not fit the board.
        AnsimError: MicroPython's image can't be fetched.
    """
    board = load_board(board_name)
    image = image_for(board, home, micropython)
    firmware = build_firmware(board, home)
    if firmware.frozen_in(image.data):
        firmware = firmware.without_code()
    files = firmware_part(board, firmware)
    payloads = (packed(Part("MicroPython", image.segments(board))), packed(files))
    images = {"MicroPython": image.sha256, "firmware": files.sha256}
    return Prepared(payloads, firmware.build, image.version, images)


def flash(
    job: Job,
    on_progress: Progress,
    prepared: Prepared | None = None,
    on_mac: OnMac = lambda _: None,
    on_step: Callable[[Step], None] = lambda _: None,
) -> Outcome:
    """Put MicroPython, firmware and (after ``ansim init``) identity on a device, wait until it runs, and prove it.

    Args:
        prepared: what prepare made for the job's board; it is made here without.

    Raises:
        BadInput: an option, file or setting can't be used, or events would be lost; the device is as it was.
        PortError, DeviceError: it went wrong on the way; the next run takes it up from there.
        ProofFailed: the device runs, and the ledger has what it failed.
    """
    board = load_board(job.board)
    on_progress("building", 0, 1)
    made = prepared or prepare(job.home, job.board, job.micropython)
    record = _Record(
        "flash",
        {"build": made.build},
        {
            **_tools(board),
            "build": made.build,
            "micropython": made.micropython,
            "images": dict(made.images),
        },
    )
    with _provisioner(job, board) as provisioner:
        hooks = Hooks(on_progress, on_mac, on_step)
        return _Run(job, board, provisioner, record, hooks).run(made.payloads, _JournalCheck(job, board))


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


def provision(
    job: Job,
    on_progress: Progress,
    on_mac: OnMac = lambda _: None,
    on_step: Callable[[Step], None] = lambda _: None,
) -> Outcome:
    """Give a flashed device its identity, and leave the rest of its flash alone; raises what flash raises."""
    board = load_board(job.board)
    with Provisioner(job.home, board, job.wishes, job.station) as provisioner:
        hooks = Hooks(on_progress, on_mac, on_step)
        record = _Record("provision", {}, _tools(board))
        return _Run(job, board, provisioner, record, hooks).run((), _FirmwareCheck(job, board))


@contextlib.contextmanager
def _provisioner(job: Job, board: Board) -> Iterator[Provisioner | None]:
    """A provisioner, or None where this station has no fleet yet."""
    if not job.home.fleet_file.exists():
        if job.wishes.any or job.proof:
            raise BadInput("there is no fleet to give the device a place in", "Make it first: ansim init")
        yield None
        return
    with Provisioner(job.home, board, job.wishes, job.station) as provisioner:
        yield provisioner


@dataclass(frozen=True)
class _Record:
    """What goes into the ledger, and what the device has to say of itself afterwards."""

    action: str
    expected: dict[str, str]
    details: dict[str, Any]


@dataclass(frozen=True)
class _Run:
    """A job on its way, from the open port to the ledger."""

    job: Job
    board: Board
    provisioner: Provisioner | None
    record: _Record
    hooks: Hooks

    def run(self, payloads: Sequence[Payload], inspect: "_FirmwareCheck | _JournalCheck") -> Outcome:
        with OpenPort(self.job.port, self.job.home) as port:
            task = Task(payloads, self._identity, inspect, self.hooks.on_mac, self.job.baud)
            with self._failure_recorded(self.record.action, self.record.details):
                report = Flasher(port, self.board, self.hooks.on_progress).run(task)
                self.hooks.on_progress("starting", 0, 1)
                answers = self.record.expected | _expected_identity(self.provisioner)
                console, info = _started(port, report.mac, answers)
            self._record(report, answers, inspect.discarded)
            proven = self._prove(console, str(info.get("build", "")))
        device = self.provisioner.identity.device if self.provisioner and self.provisioner.identity else ""
        version = str(self.record.details.get("micropython", ""))
        return Outcome(device, report, info, version, inspect.discarded, proven)

    def _identity(self, mac: str) -> list[Part]:
        return [self.provisioner.part(mac)] if self.provisioner else []

    def _record(self, report: FlashReport, answers: dict[str, str], discarded: int) -> None:
        if self.provisioner is None:
            return
        tests = {"flash": "read back by MD5", "answers": answers}
        record = self.provisioner.written if self.job.proof else self.provisioner.passed
        lost = {"discarded_events": discarded} if discarded else {}
        record(self.record.action, {**self.record.details, "tests": tests, **vars(report), **lost})

    def _prove(self, console: Console, build: str) -> Proof | None:
        """Prove the device, if that is wished, and record what was found.

        Raises:
            ProofFailed: it did not pass.
        """
        plan, provisioner = self.job.proof, self.provisioner
        if plan is None or provisioner is None or provisioner.identity is None:
            return None
        expected = proof.expected_of(provisioner.identity, provisioner.generation, build)
        with self._failure_recorded("proof", {"device": provisioner.identity.device}):
            found = proof.prove(console, replace(plan, expected=expected), self.hooks.on_step)
        proof.record(provisioner.registry, found)
        if not found.passed:
            failed = ", ".join(phase.name for phase in found.failed) or "the alarm was not tried"
            hint = " ".join(phase.hint for phase in found.failed)
            raise ProofFailed(f"{found.device} on {self.job.port} did not pass: {failed}", hint, found)
        return found

    @contextlib.contextmanager
    def _failure_recorded(self, action: str, details: dict[str, Any]) -> Iterator[None]:
        """Put into the ledger that this device is half done, if it is known by then; after Ctrl-C, too."""
        try:
            yield
        except BaseException as error:
            if self.provisioner:
                # What went wrong on the device matters more than a registry that is away, too.
                with contextlib.suppress(ServiceError):
                    self.provisioner.failed(action, {**details, "error": _reason(error)})
            raise


def _tools(board: Board) -> dict[str, Any]:
    return {"ansim": VERSION, "board": board.name}


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return error.message[:REASON_CHARS] if isinstance(error, AnsimError) else type(error).__name__


class _FirmwareCheck:
    """Stops a provisioning of a device that has nothing to run; no event is lost by one."""

    discarded = 0

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
    """Stops a flashing that would lose events, unless they may be lost; ``discarded`` says how many were.

    A device that is proven next raises a test alarm then, and shows again whatever is wrong with it. So those of a
    proof before, which was cut short, don't hold it up.
    """

    def __init__(self, job: Job, board: Board) -> None:
        self.discarded = 0
        self._job = job
        self._vfs = board.partitions.vfs

    def __call__(self, read_flash: Callable[[int, int], bytes]) -> None:
        waiting = self._waiting(lambda at, size: read_flash(self._vfs.offset + at, size))
        held = waiting.calls if self._job.proof else waiting.events
        if held and not self._job.discard_pending:
            raise EventsWaiting(
                f"the device on {self._job.port} holds {held} event{'s' if held > 1 else ''} that no receiver has"
                " acknowledged; flashing would lose them",
                "Let it reach its receiver first (if it has no identity: ansim provision);"
                " or give ansim flash --discard-pending if they may be lost.",
            )
        self.discarded = waiting.events

    def _waiting(self, read_vfs: Callable[[int, int], bytes]) -> Waiting:
        try:
            return waiting_events(read_vfs, self._vfs.size)
        except DeviceError as error:
            if self._job.discard_pending:
                return Waiting(0, 0)
            raise DeviceError(
                f"{error.message}, so nobody knows whether events wait on {self._job.port}",
                "Give ansim flash --discard-pending if they may be lost.",
            ) from error


def _expected_identity(provisioner: Provisioner | None) -> dict[str, str]:
    return {"device": provisioner.identity.device} if provisioner and provisioner.identity else {}


def _started(port: OpenPort, mac: str, expected: dict[str, str]) -> tuple[Console, dict[str, Any]]:
    """Wait until the device answers, and check that it is what was written.

    Raises:
        DeviceError: it does not answer, or is something else.
    """
    try:
        console, info = _first_answer(port, mac)
    except DeviceError as error:
        raise DeviceError(
            f"the device on {port.name} was written and checked, but does not start ({START_S:g} s)",
            f"Read what it says when you press RESET: pyserial-miniterm {port.where} {CONSOLE_BAUD}",
        ) from error
    for key, value in expected.items():
        if info.get(key) != value:
            raise DeviceError(
                f"the device on {port.name} says that its {key} is '{str(info.get(key))[:40]}', not '{value}'",
                "Flash it again; if that repeats, its flash chip is failing.",
            )
    return console, info


def _first_answer(port: OpenPort, mac: str) -> tuple[Console, dict[str, Any]]:
    """Ask the device for its info; one with USB of its own may come back under another name when it starts."""
    try:
        return _asked(port)
    except PortGone:
        port.find_again(mac, BACK_S)
        return _asked(port)


def _asked(port: OpenPort) -> tuple[Console, dict[str, Any]]:
    console = Console(port.link, port.name)
    return console, console.request("info", timeout_s=START_S, repeat=True)
