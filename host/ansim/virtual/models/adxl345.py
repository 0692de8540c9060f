"""Analog Devices ADXL345: rates, ranges, FIFO, self-test, activity, free fall and data interrupts on INT1.

Registers, reset values and the wording of each function: data sheet Rev. G as public drivers quote it (i2cdevlib's and
Analog's own comments, the Linux driver's patches), and the data sheet of the ADXL313, which has the same FIFO,
interrupts and self-test. It has no soft reset: only power resets it. An entry of the FIFO ends where a burst passes
0x37 or stops, so that each one takes a transaction of its own.

Activity that is AC-coupled compares with the acceleration "at the start of activity detection": here the first sample
after it is enabled, ACT_INACT_CTL is written or measuring starts. NOT CHECKED on a part: that an event does not take a
new reference. NOT CHECKED either: that with FIFO "filled" 32 entries and the one at the output filter are meant.
Self-test below 100 Hz, at 1600 Hz or in low power is outside its limits here; the data sheet says that it may be.
Not modelled, and told in the board's log when used: taps, inactivity, link and auto sleep.
"""

from ansim.virtual.models.accelerometer import Accelerometer, Counts, Run, SampleFifo, World
from ansim.virtual.motion import Vector

_DEVID, _OFSX, _THRESH_ACT, _ACT_INACT_CTL, _THRESH_FF, _TIME_FF = 0x00, 0x1E, 0x24, 0x27, 0x28, 0x29
_ACT_TAP_STATUS, _BW_RATE, _POWER_CTL, _INT_ENABLE, _INT_MAP, _INT_SOURCE = 0x2B, 0x2C, 0x2D, 0x2E, 0x2F, 0x30
_DATA_FORMAT, _DATAX0, _DATAZ1, _FIFO_CTL, _FIFO_STATUS = 0x31, 0x32, 0x37, 0x38, 0x39

_AFTER_RESET = {_DEVID: 0xE5, _BW_RATE: 0x0A}
_WRITABLE = frozenset({*range(0x1D, _ACT_TAP_STATUS), *range(_BW_RATE, _INT_SOURCE), _DATA_FORMAT, _FIFO_CTL})

_DATA_READY, _TAPS, _ACTIVITY, _INACTIVITY, _FREE_FALL, _WATERMARK, _OVERRUN = 0x80, 0x60, 0x10, 0x08, 4, 2, 1
_LOW_POWER = 0x10  # BW_RATE
_LINK, _AUTO_SLEEP, _MEASURE, _SLEEP = 0x20, 0x10, 0x08, 0x04  # POWER_CTL
_SELF_TEST, _INT_INVERT, _FULL_RES, _JUSTIFY = 0x80, 0x20, 0x08, 0x04  # DATA_FORMAT
_AC = 0x80  # ACT_INACT_CTL
_ON_INT2 = 0x20  # FIFO_CTL

_BYPASS, _FIFO, _STREAM, _TRIGGER = range(4)
_DEPTH = 33  # 32, and one more at the output filter
_THRESHOLD_STEP_MG, _TIME_FF_STEP_MS, _OFFSET_STEP_MG = 62.5, 5, 15.6
_SELF_TEST_MG = (1000.0, -1000.0, 1500.0)
_OUTSIDE_ITS_LIMITS = 0.1
_LOWEST_SELF_TEST_CODE, _BAD_SELF_TEST_CODE = 0x0A, 0x0E  # 100 and 1600 Hz


