"""TDK InvenSense MPU-6886: its accelerometer; the gyroscope stays off.

Sources: data sheet DS-000193, Rev. 1.1, section 5.1 "Wake-on-motion interrupt" and the register map, as public drivers
quote and use them (M5Stack's and others'); the FIFO's packet of 8 bytes in low-power mode as jonnor's
micropython-mpu6886 reads it; InvenSense's driver for the sister parts (ICM-20602, ICM-20608: self-test, its table
2620 * 1.01^(code - 1), its limits). The data sheet itself was not at hand.

NOT CHECKED: whether its FIFO of "1 kB" holds 1024 bytes or, as the ICM-20602's, 1008; both are whole packets, and 1008
count as full. The current in low-power mode.
"""

import time

from micropython import const

from ansim_fw.drivers._part import IMPACT, RANGES_G, RATES_HZ, WATERMARK, Part

_SELF_TEST_X_ACCEL = const(0x0D)
_SMPLRT_DIV = const(0x19)
_CONFIG = const(0x1A)
_ACCEL_CONFIG = const(0x1C)
_ACCEL_CONFIG2 = const(0x1D)
_ACCEL_WOM_X_THR = const(0x20)
_FIFO_EN = const(0x23)
_INT_PIN_CFG = const(0x37)
_INT_ENABLE = const(0x38)
_FIFO_WM_INT_STATUS = const(0x39)
_INT_STATUS = const(0x3A)
_FIFO_WM_TH1 = const(0x60)
_FIFO_WM_TH2 = const(0x61)
_ACCEL_INTEL_CTRL = const(0x69)
_USER_CTRL = const(0x6A)
_PWR_MGMT_1 = const(0x6B)
_PWR_MGMT_2 = const(0x6C)
_FIFO_COUNTH = const(0x72)
_FIFO_R_W = const(0x74)
_WHO_AM_I = const(0x75)

_ID = const(0x19)
# PWR_MGMT_1; the best clock there is.
_DEVICE_RESET = const(0x80)
_SLEEP = const(0x40)
_CYCLE = const(0x20)
_AUTO_CLOCK = const(0x01)
_GYRO_OFF = const(0x07)
# CONFIG: 1 kHz is divided; the newest push out the oldest.
_DLPF_1 = const(0x01)
# ACCEL_CONFIG2: means of 4 in low-power mode; 99 Hz for the self-test.
_LOW_POWER_FILTER = const(0x07)
_SELFTEST_FILTER = const(0x02)
_ACCEL_FIFO_EN = const(0x08)
_FIFO_ON = const(0x40)
_FIFO_RST = const(0x04)
# INT_PIN_CFG: active high, latched until INT_STATUS is read.
_LATCH_INT = const(0x20)
_WOM_XYZ = const(0xE0)
# Compare with the sample before; any axis.
_WOM_ON = const(0xC0)
_FIFO_WM_INT = const(0x40)

_PACKET_BYTES = const(8)
_FULL_BYTES = const(1008)
# Big endian, 2^15 is the full scale; the temperature follows.
_LAYOUT = const(0x08010)
_SHIFT_2_G = const(11)

_RESET_MS = const(10)
_SELFTEST_ON = const(0xE0)
_SELFTEST_SETTLE_MS = const(30)
_SELFTEST_SAMPLES = const(200)
# The factory's code 1 stands for 2620 of 16384 a g.
_CODE_1_MG = 2620 * 1000 / 16384
_NO_CODE_MIN_MG = const(225)
_NO_CODE_MAX_MG = const(675)


