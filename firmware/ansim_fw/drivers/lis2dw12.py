"""ST LIS2DW12.

Sources: data sheet DS12306 (registers: section 8; self-test limits: table 3), application note AN5038 (FIFO, wake-up,
free fall, self-test procedure), ST's own driver lis2dw12_STdC with its examples. Registers, bits, sensitivities and the
self-test were checked against that driver; the numbers of sections and tables were not.

NOT CHECKED, for want of the application note's text: that the wake-up's high-pass filter is [a(n) - a(n-1)] / 2 with
BW_FILT = 0 as it is in ST's AN5130 for a sister part (were it not halved, the part would wake for half of the
threshold; ST confirms a settling time of one sample); that OUT_Z_H is followed by OUT_X_L in a burst from the FIFO.
"""

import time

from micropython import const

from ansim_fw.drivers._part import FREE_FALL, IMPACT, RANGES_G, RATES_HZ, WATERMARK, Part

_WHO_AM_I = const(0x0F)
_CTRL1 = const(0x20)
_CTRL2 = const(0x21)
_CTRL3 = const(0x22)
_CTRL4_INT1 = const(0x23)
_CTRL6 = const(0x25)
_OUT_X_L = const(0x28)
_FIFO_CTRL = const(0x2E)
_FIFO_SAMPLES = const(0x2F)
_WAKE_UP_THS = const(0x34)
_WAKE_UP_DUR = const(0x35)
_FREE_FALL = const(0x36)
_WAKE_UP_SRC = const(0x38)
_ALL_INT_SRC = const(0x3B)
_CTRL7 = const(0x3F)

_ID = const(0x44)
# CTRL1: ODR of 25 Hz; low-power mode 4 (14 bits), high performance.
_ODR_25_HZ = const(3)
_LOW_POWER_4 = const(0x03)
_HIGH_PERFORMANCE = const(0x04)
# CTRL2
_SOFT_RESET = const(0x40)
_BDU = const(0x08)
_IF_ADD_INC = const(0x04)
# CTRL3: self-test towards plus; interrupts are latched.
_ST_POSITIVE = const(0x40)
_LIR = const(0x10)
# CTRL4: INT1_WU, INT1_FF, INT1_FTH.
_ROUTES = (0x20, 0x10, 0x02)
# CTRL7
_INTERRUPTS_ENABLE = const(0x20)
# FIFO_CTRL
_CONTINUOUS = const(0xC0)
# FIFO_SAMPLES
_FTH_REACHED = const(0x80)
_OVERRUN = const(0x40)
_LEVEL = const(0x3F)
# WAKE_UP_SRC: WU_IA, FF_IA; what FIFO_SAMPLES tells is put beside them.
_SOURCES = (0x08, 0x20, 0x80)

# Little endian, left-justified: 2^15 is the full scale.
_LAYOUT = const(0x06100)
_SHIFT_2_G = const(11)
# What FF_THS of 0 to 7 means.
_FREE_FALLS_MG = (156, 219, 250, 312, 344, 406, 469, 500)

# Two samples take no longer, a millisecond between two looks.
_POLLS = const(100)

_SELFTEST_50_HZ = const(1)
_SELFTEST_4_G = const(1)
_SELFTEST_SETTLE_MS = const(100)
_SELFTEST_SAMPLES = const(5)
_SELFTEST_MIN_MG = const(70)
_SELFTEST_MAX_MG = const(1500)


