"""Whether a rig's wires do what its file says, tried with the device on them."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ansim.client import Console, Deadline
from ansim.errors import DeviceError, PortError
from ansim.home import Home
from ansim.proof.window import NoTest, PressWindow
from ansim.rig.client import Edge, Rig
from ansim.rig.rig_file import INPUTS, OUTPUTS
from ansim.serial_link import PortBusy, open_port

_START_S = 15.0
_OFF_S = 2.0
_PRESS_S = 10.0
_LIGHTS_S = 20.0
_LOOK_S = 0.2
# A port that is not there, or not ours, is looked for this often.
_AGAIN_S = 0.1
_HOLD_MS = 150


@dataclass(frozen=True)
class Finding:
    """What came of trying one part; hint: what to try next, empty if it passed."""

    part: str
    passed: bool
    said: str
    hint: str = ""


def check(rig: Rig, home: Home) -> Iterator[Finding]:
    """Try one part after the other: the pins, with the device switched on, then each line with it.

    The press is a test alarm. With a device that does not answer no line is tried.

    Raises:
        DeviceError, PortError: the rig itself failed.
    """
    device = _Device(rig, home)
    device.switch_on()
    before = device.info(_START_S)
    yield from _pins(rig)
    if not before:
        port = rig.file.device.port
        yield Finding("device", False, f"nothing answers on {port}", "Is it flashed, and has it power? ansim flash")
        return
    yield Finding("device", True, f"{before.get('device') or 'one without an identity'} answers")
    trials: dict[str, Callable[[], Finding]] = {"power": device.try_power, "reset": device.try_reset}
    yield from (trial() for name, trial in trials.items() if not rig.file.lacks(name))
    if not rig.file.lacks("button"):
        yield from device.try_button()


def _pins(rig: Rig) -> Iterator[Finding]:
    for name, state in rig.lines().items():
        if name in OUTPUTS and not state["follows"]:
            hint = "Something else drives its pin: a short, or two outputs on one wire."
            yield Finding(f"{name} pin", False, "does not have the level that it was given", hint)
        elif name in INPUTS and not state["driven"]:
            hint = "Is its wire there, and the device switched on?"
            yield Finding(f"{name} pin", False, "follows its own pull: nothing drives it", hint)
        else:
            yield Finding(f"{name} pin", True, "looks wired")


class _Device:
    """The device, as its own serial port and the rig's lines show it. The port is opened for each look: on some boards
    it goes with the power."""

    def __init__(self, rig: Rig, home: Home) -> None:
        self._rig = rig
        self._home = home
        self._port = rig.file.device.port

    def switch_on(self) -> None:
        """Let it have power, and no finger on its button."""
        if not self._rig.file.lacks("power"):
            self._rig.power(True)
        if not self._rig.file.lacks("button"):
            self._rig.button(False)

    def info(self, patience_s: float) -> dict[str, Any]:
        """Return what the device says of itself; empty if it says nothing in time.

        Raises:
            PortBusy: another program has its port all the time.
        """
        deadline = Deadline(patience_s)
        while not deadline.expired:
            try:
                with open_port(self._port, self._home) as link:
                    return Console(link, self._port).request("info", repeat=True, timeout_s=deadline.remaining_s)
            except DeviceError:
                continue
            except PortError as error:
                time.sleep(_AGAIN_S)
                if deadline.expired and isinstance(error, PortBusy):
                    raise
        return {}

    def try_power(self) -> Finding:
        before = self.info(_START_S)
        self._rig.power(False)
        try:
            dead = not self.info(_OFF_S)
        finally:
            self._rig.power(True)
        after = self.info(_START_S)
        if not dead:
            hint = "Does another wire feed it, such as USB or the serial adapter?"
            return Finding("power", False, "the device answers without it", hint)
        return self._restarted("power", before, after)

    def try_reset(self) -> Finding:
        before = self.info(_START_S)
        self._rig.reset()
        return self._restarted("reset", before, self.info(_START_S))

    def _restarted(self, part: str, before: dict[str, Any], after: dict[str, Any]) -> Finding:
        if after and after.get("boot") != before.get("boot"):
            return Finding(part, True, f"the device started anew ({after.get('reset')})")
        said = "the device did not start anew" if after else f"the device is silent after {_START_S:g} s"
        return Finding(part, False, said, f"Look at the wire of '{part}', and at its level in the rig's file.")

    def try_button(self) -> Iterator[Finding]:
        """Press once, and look which lights come and go: an alarm that is raised shows all that a device has."""
        with open_port(self._port, self._home) as link, PressWindow(Console(link, self._port)) as window:
            yield from self._press(window)

    def _press(self, window: PressWindow) -> Iterator[Finding]:
        if not window.until(lambda: window.is_open, Deadline(_PRESS_S)):
            hint = "Is its button held down, or an alarm open?"
            yield Finding("button", False, f"the device takes no test press: {window.refusal}", hint)
            return
        with self._rig.sense(_LOOK_S) as edges:
            self._rig.press(_HOLD_MS)
            try:
                raised = window.until(lambda: bool(window.tests), Deadline(_PRESS_S))
            except NoTest as error:
                yield Finding("button", False, f"the press was an alarm and no test: {error}", "Close it: ansim alarms")
                return
            if not raised:
                hint = "Look at the wire of 'button', and at its level in the rig's file."
                yield Finding("button", False, "the device noticed no press", hint)
                return
            yield Finding("button", True, "the device raised a test alarm")
            yield from self._lights(edges)

    def _lights(self, edges: Iterable[Edge]) -> Iterator[Finding]:
        missing = {(name, on) for name in INPUTS if not self._rig.file.lacks(name) for on in (True, False)}
        tried = sorted({name for name, _ in missing})
        deadline = Deadline(_LIGHTS_S)
        while missing and not deadline.expired:
            missing -= {(edge.line, edge.on) for edge in edges}
        for name in tried:
            if {(name, True), (name, False)} & missing:
                hint = f"Look at the wire of '{name}', and at its level in the rig's file."
                yield Finding(name, False, f"was not seen to go on and off in {_LIGHTS_S:g} s", hint)
            else:
                yield Finding(name, True, "went on and off")
