"""What wakes a sleeping chip."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from ansim.virtual.wire import PINS, Frame

# ESP-IDF's esp_sleep_wakeup_cause_t, which machine.wake_reason() returns.
EXT0, EXT1, TIMER, GPIO = 2, 3, 4, 7
_LONGEST_MS = 1 << 50

Level = Callable[[int], int]


@dataclass(frozen=True)
class Watch:
    """Pins that are watched in sleep, and the level that wakes.

    Args:
        mask: one bit a pin.
    """

    mask: int
    level: int

    @classmethod
    def parse(cls, given: object) -> "Watch":
        """Return what a program asks for.

        Raises:
            ValueError, TypeError: it makes no sense.
        """
        mask, level = (given[0], given[1]) if isinstance(given, list) and len(given) == 2 else (None, None)
        if type(mask) is not int or not 0 <= mask < 1 << PINS or level not in (0, 1):
            raise ValueError("no such pins")
        return cls(mask, level)

    @property
    def pins(self) -> list[int]:
        return [pin for pin in range(PINS) if self.mask >> pin & 1]

    def any_at(self, level: Level) -> int:
        """Return a mask of the pins that are at the level that wakes."""
        return sum(1 << pin for pin in self.pins if level(pin) == self.level)


@dataclass(frozen=True)
class Sleep:
    """A sleep that goes on.

    Args:
        deep: deep sleep, which ends in a reset; else light sleep.
        sequence: of the request that a light sleep answers.
        due_ms: when the timer wakes it, or None.
        ext0: the pin that wakes it.
        ext1: the pins that wake it: any of them high (level 1), or all of them low (0).
        gpio: the pins that wake it, any of them at the level.
    """

    deep: bool
    sequence: int
    due_ms: int | None
    ext0: Watch
    ext1: Watch
    gpio: Watch

    @classmethod
    def parse(cls, frame: Frame, now_ms: int) -> "Sleep":
        """Return the sleep that a program asks for.

        Raises:
            ValueError, TypeError, LookupError, OverflowError, RecursionError: the request makes no sense.
        """
        given = json.loads(frame.payload)
        ms = given["ms"]
        if ms is not None and (type(ms) is not int or abs(ms) > _LONGEST_MS):
            raise ValueError("no such time")
        watches = (Watch.parse(given[name]) for name in ("ext0", "ext1", "gpio"))
        return cls(bool(given["deep"]), frame.sequence, None if ms is None else now_ms + max(0, ms), *watches)

    @property
    def taken(self) -> int:
        """A mask of the pins that the RTC takes from the program, to watch them."""
        return self.ext0.mask | self.ext1.mask

    def woken_by(self, level: Level) -> int:
        """Return the reason for which pins wake the chip now, 0 if they don't."""
        if self.ext0.any_at(level):
            return EXT0
        seen = self.ext1.any_at(level)
        if seen and (self.ext1.level or seen == self.ext1.mask):
            return EXT1
        return GPIO if self.gpio.any_at(level) else 0
