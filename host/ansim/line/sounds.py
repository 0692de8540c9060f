"""The line by ear: bells of the terminal, so that nobody has to look. Pure: when they ring is asked for."""

from collections import deque

from ansim.line.floor import Event

# Nearer to each other, many terminals make one bell of two.
GAP_S = 0.3
# A row of bells ends, and is told from the next one.
REST_S = 0.9

BELLS = {
    Event.PASSED: 1,
    Event.ALREADY: 1,
    Event.SPARE: 1,
    Event.ASKED: 2,
    Event.FAILED: 3,
    Event.PULLED: 3,
    Event.MISSED: 3,
}
# What waits to be heard; more would ring long after it happened.
_MAX_WAITING = 24


class Sounds:
    """Rows of bells, one after the other."""

    def __init__(self) -> None:
        self._pauses_s: deque[float] = deque(maxlen=_MAX_WAITING)
        self._free_at_s = 0.0

    def hear(self, event: Event) -> None:
        """Take what happened."""
        bells = BELLS.get(event, 0)
        self._pauses_s += [GAP_S] * (bells - 1) + [REST_S] * (bells > 0)

    def due(self, now_s: float) -> bool:
        """Tell whether a bell is to ring now."""
        if not self._pauses_s or now_s < self._free_at_s:
            return False
        self._free_at_s = now_s + self._pauses_s.popleft()
        return True
