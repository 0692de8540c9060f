"""TDK InvenSense MPU-6886: the accelerometer's rates, ranges, FIFO, self-test, wake on motion and interrupts on INT.

Registers: the public drivers of the MPU6886 (M5Stack's, and one that quotes section 5.1 of DS-000193, "Wake-on-motion")
and InvenSense's own driver of the sister part IAM-20680 (FIFO frames: ACCEL_FIFO_EN writes the temperature, too). Wake
on motion compares each sample with the one before, 4 mg a step, so 1020 mg at most. Self-test: the part's trim is
2620 x 1.01^(code - 1) counts at 2 g, and the response within half of it (InvenSense's self-test note for the MPU-6500
family, whose formula public drivers have).

NOT CHECKED against the data sheet: that INT_STATUS tells of motion with WOM_INT_EN off, and that a byte read from an
empty FIFO is 0xFF. Not modelled: the gyroscope, whose values are 0, and the thermometer, which says 25 degrees.
"""

import errno

from ansim.virtual.models.accelerometer import Accelerometer, Counts, World
from ansim.virtual.models.part import BusError
from ansim.virtual.motion import Vector

_SELF_TEST_X, _SMPLRT_DIV, _CONFIG, _ACCEL_CONFIG, _ACCEL_CONFIG2, _WOM_X_THR = 0x0D, 0x19, 0x1A, 0x1C, 0x1D, 0x20
_FIFO_EN, _INT_PIN_CFG, _INT_ENABLE, _FIFO_WM_STATUS, _INT_STATUS, _ACCEL_XOUT_H = 0x23, 0x37, 0x38, 0x39, 0x3A, 0x3B
_FIFO_WM_TH1, _INTEL_CTRL, _USER_CTRL, _PWR_MGMT_1, _PWR_MGMT_2, _I2C_IF = 0x60, 0x69, 0x6A, 0x6B, 0x6C, 0x70
_FIFO_COUNTH, _FIFO_COUNTL, _FIFO_R_W, _WHO_AM_I = 0x72, 0x73, 0x74, 0x75

# 2620 x 1.01^104 counts are the self-test's response.
_AFTER_RESET = {_WHO_AM_I: 0x19, _PWR_MGMT_1: 0x41, _CONFIG: 0x80, **dict.fromkeys(range(_SELF_TEST_X, 0x10), 105)}
_SELF_TEST_MG = 450.0
_WRITABLE = frozenset(
    {*range(0x04, 0x09), *range(0x13, 0x24), _INT_PIN_CFG, 0x36, _INT_ENABLE, *range(0x50, 0x53), _FIFO_WM_TH1}
    | {0x61, *range(0x68, 0x6D), _I2C_IF, *range(0x77, 0x7F)}
)

_STOP_ON_FULL = 0x40  # CONFIG
_FCHOICE_B = 0x08  # ACCEL_CONFIG2
_GYRO_FIFO, _ACCEL_FIFO = 0x10, 0x08  # FIFO_EN
_ACTIVE_LOW, _LATCH, _ANY_READ_CLEARS = 0x80, 0x20, 0x10  # INT_PIN_CFG
_WOM_X, _WOM_Y, _WOM_Z, _OVERFLOW, _DATA_READY = 0x80, 0x40, 0x20, 0x10, 0x01  # INT_STATUS, INT_ENABLE
_WATERMARK = 0x40  # FIFO_WM_INT_STATUS
_COMPARE, _ALL_AXES = 0xC0, 0x01  # ACCEL_INTEL_CTRL
_FIFO_ON, _FIFO_RESET, _SIGNAL_RESET = 0x40, 0x04, 0x01  # USER_CTRL
_DEVICE_RESET, _SLEEP = 0x80, 0x40  # PWR_MGMT_1
_ACCEL_OFF = 0x38  # PWR_MGMT_2
_I2C_OFF = 0x40  # I2C_IF

_WOM_STEP_MG = 4
_FIFO_BYTES, _SHORTEST_FRAME_BYTES = 1024, 8
_EMPTY = 0xFF


