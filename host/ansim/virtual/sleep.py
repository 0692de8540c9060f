"""What wakes a sleeping chip."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from ansim.virtual.wire import PINS, Frame

# ESP-IDF's esp_sleep_wakeup_cause_t, which machine.wake_reason() returns.
EXT0, EXT1, TIMER = 2, 3, 4

Level = Callable[[int], int]


@dataclass(frozen=True)
class Sleep:
    """A sleep that goes on.

    Args:
        deep: deep sleep, which ends in a reset; else light sleep.
        sequence: of the request that a light sleep answers.
        due_ms: when the timer wakes it, or None.
        ext0: the pin that wakes it, or -1, at level0.
        ext1: the pins that wake it: any of them high (level1 1), or all of them low (0).
    """

    deep: bool
    sequence: int
    due_ms: int | None
    ext0: int
    level0: int
    ext1: tuple[int, ...]
    level1: int

    @classmethod
    def parse(cls, frame: Frame, now_ms: int) -> "Sleep":
        """Return the sleep that a program asks for.

        Raises:
            ValueError, TypeError, LookupError, OverflowError, RecursionError: the request makes no sense.
        """
        given = json.loads(frame.payload)
        ms, ext0, ext1 = given["ms"], given["ext0"], tuple(given["ext1"])
        if any(pin not in range(PINS) for pin in ext1) or ext0 not in range(-1, PINS):
            raise ValueError("no such pin")
        due_ms = now_ms + int(ms) if ms > 0 else None
        return cls(given["deep"], frame.sequence, due_ms, ext0, given["level0"], ext1, given["level1"])

    def ext0_wakes(self, level: Level) -> bool:
        return self.ext0 >= 0 and level(self.ext0) == self.level0

    def ext1_wakes(self, level: Level) -> bool:
        if not self.ext1:
            return False
        levels = [level(pin) for pin in self.ext1]
        return any(levels) if self.level1 else not any(levels)
