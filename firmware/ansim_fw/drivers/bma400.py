"""Bosch BMA400.

Sources: data sheet BST-BMA400-DS000 ("FIFO", "Generic interrupt 1 and 2", "Interrupt features", register map), of
which the text of the preliminary version 0.1 was read; Bosch's driver BMA400_SensorAPI (registers, bits, delays,
self-test and its limits); Bosch's moderator in community.bosch-sensortec.com, "BMA400 interrupt for single sample that
exceeds threshold" ("every time" compares with the sample before, a duration of 1 is one sample).

NOT CHECKED against the final data sheet: FIFO_PWR_CONFIG (fifo_read_en in the preliminary one, fifo_read_disable with
the opposite sense since; 0 after a reset, left so).
"""

import time

from micropython import const

from ansim_fw.drivers._convert import to_mg
from ansim_fw.drivers._part import FREE_FALL, IMPACT, RANGES_G, RATES_HZ, WATERMARK, Part

_CHIP_ID = const(0x00)
_STATUS = const(0x03)
_INT_STAT0 = const(0x0E)
_FIFO_LENGTH0 = const(0x12)
_FIFO_DATA = const(0x14)
_ACC_CONFIG0 = const(0x19)
_ACC_CONFIG1 = const(0x1A)
_INT_CONFIG0 = const(0x1F)
_INT_CONFIG1 = const(0x20)
_INT1_MAP = const(0x21)
_INT12_IO_CTRL = const(0x24)
_FIFO_CONFIG0 = const(0x26)
_FIFO_CONFIG1 = const(0x27)
_FIFO_CONFIG2 = const(0x28)
_GEN1INT = const(0x3F)
_GEN2INT = const(0x4A)
_SELF_TEST = const(0x7D)
_CMD = const(0x7E)

_ID = const(0x90)
_SLEEP = const(0)
_NORMAL = const(2)
# STATUS: the power mode, once moved down by a bit.
_POWER_MODE = const(0x06)
_CMD_RDY = const(0x10)
# ACC_CONFIG1: 25 Hz; bits 5 and 4 are the oversampling, of which there is none: it costs three times the current, and a
# fall is not told by single mg.
_ODR_25_HZ = const(0x06)
# INT_STAT0, INT_CONFIG0, INT1_MAP: generic interrupts 1 and 2, FIFO watermark.
_INTERRUPTS = (0x04, 0x08, 0x40)
_LATCHED = const(0x80)
_INT1_HIGH = const(0x02)
# FIFO_CONFIG0: x, y, z with 12 bits, from the filter with the configured rate, the newest push out the oldest.
_FIFO_XYZ = const(0xE0)
_SOFT_RESET = const(0xB6)
_FIFO_FLUSH = const(0xB0)
# GENxINT_CONFIG0: x, y, z at 100 Hz; the reference is the sample before, or stays 0.
_REFERENCE_BEFORE = const(0xF8)
_REFERENCE_ZERO = const(0xF0)
# GENxINT_CONFIG1: any axis above; all axes below.
_ANY_ABOVE = const(0x02)
_ALL_BELOW = const(0x01)

_FRAME_BYTES = const(7)
_DATA_FRAME = const(0x9E)
_CONTROL_FRAME = const(0x48)
_CONTROL_BYTES = const(2)
# One frame more is 1022 bytes; the next one does not fit into 1024.
_ALMOST_FULL_BYTES = const(1015)

# A header, then little endian with four bits in the low byte: left-justified, 2^15 is the full scale.
_LAYOUT = const(0x47210)
_SHIFT_2_G = const(11)

_RESET_MS = const(5)
_SELFTEST_100_HZ = const(2)
_SELFTEST_4_G = const(1)
_SELFTEST_POSITIVE = const(0x07)
_SELFTEST_NEGATIVE = const(0x0F)
_SELFTEST_SETTLE_MS = const(50)
_SELFTEST_SAMPLES = const(5)
_SELFTEST_LEAST_MG = (1500, 1200, 250)


