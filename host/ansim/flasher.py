"""Writing a device's flash: one esptool session from reset to reset, over a port that is open already."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import esptool
import serial
from esp_pylib.logger import EspLog, EspLogBase

from ansim.boards import Board, board_names, load_board
from ansim.errors import BadInput, DeviceError
from ansim.image import Segment
from ansim.serial_link import CONSOLE_BAUD, READ_S, watching

FLASH_BAUD = 460800
# Each takes two seconds; they alternate between two timings of the reset.
CONNECT_ATTEMPTS = 4
_AGAIN = "Plug it in again and repeat the command: it takes up what is on the device already."


@dataclass(frozen=True)
class Part:
    """One thing that is written, with the segments of flash it consists of."""

    name: str
    segments: Sequence[Segment] = field(repr=False)

    @property
    def size(self) -> int:
        return sum(len(data) for _, data in self.segments)


@dataclass(frozen=True)
class FlashReport:
    """What a session did; sizes in bytes."""

    chip: str
    mac: str
    written: dict[str, int]
    unchanged: dict[str, int]
    compressed_bytes: int
    wire_bytes: int
    seconds: float


# Called with what is being done, how many bytes of it are done, and of how many.
Progress = Callable[[str, int, int], None]
# Called with the MAC once it is known; gives the parts that depend on it.
PartsForMac = Callable[[str], Sequence[Part]]
# Called before anything is written, with a function that reads flash: (address, bytes) -> content. May raise to stop.
Inspection = Callable[[Callable[[int, int], bytes]], None]


class _Log(EspLogBase):
    """Takes what esptool would print: it starts a segment, it gets on with it, and the rest is dropped.

    Args:
        on_segment: called with the bytes that will be sent for the next segment (compressed where that helps).
        on_progress: called with the bytes sent so far, and of how many.
    """

    def __init__(self, on_segment: Callable[[int], None], on_progress: Callable[[int, int], None]) -> None:
        self._on_segment = on_segment
        self._on_progress = on_progress

    def print(self, *_: Any, **__: Any) -> None:
        """Everything that matters comes as an exception or a return value."""

    note = hint = debug = warn = err = warning = error = set_verbosity = print

    @contextlib.contextmanager
    def progress(self, total: int, *args: Any, **options: Any) -> Iterator[Any]:
        self._on_segment(total)
        with super().progress(total, *args, **options) as task:
            yield task

    def progress_bar(self, cur_iter: int, total_iters: int, *_: Any, **__: Any) -> None:
        self._on_progress(cur_iter, total_iters)


@contextlib.contextmanager
def _logging_to(log: _Log) -> Iterator[None]:
    """Give esptool another place to print to, for the process has one only."""
    before = EspLog.instance
    EspLog.set_logger(log)
    try:
        yield
    finally:
        EspLog.instance = before


class _Wire:
    """Counts what is written to a port while it is entered."""

    def __init__(self, link: serial.SerialBase) -> None:
        self.count = 0
        self._link = link
        self._write = link.write

    def __enter__(self) -> "_Wire":
        self._link.write = self.write
        return self

    def __exit__(self, *_: object) -> None:
        self._link.write = self._write

    def write(self, data: bytes) -> int:
        self.count += len(data)
        sent: int = self._write(data)
        return sent


class _Writing:
    """How far the writing of the changed segments is."""

    def __init__(self, changed: Sequence[tuple[str, Segment]], on_progress: Progress) -> None:
        self.compressed_bytes = 0
        self._changed = changed
        self._on_progress = on_progress
        self._total = sum(len(data) for _, (_, data) in changed)
        self._done = 0
        self._next = 0

    def segment(self, compressed_bytes: int) -> None:
        self.compressed_bytes += compressed_bytes
        self._done = sum(len(data) for _, (_, data) in self._changed[: self._next])
        self._next += 1

    def progress(self, sent: int, of: int) -> None:
        name, (_, data) = self._changed[self._next - 1]
        self._on_progress(f"writing {name}", self._done + len(data) * sent // max(of, 1), self._total)


class Flasher:
    """A session with the chip behind an open port.

    Args:
        link: the port; it stays open and is back at the console's speed after the session.
        name: the port's name, for messages.
    """

    def __init__(self, link: serial.SerialBase, name: str, board: Board, on_progress: Progress) -> None:
        self._link = link
        self._name = name
        self._board = board
        self._on_progress = on_progress

    def run(
        self, parts: Sequence[Part], parts_for_mac: PartsForMac, inspect: Inspection, baud: int = FLASH_BAUD
    ) -> FlashReport:
        """Reset into download mode, write what differs, check it, and reset into the firmware.

        A part that is cut short is found to differ by the next run, which writes it again.

        Raises:
            BadInput: the chip is not the board's, or its flash is too small.
            DeviceError: no chip answers, or it does not hold what was written.
            PortError: the port went away.
        """
        started = time.monotonic()
        silent = _Log(lambda _: None, lambda *_: None)
        with watching(self._name, _AGAIN), _logging_to(silent), _Wire(self._link) as wire:
            chip = self._connect()
            try:
                mac = ":".join(f"{byte:02x}" for byte in chip.read_mac())
                with self._esptool_errors():
                    chip = self._prepared(chip, baud)
                    inspect(chip.read_flash)
                    parts = [*parts, *parts_for_mac(mac)]
                    changed, compressed_bytes = self._write(chip, parts)
            finally:
                self._leave(chip)
        return FlashReport(
            chip=chip.CHIP_NAME,
            mac=mac,
            written={part.name: _size(changed, part.name) for part in parts},
            unchanged={part.name: part.size - _size(changed, part.name) for part in parts},
            compressed_bytes=compressed_bytes,
            wire_bytes=wire.count,
            seconds=time.monotonic() - started,
        )

    @contextlib.contextmanager
    def _esptool_errors(self) -> Iterator[None]:
        try:
            yield
        except esptool.FatalError as error:
            raise DeviceError(f"flashing the device on {self._name} failed: {_first_line(error)}", _AGAIN) from error

    def _connect(self) -> Any:
        """Return esptool's object for the chip, which is now in download mode."""
        self._on_progress("connecting", 0, 1)
        try:
            chip = esptool.detect_chip(self._link, connect_attempts=CONNECT_ATTEMPTS)
        except esptool.FatalError as error:
            raise DeviceError(
                f"no ESP32 answers on {self._name}",
                "Check the port and the cable; else hold BOOT, press RESET, and run it again.",
            ) from error
        wanted = esptool.CHIP_DEFS[self._board.chip].CHIP_NAME
        if wanted != chip.CHIP_NAME:
            self._leave(chip)
            raise self._wrong_chip(chip.CHIP_NAME, wanted)
        return chip

    def _wrong_chip(self, found: str, wanted: str) -> BadInput:
        fit = [name for name in board_names() if found == esptool.CHIP_DEFS[load_board(name).chip].CHIP_NAME]
        return BadInput(
            f"the device on {self._name} has an {found}, but the board {self._board.name} has an {wanted}",
            f"Boards with an {found}: {', '.join(fit) or 'none'}. Choose with --board.",
        )

    def _write(self, chip: Any, parts: Sequence[Part]) -> tuple[list[tuple[str, Segment]], int]:
        """Write the segments that differ; return them, and the bytes that their compressed form has."""
        changed = self._changed(chip, parts)
        writing = _Writing(changed, self._on_progress)
        if changed:
            with _logging_to(_Log(writing.segment, writing.progress)):
                esptool.write_flash(chip, [segment for _, segment in changed])
        return changed, writing.compressed_bytes

    def _prepared(self, chip: Any, baud: int) -> Any:
        """Run the stub, find the flash, and go to full speed."""
        chip = _with_stub(chip)
        esptool.attach_flash(chip)
        size = esptool.flash_size_bytes(esptool.detect_flash_size(chip))
        if size is not None and size < self._board.flash_bytes:
            raise BadInput(
                f"the device on {self._name} has {size // 2**20} MiB of flash,"
                f" but the board {self._board.name} has {self._board.board.flash_mib}",
                "Choose another board with --board, or correct board.flash_mib in a copy of its file.",
            )
        if baud != CONSOLE_BAUD:
            chip.change_baud(baud)
        # esptool would wait for a port that went away to come back; a person wants to know at once.
        chip.WRITE_FLASH_ATTEMPTS = 1
        return chip

    def _changed(self, chip: Any, parts: Sequence[Part]) -> list[tuple[str, Segment]]:
        """The segments that the chip does not hold yet, in the order of their addresses, with their part's name."""
        segments = [(part.name, segment) for part in parts for segment in part.segments]
        changed = []
        for number, (name, (offset, data)) in enumerate(segments):
            self._on_progress("comparing", number, len(segments))
            if chip.flash_md5sum(offset, len(data)) != hashlib.md5(data).hexdigest():
                changed.append((name, (offset, data)))
        return sorted(changed, key=lambda item: item[1][0])

    def _leave(self, chip: Any) -> None:
        """Reset into the firmware, at the console's speed; a port that is gone is reported by what went before."""
        with contextlib.suppress(serial.SerialException, OSError, esptool.FatalError):
            chip.hard_reset()
            self._link.baudrate, self._link.timeout = CONSOLE_BAUD, READ_S


def _with_stub(chip: Any) -> Any:
    """Upload esptool's stub and start it.

    esptool waits 0.2 s for the ROM's last answer, which a busy machine or a slow port can miss: then once more.
    """
    try:
        return chip.run_stub()
    except esptool.FatalError:
        chip.connect(attempts=CONNECT_ATTEMPTS)
        return chip.run_stub()


def _size(segments: Sequence[tuple[str, Segment]], name: str) -> int:
    return sum(len(data) for part, (_, data) in segments if part == name)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
