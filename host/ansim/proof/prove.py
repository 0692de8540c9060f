"""Proves one device over its console: its own parts, its way to the receiver, and what its wearer presses and sees."""

from collections.abc import Callable
from typing import Any

from ansim.client import Console, Deadline
from ansim.errors import DeviceError
from ansim.proof import parts
from ansim.proof.model import Ask, Phase, Proof, ProofPlan, Step
from ansim.proof.parts import judged
from ansim.proof.rig import seen_lit
from ansim.proof.window import NoTest, PressWindow

Say = Callable[[Step], None]

PHASES = (
    "identity",
    "storage",
    "memory",
    "sensor",
    "battery",
    "supply",
    "wifi",
    "link",
    "button",
    "alarm",
    "outputs",
)

_START_S = 30.0
# The sensor moves its own mass; the flash is written.
_SELFTEST_S = 60.0
_LOOK_S = 0.3
# The pattern of an acknowledged alarm begins at once, takes 2.65 s, and is repeated.
_PATTERN_S = 6.0
# Nobody has seen and heard all of it sooner: a press before that is the second one of somebody who pressed twice.
_LOOKING_MS = 1500
# For the acknowledgement of the press that confirms.
_DRAIN_S = 10.0


def prove(console: Console, plan: ProofPlan, say: Say) -> Proof:
    """Prove the device at console, whose port stays open; it may have been started a moment ago.

    Whatever the device does wrong is a phase that failed, not an exception. When this returns or raises, presses of its
    button are calls for help again, within seconds at most.

    Args:
        say: told of each step as it begins, and of what the technician is to do.

    Raises:
        PortError: the port went away.
    """
    run = _Run(console, plan, say)
    try:
        run.all()
    except NoTest as error:
        run.fail(
            f"an alarm '{error}' that is no test",
            "Pressed too early or too long, or it fell: close that alarm (ansim alarms), reset the device, and press "
            "once, shortly, when asked.",
        )
    except DeviceError as error:
        run.fail(error.message, error.hint)
    return run.proof()


