"""A cell: how full it is, and when it runs low or is nearly flat, without chatter between the two."""

from micropython import const

# In percent: at or below. A cell that rests recovers a little, so well again needs HYSTERESIS more.
LOW = const(15)
CRITICAL = const(5)
HYSTERESIS = const(5)

# A reading may be taken while a radio's load makes the voltage sag. So one is no news: what it says has to hold for
# longer than the time between two readings (10 s).
STEADY_MS = const(12000)

# What step() tells, as bits.
IS_LOW = const(1)
IS_CRITICAL = const(2)


def percent(mv: int, curve: "Curve") -> int:
    """Return the state of charge that a voltage means, 0 to 100, rounded down.

    Args:
        curve: (mv, percent), both falling, at least two; in between it is a straight line.
    """
    above = curve[0]
    if mv >= above[0]:
        return above[1]
    for below in curve:
        if mv >= below[0]:
            return below[1] + (mv - below[0]) * (above[1] - below[1]) // (above[0] - below[0])
        above = below
    return above[1]


class Battery:
    """Follows one cell.

    Args:
        curve: as percent() takes it; empty on a board that measures none.
        told: IS_LOW and IS_CRITICAL, as told before.

    Attributes:
        told: what is told now; percent: of the last reading, -1 before there is one.
        doubt_ms: for how long the readings have said something else than what is told.
    """

    def __init__(self, curve: "Curve", told: int) -> None:
        self.told = told
        self.percent = -1
        self.doubt_ms = 0
        self._curve = curve
        self._mv = 0

    def step(self, elapsed_ms: int, mv: int) -> bool:
        """Take the latest reading, 0 for none; tell whether `told` changed."""
        if not self._curve or mv <= 0:
            return False
        if mv != self._mv:
            self._mv = mv
            self.percent = percent(mv, self._curve)
        wanted = self._wanted()
        if wanted == self.told:
            self.doubt_ms = 0
            return False
        self.doubt_ms = min(self.doubt_ms + elapsed_ms, STEADY_MS)
        if self.doubt_ms < STEADY_MS:
            return False
        self.doubt_ms = 0
        self.told = wanted
        return True

    def idle_ms(self) -> int:
        """Return how long until the last reading is news, if it stays."""
        if self.percent < 0 or self._wanted() == self.told:
            return 0x3FFFFFFF
        return STEADY_MS - self.doubt_ms

    def _wanted(self) -> int:
        low = LOW + HYSTERESIS - 1 if self.told & IS_LOW else LOW
        critical = CRITICAL + HYSTERESIS - 1 if self.told & IS_CRITICAL else CRITICAL
        wanted = IS_LOW if self.percent <= low else 0
        return wanted | IS_CRITICAL if self.percent <= critical else wanted


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Curve: TypeAlias = tuple[tuple[int, int], ...]
