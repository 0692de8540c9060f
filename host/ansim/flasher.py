"""Writing a device's flash: one esptool session from reset to reset, over a port that is open already."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import esptool
import esptool.loader
import serial
from esp_pylib.logger import EspLog, EspLogBase

from ansim.boards import Board, board_names, load_board
from ansim.errors import BadInput, DeviceError
from ansim.payload import SECTOR_BYTES, Part, Payload, Piece, packed
from ansim.serial_link import CONSOLE_BAUD, READ_S, OpenPort, PortGone, watching

FLASH_BAUD = 460800
# After noise the next session runs at the next lower one of these.
_BAUDS = (921600, 460800, 230400, CONSOLE_BAUD)
# Each takes two seconds; they alternate between two timings of the reset.
CONNECT_ATTEMPTS = 4
# So long a port may be away: a chip with USB of its own needs one or two seconds after a reset.
BACK_S = 5.0
_LOSSES = 2
# What is not held after that is no accident of the line: each block has a checksum, and each piece another one.
_WRITES = 2
# esptool's stub erases 64 KiB ahead, and once more for each 32 KiB that it inflates.
_ERASE_BYTES = 64 * 1024
_INFLATE_BYTES = 32 * 1024
_AGAIN = "Plug it in again and repeat the command: it takes up what is on the device already."


class WrongBoard(BadInput):
    """The device on the port is no such board."""


class NoChip(DeviceError):
    """No chip answers on the port."""


class _Disturbed(DeviceError):
    """What came over the line made no sense, or nothing came; a slower session may do better."""


@dataclass(frozen=True)
class FlashReport:
    """What a run did; sizes in bytes.

    Args:
        sessions: more than one after noise or a lost port; the last one was at baud.
    """

    chip: str
    mac: str
    written: dict[str, int]
    unchanged: dict[str, int]
    compressed_bytes: int
    wire_bytes: int
    seconds: float
    baud: int
    sessions: int


# Called with what is being done, how many bytes of it are done, and of how many.
Progress = Callable[[str, int, int], None]
# Called with the MAC once it is known; gives the parts that depend on it.
PartsForMac = Callable[[str], Sequence[Part]]
# Called with the MAC as soon as it is known; may raise to stop.
OnMac = Callable[[str], None]
# Called before anything is written, with a function that reads flash: (address, bytes) -> content. May raise to stop.
Inspection = Callable[[Callable[[int, int], bytes]], None]


@dataclass(frozen=True)
class Task:
    """What is to be done with a device.

    Args:
        payloads: what is the same for each board.
        parts_for_mac: called once, after inspect.
    """

    payloads: Sequence[Payload]
    parts_for_mac: PartsForMac = lambda _: []
    inspect: Inspection = lambda _: None
    on_mac: OnMac = lambda _: None
    baud: int = FLASH_BAUD


class _Silence(EspLogBase):
    """Takes what esptool would print. Everything that matters comes as an exception or a return value."""

    def print(self, *_: Any, **__: Any) -> None:
        """Drop it."""

    note = hint = debug = warn = err = warning = error = set_verbosity = progress_bar = print


class _NoHex:
    """In place of esptool's HexFormatter, which writes out each frame, in hex and letters, for a trace nobody reads.

    esptool 5.6 makes that text even if it does not trace: 3.3 of the 3.5 seconds of CPU that a board cost.
    """

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __str__(self) -> str:
        return ""


@contextlib.contextmanager
def _quiet_esptool() -> Iterator[None]:
    """Have esptool print and format nothing; a process has one place for it to print to."""
    log, formatter = EspLog.instance, esptool.loader.HexFormatter
    EspLog.set_logger(_Silence())
    esptool.loader.HexFormatter = _NoHex
    try:
        yield
    finally:
        EspLog.instance, esptool.loader.HexFormatter = log, formatter


@contextlib.contextmanager
def _counting(link: serial.SerialBase) -> Iterator[list[int]]:
    """Give a list that holds the sizes of what is written to a port meanwhile."""
    sizes: list[int] = []
    write = link.write

    def count(data: bytes) -> int:
        sizes.append(len(data))
        sent: int = write(data)
        return sent

    link.write = count
    try:
        yield sizes
    finally:
        link.write = write


class Flasher:
    """Does a task with the chip behind an open port; use it once.

    Args:
        port: it stays open and is back at the console's speed afterwards.
    """

    def __init__(self, port: OpenPort, board: Board, on_progress: Progress) -> None:
        self._port = port
        self._board = board
        self._on_progress = on_progress
        self._chip_name = ""
        self._mac = ""
        # What is to be on this device; None until it is known which one it is, and that it may be written.
        self._wanted: list[Payload] | None = None
        self._written: set[Piece] = set()
        self._compressed_bytes = 0
        self._wire_bytes = 0

    def run(self, task: Task) -> FlashReport:
        """Reset into download mode, write what differs, check it, and reset into the firmware.

        What was cut short is found to differ by the next run, which writes it again. After noise there is another
        session at a lower speed, and after the loss of the port another one when the device is back; each takes up
        what is there.

        Raises:
            WrongBoard: the chip is not the board's, or its flash is too small.
            NoChip, DeviceError: no chip answers, or it does not hold what was written.
            PortGone: the port went away.
        """
        started = time.monotonic()
        bauds = [task.baud, *(baud for baud in _BAUDS if baud < task.baud)]
        sessions = losses = 0
        with _quiet_esptool():
            while True:
                sessions += 1
                try:
                    self._session(task, bauds[0])
                    return self._report(time.monotonic() - started, bauds[0], sessions)
                except _Disturbed:
                    if len(bauds) == 1:
                        raise
                    bauds.pop(0)
                except PortGone:
                    losses += 1
                    if not self._mac or losses > _LOSSES:
                        raise
                    self._on_progress("waiting for the port", 0, 1)
                    self._port.find_again(self._mac, BACK_S)

    def _report(self, seconds: float, baud: int, sessions: int) -> FlashReport:
        wanted = self._wanted or []
        written = {
            payload.name: sum(piece.size for piece in payload.pieces if piece in self._written) for payload in wanted
        }
        return FlashReport(
            chip=self._chip_name,
            mac=self._mac,
            written=written,
            unchanged={payload.name: payload.size - written[payload.name] for payload in wanted},
            compressed_bytes=self._compressed_bytes,
            wire_bytes=self._wire_bytes,
            seconds=seconds,
            baud=baud,
            sessions=sessions,
        )

    def _session(self, task: Task, baud: int) -> None:
        with _counting(self._port.link) as sizes:
            chip = None
            try:
                chip = self._connect(task)
                with self._esptool_errors():
                    chip = self._prepared(chip, baud)
                    if self._wanted is None:
                        task.inspect(chip.read_flash)
                if self._wanted is None:
                    self._wanted = [*task.payloads, *map(packed, task.parts_for_mac(self._mac))]
                with self._esptool_errors():
                    self._write(chip)
            finally:
                if chip:
                    self._leave(chip)
                self._wire_bytes += sum(sizes)

    @contextlib.contextmanager
    def _esptool_errors(self) -> Iterator[None]:
        name = self._port.name
        try:
            with watching(name, _AGAIN):
                yield
        except esptool.FatalError as error:
            raise _Disturbed(f"flashing the device on {name} failed: {_first_line(error)}", _AGAIN) from error

    def _connect(self, task: Task) -> Any:
        """Return esptool's object for the chip, which is now in download mode."""
        self._on_progress("connecting", 0, 1)
        name = self._port.name
        try:
            with watching(name, _AGAIN):
                chip = esptool.detect_chip(self._port.link, connect_attempts=CONNECT_ATTEMPTS)
        except esptool.FatalError as error:
            raise NoChip(
                f"no ESP32 answers on {name}",
                "Check the port and the cable; else hold BOOT, press RESET, and run it again.",
            ) from error
        try:
            self._recognise(chip, task)
        except BaseException:
            self._leave(chip)
            raise
        return chip

    def _recognise(self, chip: Any, task: Task) -> None:
        """Check that it is the board's chip, and, after the first session, the same one as before."""
        wanted = esptool.CHIP_DEFS[self._board.chip].CHIP_NAME
        if wanted != chip.CHIP_NAME:
            raise self._wrong_chip(chip.CHIP_NAME, wanted)
        with self._esptool_errors():
            mac = bytes(chip.read_mac()).hex(":")
        if self._mac and mac != self._mac:
            raise DeviceError(
                f"another device is on {self._port.name} now: {mac}, and before it was {self._mac}",
                "Plug one in, wait until it is done, then the next. Begin with this one again.",
            )
        if not self._mac:
            task.on_mac(mac)
        self._chip_name, self._mac = chip.CHIP_NAME, mac

    def _wrong_chip(self, found: str, wanted: str) -> WrongBoard:
        fit = [name for name in board_names() if found == esptool.CHIP_DEFS[load_board(name).chip].CHIP_NAME]
        return WrongBoard(
            f"the device on {self._port.name} has an {found}, but the board {self._board.name} has an {wanted}",
            f"Boards with an {found}: {', '.join(fit) or 'none'}. Choose with --board.",
        )

    def _prepared(self, chip: Any, baud: int) -> Any:
        """Run the stub, find the flash, and go to full speed."""
        chip = _with_stub(chip)
        esptool.attach_flash(chip)
        size = esptool.flash_size_bytes(esptool.detect_flash_size(chip))
        if size is not None and size < self._board.flash_bytes:
            raise WrongBoard(
                f"the device on {self._port.name} has {size // 2**20} MiB of flash,"
                f" but the board {self._board.name} has {self._board.board.flash_mib}",
                "Choose another board with --board, or correct board.flash_mib in a copy of its file.",
            )
        if baud != CONSOLE_BAUD:
            chip.change_baud(baud)
        # esptool would wait for a port that went away to come back; that is done here.
        chip.WRITE_FLASH_ATTEMPTS = 1
        return chip

    def _write(self, chip: Any) -> None:
        """Write the pieces that the chip does not hold, in the order of their addresses, and check each."""
        changed = self._changed(chip)
        progress = _Writing(changed, self._on_progress)
        # esptool's own checks of the chip (its revision, secure boot, encryption) are in write_flash, which sends the
        # bootloader; the rest of what it does, compressing among it, is done once for all boards.
        first = [(name, piece) for name, piece in changed if piece.offset == chip.BOOTLOADER_FLASH_OFFSET]
        esptool.write_flash(chip, [(piece.offset, piece.content) for _, piece in first])
        for item in first:
            self._count(item[1])
            progress.done(item)
        for item in changed:
            if item not in first:
                self._write_piece(chip, item, progress)

    def _changed(self, chip: Any) -> list[tuple[str, Piece]]:
        """The pieces that the chip does not hold yet, with their payload's name."""
        pieces = [(payload.name, piece) for payload in self._wanted or [] for piece in payload.pieces]
        changed = []
        for number, (name, piece) in enumerate(pieces):
            self._on_progress("comparing", number, len(pieces))
            if not _holds(chip, piece):
                changed.append((name, piece))
        return sorted(changed, key=lambda item: item[1].offset)

    def _write_piece(self, chip: Any, item: tuple[str, Piece], progress: "_Writing") -> None:
        _, piece = item
        for _ in range(_WRITES):
            _send(chip, piece, lambda sent: progress.sent(item, sent))
            self._count(piece)
            if chip.flash_md5sum(piece.offset, piece.size) == piece.md5:
                progress.done(item)
                return
        raise DeviceError(
            f"the flash of the device on {self._port.name} does not hold what was written at {piece.offset:#x}",
            "Its flash chip or its power supply fails: try another cable, else put the board aside.",
        )

    def _count(self, piece: Piece) -> None:
        self._written.add(piece)
        self._compressed_bytes += len(piece.compressed)

    def _leave(self, chip: Any) -> None:
        """Reset into the firmware, at the console's speed; a port that is gone is reported by what went before."""
        with contextlib.suppress(serial.SerialException, OSError, esptool.FatalError):
            chip.hard_reset()
            self._port.link.baudrate, self._port.link.timeout = CONSOLE_BAUD, READ_S


