"""A rig from the host's side: it presses, switches and sees, as docs/rig.md describes."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import serial

from ansim.boards import load_board
from ansim.client import Console, Deadline
from ansim.errors import DeviceError
from ansim.home import Home
from ansim.rig.program import program
from ansim.rig.rig_file import INPUTS, OUTPUTS, RigFile
from ansim.serial_link import find_port, open_port
from ansim.virtual import running_boards

_ANSWER_S = 5.0
_LISTEN_S = 3600
# So long a board's capacitors may keep its chip alive: an estimate, NOT CHECKED ON HARDWARE.
_OFF_S = 0.5
# As many moments as fit into a request, of the longest press.
MOMENTS = 16


class RigConsole(Console):
    """A rig's console: what goes wrong is the rig's, and not the device's."""

    who = "rig"
    silence_hint = "Is it the rig's port, and was it flashed? To flash it: ansim rig flash FILE"


@dataclass(frozen=True)
class Edge:
    """A line that changed.

    Attributes:
        us: microseconds since the rig's start.
    """

    line: str
    on: bool
    us: int


class Rig:
    """A rig whose port is open; a context manager. Closing it leaves the device as it is.

    Its methods are those of a place's stimulus. All raise DeviceError when the rig does not answer or refuses, and
    PortError when its port goes away; calls must come from one thread at a time.

    Raises:
        BadInput, PortError: its port can't be used.
        DeviceError: it does not answer, or runs another program than this checkout's.
    """

    def __init__(self, file: RigFile, home: Home) -> None:
        self.file = file
        self._off_until_s = 0.0
        self._link: serial.SerialBase = open_port(file.rig.port, home)
        self._console = RigConsole(self._link, file.rig.port)
        try:
            # Whoever has the port has the wires.
            _wire_virtual(file, home)
            self._check_program()
            self._console.request(
                "lines", {"set": {name: [line.gpio, line.level] for name, line in file.lines.items()}}
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._link.close()

    def _check_program(self) -> None:
        build = self._console.request("info", repeat=True, timeout_s=_ANSWER_S).get("build")
        if build != program().build:
            raise DeviceError(
                f"the rig on {self._console.name} runs another program than this checkout's: '{str(build)[:40]}'",
                "Flash it: ansim rig flash FILE",
            )

    def info(self) -> dict[str, Any]:
        """Return what docs/rig.md says of ``info``."""
        return self._console.request("info")

    def lines(self) -> dict[str, dict[str, bool]]:
        """Return each line's state, and whether its wire seems to be there: ``follows`` of an output, ``driven`` of an
        input. Moves nothing."""
        return self._console.request("check")

    def lit(self) -> set[str]:
        """Return which of light, buzzer and vibration are on now."""
        return {name for name, state in self.lines().items() if name in INPUTS and state["on"]}

    def press(self, hold_ms: int = 150) -> None:
        """Press the button, hold it for hold_ms and let it go; at once, if Ctrl-C ends it."""
        with self._finger():
            self._console.request("press", {"hold_ms": hold_ms}, timeout_s=hold_ms / 1000 + _ANSWER_S)

    def bounce(self, edges_us: Sequence[int]) -> None:
        """Close and open the button's contact in turn at these moments, as a worn one does.

        Args:
            edges_us: ascending microseconds from now, an even number of them, 200 at the most.
        """
        for start in range(0, len(edges_us), MOMENTS):
            self._console.request("edges", {"us": list(edges_us[start : start + MOMENTS])})
        with self._finger():
            self._console.request("bounce", timeout_s=max(edges_us, default=0) / 1_000_000 + _ANSWER_S)

    @contextmanager
    def _finger(self) -> Iterator[None]:
        """Leave no button down that nobody waits for any more."""
        try:
            yield
        except KeyboardInterrupt:
            self.button(False)
            raise

    def button(self, down: bool) -> None:
        """Hold the button down, or let it go."""
        self._console.request("button", {"down": down})

    def power(self, on: bool, after_us: int = 0) -> None:
        """Give the device power, or take it away, now or so much later; what was asked for before is forgotten.

        Power that this took away comes back after half a second at the soonest.
        """
        if on:
            time.sleep(max(0.0, self._off_until_s - time.monotonic()))
        self._console.request("power", {"on": on, "after_us": after_us})
        if not on:
            self._off_until_s = time.monotonic() + after_us / 1_000_000 + _OFF_S

    def reset(self) -> None:
        """Press the device's reset button."""
        self._console.request("reset")

    @contextmanager
    def sense(self, timeout_s: float) -> Iterator[Iterable[Edge]]:
        """Give what the lines do from now on, as they do it; outputs, too.

        A loop over it ends when nothing happened for timeout_s; another one goes on from there. The rig can be asked
        for all else meanwhile.

        Raises:
            DeviceError: in a loop, edges were lost.
        """
        since_us = self._console.request("listen", {"seconds": _LISTEN_S}).get("us")
        try:
            yield _Sensed(self._console, timeout_s, since_us if isinstance(since_us, int) else 0)
        finally:
            self._console.request("listen", {"seconds": 0})


class _Sensed:
    """The edges that a rig tells; those from before since_us were left unread by somebody else."""

    def __init__(self, console: Console, timeout_s: float, since_us: int) -> None:
        self._console = console
        self._timeout_s = timeout_s
        self._since_us = since_us

    def __iter__(self) -> Iterator[Edge]:
        while (edge := self._next()) is not None:
            yield edge

    def _next(self) -> Edge | None:
        for told in self._console.announcements(Deadline(self._timeout_s)):
            if told["event"] == "lost":
                raise DeviceError(f"the rig on {self._console.name} could not keep up with its lines", "Try it again.")
            us = told.get("us")
            if told["event"] == "edge" and isinstance(us, int) and us >= self._since_us:
                return Edge(str(told.get("line")), told.get("on") is True, us)
        return None


def _wire_virtual(file: RigFile, home: Home) -> None:
    """Wire rig and device, if both are virtual boards that run."""
    boards = {board.url: board for board in running_boards(home)}
    rig = boards.get(find_port(file.rig.port, home))
    device = boards.get(find_port(file.device.port, home)) if rig is not None else None
    if rig is None or device is None:
        return
    parts = load_board(file.device.board).pins
    lines = {str(name): (line.gpio, line.level) for name, line in file.lines.items() if name in OUTPUTS}
    pins = {getattr(parts, name).gpio: line.gpio for name, line in file.lines.items() if name in INPUTS}
    rig.control.wire(device.name, lines, pins)
