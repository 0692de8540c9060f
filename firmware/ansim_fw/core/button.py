"""One button: debounced presses, holds, and a button that is stuck."""

from micropython import const

# What step() tells, as bits.
PRESS = const(1)
RELEASE = const(2)
HOLD = const(4)
STUCK = const(8)

DEBOUNCE_MS = const(20)
HOLD_MS = const(3000)
STUCK_MS = const(60000)

# Nothing is due.
_NEVER_MS = const(0x3FFFFFFF)

# One sample counts for at most this long, so that a press needs two samples that agree.
_SAMPLE_MS = const(10)


class Button:
    """Tells presses from bounce by integrating the level: DEBOUNCE_MS more down than up is a press, and back.

    What happened while nobody looked (the loop was held up, a flag of the pin's interrupt or a single sample is
    all that is left) counts as a press, and never as a hold; an edge between two samples close together is a glitch
    and counts as nothing.
    """

    def __init__(self) -> None:
        self.down = False
        self.held_ms = 0
        self._level_ms = 0

    def step(self, elapsed_ms: int, level_down: bool, edge: bool) -> int:
        """Take one sample.

        Args:
            elapsed_ms: since the last sample.
            level_down: the button is down at this moment.
            edge: it went down at least once since the last sample.

        Returns:
            Bits of PRESS, RELEASE, HOLD (once a press, at HOLD_MS), STUCK (once a press, at STUCK_MS).
        """
        unseen = elapsed_ms > DEBOUNCE_MS and (edge or self._level_ms > 0)
        self._integrate(elapsed_ms, level_down)
        if self.down:
            if edge and elapsed_ms > DEBOUNCE_MS and self.held_ms > 0:
                # It was let go and is down again: the next samples tell the second press.
                self._level_ms = 0
            if self._level_ms == 0:
                self.down = False
                return RELEASE
            # A hold may cancel an alarm: of what nobody saw, only what was down from end to end counts.
            return self._hold(elapsed_ms if level_down and not edge else min(elapsed_ms, _SAMPLE_MS))
        if self._level_ms == DEBOUNCE_MS or (unseen and level_down):
            self.down = True
            self.held_ms = 0
            self._level_ms = DEBOUNCE_MS
            return PRESS
        return PRESS | RELEASE if unseen else 0

    def idle_ms(self) -> int:
        """Return how long until the next sample tells something, if the level stays as it is."""
        if not self.down:
            return _SAMPLE_MS if self._level_ms > 0 else _NEVER_MS
        if self._level_ms < DEBOUNCE_MS:
            return _SAMPLE_MS
        for limit_ms in (HOLD_MS, STUCK_MS):
            if self.held_ms < limit_ms:
                return limit_ms - self.held_ms
        return _NEVER_MS

    def _integrate(self, elapsed_ms: int, level_down: bool) -> None:
        credit_ms = min(elapsed_ms, _SAMPLE_MS)
        if level_down:
            self._level_ms = min(self._level_ms + credit_ms, DEBOUNCE_MS)
        else:
            self._level_ms = max(self._level_ms - credit_ms, 0)

    def _hold(self, elapsed_ms: int) -> int:
        before_ms = self.held_ms
        self.held_ms = min(before_ms + elapsed_ms, STUCK_MS)
        told = 0
        if before_ms < HOLD_MS <= self.held_ms:
            told = HOLD
        if before_ms < STUCK_MS <= self.held_ms:
            told |= STUCK
        return told
