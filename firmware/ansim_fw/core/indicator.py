"""What the wearer sees, hears and feels: one pattern at a time, told apart without looking at a screen."""

from micropython import const

# Outputs, as bits.
LED = const(1)
BUZZER = const(2)
VIBRATION = const(4)

READY = const(0)
UNPROVISIONED = const(1)
BATTERY_LOW = const(2)
SAFE = const(3)
IDENTIFY = const(4)
HANDLED = const(5)
CANCELLED = const(6)
ACKNOWLEDGED = const(7)
RAISED = const(8)
FAILING = const(9)
PREALARM = const(10)
LET_GO = const(11)

NAMES = (
    "ready",
    "unprovisioned",
    "battery_low",
    "safe",
    "identify",
    "handled",
    "cancelled",
    "acknowledged",
    "raised",
    "failing",
    "prealarm",
    "let_go",
)

_ALL = const(7)

# A pattern is (duration_ms, outputs) again and again, repeated from its start.
_STEPS = (
    (20, LED, 9980, 0),
    (100, LED, 1900, 0),
    (50, LED, 200, 0, 50, LED | BUZZER, 29700, 0),
    (500, LED, 500, 0),
    (250, LED | BUZZER, 250, 0),
    (100, LED | BUZZER, 100, 0, 700, LED | BUZZER, 1100, 0),
    (600, LED | VIBRATION, 1400, 0),
    (150, 0, 2000, _ALL, 500, LED),
    (150, _ALL, 350, 0),
    (100, LED | BUZZER, 150, 0, 100, LED | BUZZER, 1650, VIBRATION),
    (200, LED | BUZZER, 200, VIBRATION, 200, LED | BUZZER, 200, VIBRATION, 200, LED | BUZZER, 1000, 0),
    (60, _ALL, 60, LED | VIBRATION),
)


class Indicator:
    """Plays one pattern. Show it, then step it; the outputs are bits of LED, BUZZER and VIBRATION."""

    def __init__(self) -> None:
        self.pattern = -1
        self._at = 0
        self._left_ms = 0

    def show(self, pattern: int) -> bool:
        """Start pattern unless it is playing; tell whether it is new."""
        if pattern == self.pattern:
            return False
        self.pattern = pattern
        self._at = 0
        self._left_ms = _STEPS[pattern][0]
        return True

    def step(self, elapsed_ms: int) -> int:
        """Pass time and return the outputs that are on now."""
        steps = _STEPS[self.pattern]
        self._left_ms -= elapsed_ms
        if self._left_ms <= 0:
            # A loop that was held up goes on with the next part; it does not catch up.
            self._at = (self._at + 2) % len(steps)
            self._left_ms = steps[self._at]
        return steps[self._at + 1]