class Sensor(Part):
    """See _sensor.pyi.

    wake_on_impact: the part compares neighbours 10 ms apart, whatever the rate. At 50 Hz a change of T between samples
    is one of T / 2 at least in one of its steps, so that is set (8 mg a step, at most 2040 mg).
    """

    NAME = "bma400"
    # 1024 bytes, in frames of 7.
    HISTORY_SAMPLES = const(146)
    HAS_FREE_FALL = True

    def __init__(self, bus: "I2C", address: int) -> None:
        super().__init__(bus, address, _FRAME_BYTES)
        self._length = bytearray(2)
        self._rate_hz = 0

    def identify(self) -> bool:
        return self._get(_CHIP_ID) == _ID

    def start(self, rate_hz: int, range_g: int) -> None:
        self._run(RATES_HZ.index(rate_hz), RANGES_G.index(range_g))

    def _expect(self, rate: int, g_range: int) -> None:
        self._layout = _LAYOUT | _SHIFT_2_G - g_range
        self._rate_hz = RATES_HZ[rate]

    def _read(self, samples: "array[int]") -> int:
        # Both bytes at once, so that they belong together.
        self._bus.readfrom_mem_into(self._address, _FIFO_LENGTH0, self._length)
        length = self._length[0] | (self._length[1] & 7) << 8
        self.overran = length > _ALMOST_FULL_BYTES
        left = min(length // _FRAME_BYTES, self.FIFO_SAMPLES)
        found = 0
        for size, burst in self._bursts:
            while left >= size:
                self._bus.readfrom_mem_into(self._address, _FIFO_DATA, burst)
                found += self._decode(burst, samples, found)
                left -= size
        return found

    def wake_on_impact(self, threshold_mg: int) -> None:
        self._arm(IMPACT, 0)
        if threshold_mg:
            step = min(threshold_mg * self._rate_hz // 100 // 8, 255)
            self._watch(_GEN1INT, _REFERENCE_BEFORE, _ANY_ABOVE, step, 1)
            self._arm(IMPACT, 1)

    def wake_on_freefall(self, threshold_mg: int, duration_ms: int) -> None:
        self._arm(FREE_FALL, 0)
        if threshold_mg:
            step = min((threshold_mg + 7) // 8, 255)
            self._watch(_GEN2INT, _REFERENCE_ZERO, _ALL_BELOW, step, max(1, duration_ms // 10))
            self._arm(FREE_FALL, 1)

    def wake_on_watermark(self, samples: int) -> None:
        self._arm(WATERMARK, 0)
        self._put(_FIFO_CONFIG1, samples * _FRAME_BYTES & 0xFF)
        self._put(_FIFO_CONFIG2, samples * _FRAME_BYTES >> 8)
        self._arm(WATERMARK, samples)

    def woke(self) -> int:
        return self._told(self._get(_INT_STAT0), _INTERRUPTS)

    def selftest(self) -> bool:
        """See _sensor.pyi. Data sheet, "Sensor self-test": 4 g, the difference of pushing and pulling, 50 ms each."""
        from ansim_fw.drivers._selftest import mean_mg

        try:
            self._run(_SELFTEST_100_HZ, _SELFTEST_4_G)
            self._put(_SELF_TEST, _SELFTEST_POSITIVE)
            pushed = mean_mg(self, _SELFTEST_SETTLE_MS, _SELFTEST_SAMPLES)
            self._put(_SELF_TEST, _SELFTEST_NEGATIVE)
            pulled = mean_mg(self, _SELFTEST_SETTLE_MS, _SELFTEST_SAMPLES)
        finally:
            self.stop()
        for axis in range(3):
            if pushed[axis] - pulled[axis] < _SELFTEST_LEAST_MG[axis]:
                return False
        return True

    def stop(self) -> None:
        self._put(_INT_CONFIG0, 0)
        self._put(_SELF_TEST, 0)
        self._put(_ACC_CONFIG0, _SLEEP)

    def _run(self, rate: int, g_range: int) -> None:
        self._put(_CMD, _SOFT_RESET)
        time.sleep_ms(_RESET_MS)
        self._await(_STATUS, _CMD_RDY, _CMD_RDY)
        self._armed = 0
        self._expect(rate, g_range)
        self._put(_ACC_CONFIG0, _NORMAL)
        self._await(_STATUS, _POWER_MODE, _NORMAL << 1)
        self._put(_ACC_CONFIG1, g_range << 6 | _ODR_25_HZ + rate)
        self._put(_INT12_IO_CTRL, _INT1_HIGH)
        self._put(_INT_CONFIG1, _LATCHED)
        self._put(_FIFO_CONFIG0, _FIFO_XYZ)
        self._put(_CMD, _FIFO_FLUSH)

    def _watch(self, register: int, config: int, criterion: int, step: int, samples: int) -> None:
        """Set up a generic interrupt, which must be off: step of 8 mg, number of samples of 10 ms."""
        self._put(register, config)
        self._put(register + 1, criterion)
        self._put(register + 2, step)
        self._put(register + 3, samples >> 8)
        self._put(register + 4, samples & 0xFF)

    def _arm(self, bit: int, armed: int) -> None:
        """Enable what is armed and let it raise INT1."""
        super()._arm(bit, armed)
        enabled = self._enabled(_INTERRUPTS)
        self._put(_INT1_MAP, enabled)
        self._put(_INT_CONFIG0, enabled)
        self.woke()

    def _is_all_data(self, raw: memoryview) -> bool:
        for first in range(0, len(raw), _FRAME_BYTES):
            if raw[first] != _DATA_FRAME:
                return False
        return True

    def _decode(self, raw: memoryview, samples: "array[int]", at: int) -> int:
        """Convert the data frames of a burst; return their number. One that is cut off at the end comes again."""
        if self._is_all_data(raw):
            count = len(raw) // _FRAME_BYTES
            to_mg(raw, 0, count, self._layout, samples, at * 3)
            return count
        found = 0
        first = 0
        while first + _FRAME_BYTES <= len(raw):
            run = self._run_length(raw, first)
            if run:
                to_mg(raw, first, run, self._layout, samples, (at + found) * 3)
                found += run
                first += run * _FRAME_BYTES
            elif raw[first] == _CONTROL_FRAME:
                first += _CONTROL_BYTES
            else:
                # An empty frame, or noise on the bus.
                self.overran = True
                break
        return found

    def _run_length(self, raw: memoryview, first: int) -> int:
        """Return how many whole data frames follow one another from first on: they are converted at once."""
        run = 0
        while first + _FRAME_BYTES <= len(raw) and raw[first] == _DATA_FRAME:
            run += 1
            first += _FRAME_BYTES
        return run


TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    from machine import I2C