class Mpu6886(Accelerometer):
    """The part; its address is 0x68 or 0x69."""

    ID_REGISTER = _WHO_AM_I
    NOISE_MG = 1.0  # data sheet, front page: 100 ug/sqrt(Hz), at the filter's 99 Hz

    _before: Vector | None  # the sample before, for wake on motion
    _sample: Counts
    _full_enough: bool  # the watermark's status

    def __init__(self, world: World) -> None:
        self._fifo = bytearray()
        super().__init__(world, 0x80, _AFTER_RESET, _WRITABLE)

    def write(self, data: bytes) -> None:
        self._refuse_if_disabled()
        super().write(data)

    # What it is set to

    def _period_ms(self) -> float | None:
        off = self._registers[_PWR_MGMT_2] & _ACCEL_OFF == _ACCEL_OFF
        if off or self._registers[_PWR_MGMT_1] & _SLEEP:
            return None
        return 0.25 if self._registers[_ACCEL_CONFIG2] & _FCHOICE_B else 1.0 + self._registers[_SMPLRT_DIV]

    def _scale(self) -> tuple[int, int]:
        return 2000 << (self._registers[_ACCEL_CONFIG] >> 3 & 3), 16

    def _added_mg(self) -> Vector:
        x, y, z = (_SELF_TEST_MG if self._registers[_ACCEL_CONFIG] & bit else 0.0 for bit in (0x80, 0x40, 0x20))
        return x, y, z

    # Samples

    def _take(self, counts: Counts) -> None:
        standby = self._registers[_PWR_MGMT_2]
        x, y, z = (0 if standby & bit else count for bit, count in zip((0x20, 0x10, 0x08), counts, strict=True))
        self._sample = x, y, z
        events = _DATA_READY | self._motion(self._in_mg(self._sample)) | self._fill()
        self._events |= events
        watermark = self._watermark()
        self._full_enough = self._full_enough or watermark
        if not self._registers[_INT_PIN_CFG] & _LATCH and (events & self._registers[_INT_ENABLE] or watermark):
            self._pulse()

    def _motion(self, mg: Vector) -> int:
        before, self._before = self._before, mg
        control = self._registers[_INTEL_CTRL]
        if before is None or control & _COMPARE != _COMPARE:
            return 0
        found = 0
        for axis, bit in enumerate((_WOM_X, _WOM_Y, _WOM_Z)):
            threshold_mg = self._registers[_WOM_X_THR + axis] * _WOM_STEP_MG
            found |= bit if abs(mg[axis] - before[axis]) > threshold_mg else 0
        return 0 if control & _ALL_AXES and found != _WOM_X | _WOM_Y | _WOM_Z else found

    def _fill(self) -> int:
        """Put the sample into the FIFO; return the overflow's bit if something was lost."""
        frame = self._frame()
        if not frame or not self._registers[_USER_CTRL] & _FIFO_ON:
            return 0
        if len(self._fifo) + len(frame) <= _FIFO_BYTES:
            self._fifo += frame
            return 0
        if not self._registers[_CONFIG] & _STOP_ON_FULL:
            self._fifo += frame
            del self._fifo[:-_FIFO_BYTES]
        return _OVERFLOW

    def _frame(self) -> bytes:
        kinds = self._registers[_FIFO_EN]
        acceleration = b"".join(value.to_bytes(2, "big", signed=True) for value in self._sample)
        temperature, rotation = bytes(2), bytes(6)
        frame = acceleration if kinds & _ACCEL_FIFO else b""
        frame += temperature if kinds & (_ACCEL_FIFO | _GYRO_FIFO) else b""
        return frame + rotation if kinds & _GYRO_FIFO else frame

    def _watermark(self) -> bool:
        level = (self._registers[_FIFO_WM_TH1] & 3) << 8 | self._registers[_FIFO_WM_TH1 + 1]
        return 0 < level <= len(self._fifo)

    # INT

    def _armed(self) -> bool:
        level = self._registers[_FIFO_WM_TH1] & 3 | self._registers[_FIFO_WM_TH1 + 1]
        return bool(self._registers[_INT_ENABLE] or level)

    def _level(self) -> int:
        pending = bool(self._events & self._registers[_INT_ENABLE]) or self._full_enough
        active = pending and bool(self._registers[_INT_PIN_CFG] & _LATCH)
        return int(active != bool(self._registers[_INT_PIN_CFG] & _ACTIVE_LOW))

    def _remembers(self) -> int:
        return _FIFO_BYTES // _SHORTEST_FRAME_BYTES

    def _calm(self, _mg: Vector, spread_mg: float) -> bool:
        wanted = self._registers[_INT_ENABLE]
        if not self._registers[_INT_PIN_CFG] & _LATCH and (wanted & (_DATA_READY | _OVERFLOW) or self._watermark()):
            return False
        quiet = spread_mg <= min(self._registers[_WOM_X_THR : _WOM_X_THR + 3]) * _WOM_STEP_MG
        return quiet or self._registers[_INTEL_CTRL] & _COMPARE != _COMPARE

    # The bus

    def _refuse_if_disabled(self) -> None:
        if self._registers[_I2C_IF] & _I2C_OFF:
            raise BusError(errno.ENODEV)

    def read(self, length: int) -> bytes:
        self._refuse_if_disabled()
        found = super().read(length)
        if self._registers[_INT_PIN_CFG] & _ANY_READ_CLEARS:
            self._events = 0
            self._show_pin()
        return found

    def _load(self, register: int) -> int:
        if _ACCEL_XOUT_H <= register < _ACCEL_XOUT_H + 6:
            value = self._sample[(register - _ACCEL_XOUT_H) // 2] & 0xFFFF
            return value >> 8 if register & 1 else value & 0xFF
        if register == _INT_STATUS:
            found, self._events = self._events, 0
            return found
        if register == _FIFO_WM_STATUS:
            found, self._full_enough = self._full_enough * _WATERMARK, False
            return found
        if register in (_FIFO_COUNTH, _FIFO_COUNTL):
            return len(self._fifo).to_bytes(2, "big")[register - _FIFO_COUNTH]
        if register == _FIFO_R_W:
            return self._fifo.pop(0) if self._fifo else _EMPTY
        return super()._load(register)

    def _store(self, register: int, value: int) -> None:
        super()._store(register, value)
        if register == _PWR_MGMT_1 and value & _DEVICE_RESET:
            self._reset()
        elif register == _USER_CTRL:
            self._registers[_USER_CTRL] &= ~(_FIFO_RESET | _SIGNAL_RESET)
            if value & _FIFO_RESET:
                self._fifo.clear()
            if value & _SIGNAL_RESET:
                self._sample = (0, 0, 0)
        if register == _FIFO_EN and value & _GYRO_FIFO:
            self._not_modelled("the gyroscope (it says 0)")

    def _advance(self) -> None:
        if self._at != _FIFO_R_W:
            super()._advance()

    # The rest

    def _start_clock(self) -> None:
        self._before = None
        super()._start_clock()

    def _forget(self) -> None:
        self._fifo.clear()
        self._events = 0
        self._full_enough = False
        self._sample = (0, 0, 0)
        self._before = None


PART = Mpu6886
