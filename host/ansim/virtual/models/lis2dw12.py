"""ST LIS2DW12: rates, ranges, FIFO, self-test, wake-up, free fall and data interrupts on INT1.

Registers and their bits: data sheet DS11811 as public drivers comment it (ST's lis2dw12_reg.h, and Wuerth's header for
the WSEN-ITDS, which is this part). Self-test: 70 to 1500 mg, in ST's own self-test example. Wake-up runs on high-passed
data unless USR_OFF_ON_WU is set (ST community, "LIS2DTW12 wake up filter"), and its filter has to settle for one sample
after power-down (STMems_Standard_C_drivers issue 58): with the corner of ODR/4 that is the slope
(a[n] - a[n-1]) / 2, the halved one that ST's application notes for the sister parts give (AN5130, "slope filter").
A threshold T therefore answers to a change of 2 T between two samples.

NOT CHECKED against the data sheet itself: what counts as the trigger of the two triggered FIFO modes (here: wake-up or
free fall, if it is routed to INT1), and that FIFO_OVR also tells of a sample that FIFO mode refused.
Not modelled, and told in the board's log when used: taps, 6D, activity and inactivity, filters slower than ODR/4.
"""

import errno

from ansim.virtual.models.accelerometer import Accelerometer, Counts, Fault, Run, SampleFifo, World
from ansim.virtual.models.part import BusError
from ansim.virtual.motion import Vector

_WHO_AM_I, _CTRL1, _CTRL2, _CTRL3, _CTRL4, _CTRL5, _CTRL6 = 0x0F, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25
_STATUS, _OUT_X_L, _OUT_Z_H, _FIFO_CTRL, _FIFO_SAMPLES = 0x27, 0x28, 0x2D, 0x2E, 0x2F
_WAKE_UP_THS, _WAKE_UP_DUR, _FREE_FALL, _STATUS_DUP, _WAKE_UP_SRC = 0x34, 0x35, 0x36, 0x37, 0x38
_ALL_INT_SRC, _X_OFS, _CTRL7 = 0x3B, 0x3C, 0x3F

_AFTER_RESET = {_WHO_AM_I: 0x44, _CTRL2: 0x04}
_WRITABLE = frozenset({*range(_CTRL1, _CTRL6 + 1), _FIFO_CTRL, *range(0x30, 0x37), *range(_X_OFS, _CTRL7 + 1)})

_BOOT, _SOFT_RESET, _IF_ADD_INC, _I2C_DISABLE = 0x80, 0x40, 0x04, 0x02  # CTRL2
_LIR, _ACTIVE_LOW, _SLP_MODE_SEL, _SLP_MODE_1 = 0x10, 0x08, 0x02, 0x01  # CTRL3
_INT_6D, _INT_TAP, _INT_WU, _INT_FF, _INT_DIFF5, _INT_FTH, _INT_DRDY = 0x80, 0x48, 0x20, 0x10, 0x04, 0x02, 0x01  # CTRL4
_INT2_OVR = 0x08  # CTRL5
_FDS = 0x08  # CTRL6
_DRDY_PULSED, _INT2_ON_INT1, _ENABLE, _OFF_ON_OUT, _OFF_ON_WU, _OFF_HEAVY, _HP_REF = 0x80, 0x40, 0x20, 0x10, 8, 4, 2
_SLEEP_ON, _STATIONARY = 0x40, 0x10

_LOW_POWER, _HIGH_PERFORMANCE, _SINGLE = 0, 1, 2
_LOW_POWER_HZ = (0, 1.6, 12.5, 25, 50, 100, 200, 200, 200, 200)
_HIGH_PERFORMANCE_HZ = (0, 12.5, 12.5, 25, 50, 100, 200, 400, 800, 1600)
_FREE_FALL_STEPS, _FREE_FALL_STEP_MG = (5, 7, 8, 10, 11, 13, 15, 16), 31.25
_OFFSET_STEP_MG, _HEAVY_OFFSET_STEP_MG = 0.977, 15.6
_SELF_TEST_MG = (420.0, 380.0, 510.0)
_NO_SELF_TEST = (0.0, 0.0, 0.0)

_BYPASS, _FIFO, _CONTINUOUS_TO_FIFO, _BYPASS_TO_CONTINUOUS, _CONTINUOUS = 0, 1, 3, 4, 6
_DEPTH = 32

