"""Somebody's finger, or body, on a device's button, and whether each press became what it should."""

from ansim.simulation import unit as units
from ansim.simulation.surroundings import Surroundings
from ansim.simulation.unit import Unit
from ansim.simulation.witness import Violation, Witness
from ansim_fw.core import button

# Debouncing at both ends of a press.
_MARGIN_MS = 300
# Held for longer, it may be a cancel, less the debouncing.
_HOLD_MS = button.HOLD_MS - 50


class Finger:
    """Presses one button, once at a time; what comes while it is down is no press of its own."""

    def __init__(self, unit: Unit, around: Surroundings) -> None:
        self._unit = unit
        self._timeline = around.timeline
        self._tally = around.tally
        self._down = False
        self._presses = 0
        self._moved_ms = -_MARGIN_MS

    def press(self, held_ms: int) -> None:
        if self._down:
            return
        unit, witness, now_ms = self._unit, self._unit.witness, self._timeline.now_ms
        self._down = True
        self._tally.counts["presses"] += 1
        on_duty = unit.state == units.ON_DUTY and now_ms - self._moved_ms > _MARGIN_MS
        unit.set_button(True)
        self._presses += 1
        before = (self._presses, unit.troubles, witness.alarms, witness.cancels, witness.refused, witness.let_gos)
        self._timeline.after(held_ms, self._release)
        if on_duty:
            self._timeline.after(held_ms + _MARGIN_MS, self._check_press, held_ms, before)
        elif unit.state == units.HUNG:
            seen_ms = max(unit.hung_until_ms, now_ms + held_ms) + _MARGIN_MS
            self._timeline.at(seen_ms, self._check_unseen, unit.life, _answers(witness))

    def chatter(self, *lengths_ms: int) -> None:
        """Contacts that bounce: down for the first length, up for the second, ..."""
        if self._down:
            return
        self._presses += 1
        after_ms = 0
        for at, length_ms in enumerate(lengths_ms):
            self._timeline.after(after_ms, self._bounce, at % 2 == 0)
            after_ms += length_ms

    def _release(self) -> None:
        self._down = False
        self._moved_ms = self._timeline.now_ms
        self._unit.set_button(False)

    def _bounce(self, down: bool) -> None:
        if not self._down:
            self._presses += 1
            self._moved_ms = self._timeline.now_ms
            self._unit.set_button(down)

    def _check_press(self, held_ms: int, before: tuple[int, ...]) -> None:
        presses, troubles, alarms, cancels, refused, let_gos = before
        witness = self._unit.witness
        if (self._presses, self._unit.troubles) != (presses, troubles):
            return
        raised, cancelled = witness.alarms - alarms, witness.cancels - cancels
        if raised == 1 and cancelled == 0:
            return
        if cancelled and witness.let_gos == let_gos:
            raise Violation("pattern_is_true", f"{witness.name} did not show that its button may be let go")
        if raised == 0 and (witness.refused > refused or (cancelled and _HOLD_MS <= held_ms < button.LET_GO_MS)):
            return
        detail = f"a press of {held_ms} ms on {witness.name} made {raised} alarms and {cancelled} cancels"
        raise Violation("press_is_one_alarm", detail)

    def _check_unseen(self, life: int, answers: int) -> None:
        unit = self._unit
        if unit.life == life and unit.state == units.ON_DUTY and _answers(unit.witness) == answers:
            detail = f"{unit.witness.name} has not noticed a press while its loop was held up"
            raise Violation("press_is_one_alarm", detail)


def _answers(witness: Witness) -> int:
    """Count what can come of a press."""
    return witness.alarms + witness.cancels + witness.refused
