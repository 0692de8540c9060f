"""A rig's file: which ports rig and device are on, and what is on which pin of the rig."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ansim.boards import Board, load_board
from ansim.chips import CHIPS
from ansim.toml_reader import TomlReader

OUTPUTS = ("button", "power", "reset")
INPUTS = ("led", "buzzer", "vibration")

LineName = Literal["button", "power", "reset", "led", "buzzer", "vibration"]


@dataclass(frozen=True)
class End:
    """A rig or a device: the serial port (any that --port takes), and the name or path of its board file."""

    port: str
    board: str


@dataclass(frozen=True)
class Line:
    """A wire on a pin of the rig. ``active`` is the pin's level when the button is pressed, the power is there, the
    reset is held, or the light, buzzer or vibration is on."""

    gpio: int
    active: Literal["low", "high"]

    @property
    def level(self) -> int:
        return int(self.active == "high")


@dataclass(frozen=True)
class RigFile:
    """A checked file."""

    rig: End
    device: End
    lines: Mapping[LineName, Line]

    def lacks(self, name: str) -> str:
        """Return why a line can't be used, as a sentence; empty if it can."""
        return "" if name in self.lines else f"the rig has no line '{name}'"


def load_rig(path: Path) -> RigFile:
    """Read and check a rig's file.

    Raises:
        BadInput: it is wrong; the message names file and key.
    """
    reader = TomlReader(path, "a rig's file", "docs/rig.md has an example, and explains every field.")
    found: RigFile = reader.read(RigFile)
    for key, problem in _problems(found):
        raise reader.error(key, problem)
    return found


def _problems(file: RigFile) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for what the types alone don't catch.

    Raises:
        BadInput: a board file is missing or wrong.
    """
    rig, device = load_board(file.rig.board), load_board(file.device.board)
    for key, end in (("rig", file.rig), ("device", file.device)):
        if not end.port:
            yield f"{key}.port", "is empty"
    if file.rig.port == file.device.port:
        yield "device.port", f"is the rig's, too: {file.rig.port}"
    if not file.lines:
        yield "lines", "there is none"
    used: dict[int, str] = {}
    for name, line in file.lines.items():
        if problem := _pin_problem(rig, name, line.gpio) or _no_part(device, name):
            yield f"lines.{name}", problem
        if line.gpio in used:
            yield f"lines.{name}.gpio", f"GPIO {line.gpio} is already used by lines.{used[line.gpio]}"
        used[line.gpio] = name


def _pin_problem(board: Board, name: str, gpio: int) -> str:
    """Return why the rig's chip can't use a pin for a line; empty if it can."""
    chip = CHIPS[board.chip]
    reasons = (
        (gpio not in chip.gpios, f"the rig's chip has no GPIO {gpio}"),
        (gpio in chip.flash, f"GPIO {gpio} belongs to the flash chip"),
        (gpio in chip.console, f"GPIO {gpio} belongs to the serial console"),
        (gpio in chip.strapping, f"GPIO {gpio} is a strapping pin: at a reset of the rig it is not at rest"),
        (gpio in chip.input_only and name in OUTPUTS, f"GPIO {gpio} is input only and can't drive anything"),
        (
            gpio in chip.input_only,
            f"GPIO {gpio} is input only and has no pulls, by which a rig tells a wire that is not there",
        ),
    )
    return next((text for wrong, text in reasons if wrong), "")


def _no_part(board: Board, name: str) -> str:
    missing = name in INPUTS and getattr(board.pins, name) is None
    return f"the device's board '{board.name}' has no {name}" if missing else ""
