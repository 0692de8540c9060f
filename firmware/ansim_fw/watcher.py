"""Listens to the motion sensor between deep sleeps, and loads the detector when there is something to judge."""

from array import array

from micropython import const

from ansim_fw.core.fall import screen
from ansim_fw.core.ledger import IMPACTS

# As motion.py starts the part.
_RATE_HZ = const(50)
_RANGE_G = const(8)
# A part may run a tenth too fast, and its FIFO is not to be full.
_READ_MS_A_SAMPLE_TWICE = const(27)
# The pin is raised again at once so often: it is no interrupt.
_MOST_RAISED = const(8)


class Watcher:
    """Feeds the sensor's samples to stage 1, and from the first impact on to the detector.

    Args:
        driver: of a part that motion.py left running; pin: the one it raises, None if that is not to be trusted.
        kept: its falls, impacts.

    Attributes:
        detector: None until the first impact; fell: it told a fall; wired: the pin can be trusted.
        history: how many samples the part keeps; read_ms: so often it is to be read.
    """

    def __init__(self, driver: "Sensor", pin: "Pin | None", kept: "Kept") -> None:
        self.detector: Any = None
        self.fell = False
        self.history = driver.HISTORY_SAMPLES
        self.read_ms = self.history * _READ_MS_A_SAMPLE_TWICE // 2
        self._driver = driver
        self._pin = pin
        self._kept = kept
        self._samples = array("h", bytes(6 * driver.FIFO_SAMPLES))
        self._ring = array("h", bytes(6 * screen.RING))
        self._slot = 0
        self._have = 0
        self._limit = (kept.impact_mg * kept.impact_mg >> 2) - 1
        self._raised = 0
        # What was lost before the first samples is not missed.
        self._fresh = True
        driver.resume(_RATE_HZ, _RANGE_G)

    @property
    def wired(self) -> bool:
        return self._pin is not None and self._raised < _MOST_RAISED

    @property
    def busy(self) -> bool:
        """Whether the detector waits for samples."""
        return self.detector is not None and bool(self.detector.busy)

    def hear(self) -> bool:
        """Take all samples; return whether the wearer stirred since the last time, as far as the pin tells.

        Raises:
            OSError: the sensor does not answer, or there is no model.
            ValueError: the detector's model is damaged.
        """
        for _ in range(self.history // self._driver.FIFO_SAMPLES + 1):
            count = self._driver.read(self._samples)
            if count:
                self._take(count)
            if count < self._driver.FIFO_SAMPLES:
                break
        return self._was_raised()

    def _was_raised(self) -> bool:
        if self._pin is None or not self._pin.value():
            self._raised = 0
            return False
        self._driver.woke()
        if self._pin.value():
            self._raised += 1
        return self.wired

    def _take(self, count: int) -> None:
        lost = self._driver.overran and not self._fresh
        self._fresh = False
        first = 0
        if self.detector is None:
            first = self._screen(count)
        elif lost and not self.detector.busy:
            self.detector.restart()
        if self.detector is not None:
            self._feed(memoryview(self._samples)[3 * first : 3 * count], count - first)

    def _screen(self, count: int) -> int:
        """Put samples into the ring until one is an impact, and the detector takes over; return how many."""
        taken = screen.take(self._samples, 0, count, self._ring, self._slot, self._limit)
        self._slot = (self._slot + abs(taken)) % screen.RING
        self._have = min(self._have + abs(taken), screen.RING)
        if taken < 0:
            self._call_detector()
        return abs(taken)

    def _call_detector(self) -> None:
        """Load the detector, and give it what the ring has."""
        from ansim_fw import fall_model
        from ansim_fw.core.fall.detector import Detector

        self.detector = Detector(fall_model.read(self._kept.fall))
        ring = memoryview(self._ring)
        first = (self._slot - self._have) % screen.RING
        # The oldest may be at the ring's end.
        before = min(self._have, screen.RING - first)
        self._feed(ring[3 * first : 3 * (first + before)], before)
        self._feed(ring[: 3 * (self._have - before)], self._have - before)

    def _feed(self, samples: memoryview, count: int) -> None:
        from ansim_fw.core.fall.detector import FALL, IMPACT

        told = self.detector.feed(samples, count)
        if told & IMPACT:
            self._kept.ledger.count(IMPACTS)
        if told & FALL:
            self.fell = True


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from machine import Pin

    from ansim_fw.core.kept import Kept
    from ansim_fw.drivers._sensor import Sensor
