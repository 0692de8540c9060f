"""Somebody who wears a device and falls, and whether each fall became what it should."""

from ansim.simulation import unit as units
from ansim.simulation.surroundings import Surroundings
from ansim.simulation.unit import Unit
from ansim.simulation.witness import Violation

# By then it is stored; one step later than it was told.
_MARGIN_MS = 100


class Wearer:
    """Falls with one device; the motion sensor and its detector are no part of the simulation."""

    def __init__(self, unit: Unit, around: Surroundings) -> None:
        self._unit = unit
        self._timeline = around.timeline
        self._tally = around.tally

    def fall(self) -> None:
        unit = self._unit
        unit.before_change()
        if unit.state != units.ON_DUTY:
            return
        self._tally.counts["falls"] += 1
        unit.inputs.fall = True
        unit.after_change()
        before = (unit.troubles, unit.witness.falls, unit.witness.refused)
        waits = unit.witness.fall_waits
        self._timeline.after(_MARGIN_MS, self._check, before, waits)

    def _check(self, before: tuple[int, int, int], waits: bool) -> None:
        troubles, falls, refused = before
        witness = self._unit.witness
        if waits or self._unit.troubles != troubles or witness.refused > refused:
            return
        if witness.falls == falls:
            raise Violation("fall_is_kept", f"{witness.name} has not stored a fall")
