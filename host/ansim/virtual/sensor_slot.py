"""The board's motion sensor, its wire to the chip, and the wearer who moves it."""

from collections.abc import Callable

from ansim.boards import Sensor
from ansim.virtual.clock import Clock
from ansim.virtual.models import Accelerometer, Fault, Part, World, make
from ansim.virtual.motion import Motion, Recording, Samples, Vector

Log = Callable[[str, dict[str, object]], None]


class SensorSlot:
    """All methods but ``motion`` are called by the chip's thread.

    Args:
        sensor: the board file's part; None: there is none.
        clock: the chip's time.
        set_pin: drives a pin of the chip: (pin, level).
        log: gets "motion" (state: playing, ended, still) and "interrupt" (pin, value).

    Attributes:
        parts: what is on the I2C bus, by address.

    Raises:
        BadInput: there is no model of the part.
    """

    def __init__(self, sensor: Sensor | None, clock: Clock, set_pin: Callable[[int, int], None], log: Log) -> None:
        self._sensor = sensor
        self._clock = clock
        self._set_pin = set_pin
        self._log = log
        self._motion = Motion()
        self._ends_ms: float | None = None
        self._part: Accelerometer | None = None
        self.parts: dict[int, Part] = {}
        if sensor is not None:
            self._part = make(sensor.part, World(self._motion, self._now_ms, self._interrupt))
            self.parts[sensor.address] = self._part

    def power_on(self) -> None:
        """The part gets its power, and has forgotten everything."""
        if self._part is not None:
            self._part.power_on()

    def power_off(self) -> None:
        """The part is dead, and its wire low: as it is just after power came, for nobody is left to ask it."""
        self.power_on()

    @property
    def due_ms(self) -> float | None:
        """When ``tick`` has to be called, or None."""
        part_ms = self._part.due_ms if self._part else None
        return min((due for due in (self._ends_ms, part_ms) if due is not None), default=None)

    def tick(self) -> None:
        """Do what is due."""
        due_ms = self.due_ms
        if due_ms is None or due_ms > self._now_ms():
            return
        if self._part is not None:
            self._part.tick()
        if self._ends_ms is not None and self._ends_ms <= self._now_ms():
            self._ends_ms = None
            self._log("motion", {"state": "ended"})

    def play(self, samples: Samples, rate_hz: float, repeat: bool) -> None:
        """Play a recording from the part's next sample on; see motion.Recording."""
        self._settle()
        next_ms = self._part.next_sample_ms if self._part else None
        recording = Recording(samples, rate_hz, repeat, self._now_ms() if next_ms is None else next_ms)
        self._motion.play(recording)
        self._ends_ms = recording.end_ms
        self._log("motion", {"state": "playing", "of_ms": round(recording.of_ms)})

    def hold(self, posture_mg: Vector) -> None:
        """Keep still from now on."""
        self._settle()
        self._motion.hold(posture_mg)
        self._ends_ms = None
        self._log("motion", {"state": "still"})

    def change(self, fault: Fault | None, noise_mg: float | None, offset_mg: Vector | None) -> None:
        """Change what is wrong with the part; None: leave it as it is."""
        if self._part is None:
            return
        self._settle()
        if fault is not None:
            self._part.break_down(fault)
        if noise_mg is not None:
            self._part.noise_mg = noise_mg
        if offset_mg is not None:
            self._part.offset_mg = offset_mg

    def motion(self) -> dict[str, object]:
        """Return what the wearer does; see Motion.progress."""
        return self._motion.progress(self._now_ms())

    def _settle(self) -> None:
        """What has happened until now, happened before the change that comes."""
        if self._part is not None:
            self._part.before_change()

    def _now_ms(self) -> float:
        return self._clock.now_us() / 1000

    def _interrupt(self, level: int) -> None:
        if self._sensor is not None and self._sensor.interrupt is not None:
            self._set_pin(self._sensor.interrupt, level)
            self._log("interrupt", {"pin": self._sensor.interrupt, "value": level})
