"""The BMA400's model, by its registers."""

import pytest

from sensor_kit import SETUPS, SensorBench

STILL, FALLING = (0, 0, 1000), (60, -60, 90)


@pytest.fixture
def bench() -> SensorBench:
    """In normal mode at 50 Hz and +-16 g, the FIFO streaming."""
    made = SETUPS["bma400"].bench()
    made.wait_ms(100)
    return made


def fifo_bytes(bench: SensorBench) -> int:
    return int.from_bytes(bench.get_bytes(0x12, 2), "little")


def arm(bench: SensorBench, threshold: int, config: int = 0xE8, duration: int = 1, latched: bool = True) -> None:
    """Let generic interrupt 1 tell of activity on INT1; threshold in 8 mg, config as GEN1INT_CONFIG0."""
    bench.set(0x3F, config, 0x02, threshold, 0, duration)
    bench.set(0x21, 0x04)
    bench.set(0x1F, 0x04, 0x80 if latched else 0)


def test_reset_values_and_a_command_that_brings_them_back(bench: SensorBench) -> None:
    bench.set(0x24, 0)
    bench.set(0x7E, 0xB6)
    assert bench.get_bytes(0x19, 3) == bytes((0, 0x49, 0))
    assert bench.get(0x24) == 0x22
    assert bench.part.due_ms is None


def test_status_tells_mode_and_new_data(bench: SensorBench) -> None:
    assert bench.get(0x03) & 0x86 == 0x84
    bench.get_bytes(0x04, 6)
    assert bench.get(0x03) & 0x80 == 0


@pytest.mark.parametrize(("code", "rate_hz"), [(0x05, 12.5), (0x06, 25), (0x07, 50), (0x08, 100), (0x0B, 800)])
def test_rates_double_with_each_code(code: int, rate_hz: float) -> None:
    bench = SensorBench("bma400")
    bench.set(0x1A, 0xC0 | code)
    bench.set(0x26, 0xE0)
    bench.set(0x19, 0x02)
    bench.wait_ms(10_000 / rate_hz)
    assert fifo_bytes(bench) == 70


@pytest.mark.parametrize(("setting", "counts"), [(0x07, 1024), (0x47, 512), (0x87, 256), (0xC7, 128)])
def test_one_g_at_each_range(bench: SensorBench, setting: int, counts: int) -> None:
    bench.set(0x1A, setting)
    bench.hold(0, -1000, 1000)
    bench.wait_ms(50)
    data = bench.get_bytes(0x04, 6)
    assert data[4] | data[5] << 8 == counts
    assert data[2] | data[3] << 8 == 4096 - counts, "12 bits, not extended to 16"


def test_an_empty_fifo_gives_empty_frames_and_the_time_if_wanted(bench: SensorBench) -> None:
    bench.set(0x7E, 0xB0)
    assert bench.get_bytes(0x14, 4) == b"\x80\x00\x80\x00"
    bench.set(0x26, 0xE4)
    data = bench.get_bytes(0x14, 6)
    assert data[0] == 0xA0
    assert data[4:] == b"\x80\x00"


def test_frames_of_8_bits_and_of_single_axes(bench: SensorBench) -> None:
    for config, frame in ((0xF0, b"\x8e\x00\x00\x08"), (0x80, b"\x98\x00\x08"), (0x90, b"\x88\x08")):
        bench.set(0x26, config)
        bench.set(0x7E, 0xB0)
        bench.wait_ms(20)
        assert bench.get_bytes(0x14, len(frame)) == frame


def test_a_frame_that_was_read_in_part_comes_again(bench: SensorBench) -> None:
    bench.set(0x7E, 0xB0)
    bench.play([(1000, 2000, 3000)] * 20)
    bench.wait_ms(40)
    whole = bench.get_bytes(0x14, 4)
    assert whole[0] == 0x9E
    assert bench.get_bytes(0x14, 7)[:4] == whole
    assert fifo_bytes(bench) == 7


@pytest.mark.parametrize(("config", "first"), [(0xE0, 54), (0xE2, 0)])
def test_a_full_fifo_loses_the_oldest_frames_or_the_newest(bench: SensorBench, config: int, first: int) -> None:
    bench.set(0x26, config)
    bench.set(0x7E, 0xB0)
    bench.play([(i * 50, 0, 0) for i in range(200)])
    bench.wait_ms(200 * 20)
    assert fifo_bytes(bench) == 1022
    assert round(SETUPS["bma400"].samples(bench)[0][0] / 50) == first


def test_watermark_and_full_are_told_on_int1(bench: SensorBench) -> None:
    bench.set(0x27, 70, 0)
    bench.set(0x21, 0x40)
    bench.set(0x1F, 0x60)
    bench.set(0x7E, 0xB0)
    bench.wait_ms(9 * 20)
    assert bench.level == 0
    bench.wait_ms(20)
    assert bench.level == 1
    assert bench.get(0x0E) & 0x60 == 0x40
    bench.wait_ms(135 * 20)
    assert fifo_bytes(bench) == 1015
    assert bench.get(0x0E) & 0x20 == 0
    bench.wait_ms(20)
    assert bench.get(0x0E) & 0x20, "less than nine bytes are free"
    SETUPS["bma400"].samples(bench)
    assert bench.level == 0


