"""Makes a failing run small: fewer stimuli, one device, little time, and the same invariant violated.

The stimuli are reduced by delta debugging: Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
IEEE Trans. Softw. Eng. 28 (2002). It works because a latency depends on the seed and on what it is of, and not on which
other stimuli there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ansim.simulation.recipe import Found, Recipe
from ansim.simulation.stimuli import WORLD, Stimulus
from ansim.simulation.timeline import HOUR_MS, MINUTE_MS

Run = Callable[[Recipe], Found | None]

# A shorter trace is not worth waiting for longer than so many runs.
_MOST_RUNS = 400
# Nothing happens before the devices are on duty and settled.
_FIRST_MS = 10 * MINUTE_MS


class _Shrinker:
    """Holds the smallest recipe so far that still violates the invariant."""

    def __init__(self, run: Run, recipe: Recipe, found: Found) -> None:
        self.best = recipe
        self.found = found
        self._run = run
        self._left = _MOST_RUNS

    def try_(self, recipe: Recipe) -> bool:
        """Run recipe; keep it if it violates the same invariant."""
        if self._left == 0:
            return False
        self._left -= 1
        found = self._run(recipe)
        if found is None or found.invariant != self.found.invariant:
            return False
        self.best, self.found = recipe, found
        return True

    def try_stimuli(self, stimuli: Sequence[Stimulus]) -> bool:
        return self.try_(replace(self.best, stimuli=tuple(stimuli)))

    def cut_end(self) -> None:
        """Drop what comes after the violation; one found at the end is sought right after the last stimulus."""
        stimuli = tuple(each for each in self.best.stimuli if each.at_ms <= self.found.at_ms)
        last_ms = stimuli[-1].at_ms if stimuli else 0
        for duration_ms in (last_ms + 1, self.found.at_ms + 1):
            shorter = Recipe(replace(self.best.setting, duration_ms=duration_ms), stimuli)
            if duration_ms < self.best.setting.duration_ms and self.try_(shorter):
                return

    def one_device(self) -> None:
        """Keep a single device, if one is enough."""
        for number in self.best.setting.devices:
            stimuli = tuple(each for each in self.best.stimuli if each.device in (WORLD, number))
            if self.try_(Recipe(replace(self.best.setting, devices=(number,)), stimuli)):
                return

    def reduce(self) -> None:
        """Drop stimuli, in ever smaller parts, until none can go."""
        parts = 2
        while self.best.stimuli and self._left:
            size = max(len(self.best.stimuli) // parts, 1)
            if self._drop_one(size):
                self.cut_end()
                parts = max(parts - 1, 2)
            elif size == 1:
                return
            else:
                parts *= 2

    def _drop_one(self, size: int) -> bool:
        """Drop one run of size stimuli; tell whether one could go. The earliest have the least to do with it."""
        stimuli = self.best.stimuli
        return any(self.try_stimuli(stimuli[:at] + stimuli[at + size :]) for at in range(0, len(stimuli), size))

    def close_gaps(self) -> None:
        """Bring what is left nearer together."""
        for at in range(len(self.best.stimuli)):
            stimuli = self.best.stimuli
            before_ms = stimuli[at - 1].at_ms if at else 0
            gap_ms = stimuli[at].at_ms - before_ms - (MINUTE_MS if at else _FIRST_MS)
            if gap_ms > HOUR_MS:
                later = tuple(replace(each, at_ms=each.at_ms - gap_ms) for each in stimuli[at:])
                duration_ms = max(self.best.setting.duration_ms - gap_ms, later[-1].at_ms + 1)
                self.try_(Recipe(replace(self.best.setting, duration_ms=duration_ms), stimuli[:at] + later))


def shrink(run: Run, recipe: Recipe, found: Found) -> tuple[Recipe, Found]:
    """Return a recipe as small as can be had, and what it violates: the same invariant as recipe does."""
    shrinker = _Shrinker(run, recipe, found)
    shrinker.cut_end()
    shrinker.one_device()
    shrinker.reduce()
    shrinker.close_gaps()
    shrinker.cut_end()
    return shrinker.best, shrinker.found
