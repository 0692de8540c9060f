"""What the accelerometers have in common: samples at their own rate, noise, faults, an interrupt pin.

Nothing runs by itself. What happened since the last time is worked out when somebody asks: the chip by a transaction on
the bus, or its thread at ``due_ms``, which is the next sample only while one can change the interrupt pin. While a part
is at rest, its FIFO as full as it gets, and no sample like the last ones would change anything, most are left out: an
hour costs no more than its FIFO.
"""

import errno
import logging
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from ansim.virtual.models.part import BusError, RegisterPart
from ansim.virtual.motion import Motion, Vector

Counts = tuple[int, int, int]

# While no sample can change the pin, they are worked out in batches; this long at most, so that none takes long.
_BATCH_MS = 10_000
_BUS_ERRORS_ONE_IN = 8
# Further than this from the mean, in standard deviations, noise is not expected in a year of samples.
_NOISE_BOUND = 6


class Fault(StrEnum):
    """What can be wrong with a sensor."""

    NONE = "none"
    SILENT = "silent"  # acknowledges nothing, as with a broken wire
    STUCK_X = "stuck_x"
    STUCK_Y = "stuck_y"
    STUCK_Z = "stuck_z"
    SATURATED_X = "saturated_x"
    SATURATED_Y = "saturated_y"
    SATURATED_Z = "saturated_z"
    WRONG_ID = "wrong_id"
    STALLED = "stalled"  # answers, but takes no sample any more
    BUS_ERRORS = "bus_errors"  # now and then a transaction fails
    UNWIRED = "unwired"  # the wire of its interrupt pin is broken


_STUCK = (Fault.STUCK_X, Fault.STUCK_Y, Fault.STUCK_Z)
_SATURATED = (Fault.SATURATED_X, Fault.SATURATED_Y, Fault.SATURATED_Z)


@dataclass(frozen=True)
class World:
    """What is around a part.

    Args:
        motion: the wearer.
        now_ms: the chip's clock, in milliseconds.
        interrupt: gets the level of INT1, 0 or 1, at each change.
        seed: of the noise and of what else is left to chance.
    """

    motion: Motion
    now_ms: Callable[[], float]
    interrupt: Callable[[int], None]
    seed: int = 0