class _Writing:
    """Tells how far the writing of the changed pieces is."""

    def __init__(self, changed: Sequence[tuple[str, Piece]], on_progress: Progress) -> None:
        self._on_progress = on_progress
        self._total = sum(piece.size for _, piece in changed)
        self._done = 0

    def sent(self, item: tuple[str, Piece], compressed_bytes: int) -> None:
        name, piece = item
        size = piece.size * compressed_bytes // len(piece.compressed)
        self._on_progress(f"writing {name}", self._done + size, self._total)

    def done(self, item: tuple[str, Piece]) -> None:
        name, piece = item
        self._done += piece.size
        self._on_progress(f"writing {name}", self._done, self._total)


def _holds(chip: Any, piece: Piece) -> bool:
    """Tell whether the chip holds a piece; on a fresh board its first sector says no, in a moment."""
    if chip.flash_md5sum(piece.offset, piece.sector_size) != piece.sector_md5:
        return False
    return piece.size <= SECTOR_BYTES or chip.flash_md5sum(piece.offset, piece.size) == piece.md5


def _send(chip: Any, piece: Piece, on_sent: Callable[[int], None]) -> None:
    """Send a piece, and wait until the last block of it is in flash."""
    timeout_s = _block_timeout_s(piece)
    chip.flash_defl_begin(piece.size, len(piece.compressed), piece.offset)
    for number, start in enumerate(range(0, len(piece.compressed), chip.FLASH_WRITE_SIZE)):
        block = piece.compressed[start : start + chip.FLASH_WRITE_SIZE]
        chip.flash_defl_block(block, number, timeout=timeout_s)
        on_sent(start + len(block))
    chip.flash_defl_finish(reboot=False, timeout=timeout_s)


def _block_timeout_s(piece: Piece) -> float:
    """As esptool's write_flash has it: the stub takes a block only once the one before it is written."""
    erases = -(-piece.block_size // _INFLATE_BYTES) + 1
    size = piece.block_size + erases * _ERASE_BYTES
    seconds: float = esptool.loader.timeout_per_mb(esptool.loader.ERASE_WRITE_TIMEOUT_PER_MB, size)
    return seconds


def _with_stub(chip: Any) -> Any:
    """Upload esptool's stub and start it.

    esptool waits 0.2 s for the ROM's last answer, which a busy machine or a slow port can miss: then once more.
    """
    try:
        return chip.run_stub()
    except esptool.FatalError:
        chip.connect(attempts=CONNECT_ATTEMPTS)
        return chip.run_stub()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