class Adxl345(Accelerometer):
    """The part; its address is 0x53 or 0x1D."""

    ID_REGISTER = _DEVID
    NOISE_MG = 2.9  # data sheet, table 1: 0.75 LSB RMS of 3.9 mg on x and y

    _reference: Vector | None  # for AC-coupled activity; None: the next sample
    _oldest: Counts  # what the data registers say
    _events: int  # bits of INT_SOURCE that its reading clears
    _unread: bool
    _triggered: bool

    def __init__(self, world: World) -> None:
        self._fifo = SampleFifo(_DEPTH)
        self._fall_run = Run()
        super().__init__(world, 0x40, _AFTER_RESET, _WRITABLE)

    # What it is set to

    def _period_ms(self) -> float | None:
        power = self._registers[_POWER_CTL]
        if not power & _MEASURE:
            return None
        if power & _SLEEP:
            return 125.0 * (1 << (power & 3))
        return (1 << (15 - (self._registers[_BW_RATE] & 0x0F))) / 3.2

    def _scale(self) -> tuple[int, int]:
        form = self._registers[_DATA_FORMAT]
        step = form & 3
        return 2000 << step, 10 + step if form & _FULL_RES else 10

    def _added_mg(self) -> Vector:
        share = self._self_test_share()
        x, y, z = (
            _signed(offset) * _OFFSET_STEP_MG + share * test
            for offset, test in zip(self._registers[_OFSX : _OFSX + 3], _SELF_TEST_MG, strict=True)
        )
        return x, y, z

    def _self_test_share(self) -> float:
        if not self._registers[_DATA_FORMAT] & _SELF_TEST:
            return 0.0
        rate, code = self._registers[_BW_RATE], self._registers[_BW_RATE] & 0x0F
        good = not rate & _LOW_POWER and code >= _LOWEST_SELF_TEST_CODE and code != _BAD_SELF_TEST_CODE
        return 1.0 if good else _OUTSIDE_ITS_LIMITS

    @property
    def _fifo_mode(self) -> int:
        return self._registers[_FIFO_CTL] >> 6

    # Samples

    def _take(self, counts: Counts) -> None:
        mg = self._in_mg(counts)
        self._look_for_activity(mg)
        self._look_for_free_fall(mg)
        if not self._registers[_POWER_CTL] & _SLEEP:
            self._keep(self._in_registers(counts))

    def _in_registers(self, counts: Counts) -> Counts:
        shift = 16 - self._scale()[1] if self._registers[_DATA_FORMAT] & _JUSTIFY else 0
        return counts[0] << shift, counts[1] << shift, counts[2] << shift

    def _keep(self, sample: Counts) -> None:
        mode = self._fifo_mode
        if mode == _BYPASS:
            self._lost = self._unread
            self._oldest, self._unread = sample, True
            return
        if mode == _TRIGGER and not self._triggered and self._trigger():
            self._triggered = True
            while len(self._fifo) > self._registers[_FIFO_CTL] & 0x1F:
                self._fifo.take()
        keep_newest = mode == _STREAM or (mode == _TRIGGER and not self._triggered)
        self._fifo.put(sample, keep_newest)

    def _trigger(self) -> bool:
        mapped = self._registers[_INT_MAP]
        wanted = mapped if self._registers[_FIFO_CTL] & _ON_INT2 else ~mapped
        return bool(self._events & self._registers[_INT_ENABLE] & wanted)

    # Events

    @property
    def _activity_mg(self) -> float:
        return self._registers[_THRESH_ACT] * _THRESHOLD_STEP_MG

    @property
    def _free_fall_mg(self) -> float:
        return self._registers[_THRESH_FF] * _THRESHOLD_STEP_MG

    def _look_for_activity(self, mg: Vector) -> None:
        control = self._registers[_ACT_INACT_CTL]
        if not self._registers[_INT_ENABLE] & _ACTIVITY:
            return
        if self._reference is None:
            self._reference = mg
        seen = tuple(a - b for a, b in zip(mg, self._reference, strict=True)) if control & _AC else mg
        axes = 0
        for bit, value in zip((0x40, 0x20, 0x10), seen, strict=True):
            axes |= bit if abs(value) > self._activity_mg else 0
        axes &= control
        if axes and not self._events & _ACTIVITY:
            self._events |= _ACTIVITY
            self._registers[_ACT_TAP_STATUS] = axes

    def _look_for_free_fall(self, mg: Vector) -> None:
        if not self._registers[_INT_ENABLE] & _FREE_FALL:
            self._fall_run.clear()
            return
        falling = max(abs(value) for value in mg) < self._free_fall_mg
        period_ms = self._period_ms() or 1.0
        samples = int(self._registers[_TIME_FF] * _TIME_FF_STEP_MS / period_ms)
        if self._fall_run.lasts(falling, samples):
            self._events |= _FREE_FALL

    def _source(self) -> int:
        waiting, watermark = len(self._fifo), self._registers[_FIFO_CTL] & 0x1F
        bypass = self._fifo_mode == _BYPASS
        found = self._events
        found |= _DATA_READY if (self._unread if bypass else waiting) else 0
        found |= _WATERMARK if waiting >= watermark else 0
        found |= _OVERRUN if (self._lost if bypass else self._fifo.full) else 0
        return found

    # INT1

    def _armed(self) -> bool:
        return bool(self._registers[_INT_ENABLE] & ~self._registers[_INT_MAP])

    def _level(self) -> int:
        active = self._source() & self._registers[_INT_ENABLE] & ~self._registers[_INT_MAP]
        return int(bool(active) != bool(self._registers[_DATA_FORMAT] & _INT_INVERT))

    def _remembers(self) -> int:
        return _DEPTH

    def _calm(self, mg: Vector, spread_mg: float) -> bool:
        wanted, control = self._registers[_INT_ENABLE] & ~self._events, self._registers[_ACT_INACT_CTL]
        if wanted & _FREE_FALL and max(abs(value) for value in mg) - spread_mg < self._free_fall_mg:
            return False
        if not wanted & _ACTIVITY:
            return True
        reference = self._reference if control & _AC and self._reference else (0.0, 0.0, 0.0)
        change_mg = max(abs(value - then) for value, then in zip(mg, reference, strict=True))
        return change_mg + spread_mg <= self._activity_mg

    # The bus

    def read(self, length: int) -> bytes:
        self._reading = False
        found = super().read(length)
        self._end_entry()
        self._show_pin()
        return found

    def _end_entry(self) -> None:
        """The data registers were read: an entry of the FIFO is done with."""
        if self._reading:
            self._reading = self._unread = self._lost = False
            self._fifo.take()

    def _load(self, register: int) -> int:
        if _DATAX0 <= register <= _DATAZ1:
            return self._load_data(register)
        self._end_entry()
        if register == _INT_SOURCE:
            found = self._source()
            self._events = 0
            return found
        if register == _FIFO_STATUS:
            return self._triggered << 7 | len(self._fifo)
        return super()._load(register)

    def _load_data(self, register: int) -> int:
        if not self._reading and self._fifo_mode != _BYPASS:
            self._oldest = self._fifo.oldest() or self._oldest
        self._reading = True
        value = self._oldest[(register - _DATAX0) // 2] & 0xFFFF
        return value >> 8 if register & 1 else value & 0xFF

    def _store(self, register: int, value: int) -> None:
        mode, detecting = self._fifo_mode, self._registers[_INT_ENABLE] & _ACTIVITY
        super()._store(register, value)
        if register == _FIFO_CTL and self._fifo_mode != mode:
            self._triggered = False
            if self._fifo_mode == _BYPASS:
                self._fifo.clear()
        elif register == _INT_ENABLE:
            # What is disabled does not stay pending.
            self._events &= value
        if register == _ACT_INACT_CTL or (register == _INT_ENABLE and value & _ACTIVITY and not detecting):
            self._reference = None
        self._tell_what_is_not_modelled()

    # The rest

    def _start_clock(self) -> None:
        self._reference = None
        super()._start_clock()

    def _forget(self) -> None:
        self._fifo.clear()
        self._fall_run.clear()
        self._events = 0
        self._unread = self._lost = self._reading = self._triggered = False
        self._oldest = (0, 0, 0)
        self._reference = None

    def _tell_what_is_not_modelled(self) -> None:
        enabled, power = self._registers[_INT_ENABLE], self._registers[_POWER_CTL]
        told = {
            "tap detection": enabled & _TAPS,
            "inactivity": enabled & _INACTIVITY,
            "link and auto sleep": power & (_LINK | _AUTO_SLEEP),
        }
        for what, used in told.items():
            if used:
                self._not_modelled(what)


def _signed(value: int) -> int:
    return value - 256 if value & 0x80 else value


PART = Adxl345
