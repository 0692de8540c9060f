"""Whether the motion sensor can be trusted: from what came since the last look, the fault that it means.

A look is taken every LOOK_MS; one that finds something wrong is followed by others, every second. Two that do are a
fault, two in a row that do not end it, so that neither one disturbed transfer nor one good moment is news.
"""

from array import array

from micropython import const

# Each fault is to be told within a minute of its beginning.
LOOK_MS = const(20000)
_DOUBT_MS = const(1000)
# With a fault told, the sensor is started anew and looked at this often.
_AGAIN_MS = const(10000)
# So many good looks and the doubt is over.
_DOUBTS = const(10)
_GOOD_LOOKS = const(2)

# Fewer samples than that prove nothing about their values.
_LEAST_SAMPLES = const(24)
# Of +-8 g; nobody stays beyond that.
_FULL_MG = const(7800)
# With so much motion on one axis, another one that does not change in a single bit is stuck.
_MOTION_MG = const(200)
# Of how many reads one must have lost samples: the loop is held up at times.
_READS_AN_OVERRUN = const(4)
_LEAST_OVERRUNS = const(3)


class SensorWatch:
    """Judges a sensor.

    Args:
        fault: as told before a deep sleep; it is over when two looks in a row find nothing.

    Attributes:
        fault: a kind of docs/protocol.md; empty: none.
    """

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self._doubts = _DOUBTS if fault else 0
        self._good = 0
        self._explained = False
        self._low = array("h", (0, 0, 0))
        self._high = array("h", (0, 0, 0))
        self._count = 0
        self._reads = 0
        self._overruns = 0
        self._fixed = False
        self._full = False
        self._widest_mg = 0

    @property
    def in_doubt(self) -> bool:
        """Whether the next look, a second after the last one, may be news."""
        return self._good > 0 if self.fault else self._doubts == _DOUBTS

    def forget(self) -> None:
        """Begin to count anew: the sensor was started, or is set otherwise now."""
        self._count = self._reads = self._overruns = 0

    def take(self, samples: "array[int]", count: int, overran: bool) -> None:
        """Note what one read gave. Allocates nothing.

        Args:
            samples: count samples of x, y, z in milli-g, interleaved.
            overran: samples were lost before these, while they were wanted.
        """
        self._reads += 1
        if overran:
            self._overruns += 1
        if count == 0:
            return
        for axis in range(3):
            if self._count == 0:
                self._low[axis] = self._high[axis] = samples[axis]
            low, high = self._low[axis], self._high[axis]
            for at in range(count):
                value = samples[3 * at + axis]
                if value < low:
                    low = value
                elif value > high:
                    high = value
            self._low[axis], self._high[axis] = low, high
        self._count += count

    def wants_closer_look(self) -> bool:
        """Tell whether an axis does not change, as it may at rest: at the finest range it would show its noise.

        To be asked before judge(). Of looks in a row at which it would be, every other one is, as it takes a while.
        """
        self._survey()
        still = self._count >= _LEAST_SAMPLES and self._fixed and self._widest_mg < _MOTION_MG
        wanted = still and not self._explained
        self._explained = wanted and self._doubts == 0
        return wanted

    def judge(self, closely: bool) -> str:
        """Return what is wrong with what was taken since the last time; empty: nothing.

        Args:
            closely: it was taken at the finest range, where each axis of every part shows its noise.
        """
        self._survey()
        count, reads, overruns = self._count, self._reads, self._overruns
        self.forget()
        if count == 0:
            return "sensor_silent"
        if overruns >= _LEAST_OVERRUNS and overruns * _READS_AN_OVERRUN >= reads:
            return "sensor_overrun"
        if count < _LEAST_SAMPLES:
            return ""
        if self._full and not closely:
            return "sensor_saturated"
        return "sensor_stuck" if self._fixed and (closely or self._widest_mg >= _MOTION_MG) else ""

    def looked(self, problem: str) -> int:
        """Note what a look found, empty for nothing, and return after how long the next one is due, in ms."""
        if problem:
            self._good = 0
            if not self.fault and self._doubts:
                self.fault = problem
            self._doubts = _DOUBTS
            return _AGAIN_MS if self.fault else _DOUBT_MS
        if self.fault:
            self._good += 1
            if self._good < _GOOD_LOOKS:
                return _DOUBT_MS
            self.fault = ""
            self._doubts = 0
        self._doubts = max(self._doubts - 1, 0)
        return _DOUBT_MS if self._doubts else LOOK_MS

    def _survey(self) -> None:
        """Note of what was taken: is an axis fixed, is one at full scale all the time, how far did the widest go?"""
        self._fixed = self._full = False
        self._widest_mg = 0
        for axis in range(3):
            low, high = self._low[axis], self._high[axis]
            if low == high:
                self._fixed = True
            if low >= _FULL_MG or high <= -_FULL_MG:
                self._full = True
            if high - low > self._widest_mg:
                self._widest_mg = high - low
