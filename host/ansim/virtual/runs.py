"""What a chip does from one sleep or reset to the next, in counts that hold for hardware, too, and for how long."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum

from ansim.virtual.clock import Clock
from ansim.virtual.wire import Frame, NvsOp, Op

# In the order in which a chip tells them (runtime/_link.py).
INSIDE = ("opens", "stats", "imports", "flash_reads", "flash_read_bytes")
_NVS_READS, _NVS_WRITES = (NvsOp.GET_I32, NvsOp.GET_BLOB), (NvsOp.SET_I32, NvsOp.SET_BLOB, NvsOp.ERASE)
_COUNTED = (*INSIDE, "nvs_reads", "nvs_writes", "i2c_transfers", "i2c_bytes")
_WORD = 4
_MOST_FLIGHTS = 9

Figures = Callable[[], dict[str, int]]


class State(StrEnum):
    """What the chip's time is spent in."""

    OFF = "off"  # no power, or held in reset
    DEEP = "deep"  # deep sleep
    LIGHT = "light"  # light sleep
    CPU = "cpu"  # awake, radio off
    RADIO = "radio"  # awake, radio on


class Runs:
    """Counts in runs. A run begins with a reset or a wake, and ends with the next sleep or reset.

    All is told by the chip's thread, but for ``mark``, which any may call.

    Args:
        clock: the chip's time.
        others: return what others count since the board started, by name.
    """

    def __init__(self, clock: Clock, others: tuple[Figures, ...]) -> None:
        self._clock = clock
        self._others = others
        self._counts: Counter[str] = Counter()
        self._inside = [0] * len(INSIDE)
        self._times_ms: Counter[State] = Counter()
        self._state = State.OFF
        self._since_ms = clock.now_ms()
        self._wakes: Counter[str] = Counter()
        self._began: dict[str, object] | None = None
        self._before: dict[str, int] = {}
        self._marks: dict[str, dict[str, int]] = {}
        self._lock = threading.RLock()

    # What happens

    def begin(self, how: str, wake: int, pins: Sequence[int] = ()) -> None:
        """A run begins: with a reset of this cause, or with a wake of this reason, by the level of these pins."""
        with self._lock:
            self._began = {"began": how, "wake": wake, "pins": pins}
            self._wakes[how] += 1
            self._before = self._totals()
            self._marks = {}

    def mark(self, what: str) -> None:
        """Remember what was counted in this run before what happens now, if it is the first time in it.

        A flight is numbered, up to _MOST_FLIGHTS.
        """
        with self._lock:
            if what == "flight":
                what += str(1 + sum(name.startswith(what) for name in self._marks))
            if self._began is not None and what not in self._marks and what != f"flight{_MOST_FLIGHTS + 1}":
                self._marks[what] = {name: count for name, count in self._counted().items() if count}

    def end(self, how: str) -> dict[str, object] | None:
        """The run ends; return what there was in it, None if no run was going."""
        with self._lock:
            if self._began is None:
                return None
            found = self._run()
            self._began = None
            return {**found, "ended": how}

    def be(self, state: State) -> None:
        """From now on time is spent in this state."""
        with self._lock:
            now_ms = self._clock.now_ms()
            self._times_ms[self._state] += now_ms - self._since_ms
            self._state, self._since_ms = state, now_ms

    def process_starts(self) -> None:
        """What is counted inside the chip starts from nothing."""
        self._inside = [0] * len(INSIDE)

    def told(self, frame: Frame) -> None:
        """Take what the chip has counted since its process started."""
        words = [int.from_bytes(frame.payload[at : at + _WORD], "little") for at in range(0, len(frame.payload), _WORD)]
        for name, before, now in zip(INSIDE, self._inside, words, strict=True):
            self._counts[name] += now - before
        self._inside = words

    def asked(self, frame: Frame) -> None:
        """Count a request."""
        if frame.op == Op.NVS:
            self._counts["nvs_reads"] += frame.argument in _NVS_READS
            self._counts["nvs_writes"] += frame.argument in _NVS_WRITES
        elif frame.op in (Op.I2C_WRITE, Op.I2C_READ):
            self._counts["i2c_transfers"] += 1
            self._counts["i2c_bytes"] += len(frame.payload) if frame.op == Op.I2C_WRITE else frame.argument >> 8

    # What is told

    def figures(self) -> dict[str, object]:
        """Return what was counted: in this run, in all, time in each state, and how runs began."""
        self.be(self._state)
        return {
            "run": self._run() if self._began is not None else {},
            "total": self._totals(),
            "began": dict(self._wakes),
        }

    def _run(self) -> dict[str, object]:
        return {**(self._began or {}), **self._counted(), "marks": self._marks}

    def _counted(self) -> dict[str, int]:
        """Return what was counted since the run began."""
        return {name: value - self._before.get(name, 0) for name, value in self._totals().items()}

    def _totals(self) -> dict[str, int]:
        self.be(self._state)
        found = {f"{state}_ms": self._times_ms[state] for state in State}
        found |= {name: self._counts[name] for name in _COUNTED}
        for figures in self._others:
            found |= figures()
        return found
