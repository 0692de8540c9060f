"""One button: debounced presses, holds, what is no hold any more, and a button that is stuck."""

from micropython import const

# What step() tells, as bits.
PRESS = const(1)
RELEASE = const(2)
HOLD = const(4)
STUCK = const(8)
LONG = const(16)

DEBOUNCE_MS = const(20)
HOLD_MS = const(3000)
# A person lets go before: who lies on the button does not.
LET_GO_MS = const(10000)
STUCK_MS = const(60000)

# Nothing is due.
_NEVER_MS = const(0x3FFFFFFF)

# No finger lets go, presses and lets go again in this time.
_FINGER_MS = const(100)

# One sample counts for at most this long, so that a press needs two samples that agree.
_SAMPLE_MS = const(10)


class Button:
    """Tells presses from bounce by integrating the level: DEBOUNCE_MS more down than up is a press, and back.

    What happened while nobody looked (the loop was held up, a flag of the pin's interrupt or a single sample is
    all that is left) counts as a press, and never as a hold; an edge between two samples close together is a glitch
    and counts as nothing.

    Attributes:
        held_ms: how long the last press was down at the least, as far as somebody looked.
        down_ms: how long it may have been down at the most.
    """

    def __init__(self) -> None:
        self.down = False
        self.held_ms = 0
        self.down_ms = 0
        self._level_ms = 0
        self._caught = False

    @property
    def is_stuck(self) -> bool:
        return self.down and self.held_ms >= STUCK_MS

    def resume(self, is_stuck: bool, caught: bool) -> None:
        """Go on after a deep sleep, before which the button was up, or stuck.

        Args:
            caught: it was pressed meanwhile: that counts with the next step, whatever the button does by then.
        """
        self._caught = caught
        if is_stuck:
            self.down = True
            self.held_ms = self.down_ms = STUCK_MS
            self._level_ms = DEBOUNCE_MS

    def rests(self) -> bool:
        """Tell whether nothing is to be told while the button stays as it is: it is up, or stuck."""
        return not self._caught and (self._level_ms == 0 or (self.is_stuck and self._level_ms == DEBOUNCE_MS))

    def step(self, elapsed_ms: int, level_down: bool, edge: bool) -> int:
        """Take one sample.

        Args:
            elapsed_ms: since the last sample.
            level_down: the button is down at this moment.
            edge: it went down at least once since the last sample.

        Returns:
            Bits of PRESS, RELEASE, and once a press HOLD (held_ms reached HOLD_MS), STUCK (STUCK_MS), LONG (down_ms
            reached LET_GO_MS, or nobody knows when it was let go; it comes with RELEASE at the latest).
        """
        if self._level_ms == 0:
            self.down_ms = 0
        was_long = self.down and self.down_ms >= LET_GO_MS
        self.down_ms = min(self.down_ms + elapsed_ms, STUCK_MS)
        told = LONG if self.down_ms >= LET_GO_MS and not was_long else 0
        unseen = self._caught or (elapsed_ms > DEBOUNCE_MS and (edge or self._level_ms > 0))
        if self._caught and self.down:
            # Stuck when the sleep began, let go in it and pressed again: that is told with the next step.
            self.down = False
            self._level_ms = 0
            return told | RELEASE
        self._caught = False
        self._integrate(elapsed_ms, level_down)
        if self.down:
            if edge and elapsed_ms > DEBOUNCE_MS and self.held_ms > 0:
                return told | self._let_go_unseen(elapsed_ms, level_down, was_long)
            if edge and elapsed_ms > _FINGER_MS and not was_long:
                # It bounced when it began, or was let go and pressed again: in doubt it is no hold.
                self.down_ms = max(self.down_ms, LET_GO_MS)
                told = LONG
            if self._level_ms == 0:
                self.down = False
                return told | RELEASE
            # A hold may cancel an alarm: of what nobody saw, only what was down from end to end counts.
            return told | self._hold(elapsed_ms if level_down and not edge else min(elapsed_ms, _SAMPLE_MS))
        self.held_ms = 0
        if self._level_ms == DEBOUNCE_MS or (unseen and level_down):
            self.down = True
            self._level_ms = DEBOUNCE_MS
            return told | PRESS
        if not unseen:
            return 0
        # It is told; what is left of its level is not the beginning of another one.
        self._level_ms = 0
        return PRESS | RELEASE

    def idle_ms(self) -> int:
        """Return how long until the next sample tells something, if the level stays as it is."""
        if self._caught:
            return 0
        if not self.down:
            return _SAMPLE_MS if self._level_ms > 0 else _NEVER_MS
        if self._level_ms < DEBOUNCE_MS:
            return _SAMPLE_MS
        idle_ms = STUCK_MS - self.held_ms if self.held_ms < STUCK_MS else _NEVER_MS
        if self.held_ms < HOLD_MS:
            idle_ms = HOLD_MS - self.held_ms
        return min(idle_ms, LET_GO_MS - self.down_ms) if self.down_ms < LET_GO_MS else idle_ms

    def _let_go_unseen(self, elapsed_ms: int, level_down: bool, was_long: bool) -> int:
        """It was let go since the last sample, and down again; if it still is, the next samples tell that press."""
        self.down = False
        self._level_ms = 0
        if level_down:
            self._level_ms = _SAMPLE_MS
            self.down_ms = elapsed_ms
        # Let go for good in so short a time, it bounced.
        is_known = was_long or (not level_down and elapsed_ms <= _FINGER_MS)
        return RELEASE if is_known else RELEASE | LONG

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
