"""What watches the motion sensor, with a real driver on a part's register model, in time that the test moves."""

import binascii
import time
from collections.abc import Callable

import pytest

from ansim.falls import model_file
from ansim.virtual.models.accelerometer import Fault
from ansim_fw import fall_model, motion
from ansim_fw.core.fall.detector import FALL
from ansim_fw.core.fall.model import load
from ansim_fw.drivers.lis2dw12 import Sensor
from movements import IMPACT_MS, ON_THE_SIDE, UPRIGHT, fall
from sensor_kit import SensorBench

POLL_MS = 10
# The first look comes a second after the start, the next one 20 s after that.
FIRST_LOOK_MS = 1000
SECOND_LOOK_MS = 21_000
# From the beginning of a fall() until the wearer slips; from there until it is told, at the most.
SLIPS_MS = 3000
DECIDED_MS = 25_000
LONG_QUIET_MS = 5000


class Bus:
    """The part's registers as machine.I2C reaches them."""

    def __init__(self, bench: SensorBench) -> None:
        self._bench = bench

    def readfrom_mem_into(self, _address: int, register: int, data: bytearray) -> None:
        data[:] = self._bench.get_bytes(register, len(data))

    def writeto_mem(self, _address: int, register: int, data: bytes) -> None:
        self._bench.set(register, *data)


class Pin:
    """The one that the part raises."""

    def __init__(self, bench: SensorBench) -> None:
        self._bench = bench

    def value(self) -> int:
        return self._bench.level


class Watched:
    """A wearer, upright and still, with a sensor that is watched; time stands still until ``wait_ms``.

    Attributes:
        starts: how often the part was started; told: how many falls were.
    """

    def __init__(self) -> None:
        self.bench = SensorBench("lis2dw12")
        self.bench.part.noise_mg = 1.3
        self.bench.hold(*UPRIGHT)
        self.starts = self.told = 0
        sensor = Sensor(Bus(self.bench), 0x19)  # type: ignore[arg-type]  # has what drivers use of it
        start = sensor.start

        def counted(rate_hz: int, range_g: int) -> None:
            self.starts += 1
            start(rate_hz, range_g)

        sensor.start = counted  # type: ignore[method-assign]
        self.motion = motion.Motion(sensor, Pin(self.bench))  # type: ignore[arg-type]  # has what it asks
        self.motion.use(1)

    def wait_ms(self, ms: int) -> None:
        for _ in range(ms // POLL_MS):
            self.bench.wait_ms(POLL_MS)
            if self.motion.poll(POLL_MS) & FALL:
                self.told += 1

    def falls(self) -> None:
        samples = fall().samples
        self.bench.play([samples[at : at + 3] for at in range(0, len(samples), 3)])

    def until_fault(self, kind: str) -> None:
        for _ in range(60_000 // POLL_MS):
            if self.motion.fault == kind:
                return
            self.wait_ms(POLL_MS)
        raise AssertionError(f"not {kind} but {self.motion.fault!r}")


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Watched]:
    """Return what makes a wearer with a watched sensor, with the shipped model."""
    packed = model_file.pack(model_file.read(model_file.shipped("waist")))
    monkeypatch.setattr(fall_model, "read", lambda _placement: load(packed, binascii.crc32))

    def make() -> Watched:
        made = Watched()
        monkeypatch.setattr(time, "sleep_ms", made.bench.wait_ms, raising=False)
        return made

    return make


def test_a_stir_at_any_moment_of_a_look_is_no_doubt_about_the_sensor(watch: Callable[[], Watched]) -> None:
    for before_ms in range(FIRST_LOOK_MS - 100, FIRST_LOOK_MS + 200, POLL_MS):
        watched = watch()
        watched.wait_ms(before_ms)
        watched.bench.hold(*ON_THE_SIDE)
        watched.wait_ms(2 * FIRST_LOOK_MS)
        assert watched.starts == 1, f"started anew after a stir at {before_ms} ms"


def test_a_fall_at_any_moment_of_a_look_is_told(watch: Callable[[], Watched]) -> None:
    for before_ms in range(SECOND_LOOK_MS - IMPACT_MS - 100, SECOND_LOOK_MS - SLIPS_MS + 100, POLL_MS):
        watched = watch()
        watched.wait_ms(before_ms)
        watched.falls()
        watched.wait_ms(DECIDED_MS)
        assert watched.told == 1, f"a fall that begins {before_ms} ms after the start is not told"
        assert watched.starts == 1, f"started anew in a fall that begins at {before_ms} ms"


def test_without_its_wire_the_sensor_is_read_all_the_time_whatever_made_the_fault_news(
    watch: Callable[[], Watched],
) -> None:
    watched = watch()
    watched.wait_ms(FIRST_LOOK_MS // 2)
    watched.bench.part.break_down(Fault.WRONG_ID)
    watched.wait_ms(FIRST_LOOK_MS)
    assert watched.motion.fault == "", "one look is no news"
    watched.bench.part.break_down(Fault.UNWIRED)
    watched.wait_ms(FIRST_LOOK_MS)
    watched.bench.hold(*ON_THE_SIDE)
    watched.until_fault("sensor_unwired")
    watched.wait_ms(LONG_QUIET_MS)
    watched.falls()
    watched.wait_ms(DECIDED_MS)
    assert watched.told == 1


def test_with_its_wire_again_the_fault_ends_and_the_sensor_rests(watch: Callable[[], Watched]) -> None:
    watched = watch()
    watched.wait_ms(FIRST_LOOK_MS // 2)
    watched.bench.part.break_down(Fault.UNWIRED)
    for posture in (ON_THE_SIDE, UPRIGHT):
        watched.bench.hold(*posture)
        watched.wait_ms(LONG_QUIET_MS)
    assert watched.motion.fault == "sensor_unwired"
    watched.bench.part.break_down(Fault.NONE)
    watched.bench.hold(*ON_THE_SIDE)
    watched.until_fault("")
    woke = watched.motion.counts[0]
    watched.wait_ms(LONG_QUIET_MS)
    watched.bench.hold(*UPRIGHT)
    watched.wait_ms(POLL_MS * 10)
    assert watched.motion.counts[0] == woke + 1, "it rested, and its pin woke it"
