"""The chip's real-time clock: what ``time.time()`` tells. Ticks know nothing of it."""

from ansim.virtual.clock import Clock
from ansim.virtual.wire import Inputs

MAX_JUMP_MS = 20 * 365 * 24 * 3600 * 1000


class RtcClock:
    """Goes on over resets and sleep, and begins at 2000 when power comes or EN rises.

    It is the chip's time and an offset, which the running program reads in place: a jump is seen at once.

    Args:
        clock: the chip's time.
        inputs: where the program reads the offset.
    """

    def __init__(self, clock: Clock, inputs: Inputs) -> None:
        self._clock = clock
        self._inputs = inputs
        self.begin()

    def begin(self) -> None:
        """It is the first moment of 2000."""
        self.set_offset_us(-self._clock.now_us())

    def jump(self, by_ms: int) -> None:
        """Go forward by so much, or back."""
        self.set_offset_us(self._offset_us + by_ms * 1000)

    def set_offset_us(self, offset_us: int) -> None:
        """Let it be so many microseconds since 2000 more than the chip's time."""
        self._offset_us = offset_us
        self._inputs.set_clock_us(offset_us)