class Sensor(Part):
    """See _sensor.pyi.

    wake_on_impact: a step of the threshold is a 32nd of the range in change between two samples: 500 mg at 16 g.
    """

    NAME = "lis2dw12"
    HAS_FREE_FALL = True

    def __init__(self, bus: "I2C", address: int) -> None:
        super().__init__(bus, address, 6)
        self._rate_hz = 0
        self._range_mg = 0

    def identify(self) -> bool:
        return self._get(_WHO_AM_I) == _ID

    def start(self, rate_hz: int, range_g: int) -> None:
        self._run(RATES_HZ.index(rate_hz), RANGES_G.index(range_g), _LOW_POWER_4)
        # The wake-up's filter begins at 0: the first sample is an impact to it, and over when something is armed. When
        # that comes, the part decides; one that takes no samples at all is nobody's business here.
        for _ in range(_POLLS):
            if self._get(_FIFO_SAMPLES) & _LEVEL > 1:
                break
            time.sleep_ms(1)

    def _expect(self, rate: int, g_range: int) -> None:
        self._layout = _LAYOUT | _SHIFT_2_G - g_range
        self._rate_hz = RATES_HZ[rate]
        self._range_mg = RANGES_G[g_range] * 1000

    def _read(self, samples: "array[int]") -> int:
        state = self._get(_FIFO_SAMPLES)
        self.overran = state & _OVERRUN != 0
        return self._take(_OUT_X_L, min(state & _LEVEL, self.FIFO_SAMPLES), samples)

    def wake_on_impact(self, threshold_mg: int) -> None:
        self._arm(IMPACT, 0)
        if threshold_mg:
            self._put(_WAKE_UP_THS, min(threshold_mg * 32 // self._range_mg, 63))
            self._arm(IMPACT, 1)

    def wake_on_freefall(self, threshold_mg: int, duration_ms: int) -> None:
        self._arm(FREE_FALL, 0)
        if threshold_mg:
            step = 0
            while step < 7 and _FREE_FALLS_MG[step] < threshold_mg:
                step += 1
            duration = max(1, min(duration_ms * self._rate_hz // 1000, 63))
            self._put(_WAKE_UP_DUR, duration >> 5 << 7)
            self._put(_FREE_FALL, (duration & 31) << 3 | step)
            self._arm(FREE_FALL, 1)

    def wake_on_watermark(self, samples: int) -> None:
        self._put(_FIFO_CTRL, _CONTINUOUS | samples)
        self._arm(WATERMARK, samples)

    def woke(self) -> int:
        source = self._get(_WAKE_UP_SRC)
        self._get(_ALL_INT_SRC)
        return self._told(source | self._get(_FIFO_SAMPLES) & _FTH_REACHED, _SOURCES)

    def selftest(self) -> bool:
        """See _sensor.pyi. AN5038, "Self-test": 50 Hz, high performance, 4 g; the change is 70 to 1500 mg."""
        from ansim_fw.drivers._selftest import mean_mg

        try:
            self._run(_SELFTEST_50_HZ, _SELFTEST_4_G, _HIGH_PERFORMANCE)
            before = mean_mg(self, _SELFTEST_SETTLE_MS, _SELFTEST_SAMPLES)
            self._put(_CTRL3, _ST_POSITIVE)
            after = mean_mg(self, _SELFTEST_SETTLE_MS, _SELFTEST_SAMPLES)
        finally:
            self.stop()
        for axis in range(3):
            if not _SELFTEST_MIN_MG <= abs(after[axis] - before[axis]) <= _SELFTEST_MAX_MG:
                return False
        return True

    def stop(self) -> None:
        self._put(_CTRL4_INT1, 0)
        self._put(_CTRL3, 0)
        self._put(_CTRL1, 0)

    def _run(self, rate: int, g_range: int, mode: int) -> None:
        self._put(_CTRL2, _SOFT_RESET | _IF_ADD_INC)
        self._await(_CTRL2, _SOFT_RESET, 0)
        self._armed = 0
        self._expect(rate, g_range)
        self._put(_CTRL2, _BDU | _IF_ADD_INC)
        self._put(_CTRL3, _LIR)
        self._put(_CTRL6, g_range << 4)
        self._put(_CTRL7, _INTERRUPTS_ENABLE)
        self._put(_FIFO_CTRL, _CONTINUOUS)
        self._put(_CTRL1, (_ODR_25_HZ + rate) << 4 | mode)

    def _arm(self, bit: int, armed: int) -> None:
        """Route what is armed to INT1; what happened before does not raise it."""
        super()._arm(bit, armed)
        self.woke()
        self._put(_CTRL4_INT1, self._enabled(_ROUTES))


TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    from machine import I2C