class _Run:
    """One proof as it goes on.

    Attributes:
        ended: the phases that are over, by name.
    """

    def __init__(self, console: Console, plan: ProofPlan, say: Say) -> None:
        self._console = console
        self._plan = plan
        self._limits = plan.limits
        self._say = say
        self._now = PHASES[0]
        self._boot: object = None
        self._window = PressWindow(console)
        self.ended: dict[str, Phase] = {}

    def all(self) -> None:
        self._who_it_is()
        if self._is_well():
            self._own_parts()
        if self._is_well():
            with self._window:
                self._whole_way()
                self._window.close()
                if self._is_well():
                    self._window.drain(Deadline(_DRAIN_S))

    def proof(self) -> Proof:
        phases = tuple(self.ended.get(name) or Phase(name, None) for name in PHASES)
        return Proof(
            str(self._plan.expected.get("device", "")), phases, self._plan.hands, tuple(self._window.acknowledged)
        )

    def fail(self, value: str, hint: str = "") -> None:
        """The phase that goes on ends with what nobody waited for."""
        self._end(judged(self._now, False, value, hint=hint))

    def _begin(self, name: str, ask: Ask = "") -> None:
        self._now = name
        self._say(Step(name, PHASES.index(name) + 1, len(PHASES), ask))

    def _end(self, phase: Phase) -> None:
        self.ended[phase.name] = phase

    def _is_well(self) -> bool:
        return all(phase.passed for phase in self.ended.values())

    # The device alone

    def _who_it_is(self) -> None:
        self._begin("identity")
        info = self._info()
        self._boot = info.get("boot")
        self._end(parts.identity(info, self._plan.expected))

    def _own_parts(self) -> None:
        for name in ("storage", "memory", "sensor"):
            self._begin(name)
        test = self._console.request("selftest", timeout_s=_SELFTEST_S, again=True)
        for phase in parts.own_parts(test, self._limits):
            self._end(phase)
        self._begin("battery")
        self._begin("supply")
        self._end(parts.supply(self._console.request("power", repeat=True), self._limits))
        if not parts.button_is_up(test):
            self._begin("button")
            self.fail("down before anybody was asked to press it")

    # The whole way

    def _whole_way(self) -> None:
        self._network()
        if not self._is_well():
            return
        raised = self._triggered() if self._plan.hands == "none" else self._pressed()
        if raised and self._acknowledged(raised) and self._plan.hands != "none":
            self._outputs(raised)

    def _network(self) -> None:
        """Wait for the link; as presses are awaited the device makes haste, and one that comes early is a test, too."""
        self._begin("wifi")
        deadline = Deadline(self._limits.link_s)
        info = self._info()
        while info.get("link") != "up" and not deadline.expired:
            self._window.until(lambda: False, Deadline(_LOOK_S))
            info = self._info()
        self._end(parts.wifi(info, self._limits))
        self._begin("link")
        self._end(parts.link(info, self._limits))

    def _triggered(self) -> tuple[int, int]:
        """Raise a test alarm without anybody's press, and return it."""
        self._begin("alarm")
        self._window.close()
        raised = self._console.request("trigger")
        return raised.get("boot", -1), raised.get("seq", -1)

    def _pressed(self) -> tuple[int, int] | None:
        """Have the button pressed, and return the test alarm that this raised."""
        self._begin("button")
        limit = f"once within {self._limits.press_s:g} s"
        window, deadline = self._window, Deadline(self._limits.press_s)
        # A press before the device awaits it would call for help.
        if window.until(lambda: window.is_open, deadline):
            self._ask("press")
        pressed = window.until(lambda: bool(window.tests), deadline)
        if not pressed and (refusal := window.refusal):
            self._end(judged("button", False, refusal.message, limit, refusal.hint or _REFUSED))
        else:
            self._end(judged("button", pressed, "pressed" if pressed else "not pressed", limit))
        return next(iter(window.tests)) if pressed else None

    def _ask(self, ask: Ask) -> None:
        if self._plan.rig is not None:
            self._plan.rig.press()
        else:
            self._begin(self._now, ask)

    def _acknowledged(self, raised: tuple[int, int]) -> bool:
        """Wait until the receiver has the alarm on disk."""
        self._begin("alarm")
        limit, window = f"acknowledged within {self._limits.ack_s:g} s", self._window
        known = window.until(lambda: raised in window.acknowledged, Deadline(self._limits.ack_s))
        boot = self._info().get("boot")
        if boot != self._boot:
            self._end(judged("alarm", False, "the device restarted meanwhile", limit, _RESTARTED))
            return False
        value = f"{window.took_ms(raised) / 1000:.2f} s" if known else "not acknowledged"
        self._end(judged("alarm", known, value, limit))
        return known

    def _outputs(self, raised: tuple[int, int]) -> None:
        """Light and sound tell of the acknowledged alarm: the rig looks, or the technician presses once more."""
        self._begin("outputs")
        wanted = ", ".join(sorted(self._limits.outputs))
        if self._plan.rig is not None:
            deadline = Deadline(min(_PATTERN_S, self._limits.confirm_s))
            seen = seen_lit(self._plan.rig, set(self._limits.outputs), deadline)
            self._end(judged("outputs", len(seen) == len(self._limits.outputs), ", ".join(seen), wanted))
            return
        self._ask("confirm")
        deadline = Deadline(self._limits.confirm_s)
        seen_all = self._window.until(lambda: self._window.pressed_after(raised, _LOOKING_MS), deadline)
        value = "confirmed by a press" if seen_all else f"not confirmed within {self._limits.confirm_s:g} s"
        self._end(judged("outputs", seen_all, value, wanted))

    def _info(self) -> dict[str, Any]:
        return self._console.request("info", timeout_s=_START_S, repeat=True)


_REFUSED = "An alarm of this device is open: close it (ansim alarms), reset the device, and prove it again."
_RESTARTED = "Its supply may break down under the radio: look at cell, regulator and contacts (ansim info: reset)."
