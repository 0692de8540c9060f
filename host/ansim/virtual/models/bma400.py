"""Bosch BMA400: rates, ranges, FIFO, self-test, the two generic interrupts and the data interrupts on INT1.

Registers: data sheet BST-BMA400-DS000 (data and rates, page 28; FIFO and its frames, 31 to 36; interrupts, 42 to 44;
status, 61) and Bosch's BMA400_SensorAPI (addresses, masks; self-test at +-4 g: differences of at least 1500, 1200 and
250 mg). Generic interrupts: 8 mg a step; with the reference updated every time, each sample is compared with the one
before, and duration 1 is one sample (a Bosch moderator in "BMA400 interrupt for single sample that exceeds threshold").
acc_filt2 runs at 100 Hz whatever the data rate is. Free fall is a generic interrupt for inactivity on all axes around
the reference 0.

NOT CHECKED: the unit of a reference that is written (here: counts in the range that is set), how the hysteresis is
applied (here: what is active ends that much later), the value after a control frame's header (Bosch's own printed run
has the plain flags), that FIFO_PWR_CONFIG's bit makes reads empty. Noise is that of Bosch's printed run at +-2 g.
Not modelled, and told in the board's log when used: taps, steps, orientation, activity changes, wake-up and the
automatic power modes; low-power mode measures at 25 Hz and fills no FIFO.
"""

import logging
import math
from collections import deque
from dataclasses import dataclass, field

from ansim.virtual.models.accelerometer import Accelerometer, Counts, Run, World
from ansim.virtual.motion import Vector

_CHIP_ID, _STATUS, _DATA, _SENSOR_TIME, _EVENT, _INT_STAT0 = 0x00, 0x03, 0x04, 0x0A, 0x0D, 0x0E
_TEMPERATURE, _FIFO_LENGTH, _FIFO_DATA, _ACC_CONFIG0, _ACC_CONFIG1, _ACC_CONFIG2 = 0x11, 0x12, 0x14, 0x19, 0x1A, 0x1B
_INT_CONFIG0, _INT_CONFIG1, _INT1_MAP, _INT12_MAP, _INT12_IO = 0x1F, 0x20, 0x21, 0x23, 0x24
_FIFO_CONFIG0, _FIFO_WATERMARK, _FIFO_PWR = 0x26, 0x27, 0x29
_AUTO_LOW_POWER, _AUTO_WAKE_UP, _GEN1, _GEN2, _SELF_TEST, _CMD = 0x2B, 0x2D, 0x3F, 0x4A, 0x7D, 0x7E

# 25 degrees; active high; 200 Hz and +-4 g.
_AFTER_RESET = {_CHIP_ID: 0x90, _EVENT: 0x01, _TEMPERATURE: 4, _ACC_CONFIG1: 0x49, _INT12_IO: 0x22}
_WRITABLE = frozenset({*range(_ACC_CONFIG0, 0x1C), *range(_INT_CONFIG0, 0x59), 0x7C, _SELF_TEST})

_DRDY, _WATERMARK, _FULL, _GEN2_INT, _GEN1_INT = 0x80, 0x40, 0x20, 0x08, 0x04  # INT_STAT0, INT_CONFIG0, INT1_MAP
_LATCH = 0x80  # INT_CONFIG1
_ACTIVE_HIGH = 0x02  # INT12_IO
_FLUSH_ON_CHANGE, _STOP_ON_FULL, _TIME_FRAME, _FROM_FILTER_2, _8_BIT = 1, 2, 4, 8, 16  # FIFO_CONFIG0
_SOFT_RESET, _FIFO_FLUSH = 0xB6, 0xB0

_ASLEEP, _LOW_POWER, _NORMAL = 0, 1, 2
_LOW_POWER_MS, _ENGINE_HZ = 40.0, 100
_SLOW_SHARE = 1 - math.exp(-2 * math.pi * 1.0 / _ENGINE_HZ)  # of a first-order filter of 1 Hz
_SELF_TEST_MG = (1100.0, 950.0, 300.0)

_FIFO_BYTES, _FULL_BELOW_BYTES = 1024, 9
_EMPTY_FRAME = b"\x80\x00"
_STEP_MG = 8
_HYSTERESIS_MG = (0, 24, 48, 96)
_MANUAL, _ONE_TIME, _EVERY_TIME, _EVERY_TIME_SLOW = range(4)


