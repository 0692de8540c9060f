"""Analog Devices ADXL345.

Source: data sheet ADXL345, Rev. E: "Register definitions", "Interrupts", "FIFO", "Self-test" (tables 14 and 15),
"Using self-test", "Threshold". Registers and procedures were checked against the sheets' text (Rev. D and E, and that
of the sister part ADXL312 for what is the same).

NOT CHECKED: that enabling the activity interrupt anew takes a new reference, which the data sheet leaves open ("the
acceleration value at the start of activity detection").
"""

from micropython import const

from ansim_fw.drivers._convert import to_mg
from ansim_fw.drivers._part import FREE_FALL, IMPACT, RANGES_G, RATES_HZ, WATERMARK, Part

_DEVID = const(0x00)
_OFSX = const(0x1E)
_THRESH_ACT = const(0x24)
_ACT_INACT_CTL = const(0x27)
_THRESH_FF = const(0x28)
_TIME_FF = const(0x29)
_BW_RATE = const(0x2C)
_POWER_CTL = const(0x2D)
_INT_ENABLE = const(0x2E)
_INT_MAP = const(0x2F)
_INT_SOURCE = const(0x30)
_DATA_FORMAT = const(0x31)
_DATAX0 = const(0x32)
_FIFO_CTL = const(0x38)
_FIFO_STATUS = const(0x39)

_ID = const(0xE5)
_RATE_25_HZ = const(0x08)
_RATE_100_HZ = const(0x0A)
_MEASURE = const(0x08)
# INT_ENABLE, INT_SOURCE: activity, FREE_FALL, watermark.
_INTERRUPTS = (0x10, 0x04, 0x02)
# ACT_INACT_CTL: against a reference, any axis.
_AC_XYZ = const(0xF0)
# DATA_FORMAT
_SELF_TEST = const(0x80)
_FULL_RES = const(0x08)
# FIFO_CTL
_STREAM = const(0x80)
# FIFO_STATUS
_ENTRIES = const(0x3F)

# Little endian, right-justified, 256 a g in every range.
_LAYOUT = const(0x06105)

_SELFTEST_RANGE = const(3)
_SELFTEST_SAMPLES = const(10)
# Four samples: the filter settles.
_SELFTEST_SETTLE_MS = const(50)
# Table 15 (LSB of 1/256 g, 2.5 V) times table 14 for 2.0 V and for 3.6 V: the supply is not known here.
_SELFTEST_LIMITS_MG = ((125, 4450), (-4450, -125), (234, 5776))


class Sensor(Part):
    """See _sensor.pyi.

    The part has no reset: start() writes every register that matters. A full FIFO counts as overrun.

    wake_on_impact: it compares with the sample at which it was armed, not with the one before. A change of T from one
    sample to the next is at least T / 2 away from any such reference at one of the two, so half the threshold is set
    (steps of 62.5 mg, at least one): turning over in bed wakes, too. It sees more than the samples: undecimated data.
    """

    NAME = "adxl345"
    HAS_FREE_FALL = True

    def __init__(self, bus: "I2C", address: int) -> None:
        super().__init__(bus, address, 6)
        self._sample = self._bursts[-1][1]

    def identify(self) -> bool:
        return self._get(_DEVID) == _ID

    def start(self, rate_hz: int, range_g: int) -> None:
        self._run(_RATE_25_HZ + RATES_HZ.index(rate_hz), RANGES_G.index(range_g))

    def _expect(self, _rate: int, _g_range: int) -> None:
        # Its numbers mean the same in every range.
        return

    def _read(self, samples: "array[int]") -> int:
        # Each entry is popped by a burst of its own, 5 us after the one before: I2C takes longer to address the part.
        entries = self._get(_FIFO_STATUS) & _ENTRIES
        self.overran = entries >= self.FIFO_SAMPLES
        entries = min(entries, self.FIFO_SAMPLES)
        for entry in range(entries):
            self._bus.readfrom_mem_into(self._address, _DATAX0, self._sample)
            to_mg(self._sample, 0, 1, _LAYOUT, samples, entry * 3)
        return entries

    def wake_on_impact(self, threshold_mg: int) -> None:
        self._arm(IMPACT, 0)
        if threshold_mg:
            self._put(_THRESH_ACT, max(1, min(threshold_mg // 125, 255)))
            self._arm(IMPACT, 1)

    def wake_on_freefall(self, threshold_mg: int, duration_ms: int) -> None:
        self._arm(FREE_FALL, 0)
        if threshold_mg:
            self._put(_THRESH_FF, min((threshold_mg * 2 + 124) // 125, 255))
            self._put(_TIME_FF, max(1, min(duration_ms // 5, 255)))
            self._arm(FREE_FALL, 1)

    def wake_on_watermark(self, samples: int) -> None:
        self._put(_FIFO_CTL, _STREAM | samples)
        self._arm(WATERMARK, samples)

    def woke(self) -> int:
        bits = self._told(self._get(_INT_SOURCE), _INTERRUPTS)
        if bits & IMPACT:
            self._arm(IMPACT, 0)
            self._arm(IMPACT, 1)
        return bits

    def selftest(self) -> bool:
        """See _sensor.pyi. "Using self-test": 100 Hz, full resolution, 16 g, 0.1 s before and after."""
        from ansim_fw.drivers._selftest import mean_mg

        try:
            self._run(_RATE_100_HZ, _SELFTEST_RANGE)
            before = mean_mg(self, _SELFTEST_SETTLE_MS, _SELFTEST_SAMPLES)
            self._put(_DATA_FORMAT, _SELF_TEST | _FULL_RES | _SELFTEST_RANGE)
            after = mean_mg(self, _SELFTEST_SETTLE_MS, _SELFTEST_SAMPLES)
        finally:
            self.stop()
        for axis, (least, most) in enumerate(_SELFTEST_LIMITS_MG):
            if not least <= after[axis] - before[axis] <= most:
                return False
        return True

    def stop(self) -> None:
        self._put(_INT_ENABLE, 0)
        self._put(_POWER_CTL, 0)
        self._put(_DATA_FORMAT, _FULL_RES)

    def _run(self, rate: int, g_range: int) -> None:
        self.stop()
        self._armed = 0
        # Bypass empties the FIFO.
        self._put(_FIFO_CTL, 0)
        for offset in range(3):
            self._put(_OFSX + offset, 0)
        self._put(_BW_RATE, rate)
        self._put(_DATA_FORMAT, _FULL_RES | g_range)
        self._put(_ACT_INACT_CTL, 0)
        self._put(_INT_MAP, 0)
        self._put(_FIFO_CTL, _STREAM)
        self._put(_POWER_CTL, _MEASURE)

    def _arm(self, bit: int, armed: int) -> None:
        """Enable what is armed; what happened before does not raise INT1."""
        super()._arm(bit, armed)
        self._put(_ACT_INACT_CTL, _AC_XYZ if self._armed & IMPACT else 0)
        self._get(_INT_SOURCE)
        self._put(_INT_ENABLE, self._enabled(_INTERRUPTS))


TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    from machine import I2C
