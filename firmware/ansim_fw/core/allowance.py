"""How many alarms a button may raise in the long run: one that chatters must not wear the flash out."""

from micropython import const

# More than anybody presses in a life, and for a test bench to press through; then two a minute, day and night.
MOST = const(20000)
REFILL_MS = const(30000)
# A button that chattered is well again after some time in which it did not use up what it was given.
WELL = const(100)


class Allowance:
    """Counts presses: MOST at once, and one more every REFILL_MS.

    Attributes:
        spent: it ran out, and is not back at WELL since.
        left: how many more may be taken at once; ms: how long the next one is on its way.
    """

    def __init__(self) -> None:
        self.spent = False
        self.left = MOST
        self.ms = 0

    def pass_time(self, elapsed_ms: int) -> bool:
        """Pass time; tell whether a button that chattered is well again."""
        if self.left >= MOST:
            return False
        self.ms += elapsed_ms
        if self.ms >= REFILL_MS:
            self.left = min(self.left + self.ms // REFILL_MS, MOST)
            self.ms %= REFILL_MS
        well = self.spent and self.left >= WELL
        if well:
            self.spent = False
        return well

    def take(self) -> bool:
        """Tell whether one more press may raise an alarm, and count it."""
        if self.left == 0:
            self.spent = True
            return False
        self.left -= 1
        return True

    def idle_ms(self) -> int:
        """Return how long until a button that chattered may be well again, if it is left alone."""
        if not self.spent:
            return 0x3FFFFFFF
        return max((WELL - self.left) * REFILL_MS - self.ms, 0)