@dataclass
class _Generic:
    """A generic interrupt.

    Args:
        base: its first register.
        bit: its bit in the interrupt registers.
    """

    base: int
    bit: int
    reference: Vector | None = None
    active: bool = False
    run: Run = field(default_factory=Run)

    def clear(self) -> None:
        self.reference, self.active = None, False
        self.run.clear()


class Bma400(Accelerometer):
    """The part; its address is 0x14 or 0x15."""

    ID_REGISTER = _CHIP_ID
    NOISE_MG = 4.0

    _events: int  # latched bits of INT_STAT0
    _shown_counts: Counts  # what the data registers say
    _ready: bool
    _changes: int  # flags of the control frame that is to come
    _used: int  # bytes in the FIFO
    _read: int  # bytes of the oldest frame that this transaction has had
    _over: int  # bytes that it has had after the last frame
    _slow: Vector  # what the filter of 1 Hz says

    def __init__(self, world: World) -> None:
        self._frames: deque[bytes] = deque()
        self._generics = (_Generic(_GEN1, _GEN1_INT), _Generic(_GEN2, _GEN2_INT))
        super().__init__(world, 0x80, _AFTER_RESET, _WRITABLE)

    # What it is set to

    @property
    def _mode(self) -> int:
        return min(self._registers[_ACC_CONFIG0] & 3, _NORMAL)

    @property
    def _rate_hz(self) -> float:
        code = min(max(self._registers[_ACC_CONFIG1] & 0x0F, 5), 11)
        return 12.5 * (1 << (code - 5))

    def _period_ms(self) -> float | None:
        if self._mode == _NORMAL:
            # Both filters run, one at the data rate, one at 100 Hz.
            return 1000 / max(self._rate_hz, _ENGINE_HZ)
        return _LOW_POWER_MS if self._mode == _LOW_POWER else None

    def _scale(self) -> tuple[int, int]:
        return 2000 << (self._registers[_ACC_CONFIG1] >> 6), 12

    def _added_mg(self) -> Vector:
        setting = self._registers[_SELF_TEST]
        sign = -1 if setting & 0x08 else 1
        x, y, z = (sign * mg if setting & bit else 0.0 for bit, mg in zip((1, 2, 4), _SELF_TEST_MG, strict=True))
        return x, y, z

    @property
    def next_sample_ms(self) -> float | None:
        """When filter 1 has its next sample."""
        every = self._every(self._rate_hz)
        period_ms = self._period_ms()
        if self._next_ms is None or period_ms is None:
            return None
        return self._next_ms + -self._taken % every * period_ms

    def _every(self, rate_hz: float) -> int:
        """Return how many samples of the fastest filter are one of a filter of that rate."""
        return round(max(self._rate_hz, _ENGINE_HZ) / rate_hz) if self._mode == _NORMAL else 1

    # Samples

    def _take(self, counts: Counts) -> None:
        count = self._taken - 1
        first, second = count % self._every(self._rate_hz) == 0, count % self._every(_ENGINE_HZ) == 0
        mg = self._in_mg(counts)
        if second:
            x, y, z = (old + (new - old) * _SLOW_SHARE for old, new in zip(self._slow, mg, strict=True))
            self._slow = x, y, z
        if self._mode == _NORMAL:
            self._look_for_events(mg, first, second)
            if second if self._registers[_FIFO_CONFIG0] & _FROM_FILTER_2 else first:
                self._fill(counts)
        source = self._registers[_ACC_CONFIG2] >> 2 & 3
        if second if source else first:
            self._ready = True
            self._shown_counts = self._in_counts(self._slow) if source > 1 else counts
        if self._registers[_INT_CONFIG1] & _LATCH:
            self._events |= self._live()

    def _in_counts(self, mg: Vector) -> Counts:
        full_mg, bits = self._scale()
        x, y, z = (round(value * (1 << (bits - 1)) / full_mg) for value in mg)
        return x, y, z

    # Generic interrupts

    def _look_for_events(self, mg: Vector, first: bool, second: bool) -> None:
        for generic in self._generics:
            config = self._registers[generic.base]
            if self._registers[_INT_CONFIG0] & generic.bit and (second if config & 0x10 else first):
                self._evaluate(generic, mg)

    def _evaluate(self, generic: _Generic, mg: Vector) -> None:
        reference = self._reference(generic, self._registers[generic.base] >> 2 & 3, mg)
        duration = int.from_bytes(self._registers[generic.base + 3 : generic.base + 5], "big")
        generic.active = generic.run.lasts(self._holds(generic, mg, reference), max(duration, 1) - 1)

    def _holds(self, generic: _Generic, mg: Vector, reference: Vector, more_mg: float = 0.0) -> bool:
        """Tell whether the condition of a generic interrupt holds, if the change on each axis were more_mg more."""
        config, logic, steps = self._registers[generic.base : generic.base + 3]
        hysteresis_mg = _HYSTERESIS_MG[config & 3] if generic.active else 0
        pairs = zip(mg, reference, (0x20, 0x40, 0x80), strict=True)
        changes = [max(0.0, abs(a - b) + more_mg) for a, b, used in pairs if config & used]
        if logic & 2:
            holds = [change > steps * _STEP_MG - hysteresis_mg for change in changes]
        else:
            holds = [change < steps * _STEP_MG + hysteresis_mg for change in changes]
        return all(holds) and bool(holds) if logic & 1 else any(holds)

    def _reference(self, generic: _Generic, update: int, mg: Vector) -> Vector:
        if update == _MANUAL:
            at = generic.base + 5
            x, y, z = (_signed_12(self._registers[at + 2 * axis : at + 2 * axis + 2]) for axis in range(3))
            return self._in_mg((x, y, z))
        if update == _EVERY_TIME_SLOW:
            return self._slow
        reference = generic.reference or mg
        generic.reference = mg if update == _EVERY_TIME else reference
        return reference

    # FIFO

    def _fill(self, counts: Counts) -> None:
        config = self._registers[_FIFO_CONFIG0]
        axes = config >> 5
        if not axes:
            return
        if self._changes:
            self._put(bytes((0x48, self._changes)))
            self._changes = 0
        used = [count for axis, count in enumerate(counts) if axes >> axis & 1]
        if config & _8_BIT:
            data = bytes(count >> 4 & 0xFF for count in used)
        else:
            data = b"".join(bytes((count & 0x0F, count >> 4 & 0xFF)) for count in used)
        self._put(bytes((0x80 | (0 if config & _8_BIT else 0x10) | axes << 1,)) + data)

    def _put(self, frame: bytes) -> None:
        if self._used + len(frame) > _FIFO_BYTES and self._registers[_FIFO_CONFIG0] & _STOP_ON_FULL:
            return
        while self._used + len(frame) > _FIFO_BYTES:
            self._drop()
        self._frames.append(frame)
        self._used += len(frame)

    def _drop(self) -> None:
        self._used -= len(self._frames.popleft())
        self._read = 0

    def _flush(self) -> None:
        self._frames.clear()
        self._used = self._read = 0

    def _next_fifo_byte(self) -> int:
        unreadable = self._mode == _ASLEEP or self._registers[_FIFO_PWR] & 1
        if unreadable or not self._frames:
            return self._byte_after_the_last()
        frame = self._frames[0]
        value = frame[self._read]
        self._read += 1
        if self._read == len(frame):
            self._drop()
        return value

    def _byte_after_the_last(self) -> int:
        time = b"\xa0" + self._sensor_time() if self._registers[_FIFO_CONFIG0] & _TIME_FRAME else b""
        at, self._over = self._over, self._over + 1
        return time[at] if at < len(time) else _EMPTY_FRAME[(at - len(time)) % 2]

    def _sensor_time(self) -> bytes:
        return (int(self._world.now_ms() * 3.2) & 0xFFFFFF).to_bytes(3, "little")

    # INT1

    def _live(self) -> int:
        """Return the bits of INT_STAT0 whose condition holds now."""
        watermark = int.from_bytes(self._registers[_FIFO_WATERMARK : _FIFO_WATERMARK + 2], "little") & 0x7FF
        found = _DRDY if self._ready else 0
        found |= _WATERMARK if 0 < watermark <= self._used else 0
        found |= _FULL if _FIFO_BYTES - self._used < _FULL_BELOW_BYTES else 0
        for generic in self._generics:
            found |= generic.bit if generic.active else 0
        return found & self._registers[_INT_CONFIG0]

    def _armed(self) -> bool:
        return bool(self._registers[_INT1_MAP] & self._registers[_INT_CONFIG0])

    def _level(self) -> int:
        active = (self._events | self._live()) & self._registers[_INT1_MAP]
        return int(bool(active) == bool(self._registers[_INT12_IO] & _ACTIVE_HIGH))

    def _remembers(self) -> int:
        config = self._registers[_FIFO_CONFIG0]
        # The slow filter is at its end sooner: each of these is at most 10 ms, and it has settled after a second.
        return _FIFO_BYTES // (1 + max(1, (config >> 5).bit_count()) * (1 if config & _8_BIT else 2))

    def _calm(self, mg: Vector, spread_mg: float) -> bool:
        return all(
            self._settled(generic, mg, spread_mg)
            for generic in self._generics
            if self._registers[_INT_CONFIG0] & generic.bit
        )

    def _settled(self, generic: _Generic, mg: Vector, spread_mg: float) -> bool:
        update = self._registers[generic.base] >> 2 & 3
        # What is new each time is a sample like this one.
        reference = mg if update in (_EVERY_TIME, _EVERY_TIME_SLOW) else self._reference(generic, update, mg)
        found = {self._holds(generic, mg, reference, more_mg) for more_mg in (-spread_mg, spread_mg)}
        return found == {generic.active}

    # The bus

    def read(self, length: int) -> bytes:
        # A frame that was not read to its end comes again.
        self._read = self._over = 0
        return super().read(length)

    def _load(self, register: int) -> int:
        if _DATA <= register < _DATA + 6:
            self._ready = False
            value = self._shown_counts[(register - _DATA) // 2] & 0xFFF
            return value >> 8 if register & 1 else value & 0xFF
        if register == _STATUS:
            return self._ready << 7 | 1 << 4 | self._mode << 1 | bool(self._events | self._live())
        if _SENSOR_TIME <= register < _SENSOR_TIME + 3:
            return self._sensor_time()[register - _SENSOR_TIME]
        if register == _EVENT:
            found, self._registers[_EVENT] = self._registers[_EVENT], 0
            return found
        if register == _INT_STAT0:
            found, self._events = self._events | self._live(), 0
            return found
        if register in (_FIFO_LENGTH, _FIFO_LENGTH + 1):
            return self._used.to_bytes(2, "little")[register - _FIFO_LENGTH]
        return self._next_fifo_byte() if register == _FIFO_DATA else super()._load(register)

    def _store(self, register: int, value: int) -> None:
        before, mode = self._registers[register], self._mode
        super()._store(register, value)
        if register == _CMD:
            self._command(value)
        changed = before ^ self._registers[register]
        if self._mode != mode and self._registers[_FIFO_CONFIG0] & _FLUSH_ON_CHANGE:
            self._flush()
        if self._registers[_FIFO_CONFIG0] >> 5 and self._mode == _NORMAL:
            self._changes |= _control_flag(register, changed)
        if register == _INT_CONFIG0:
            self._events &= value
            for generic in self._generics:
                if changed & generic.bit:
                    generic.clear()
        self._tell_what_is_not_modelled()

    def _command(self, command: int) -> None:
        if command == _SOFT_RESET:
            self._reset()
        elif command == _FIFO_FLUSH:
            self._flush()
        else:
            logging.warning("BMA400: command %#04x is not modelled", command)

    def _advance(self) -> None:
        if self._at != _FIFO_DATA:
            super()._advance()

    # The rest

    def _forget(self) -> None:
        self._flush()
        for generic in self._generics:
            generic.clear()
        self._events = self._changes = self._over = 0
        self._ready = False
        self._shown_counts = (0, 0, 0)
        self._slow = (0.0, 0.0, 0.0)

    def _tell_what_is_not_modelled(self) -> None:
        registers = self._registers
        told = {
            "orientation change": registers[_INT_CONFIG0] & 0x02,
            "steps, taps and activity changes": registers[_INT_CONFIG1] & 0x1F,
            "auto low power": registers[_AUTO_LOW_POWER] & 0x0F,
            "auto wake-up": registers[_AUTO_WAKE_UP] & 0x06,
            "steps, taps and activity changes on a pin": registers[_INT12_MAP],
        }
        for what, used in told.items():
            if used:
                self._not_modelled(what)


def _control_flag(register: int, changed: int) -> int:
    """Return the control frame's flag for bits of a register that changed."""
    if register == _FIFO_CONFIG0:
        return 1 if changed & _FROM_FILTER_2 else 0
    if register == _ACC_CONFIG0:
        return 2 if changed & 0x80 else 0
    return 4 if register == _ACC_CONFIG1 and changed else 0


def _signed_12(data: bytes | bytearray) -> int:
    value = data[0] | (data[1] & 0x0F) << 8
    return value - 0x1000 if value & 0x800 else value


PART = Bma400
