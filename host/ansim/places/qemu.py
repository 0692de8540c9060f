"""Espressif's QEMU as a place: a chip of software that runs the real MicroPython, with its serial port on TCP.

What it can and can't do is from Espressif's own pages and the maintainers' answers; docs/qemu.md has the sources, and
says what of this was checked.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ansim import child_guard
from ansim.boards import Board, load_board
from ansim.errors import BadInput, DeviceError
from ansim.home import Home
from ansim.image import build_firmware, filesystem_image
from ansim.micropython_source import image_for
from ansim.places.place import Place, check_life_s_time, why_not
from ansim.sandbox import Sandbox

QEMU = "qemu"
PROGRAM = "qemu-system-xtensa"
MACHINE = "esp32"
BOARD = "esp32_devkit"
# Names the file of MicroPython's image; without it, the one that `ansim flash` takes.
MICROPYTHON = "ANSIM_MICROPYTHON"

_ASK_S = 10
_START_S = 30
_LOOK_S = 0.1
# The guard gives a process ten seconds.
_STOP_S = 15
_HELP = "docs/qemu.md says how to get Espressif's build; --place virtual needs none."
_NO_PINS = "QEMU has no way to its pins (espressif/qemu issues 41 and 108)"
_NO_WIFI = "QEMU has no Wi-Fi (espressif/qemu issue 23)"
_NO_SLEEP = "QEMU has no sleep (espressif/qemu issue 105)"
_LACKS = {
    "flash": "DTR and RTS do not go over QEMU's TCP port; it starts with the firmware in its flash",
    "press": _NO_PINS,
    "power_cut": "nobody sees its flash operations",
    "reset": "DTR and RTS do not go over QEMU's TCP port",
    "supply": _NO_PINS,
    "battery": "QEMU has no way to its ADC (espressif/qemu issues 41 and 108)",
    "radio": _NO_WIFI,
    "stall": _NO_WIFI,
    "motion": "nothing is on its I2C bus (espressif/qemu issue 37)",
    "sensor": "nothing is on its I2C bus (espressif/qemu issue 37)",
    "sense": _NO_PINS,
    "watch": "nobody sees into its chip",
    "wifi": _NO_WIFI,
    "sleep": _NO_SLEEP,
    "speed": "its time is life's",
    "heap": "its memory is its own",
    "clock": "its clock is its own",
    "boards": "it is one device",
}


@dataclass(frozen=True)
class QemuGround:
    """One ESP32 in QEMU.

    Args:
        board_file: name or path of a board file with an ESP32.
    """

    board_file: str = BOARD
    name: str = "QEMU"
    host: str = "localhost"
    wifi: None = None

    def lacks(self, capability: str, /) -> str:
        return _LACKS.get(capability, "")

    def open(self, sandbox: Sandbox, _name: str, *, speed: int = 1, skip_sleep: bool = False) -> "QemuPlace":
        """Start it with the firmware in its flash.

        Raises:
            BadInput: there is no QEMU, none with an ESP32, no MicroPython for it, or the board has another chip.
            AnsimError: MicroPython can't be fetched.
            DeviceError: QEMU did not start.
        """
        check_life_s_time(self, speed, skip_sleep)
        program = find_program()
        board = _board_of(self.board_file)
        flash = flash_content(board, sandbox.home)
        return QemuPlace(self, program, flash)


class QemuPlace(Place):
    """An ESP32 in QEMU, until ``close``, or until this process ends.

    Args:
        flash: the content of its flash.
    """

    def __init__(self, ground: QemuGround, program: str, flash: bytes) -> None:
        self.name = ground.name
        self.board_file = ground.board_file
        self._ground = ground
        with contextlib.ExitStack() as starting:
            folder = Path(starting.enter_context(tempfile.TemporaryDirectory(prefix="ansim-qemu-")))
            (folder / "flash.bin").write_bytes(flash)
            self._power = QemuPower(ground, program, folder)
            starting.callback(self._power.power, False)
            self._power.power(True)
            self.url = f"socket://127.0.0.1:{self._power.port}"
            self._ending = starting.pop_all()

    @property
    def stimulus(self) -> "QemuPower":
        return self._power

    def lacks(self, capability: str, /) -> str:
        return self._ground.lacks(capability)

    def close(self) -> None:
        self._ending.close()


class QemuPower:
    """QEMU's process as the power of its chip: what is in the flash lasts, connections to its port do not.

    Attributes:
        port: where its UART0 is on 127.0.0.1, from the first start on; nobody listens there while it is off.
    """

    def __init__(self, ground: QemuGround, program: str, folder: Path) -> None:
        self.port = 0
        self._ground = ground
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def power(self, on: bool) -> None:
        """Start QEMU, or end it."""
        if on and self._process is None:
            self._process = self._start()
        elif not on and self._process is not None:
            process, self._process = self._process, None
            _end(process)

    def press(self, hold_ms: int = 150) -> None:  # noqa: ARG002  # as where somebody can
        raise self._refusal("press")

    def button(self, down: bool) -> None:  # noqa: ARG002  # as where somebody can
        raise self._refusal("press")

    def reset(self) -> None:
        raise self._refusal("reset")

    def _refusal(self, capability: str) -> DeviceError:
        return DeviceError(why_not(self._ground, [capability]), "docs/qemu.md says what QEMU can do.")

    def _start(self) -> "subprocess.Popen[bytes]":
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            self.port = listener.getsockname()[1]
            process = self._spawn(listener.fileno())
        try:
            self._wait_until_it_speaks(process)
        except BaseException:
            _end(process)
            raise
        return process

    def _spawn(self, listener: int) -> "subprocess.Popen[bytes]":
        guard = [sys.executable, "-I", "-S", child_guard.__file__, str(listener)]
        with self._said.open("wb") as output:
            # Its own session: Ctrl-C comes to us alone, and we end it in order.
            return subprocess.Popen(
                [*guard, *command(self._program, listener)],
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(listener,),
                start_new_session=True,
            )

    def _wait_until_it_speaks(self, process: "subprocess.Popen[bytes]") -> None:
        """QEMU starts the chip when somebody has connected, so the first that the ROM says is heard."""
        deadline = time.monotonic() + _START_S
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as line:
            line.settimeout(_LOOK_S)
            while process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    if line.recv(1):
                        return
                    break
        raise self._failure()

    def _failure(self) -> DeviceError:
        said = self._said.read_text(errors="replace").splitlines()
        problems = [line for line in said if line and "waiting for connection" not in line]
        problem = problems[0] if problems else "its chip says nothing"
        return DeviceError(f"{self._program} does not run: {problem}", _HELP)

    @property
    def _said(self) -> Path:
        return self._folder / "said.txt"


def find_program() -> str:
    """Return the path of a QEMU that has an ESP32.

    Raises:
        BadInput: there is none on the PATH; says which kind of none.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise BadInput(f"there is no {PROGRAM} on the PATH", _HELP)
    try:
        asked = subprocess.run(
            [program, "-machine", "help"], capture_output=True, text=True, timeout=_ASK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInput(f"{program} can't be run: {type(error).__name__}", _HELP) from error
    if MACHINE not in (line.partition(" ")[0] for line in asked.stdout.splitlines()):
        raise BadInput(f"{program} has no machine '{MACHINE}': it is not Espressif's build", _HELP)
    return program


def command(program: str, listener: int) -> list[str]:
    """Return QEMU's command, to be run in the folder of flash.bin.

    Args:
        listener: file descriptor of the listening socket that becomes UART0. That it is ours and not QEMU's leaves no
            moment in which another program takes the port.
    """
    return [
        program,
        *("-nographic", "-monitor", "none", "-nic", "none"),
        *("-machine", MACHINE),
        *("-drive", "file=flash.bin,if=mtd,format=raw"),
        # As idf.py starts it: on a slow machine the timers' watchdogs would bite without a reason.
        *("-global", "driver=timer.esp32.timg,property=wdt_disable,value=true"),
        *("-chardev", f"socket,id=uart0,fd={listener},server=on,wait=on"),
        *("-serial", "chardev:uart0"),
    ]


def flash_content(board: Board, home: Home) -> bytes:
    """Return a board's whole flash as flashing leaves it, without an identity: MicroPython and the firmware.

    Raises:
        BadInput: the image is not fit for the board.
        AnsimError: there is none, and it can't be fetched.
    """
    given = os.environ.get(MICROPYTHON)
    micropython = image_for(board, home, Path(given) if given else None)
    vfs = board.partitions.vfs
    files = build_firmware(board, home).files
    segments = micropython.segments(board)
    segments += [(vfs.offset + start, data) for start, data in filesystem_image(files, vfs.size)]
    flash = bytearray(b"\xff" * board.flash_bytes)
    for start, data in segments:
        flash[start : start + len(data)] = data
    return bytes(flash)


def _board_of(name: str) -> Board:
    board = load_board(name)
    if board.chip != MACHINE or board.micropython.stand_in:
        raise BadInput(f"QEMU's chip is an ESP32, and {board.name} is not a board with one", f"Use --board {BOARD}.")
    return board


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Close the guard's pipe, at which it ends QEMU."""
    assert process.stdin
    process.stdin.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
