"""The MPU6886's model, by its registers."""

import pytest

from ansim.virtual.models import BusError
from sensor_kit import SETUPS, SensorBench, words


@pytest.fixture
def bench() -> SensorBench:
    """Streaming at 50 Hz and +-16 g."""
    made = SETUPS["mpu6886"].bench()
    made.wait_ms(100)
    return made


def arm(bench: SensorBench, threshold: int, latched: bool = True) -> None:
    """Let motion drive INT; threshold in 4 mg."""
    bench.set(0x37, 0x20 if latched else 0)
    bench.set(0x20, threshold, threshold, threshold)
    bench.set(0x69, 0xC0)
    bench.set(0x38, 0xE0)


def test_it_sleeps_after_power_on_and_a_reset_brings_that_back(bench: SensorBench) -> None:
    assert SensorBench("mpu6886").get(0x6B) == 0x41
    bench.set(0x6B, 0x80)
    assert bench.get(0x6B) == 0x41
    assert bench.get(0x1C) == 0
    assert bench.part.due_ms is None


@pytest.mark.parametrize(("divider", "choice", "rate_hz"), [(19, 0, 50), (9, 0, 100), (0, 0, 1000), (19, 8, 4000)])
def test_the_rate_is_1_khz_divided_or_4_khz(bench: SensorBench, divider: int, choice: int, rate_hz: int) -> None:
    bench.set(0x1D, choice)
    bench.set(0x19, divider)
    bench.set(0x6A, 0x44)
    bench.wait_ms(25_000 / rate_hz)
    assert int.from_bytes(bench.get_bytes(0x72, 2), "big") == 25 * 8


@pytest.mark.parametrize(("setting", "counts"), [(0x00, 16384), (0x08, 8192), (0x10, 4096), (0x18, 2048)])
def test_one_g_at_each_range_high_byte_first(bench: SensorBench, setting: int, counts: int) -> None:
    bench.set(0x1C, setting)
    bench.wait_ms(20)
    assert words(bench.get_bytes(0x3B, 6), "big") == [0, 0, counts]


def test_the_thermometer_says_25_degrees_and_the_gyroscope_nothing(bench: SensorBench) -> None:
    assert bench.get_bytes(0x41, 8) == bytes(8)


def test_an_axis_in_standby_says_0(bench: SensorBench) -> None:
    bench.set(0x6C, 0x0F)
    bench.wait_ms(20)
    assert words(bench.get_bytes(0x3B, 6), "big") == [0, 0, 0]


def test_frames_carry_what_was_chosen(bench: SensorBench) -> None:
    for choice, size in ((0x08, 8), (0x18, 14), (0x10, 8), (0x00, 0)):
        bench.set(0x23, choice)
        bench.set(0x6A, 0x44)
        bench.wait_ms(200)
        assert int.from_bytes(bench.get_bytes(0x72, 2), "big") == 10 * size
    assert bench.get(0x74) == 0xFF, "nothing is there"


def test_an_overflow_is_told_and_loses_the_oldest_or_the_newest(bench: SensorBench) -> None:
    for config, first in ((0x00, 72), (0x40, 0)):
        bench.set(0x1A, config)
        bench.set(0x6A, 0x44)
        bench.get(0x3A)
        bench.play([(i * 50, 0, 0) for i in range(201)])
        bench.wait_ms(128 * 20)
        assert bench.get(0x3A) & 0x10 == 0
        bench.wait_ms(72 * 20)
        assert bench.get(0x3A) & 0x10
        found = SETUPS["mpu6886"].samples(bench)
        assert len(found) == 128
        assert round(found[0][0] / 50) == first


def test_motion_is_a_change_between_two_samples(bench: SensorBench) -> None:
    arm(bench, threshold=125)  # 500 mg
    bench.hold(0, 490, 1000)
    bench.wait_ms(100)
    assert bench.level == 0
    bench.hold(0, -20, 1000)
    bench.wait_ms(100)
    assert bench.level == 1
    assert bench.get(0x3A) & 0xE0 == 0x40, "y"
    assert bench.level == 0


def test_gravity_is_no_motion_when_it_is_switched_on() -> None:
    bench = SensorBench("mpu6886")
    arm(bench, threshold=10)
    for write in SETUPS["mpu6886"].stream:
        bench.set(*write)
    bench.wait_ms(500)
    assert bench.rises == 0


def test_all_axes_have_to_move_if_that_is_wanted(bench: SensorBench) -> None:
    arm(bench, threshold=25)
    bench.set(0x69, 0xC1)
    bench.hold(500, 500, 1000)
    bench.wait_ms(100)
    assert bench.level == 0
    bench.hold(0, 0, 1500)
    bench.wait_ms(100)
    assert bench.level == 1


def test_without_latching_motion_is_a_pulse(bench: SensorBench) -> None:
    arm(bench, threshold=25, latched=False)
    bench.hold(500, 0, 1000)
    bench.wait_ms(100)
    assert (bench.rises, bench.level) == (1, 0)


def test_any_read_ends_an_interrupt_if_that_is_wanted(bench: SensorBench) -> None:
    arm(bench, threshold=25)
    bench.set(0x37, 0x30)
    bench.hold(500, 0, 1000)
    bench.wait_ms(100)
    assert bench.level == 1
    bench.get(0x75)
    assert bench.level == 0


def test_active_low_is_high_at_rest(bench: SensorBench) -> None:
    arm(bench, threshold=25)
    bench.set(0x37, 0xA0)
    assert bench.level == 1
    bench.hold(500, 0, 1000)
    bench.wait_ms(100)
    assert bench.level == 0


def test_the_watermark_counts_bytes_and_has_a_status_of_its_own(bench: SensorBench) -> None:
    bench.set(0x37, 0x20)
    bench.set(0x6A, 0x44)
    bench.set(0x60, 0, 80)
    bench.wait_ms(9 * 20)
    assert bench.level == 0
    bench.wait_ms(20)
    assert bench.level == 1
    SETUPS["mpu6886"].samples(bench)
    assert bench.get(0x39) == 0x40
    assert bench.level == 0


def test_the_response_to_self_test_fits_the_part_s_trim(bench: SensorBench) -> None:
    bench.set(0x1C, 0x00)
    bench.wait_ms(20)
    rest = words(bench.get_bytes(0x3B, 6), "big")
    bench.set(0x1C, 0xE0)
    bench.wait_ms(20)
    moved = words(bench.get_bytes(0x3B, 6), "big")
    for axis, code in enumerate(bench.get_bytes(0x0D, 3)):
        trim = 2620 * 1.01 ** (code - 1)
        assert 0.5 < (moved[axis] - rest[axis]) / trim < 1.5


def test_i2c_that_is_switched_off_answers_nothing(bench: SensorBench) -> None:
    bench.set(0x70, 0x40)
    with pytest.raises(BusError):
        bench.get(0x75)