_X_WU, _Y_WU, _Z_WU, _WU_IA, _FF_IA = 0x04, 0x02, 0x01, 0x08, 0x20  # WAKE_UP_SRC


class Lis2dw12(Accelerometer):
    """The part; its address is 0x18 or 0x19."""

    ID_REGISTER = _WHO_AM_I
    NOISE_MG = 1.3  # data sheet, front page: RMS in low-power mode, at best

    _before: Vector  # the sample before, for the slope
    _reference: Vector
    _latest: Counts
    _read_from_fifo: Counts
    _events: int  # bits as in WAKE_UP_SRC
    _triggered: bool  # of the two triggered FIFO modes

    def __init__(self, world: World) -> None:
        self._fifo = SampleFifo(_DEPTH)
        self._wake_run, self._fall_run = Run(), Run()
        super().__init__(world, 0x40, _AFTER_RESET, _WRITABLE)

    def write(self, data: bytes) -> None:
        self._refuse_if_disabled()
        super().write(data)

    def read(self, length: int) -> bytes:
        self._refuse_if_disabled()
        return super().read(length)

    # What it is set to

    def _period_ms(self) -> float | None:
        control, mode = self._registers[_CTRL1], self._registers[_CTRL1] >> 2 & 3
        rates = _HIGH_PERFORMANCE_HZ if mode == _HIGH_PERFORMANCE else _LOW_POWER_HZ
        code = control >> 4
        if mode > _HIGH_PERFORMANCE or not 0 < code < len(rates):
            return None
        return 1000 / rates[code]

    def _scale(self) -> tuple[int, int]:
        mode = self._registers[_CTRL1]
        coarse = mode >> 2 & 3 != _HIGH_PERFORMANCE and not mode & 3
        return 2000 << (self._registers[_CTRL6] >> 4 & 3), 12 if coarse else 14

    def _added_mg(self) -> Vector:
        sign = {1: 1, 2: -1}.get(self._registers[_CTRL3] >> 6, 0)
        return (sign * _SELF_TEST_MG[0], sign * _SELF_TEST_MG[1], sign * _SELF_TEST_MG[2]) if sign else _NO_SELF_TEST

    @property
    def _fifo_mode(self) -> int:
        return self._registers[_FIFO_CTRL] >> 5

    # Samples

    def _take(self, counts: Counts) -> None:
        mg = self._in_mg(counts)
        before = self._before
        high = tuple((now - then) / 2 for now, then in zip(mg, before, strict=True))
        self._before = mg
        if self._registers[_CTRL7] & _HP_REF:
            high = tuple(now - then for now, then in zip(mg, self._reference, strict=True))
        if self._registers[_CTRL7] & _ENABLE:
            self._look_for_wake_up(mg, high)
            self._look_for_free_fall(mg)
        self._ready = True
        self._keep(self._output(mg, high))
        if self._registers[_CTRL7] & _DRDY_PULSED and self._registers[_CTRL4] & _INT_DRDY:
            self._pulse()

    def _output(self, mg: Vector, high: tuple[float, ...]) -> Counts:
        """Return what the output registers say, left-justified."""
        control = self._registers[_CTRL7]
        full_mg, bits = self._scale()
        shown: tuple[float, ...] = mg
        if self._registers[_CTRL6] & _FDS:
            shown = high
        elif control & _OFF_ON_OUT:
            shown = tuple(value - offset for value, offset in zip(mg, self._user_offset_mg(), strict=True))
        top = 1 << (bits - 1)
        x, y, z = (max(-top, min(round(value * top / full_mg), top - 1)) << (16 - bits) for value in shown)
        return x, y, z

    def _user_offset_mg(self) -> Vector:
        step_mg = _HEAVY_OFFSET_STEP_MG if self._registers[_CTRL7] & _OFF_HEAVY else _OFFSET_STEP_MG
        x, y, z = (_signed(value) * step_mg for value in self._registers[_X_OFS : _X_OFS + 3])
        return x, y, z

    def _keep(self, sample: Counts) -> None:
        mode = self._fifo_mode
        self._latest = sample
        if mode in (_FIFO, _CONTINUOUS):
            self._fifo.put(sample, keep_newest=mode == _CONTINUOUS)
        elif mode == _CONTINUOUS_TO_FIFO:
            self._fifo.put(sample, keep_newest=not self._triggered)
        elif mode == _BYPASS_TO_CONTINUOUS and self._triggered:
            self._fifo.put(sample, keep_newest=True)
        # The sample that triggers is the last of the old mode.
        self._triggered = self._triggered or self._events_on_int1()

    # Events

    @property
    def _wake_up_mg(self) -> float:
        return (self._registers[_WAKE_UP_THS] & 0x3F) * self._scale()[0] / 64

    @property
    def _free_fall_mg(self) -> float:
        return _FREE_FALL_STEPS[self._registers[_FREE_FALL] & 7] * _FREE_FALL_STEP_MG

    def _look_for_wake_up(self, mg: Vector, high: tuple[float, ...]) -> None:
        threshold_mg = self._wake_up_mg
        seen = high
        if self._registers[_CTRL7] & _OFF_ON_WU:
            seen = tuple(value - offset for value, offset in zip(mg, self._user_offset_mg(), strict=True))
        axes = 0
        for bit, value in zip((_X_WU, _Y_WU, _Z_WU), seen, strict=True):
            axes |= bit if abs(value) > threshold_mg else 0
        lasts = self._wake_run.lasts(bool(axes), self._registers[_WAKE_UP_DUR] >> 5 & 3)
        self._set_event(_WU_IA | _X_WU | _Y_WU | _Z_WU, _WU_IA | axes if lasts else 0)

    def _look_for_free_fall(self, mg: Vector) -> None:
        samples = self._registers[_FREE_FALL] >> 3 | (self._registers[_WAKE_UP_DUR] >> 2 & 0x20)
        falling = max(abs(value) for value in mg) < self._free_fall_mg
        self._set_event(_FF_IA, _FF_IA if self._fall_run.lasts(falling, samples) else 0)

    def _set_event(self, mask: int, seen: int) -> None:
        latched = self._registers[_CTRL3] & _LIR
        self._events = self._events | seen if latched else self._events & ~mask | seen

    def _events_on_int1(self) -> bool:
        routes = self._registers[_CTRL4]
        return bool((self._events & _WU_IA and routes & _INT_WU) or (self._events & _FF_IA and routes & _INT_FF))

    @property
    def _over_threshold(self) -> bool:
        return self._fifo_mode != _BYPASS and len(self._fifo) >= self._registers[_FIFO_CTRL] & 0x1F

    # INT1

    def _armed(self) -> bool:
        more = self._registers[_CTRL7] & _INT2_ON_INT1 and self._registers[_CTRL5] & _INT2_OVR
        return bool(self._registers[_CTRL4] or more)

    def _level(self) -> int:
        routes = self._registers[_CTRL4]
        active = (
            self._events_on_int1()
            or bool(routes & _INT_DRDY and self._ready and not self._registers[_CTRL7] & _DRDY_PULSED)
            or bool(routes & _INT_FTH and self._over_threshold)
            or bool(routes & _INT_DIFF5 and self._fifo.full)
            or bool(
                self._registers[_CTRL7] & _INT2_ON_INT1 and self._registers[_CTRL5] & _INT2_OVR and self._fifo.overrun
            )
        )
        return int(active != bool(self._registers[_CTRL3] & _ACTIVE_LOW))

    def _remembers(self) -> int:
        return _DEPTH

    def _calm(self, mg: Vector, spread_mg: float) -> bool:
        control = self._registers[_CTRL7]
        if control & _DRDY_PULSED and self._registers[_CTRL4] & _INT_DRDY:
            return False
        if not control & _ENABLE:
            return True
        seen_mg = spread_mg / 2
        if control & _HP_REF:
            seen_mg = spread_mg + max(abs(now - then) for now, then in zip(mg, self._reference, strict=True))
        if control & _OFF_ON_WU:
            offsets = self._user_offset_mg()
            seen_mg = spread_mg + max(abs(value - offset) for value, offset in zip(mg, offsets, strict=True))
        falling = max(abs(value) for value in mg) - spread_mg < self._free_fall_mg
        return not falling and seen_mg <= self._wake_up_mg

    # The bus

    def _refuse_if_disabled(self) -> None:
        if self._registers[_CTRL2] & _I2C_DISABLE:
            raise BusError(errno.ENODEV)

    def _load(self, register: int) -> int:
        if _OUT_X_L <= register <= _OUT_Z_H:
            return self._load_output(register)
        found = {
            _STATUS: self._status,
            _FIFO_SAMPLES: self._fifo_samples,
            _STATUS_DUP: self._status_again,
            _WAKE_UP_SRC: self._wake_up_source,
            _ALL_INT_SRC: self._all_sources,
        }.get(register)
        return found() if found else super()._load(register)

    def _load_output(self, register: int) -> int:
        sample = self._latest
        if self._fifo_mode != _BYPASS:
            self._read_from_fifo = self._fifo.oldest() or self._read_from_fifo
            sample = self._read_from_fifo
        value = sample[(register - _OUT_X_L) // 2] & 0xFFFF
        if register == _OUT_Z_H:
            self._ready = False
            self._fifo.take()
        return value >> 8 if register & 1 else value & 0xFF

    def _status(self) -> int:
        events = (self._events & _WU_IA) << 3 | (self._events & _FF_IA) >> 4
        return self._over_threshold << 7 | events | self._ready

    def _fifo_samples(self) -> int:
        return self._over_threshold << 7 | self._fifo.overrun << 6 | len(self._fifo)

    def _status_again(self) -> int:
        return self._fifo.overrun << 7 | (self._events & _FF_IA) >> 4 | self._ready

    def _wake_up_source(self) -> int:
        return self._clear(self._events)

    def _all_sources(self) -> int:
        return self._clear((self._events & _FF_IA) >> 5 | (self._events & _WU_IA) >> 2)

    def _clear(self, value: int) -> int:
        """Return the value of a source register; reading it ends what is latched."""
        if self._registers[_CTRL3] & _LIR:
            self._events = 0
        return value

    def _store(self, register: int, value: int) -> None:
        mode, high_pass = self._fifo_mode, self._registers[_CTRL7] & _HP_REF
        super()._store(register, value)
        if register == _CTRL2:
            self._control_2(value)
        elif register == _CTRL3 and value & _SLP_MODE_SEL and value & _SLP_MODE_1:
            self._convert_once()
        elif register == _FIFO_CTRL and self._fifo_mode != mode:
            self._change_fifo_mode()
        elif register == _CTRL7:
            self._control_7(value, bool(high_pass))
        self._tell_what_is_not_modelled()

    def _control_2(self, value: int) -> None:
        if value & _SOFT_RESET:
            self._reset()
        self._registers[_CTRL2] &= ~(_BOOT | _SOFT_RESET)

    def _control_7(self, value: int, had_reference: bool) -> None:
        if value & _HP_REF and not had_reference:
            self._reference = self._before
        if not value & _ENABLE:
            self._events = 0
            self._wake_run.clear()
            self._fall_run.clear()

    def _convert_once(self) -> None:
        self._registers[_CTRL3] &= ~_SLP_MODE_1
        if self._registers[_CTRL1] >> 2 & 3 == _SINGLE and self.fault is not Fault.STALLED:
            self._measure(self._world.now_ms())

    def _change_fifo_mode(self) -> None:
        self._triggered = False
        if self._fifo_mode == _BYPASS:
            self._fifo.clear()

    def _advance(self) -> None:
        if not self._registers[_CTRL2] & _IF_ADD_INC:
            return
        if self._at == _OUT_Z_H and self._fifo_mode != _BYPASS:
            self._at = _OUT_X_L
        else:
            super()._advance()

    # The rest

    def _start_clock(self) -> None:
        # The filter starts from nothing: after power-down the first sample is all slope.
        self._before = (0.0, 0.0, 0.0)
        super()._start_clock()

    def _forget(self) -> None:
        self._fifo.clear()
        self._wake_run.clear()
        self._fall_run.clear()
        self._events = 0
        self._ready = self._triggered = False
        self._latest = self._read_from_fifo = (0, 0, 0)
        self._before = self._reference = (0.0, 0.0, 0.0)

    def _tell_what_is_not_modelled(self) -> None:
        registers = self._registers
        told = {
            "tap detection": registers[_CTRL4] & _INT_TAP,
            "6D orientation": registers[_CTRL4] & _INT_6D,
            "activity and inactivity (SLEEP_ON, STATIONARY)": registers[_WAKE_UP_THS] & _SLEEP_ON
            or registers[_WAKE_UP_DUR] & _STATIONARY,
            "a bandwidth below ODR/4": registers[_CTRL6] & 0x80,
        }
        for what, used in told.items():
            if used:
                self._not_modelled(what)


def _signed(value: int) -> int:
    return value - 256 if value & 0x80 else value


PART = Lis2dw12