class SampleFifo:
    """Samples, oldest first.

    Args:
        depth: how many it holds.

    Attributes:
        overrun: one was lost since the last ``clear`` or ``take``.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._samples: deque[Counts] = deque()
        self.overrun = False

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def full(self) -> bool:
        return len(self._samples) == self._depth

    def put(self, sample: Counts, keep_newest: bool) -> None:
        """Add a sample; in a full FIFO the oldest is lost, or this one."""
        if self.full:
            self.overrun = True
            if not keep_newest:
                return
            self._samples.popleft()
        self._samples.append(sample)

    def oldest(self) -> Counts | None:
        return self._samples[0] if self._samples else None

    def take(self) -> None:
        """Drop the oldest, if there is one."""
        if self._samples:
            self._samples.popleft()
            self.overrun = False

    def clear(self) -> None:
        self._samples.clear()
        self.overrun = False


class Run:
    """Counts in how many samples in a row something holds."""

    def __init__(self) -> None:
        self._length = 0

    def lasts(self, holds: bool, longer_than: int) -> bool:
        """Take the next sample; return whether it has held for more than that many in a row."""
        self._length = self._length + 1 if holds else 0
        return self._length > longer_than

    def clear(self) -> None:
        self._length = 0


class Accelerometer(RegisterPart, ABC):
    """A part with three axes.

    Args:
        world: what is around it.
        registers, values, writable: see RegisterPart.

    Attributes:
        fault: what is wrong with it; see ``break_down``.
        noise_mg: standard deviation of the noise on each axis.
        offset_mg: what each axis says too much.
    """

    ID_REGISTER: int
    NOISE_MG: float

    def __init__(self, world: World, registers: int, values: Mapping[int, int], writable: frozenset[int]) -> None:
        super().__init__(registers, values, writable)
        self._world = world
        self.fault = Fault.NONE
        self.noise_mg = self.NOISE_MG
        self.offset_mg: Vector = (0.0, 0.0, 0.0)
        self._noise = Random(world.seed)
        self._chance = Random(world.seed)
        self._warned: set[str] = set()
        self._first_ms = 0.0
        self._taken = 0
        self._next_ms: float | None = None
        self._counts: Counts = (0, 0, 0)
        self._felt_mg: Vector = (0.0, 0.0, 0.0)
        self._alike = 0
        self._at_rest = False
        self._shown: int | None = None
        self._forget()

    # The world

    def power_on(self) -> None:
        """Start anew, with nothing kept; the pin gets its level."""
        self._reset()
        self._shown = None
        self._show_pin()

    def break_down(self, fault: Fault) -> None:
        """Have this fault from now on, and no other; NONE: be well again."""
        self.tick()
        self.fault = fault
        self._start_clock()
        self._show_pin()

    @property
    def next_sample_ms(self) -> float | None:
        """When it takes its next sample; None if it does not measure."""
        return self._next_ms

    @property
    def due_ms(self) -> float | None:
        """When ``tick`` has to be called, or None."""
        if self._next_ms is None or self._at_rest:
            return None
        return self._next_ms if self._armed() else self._next_ms + _BATCH_MS

    def tick(self) -> None:
        """Take all samples that are due."""
        now_ms = self._world.now_ms()
        self._leave_out(now_ms)
        while self._next_ms is not None and self._next_ms <= now_ms:
            at_ms = self._next_ms
            self._schedule()
            self._measure(at_ms)
            self._show_pin()

    def before_change(self) -> None:
        """The wearer, or the part's errors, change after this: take what is due before, and rest no longer."""
        self.tick()
        self._be_awake()

    # The bus

    def write(self, data: bytes) -> None:
        self._answer()
        period_ms = self._period_ms()
        super().write(data)
        if self._period_ms() != period_ms:
            self._start_clock()
        self._show_pin()

    def read(self, length: int) -> bytes:
        self._answer()
        found = super().read(length)
        self._show_pin()
        return found

    def _answer(self) -> None:
        if self.fault is Fault.SILENT:
            raise BusError(errno.ENODEV)
        if self.fault is Fault.BUS_ERRORS and not self._chance.randrange(_BUS_ERRORS_ONE_IN):
            raise BusError(errno.ETIMEDOUT)
        self.before_change()

    def _load(self, register: int) -> int:
        value = super()._load(register)
        return value ^ 0xFF if register == self.ID_REGISTER and self.fault is Fault.WRONG_ID else value

    # The clock

    def _start_clock(self) -> None:
        """The rate changed: the first sample comes a period from now, or with the recording's."""
        period_ms = self._period_ms()
        self._be_awake()
        self._next_ms = None
        if period_ms is None or self.fault is Fault.STALLED:
            return
        self._first_ms = self._world.motion.boundary(self._world.now_ms() + period_ms)
        self._taken = 0
        self._next_ms = self._first_ms

    def _schedule(self) -> None:
        self._taken += 1
        period_ms = self._period_ms()
        # A sum of periods would drift.
        self._next_ms = None if period_ms is None else self._first_ms + self._taken * period_ms

    def _leave_out(self, now_ms: float) -> None:
        """While it is at rest, leave out the samples that are due but for the last ones, of which its FIFO is made."""
        period_ms = self._period_ms()
        if not self._at_rest or self._next_ms is None or period_ms is None:
            return
        left_out = int((now_ms - self._next_ms) / period_ms) - self._remembers()
        if left_out > 0:
            self._taken += left_out - 1
            self._schedule()

    # A sample

    def _measure(self, at_ms: float) -> None:
        x, y, z = felt_mg = self._world.motion.at(at_ms)
        self._counts = self._count(0, x), self._count(1, y), self._count(2, z)
        self._take(self._counts)
        still = felt_mg == self._felt_mg and self._world.motion.still_at(at_ms)
        self._felt_mg = felt_mg
        self._alike = self._alike + 1 if still else 0
        self._at_rest = self._alike > self._remembers() and self._calm(self._in_mg(self._counts), self._spread_mg())

    def _be_awake(self) -> None:
        self._alike = 0
        self._at_rest = False

    def _spread_mg(self) -> float:
        """Return by how much two samples in the same posture differ at most, on an axis."""
        full_mg, bits = self._scale()
        return _NOISE_BOUND * math.sqrt(2) * self.noise_mg + full_mg / (1 << (bits - 1))

    def _count(self, axis: int, mg: float) -> int:
        full_mg, bits = self._scale()
        top = 1 << (bits - 1)
        if self.fault is _STUCK[axis]:
            return self._counts[axis]
        if self.fault is _SATURATED[axis]:
            return top - 1
        mg += self.offset_mg[axis] + self._added_mg()[axis] + self._noise.gauss(0, self.noise_mg)
        return max(-top, min(round(mg * top / full_mg), top - 1))

    def _in_mg(self, counts: Counts) -> Vector:
        full_mg, bits = self._scale()
        step_mg = full_mg / (1 << (bits - 1))
        return counts[0] * step_mg, counts[1] * step_mg, counts[2] * step_mg

    # The rest

    def _show_pin(self) -> None:
        level = 0 if self.fault is Fault.UNWIRED else self._level()
        if level != self._shown:
            self._shown = level
            self._world.interrupt(level)

    def _pulse(self) -> None:
        """Let the pin be active for a moment."""
        if self.fault is Fault.UNWIRED:
            return
        level = self._level()
        self._world.interrupt(1 - level)
        self._world.interrupt(level)

    def _reset(self) -> None:
        """What a soft reset does."""
        self._reset_registers()
        self._forget()
        self._start_clock()

    def _not_modelled(self, what: str) -> None:
        """Tell in the board's log, once, that the chip uses what is not there."""
        if what not in self._warned:
            self._warned.add(what)
            logging.warning("%s: %s is not modelled", type(self).__name__, what)

    # What a part is

    @abstractmethod
    def _period_ms(self) -> float | None:
        """Return the time between two samples as it is set now, None if it does not measure."""

    @abstractmethod
    def _scale(self) -> tuple[int, int]:
        """Return full scale in mg and the bits of a sample, as set now."""

    @abstractmethod
    def _added_mg(self) -> Vector:
        """Return what the self-test and the part's own correction add to its samples now."""

    @abstractmethod
    def _take(self, counts: Counts) -> None:
        """A sample was taken: fill registers and FIFO, look for events."""

    @abstractmethod
    def _armed(self) -> bool:
        """Tell whether a sample can change the level of INT1."""

    @abstractmethod
    def _level(self) -> int:
        """Return the level of INT1."""

    @abstractmethod
    def _remembers(self) -> int:
        """Return of how many samples there is something left: in its FIFO, as it is set, and in its filters."""

    @abstractmethod
    def _calm(self, mg: Vector, spread_mg: float) -> bool:
        """Tell whether INT1 and events stay as they are, however many samples follow.

        Args:
            mg: the last sample.
            spread_mg: two samples differ by at most this on an axis, these that follow and this one.
        """

    @abstractmethod
    def _forget(self) -> None:
        """Empty the FIFO, and lose events and what filters remember."""