class Sensor(Part):
    """See _sensor.pyi.

    wake_on_impact: compares with the sample before, in steps of 4 mg, at most 1020 mg.
    """

    NAME = "mpu6886"
    # At least 1008 bytes, in packets of 8.
    HISTORY_SAMPLES = const(126)
    HAS_FREE_FALL = False

    def __init__(self, bus: "I2C", address: int) -> None:
        super().__init__(bus, address, _PACKET_BYTES)
        self._count = bytearray(2)

    def identify(self) -> bool:
        return self._get(_WHO_AM_I) == _ID

    def start(self, rate_hz: int, range_g: int) -> None:
        RATES_HZ.index(rate_hz)
        self._run(1000 // rate_hz - 1, RANGES_G.index(range_g), _LOW_POWER_FILTER)
        self._put(_PWR_MGMT_1, _CYCLE | _AUTO_CLOCK)

    def _expect(self, _rate: int, g_range: int) -> None:
        self._layout = _LAYOUT | _SHIFT_2_G - g_range

    def _read(self, samples: "array[int]") -> int:
        # Both bytes at once, so that they belong together.
        self._bus.readfrom_mem_into(self._address, _FIFO_COUNTH, self._count)
        held = (self._count[0] & 0x1F) << 8 | self._count[1]
        self.overran = held >= _FULL_BYTES
        if held % _PACKET_BYTES:
            # It knows bytes, not packets: an error in the middle of one shifts all that follows.
            self._empty()
            self.overran = True
            return 0
        return self._take(_FIFO_R_W, min(held // _PACKET_BYTES, self.FIFO_SAMPLES), samples)

    def wake_on_impact(self, threshold_mg: int) -> None:
        self._arm(IMPACT, 0)
        if threshold_mg:
            for axis in range(3):
                self._put(_ACCEL_WOM_X_THR + axis, max(1, min(threshold_mg // 4, 255)))
            self._arm(IMPACT, 1)

    def wake_on_watermark(self, samples: int) -> None:
        self._put(_FIFO_WM_TH1, samples * _PACKET_BYTES >> 8)
        self._put(_FIFO_WM_TH2, samples * _PACKET_BYTES & 0xFF)
        self._arm(WATERMARK, samples)

    def woke(self) -> int:
        bits = 0
        if self._get(_INT_STATUS) & _WOM_XYZ:
            bits |= IMPACT
        if self._get(_FIFO_WM_INT_STATUS) & _FIFO_WM_INT:
            bits |= WATERMARK
        return bits & self._armed

    def selftest(self) -> bool:
        """See _sensor.pyi. InvenSense's driver: 1 kHz, 2 g; the response is half to one and a half of the factory's."""
        from ansim_fw.drivers._selftest import mean_mg

        try:
            self._run(0, 0, _SELFTEST_FILTER)
            before = mean_mg(self, _SELFTEST_SETTLE_MS, _SELFTEST_SAMPLES)
            self._put(_ACCEL_CONFIG, _SELFTEST_ON)
            after = mean_mg(self, _SELFTEST_SETTLE_MS, _SELFTEST_SAMPLES)
            codes = [self._get(_SELF_TEST_X_ACCEL + axis) for axis in range(3)]
        finally:
            self.stop()
        for axis in range(3):
            response = after[axis] - before[axis]
            if 0 in codes:
                if not _NO_CODE_MIN_MG <= abs(response) <= _NO_CODE_MAX_MG:
                    return False
            elif not 0.5 <= response / (_CODE_1_MG * 1.01 ** (codes[axis] - 1)) <= 1.5:
                return False
        return True

    def stop(self) -> None:
        self._put(_INT_ENABLE, 0)
        self._put(_ACCEL_CONFIG, 0)
        self._put(_PWR_MGMT_1, _SLEEP | _AUTO_CLOCK)

    def _run(self, divider: int, g_range: int, filter_code: int) -> None:
        self._put(_PWR_MGMT_1, _DEVICE_RESET)
        time.sleep_ms(_RESET_MS)
        self._await(_PWR_MGMT_1, _DEVICE_RESET, 0)
        self._armed = 0
        self._layout = _LAYOUT | _SHIFT_2_G - g_range
        self._put(_PWR_MGMT_1, _AUTO_CLOCK)
        self._put(_PWR_MGMT_2, _GYRO_OFF)
        self._put(_CONFIG, _DLPF_1)
        self._put(_SMPLRT_DIV, divider)
        self._put(_ACCEL_CONFIG, g_range << 3)
        self._put(_ACCEL_CONFIG2, filter_code)
        self._put(_INT_PIN_CFG, _LATCH_INT)
        self._put(_FIFO_EN, _ACCEL_FIFO_EN)
        self._empty()

    def _empty(self) -> None:
        self._put(_USER_CTRL, _FIFO_RST)
        self._put(_USER_CTRL, _FIFO_ON)

    def _arm(self, bit: int, armed: int) -> None:
        """Enable what is armed; what happened before does not raise INT1. The watermark needs no enabling."""
        super()._arm(bit, armed)
        self._put(_ACCEL_INTEL_CTRL, _WOM_ON if self._armed & IMPACT else 0)
        self.woke()
        self._put(_INT_ENABLE, _WOM_XYZ if self._armed & IMPACT else 0)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    from machine import I2C
