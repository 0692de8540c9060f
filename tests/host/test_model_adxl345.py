"""The ADXL345's model, by its registers."""

import pytest

from sensor_kit import SETUPS, SensorBench, words

STILL, FALLING = (0, 0, 1000), (60, -60, 90)


@pytest.fixture
def bench() -> SensorBench:
    """Streaming at 50 Hz and +-16 g, full resolution."""
    made = SETUPS["adxl345"].bench()
    made.wait_ms(100)
    return made


def arm(bench: SensorBench, threshold: int, control: int = 0xF0) -> None:
    """Let activity drive INT1; threshold in 62.5 mg, control as ACT_INACT_CTL."""
    bench.set(0x24, threshold)
    bench.set(0x27, control)
    bench.set(0x2E, 0x10)


def test_reset_values() -> None:
    bench = SensorBench("adxl345")
    assert bench.get(0x2C) == 0x0A
    assert bench.get(0x30) == 0x02, "an empty FIFO has reached a watermark of 0"
    assert bench.get_bytes(0x1D, 0x0E) == bytes(0x0E)
    assert bench.level == 0


@pytest.mark.parametrize(("code", "rate_hz"), [(0x0F, 3200), (0x0A, 100), (0x09, 50), (0x07, 12.5), (0x05, 3.125)])
def test_rates_halve_with_each_code(code: int, rate_hz: float) -> None:
    bench = SensorBench("adxl345")
    bench.set(0x2C, code)
    bench.set(0x38, 0x80)
    bench.set(0x2D, 0x08)
    bench.wait_ms(10_000 / rate_hz)
    assert bench.get(0x39) == 10


@pytest.mark.parametrize(
    ("form", "counts"), [(0x00, 256), (0x03, 32), (0x0B, 256), (0x08, 256), (0x07, 32 << 6), (0x0F, 256 << 3)]
)
def test_resolution_range_and_justification(bench: SensorBench, form: int, counts: int) -> None:
    bench.set(0x38, 0)
    bench.set(0x31, form)
    bench.wait_ms(50)
    assert words(bench.get_bytes(0x32, 6), "little") == [0, 0, counts]


def test_an_offset_register_counts_15_6_mg(bench: SensorBench) -> None:
    bench.set(0x1E, 10, 0xF6, 0)
    bench.wait_ms(640 + 20)
    x, y, z = SETUPS["adxl345"].samples(bench)[-1]
    assert (round(x / 15.6), round(y / 15.6), round(z)) == (10, -10, 1000)


def test_in_bypass_a_new_sample_over_an_unread_one_is_an_overrun(bench: SensorBench) -> None:
    bench.set(0x38, 0)
    bench.get_bytes(0x32, 6)
    assert bench.get(0x30) & 0x81 == 0
    bench.wait_ms(20)
    assert bench.get(0x30) & 0x81 == 0x80
    bench.wait_ms(20)
    assert bench.get(0x30) & 0x81 == 0x81
    bench.get_bytes(0x32, 6)
    assert bench.get(0x30) & 0x81 == 0


def test_each_transaction_takes_one_entry_and_what_it_did_not_read_is_lost(bench: SensorBench) -> None:
    bench.set(0x38, 0)
    bench.set(0x38, 0x80)
    bench.play([(i * 100, i * 100, 0) for i in range(20)])
    bench.wait_ms(200)
    assert bench.get(0x39) == 10
    assert words(bench.get_bytes(0x32, 2), "little") == [0]
    assert words(bench.get_bytes(0x34, 2), "little") == [round(100 * 0.256)], "y of the next entry"
    data = bench.get_bytes(0x32, 8)
    assert words(data[:2], "little") == [round(200 * 0.256)]
    assert data[7] == 7, "a burst that passes the data registers has ended its entry"


def test_a_full_fifo_is_an_overrun_until_it_is_read(bench: SensorBench) -> None:
    bench.set(0x38, 0)
    bench.set(0x38, 0x80)
    bench.wait_ms(32 * 20)
    assert bench.get(0x30) & 0x01 == 0
    bench.wait_ms(20)
    assert bench.get(0x30) & 0x01
    assert bench.get(0x39) == 33, "32, and one at the output filter"
    bench.get_bytes(0x32, 6)
    assert bench.get(0x30) & 0x01 == 0


def test_fifo_mode_keeps_the_first_samples(bench: SensorBench) -> None:
    bench.set(0x38, 0)
    bench.set(0x38, 0x40)
    bench.play([(i * 100, 0, 0) for i in range(100)])
    bench.wait_ms(2000)
    assert [round(x / 100) for x, _, _ in SETUPS["adxl345"].samples(bench)] == list(range(33))


