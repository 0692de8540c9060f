"""The time that a virtual chip measures: this machine's, or so many times faster, or with its sleep left out."""

import math
import time

MAX_SPEED = 100


class Clock:
    """A clock that does not go back. Its zero means nothing; at speed 1 without jumps it is time.monotonic().

    Args:
        speed: how many times faster than life, 1 to MAX_SPEED.
        skips_sleep: it jumps over the time in which the chip sleeps.

    Attributes:
        ahead_us: how far it has jumped in all, in the chip's time.
    """

    def __init__(self, speed: int = 1, skips_sleep: bool = False) -> None:
        if not 1 <= speed <= MAX_SPEED:
            raise ValueError(f"speed is {speed}, must be 1 to {MAX_SPEED}")
        self.speed = speed
        self.skips_sleep = skips_sleep
        self.ahead_us = 0

    def now_ms(self) -> int:
        return self.now_us() // 1000

    def now_us(self) -> int:
        return time.monotonic_ns() * self.speed // 1_000 + self.ahead_us

    def real_s(self, ms: float) -> float:
        """Return how many seconds of this machine's time pass in ms of the chip's."""
        return ms / 1000 / self.speed

    def skip_to(self, moment_ms: float) -> None:
        """Jump to a moment, unless it is over. For one thread only."""
        self.ahead_us += max(0, math.ceil(moment_ms * 1000) - self.now_us())
