"""Ticks become elapsed time here and nowhere else."""

import time


class Clock:
    """Tells how much time passed since it was asked last; right across the wrap of the ticks (2^30 ms on a chip)."""

    def __init__(self) -> None:
        self._last = time.ticks_ms()

    def elapsed_ms(self) -> int:
        now = time.ticks_ms()
        elapsed = time.ticks_diff(now, self._last)
        self._last = now
        return elapsed
