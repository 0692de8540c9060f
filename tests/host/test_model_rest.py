"""A sensor that lies still for hours costs no more than its FIFO, and misses nothing when it is moved."""

import pytest

from ansim.virtual.motion import Vector
from sensor_kit import SETUPS, SensorBench, Setup

HOUR_MS = 3_600_000
# What each part is told to drive INT1 at a change of about 1 g between two samples, or against a reference.
ON_IMPACT = {
    "adxl345": ((0x24, 16), (0x27, 0xF0), (0x2E, 0x10)),
    "bma400": ((0x21, 0x04), (0x1F, 0x04), (0x3F, 0xF8, 0x02, 125, 0, 1)),
    "lis2dw12": ((0x23, 0x20), (0x34, 2), (0x3F, 0x20)),
    "mpu6886": ((0x37, 0x20), (0x20, 250, 250, 250), (0x69, 0xC0), (0x38, 0xE0)),
}
IMPACT = [(0, 0, 1000)] * 5 + [(0, 0, 6000)] * 3 + [(0, 0, 1000)] * 5


def armed(setup: Setup) -> SensorBench:
    bench = setup.bench()
    bench.wait_ms(500)
    for write in ON_IMPACT[setup.name]:
        bench.set(*write)
    bench.wait_ms(500)
    assert bench.level == 0
    return bench


def samples_in(bench: SensorBench, ms: float) -> int:
    """Let time pass, and return how many samples were worked out for that."""
    moments: list[float] = []
    at = bench.motion.at

    def seen_at(moment_ms: float) -> Vector:
        moments.append(moment_ms)
        return at(moment_ms)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.motion, "at", seen_at)
        bench.wait_ms(ms)
        bench.part.tick()
    return len(moments)


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
@pytest.mark.parametrize("noise_mg", [0.0, 4.0])
def test_hours_at_rest_cost_no_more_than_its_memory(setup: Setup, noise_mg: float) -> None:
    bench = armed(setup)
    bench.part.noise_mg = noise_mg
    first, second = samples_in(bench, HOUR_MS), samples_in(bench, 24 * HOUR_MS)
    assert 0 < first <= 3 * setup.depth + 10
    assert 0 < second <= 2 * setup.depth + 10
    assert bench.rises == 0
    assert len(setup.samples(bench)) == setup.depth


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_an_impact_after_hours_at_rest_drives_the_pin_at_its_moment_and_is_in_the_fifo(setup: Setup) -> None:
    bench = armed(setup)
    bench.wait_ms(10 * HOUR_MS)
    bench.play(IMPACT)
    start_ms = bench.now_ms
    while not bench.rises and bench.now_ms < start_ms + 1000:
        bench.wait_ms(10)
    assert 90 <= bench.now_ms - start_ms <= 200
    bench.wait_ms(200)
    assert [6000 - 10 <= z <= 6010 for _, _, z in setup.samples(bench)].count(True) == 3


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_while_noise_alone_may_drive_the_pin_no_sample_is_left_out(setup: Setup) -> None:
    bench = armed(setup)
    bench.part.before_change()
    bench.part.noise_mg = 150.0
    assert samples_in(bench, 60_000) >= 2990


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_a_fifo_that_was_read_fills_again_and_its_watermark_calls(setup: Setup) -> None:
    watermark = {
        "adxl345": ((0x38, 0x80 | 20), (0x2E, 0x02)),
        "bma400": ((0x27, 140, 0), (0x21, 0x40), (0x1F, 0x40)),
        "lis2dw12": ((0x2E, 0xC0 | 20), (0x23, 0x02)),
        "mpu6886": ((0x37, 0x20), (0x60, 0, 160)),
    }
    bench = setup.bench()
    for write in watermark[setup.name]:
        bench.set(*write)
    for _ in range(3):
        bench.wait_ms(HOUR_MS)
        assert bench.level == 1
        setup.samples(bench)
        bench.get(setup.identity[0])
        if setup.name == "mpu6886":
            bench.get(0x39)
        assert bench.level == 0
        bench.wait_ms(300)
        assert bench.level == 0
        bench.wait_ms(200)
        assert bench.level == 1


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_a_recording_that_ended_is_rest_and_one_that_repeats_is_not(setup: Setup) -> None:
    bench = armed(setup)
    bench.play([(0, 0, 1000), (0, 0, 1100)] * 10)
    bench.wait_ms(2000 + 40 * setup.depth)
    assert samples_in(bench, HOUR_MS) <= 2 * setup.depth + 10
    bench.play([(0, 0, 1000), (0, 0, 1100)] * 10, repeat=True)
    assert samples_in(bench, 60_000) >= 2990