def test_a_new_range_is_told_by_a_control_frame(bench: SensorBench) -> None:
    bench.set(0x7E, 0xB0)
    bench.set(0x1A, 0x87)
    bench.wait_ms(20)
    assert bench.get_bytes(0x14, 3) == b"\x48\x04\x9e"


def test_in_low_power_mode_the_fifo_stands_still_and_sleep_can_flush_it(bench: SensorBench) -> None:
    bench.set(0x7E, 0xB0)
    bench.set(0x19, 0x01)
    bench.wait_ms(500)
    assert fifo_bytes(bench) == 0
    assert bench.get(0x03) & 0x06 == 0x02
    bench.set(0x19, 0x02)
    bench.wait_ms(500)
    assert fifo_bytes(bench) > 100
    bench.set(0x26, 0xE1)
    bench.set(0x19, 0x00)
    assert fifo_bytes(bench) == 0


def test_with_the_reference_updated_every_time_it_looks_at_the_change_between_two_samples(bench: SensorBench) -> None:
    arm(bench, threshold=63)  # 504 mg
    bench.wait_ms(1000)
    assert bench.level == 0
    bench.hold(0, 490, 1000)
    bench.wait_ms(100)
    assert bench.level == 0
    bench.hold(0, -30, 1000)
    bench.wait_ms(100)
    assert bench.level == 1
    assert bench.get(0x0E) & 0x04
    assert bench.level == 0


def test_filter_2_sees_a_recording_of_50_hz_in_half_steps(bench: SensorBench) -> None:
    arm(bench, threshold=63, config=0xF8)
    bench.play([(0, 0, 1000)] * 5 + [(0, 0, 1900)] * 5)
    bench.wait_ms(300)
    assert bench.level == 0, "450 mg in each of two samples of 10 ms"
    bench.play([(0, 0, 1900)] * 5 + [(0, 0, 3100)] * 5)
    bench.wait_ms(300)
    assert bench.level == 1


def test_with_a_reference_taken_once_it_tells_of_every_other_posture(bench: SensorBench) -> None:
    arm(bench, threshold=63, config=0xE4, latched=False)
    bench.wait_ms(200)
    for x in range(0, 900, 60):
        bench.hold(x, 0, 1000)
        bench.wait_ms(20)
    assert bench.level == 1
    bench.hold(0, 0, 1000)
    bench.wait_ms(40)
    assert bench.level == 0


def test_the_condition_may_have_to_last(bench: SensorBench) -> None:
    arm(bench, threshold=63, config=0xE4, duration=3)
    bench.wait_ms(100)
    bench.play([STILL] + [(0, 0, 2000)] * 2 + [STILL] * 10)
    bench.wait_ms(260)
    assert bench.level == 0
    bench.play([STILL] + [(0, 0, 2000)] * 3 + [STILL] * 10)
    bench.wait_ms(260)
    assert bench.level == 1


def test_free_fall_is_inactivity_around_zero_on_all_axes(bench: SensorBench) -> None:
    bench.set(0x4A, 0xE0, 0x01, 40, 0, 5, 0, 0, 0, 0, 0, 0)  # 320 mg, 5 samples
    bench.set(0x21, 0x08)
    bench.set(0x1F, 0x08, 0x80)
    bench.play([STILL] + [FALLING] * 4 + [STILL] * 10)
    bench.wait_ms(300)
    assert bench.level == 0
    bench.play([STILL] + [FALLING] * 5 + [STILL] * 10)
    bench.wait_ms(320)
    assert bench.level == 1
    assert bench.get(0x0E) & 0x08


def test_an_unlatched_interrupt_ends_with_its_condition_and_low_can_be_active(bench: SensorBench) -> None:
    arm(bench, threshold=63, latched=False)
    bench.set(0x24, 0x20)
    bench.wait_ms(40)
    assert bench.level == 1
    bench.hold(0, 0, 3000)
    bench.wait_ms(100)
    assert bench.levels[-3:] == [1, 0, 1]


def test_the_fifo_goes_on_while_it_waits_for_an_impact(bench: SensorBench) -> None:
    arm(bench, threshold=125, config=0xF8)
    bench.wait_ms(5000)
    SETUPS["bma400"].samples(bench)
    bench.play([(i, 0, 1000) for i in range(0, 600, 20)] + [(600, 0, 5500)] + [STILL] * 9)
    bench.wait_ms(31 * 20)
    assert bench.level == 1
    samples = SETUPS["bma400"].samples(bench)
    assert len(samples) == 31
    assert abs(samples[-1][2] - 5500) < 8


def test_the_two_signs_of_self_test_differ_by_more_than_the_limits(bench: SensorBench) -> None:
    bench.set(0x1A, 0x47)
    ends = []
    for setting in (0x07, 0x0F):
        bench.set(0x7D, setting)
        bench.wait_ms(100)
        data = bench.get_bytes(0x04, 6)
        values = (data[at] | data[at + 1] << 8 for at in (0, 2, 4))
        ends.append([(value - 4096 if value & 0x800 else value) * 4000 / 2048 for value in values])
    x, y, z = (high - low for high, low in zip(*ends, strict=True))
    assert x > 1500 and y > 1200 and z > 250


def test_what_is_not_there_is_told_once(bench: SensorBench, caplog: pytest.LogCaptureFixture) -> None:
    bench.set(0x2D, 0x02)
    bench.set(0x2D, 0x02)
    assert [record.message for record in caplog.records] == ["Bma400: auto wake-up is not modelled"]
