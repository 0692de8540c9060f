"""What a device that sleeps spent its time on, and what woke it, since it started cold."""

from array import array

from micropython import const

# States, each with its own current: see docs/power.md.
DEEP = const(0)
LIGHT = const(1)
# Awake with the radio off; from when the radio goes on until it is off again.
CPU = const(2)
RADIO = const(3)

# What ended a deep sleep; COLD is a start that remembers nothing.
COLD = const(0)
TIMER = const(1)
BUTTON = const(2)
MOTION = const(3)
OTHER = const(4)

# What came of the wakes: stage 1 of the fall detector, contacts that were made, and those that failed.
IMPACTS = const(9)
LINKS = const(10)
FAILED_LINKS = const(11)

# How many numbers it is. Time stops after 31 years, and a count where it would make a heartbeat's message too long.
NUMBERS = const(16)
MOST_S = const(999999999)
MOST_TIMES = const(9999999)

# Where the wakes begin; the seconds of each state are before them, the milliseconds that make no second behind.
_WAKES = const(4)
_REST = const(12)


class Ledger:
    """Counts seconds in each state, wakes by their reason, and what came of them. Allocates nothing while it counts.

    Attributes:
        numbers: all it knows, none negative.
    """

    def __init__(self) -> None:
        self.numbers = array("i", [0] * NUMBERS)

    def pass_time(self, state: int, elapsed_ms: int) -> None:
        """Note that this much time went by in a state."""
        rest_ms = self.numbers[_REST + state] + elapsed_ms
        self.numbers[_REST + state] = rest_ms % 1000
        self.numbers[state] = min(self.numbers[state] + rest_ms // 1000, MOST_S)

    def seconds(self, state: int) -> int:
        return self.numbers[state]

    def woke(self, reason: int) -> None:
        """Count a wake."""
        self.count(_WAKES + reason)

    def wakes(self, reason: int) -> int:
        return self.numbers[_WAKES + reason]

    def count(self, what: int) -> None:
        """Count one of IMPACTS, LINKS, FAILED_LINKS."""
        self.numbers[what] = min(self.numbers[what] + 1, MOST_TIMES)

    def told(self) -> "dict[str, str | int]":
        """Return what heartbeats tell of it."""
        numbers = self.numbers
        return {
            "deep_s": numbers[DEEP],
            "light_s": numbers[LIGHT],
            "cpu_s": numbers[CPU],
            "radio_s": numbers[RADIO],
            "wake_timer": numbers[_WAKES + TIMER],
            "wake_button": numbers[_WAKES + BUTTON],
            "wake_motion": numbers[_WAKES + MOTION],
            "impacts": numbers[IMPACTS],
            "links": numbers[LINKS],
            "failed": numbers[FAILED_LINKS],
        }