def test_trigger_mode_keeps_as_many_samples_before_the_event_as_it_was_told(bench: SensorBench) -> None:
    arm(bench, threshold=16)
    bench.set(0x38, 0)
    bench.set(0x38, 0xC0 | 8)
    bench.play([(i, 0, 1000) for i in range(50)] + [(0, 0, 4000)] + [(0, 0, 1000)] * 60)
    bench.wait_ms(51 * 20)
    assert bench.get(0x39) == 0x80 | 9, "eight, and the one that triggered"
    bench.wait_ms(1000)
    heights = [round(z / 1000) for _, _, z in SETUPS["adxl345"].samples(bench)]
    assert heights == [1] * 8 + [4] + [1] * 24


def test_the_watermark_drives_int1_until_the_fifo_is_below_it(bench: SensorBench) -> None:
    bench.set(0x38, 0)
    bench.set(0x2E, 0x02)
    bench.set(0x38, 0x80 | 16)
    bench.wait_ms(15 * 20)
    assert bench.level == 0
    bench.wait_ms(20)
    assert bench.level == 1
    bench.get_bytes(0x32, 6)
    assert bench.level == 0


def test_ac_coupled_activity_compares_with_the_first_sample(bench: SensorBench) -> None:
    bench.hold(0, 600, 800)
    arm(bench, threshold=16)
    bench.wait_ms(1000)
    assert bench.level == 0, "gravity is in the reference"
    bench.hold(0, 600, 1900)
    bench.wait_ms(40)
    assert bench.level == 1
    assert bench.get(0x2B) & 0x70 == 0x10, "z"
    assert bench.get(0x30) & 0x10
    assert bench.level == 0
    bench.wait_ms(40)
    assert bench.level == 1, "the reference is still the first sample"
    bench.set(0x27, 0xF0)
    bench.get(0x30)
    bench.wait_ms(1000)
    assert bench.level == 0, "a new reference was taken"


def test_dc_coupled_activity_compares_with_zero_on_the_axes_that_take_part(bench: SensorBench) -> None:
    arm(bench, threshold=15, control=0x60)
    bench.wait_ms(200)
    assert bench.level == 0, "z does not take part"
    bench.set(0x27, 0x10)
    bench.wait_ms(40)
    assert bench.level == 1


def test_interrupts_that_are_mapped_to_int2_do_not_reach_int1(bench: SensorBench) -> None:
    bench.set(0x2F, 0x10)
    arm(bench, threshold=16)
    bench.wait_ms(40)
    bench.hold(0, 0, 3000)
    bench.wait_ms(200)
    assert bench.level == 0
    assert bench.get(0x30) & 0x10


def test_inverted_interrupts_are_high_at_rest(bench: SensorBench) -> None:
    bench.set(0x31, 0x2B)
    assert bench.level == 1
    arm(bench, threshold=16)
    bench.wait_ms(40)
    bench.hold(0, 0, 3000)
    bench.wait_ms(40)
    assert bench.level == 0


def test_free_fall_is_all_axes_below_the_threshold_for_its_time(bench: SensorBench) -> None:
    bench.set(0x28, 6)  # 375 mg
    bench.set(0x29, 20)  # 100 ms
    bench.set(0x2E, 0x04)
    bench.play([STILL] + [FALLING] * 5 + [STILL] * 5)
    bench.wait_ms(220)
    assert bench.level == 0
    bench.play([STILL] + [FALLING] * 6 + [STILL] * 5)
    bench.wait_ms(240)
    assert bench.level == 1
    assert bench.get(0x30) & 0x04
    assert bench.level == 0


def test_sleep_looks_for_activity_only(bench: SensorBench) -> None:
    arm(bench, threshold=16)
    bench.set(0x38, 0)
    bench.set(0x38, 0x80)
    bench.set(0x2D, 0x0C)
    bench.wait_ms(1000)
    assert bench.get(0x39) == 0
    bench.hold(0, 0, 3000)
    bench.wait_ms(130)
    assert bench.level == 1


def test_self_test_at_100_hz_is_within_the_limits_and_at_50_hz_it_is_not(bench: SensorBench) -> None:
    moved = {}
    for code in (0x0A, 0x09):
        bench.set(0x2C, code)
        bench.set(0x31, 0x0B)
        bench.wait_ms(1000)
        rest = SETUPS["adxl345"].samples(bench)[-1]
        bench.set(0x31, 0x8B)
        bench.wait_ms(1000)
        moved[code] = [a - b for a, b in zip(SETUPS["adxl345"].samples(bench)[-1], rest, strict=True)]
    x, y, z = moved[0x0A]
    assert 200 <= x <= 2100 and -2100 <= y <= -200 and 300 <= z <= 3400
    assert abs(moved[0x09][0]) < 200


def test_what_is_not_there_is_told_once(bench: SensorBench, caplog: pytest.LogCaptureFixture) -> None:
    bench.set(0x2E, 0x40)
    bench.set(0x2E, 0x40)
    assert [record.message for record in caplog.records] == ["Adxl345: tap detection is not modelled"]
