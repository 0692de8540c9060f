"""Places where a device under test is, and what can be done to it there (docs/hil.md)."""

from pathlib import Path

from ansim.boards import load_board
from ansim.home import Home
from ansim.places.place import CAPABILITIES, OF_METHOD, Able, Ground, Place, Stimulus, why_not
from ansim.places.qemu import QEMU, QemuGround, find_program
from ansim.places.rig_place import RigGround
from ansim.places.serial import SerialGround, wifi_of_environment
from ansim.places.virtual import VIRTUAL, RunningGround, VirtualGround
from ansim.sandbox import Sandbox
from ansim.virtual import find_board

__all__ = [
    "CAPABILITIES",
    "OF_METHOD",
    "Able",
    "Ground",
    "Place",
    "Stimulus",
    "find_ground",
    "open_place",
    "why_not",
]


def find_ground(text: str, board: str = "") -> Ground:
    """Return what is known of a place before it is opened.

    Args:
        text: ``virtual``: boards of the sandbox's own; ``virtual:NAME``: the one that runs under that name in
            ANSIM_HOME; ``qemu``; the path of a rig's file, which ends in ``.toml``; else a serial port, as commands
            take it.
        board: name or path of the device's board file; empty: the place's usual one. A rig's file names its own.

    Raises:
        AnsimError: there is no such place, or no such board file.
    """
    if board:
        load_board(board)
    if text == VIRTUAL:
        return VirtualGround(board) if board else VirtualGround()
    if text.startswith(f"{VIRTUAL}:"):
        home, name = Home.default(), text.partition(":")[2]
        find_board(home, name)
        return RunningGround(home, name)
    if text == QEMU:
        find_program()
        return QemuGround(board) if board else QemuGround()
    wifi = wifi_of_environment()
    if text.endswith(".toml"):
        return RigGround(Path(text), wifi)
    return SerialGround(text, board, wifi) if board else SerialGround(text, wifi=wifi)


def open_place(
    text: str, sandbox: Sandbox, *, name: str = "place", board: str = "", speed: int = 1, skip_sleep: bool = False
) -> Place:
    """Open a place for a device of sandbox's fleet.

    Args:
        text, board: see find_ground.
        name: of the virtual board that is started for it.
        speed, skip_sleep: see ansim.virtual.start_board; for places that have ``speed``.

    Raises:
        AnsimError: why it can't be used.
    """
    return find_ground(text, board).open(sandbox, name, speed=speed, skip_sleep=skip_sleep)
