"""The LIS2DW12's model, by its registers."""

import pytest

from ansim.virtual.models import BusError
from sensor_kit import SETUPS, SensorBench, words

STEP_MG = 16000 / 8192
STILL, TILTED = (0, 0, 1000), (0, 600, 800)


@pytest.fixture
def bench() -> SensorBench:
    """Streaming at 50 Hz and +-16 g, with its filter settled."""
    made = SETUPS["lis2dw12"].bench()
    made.wait_ms(100)
    return made


def arm(bench: SensorBench, threshold: int, routes: int = 0x20, latched: bool = True, duration: int = 0) -> None:
    """Let wake-up (or what routes says) drive INT1; threshold in 1/64 of full scale."""
    bench.set(0x22, 0x10 if latched else 0)
    bench.set(0x34, threshold)
    bench.set(0x35, duration << 5)
    bench.set(0x23, routes)
    bench.set(0x3F, 0x20)


def test_reset_values_and_a_soft_reset_that_brings_them_back() -> None:
    bench = SensorBench("lis2dw12")
    assert bench.get_bytes(0x20, 6) == bytes((0, 0x04, 0, 0, 0, 0))
    bench.set(0x20, 0x44, 0x0C, 0x10, 0x20, 0, 0x30)
    assert bench.get_bytes(0x20, 6) == bytes((0x44, 0x0C, 0x10, 0x20, 0, 0x30))
    bench.set(0x21, 0x40)
    assert bench.get_bytes(0x20, 6) == bytes((0, 0x04, 0, 0, 0, 0))
    assert bench.part.due_ms is None


def test_without_auto_increment_a_burst_stays_at_its_register(bench: SensorBench) -> None:
    bench.set(0x21, 0)
    assert bench.get_bytes(0x0F, 3) == b"\x44\x44\x44"


@pytest.mark.parametrize(
    ("control", "rate_hz"),
    [(0x10, 1.6), (0x14, 12.5), (0x30, 25), (0x50, 100), (0x74, 400), (0x70, 200), (0x94, 1600), (0x08, 0), (0xF0, 0)],
)
def test_rates_in_low_power_and_high_performance(control: int, rate_hz: float) -> None:
    bench = SensorBench("lis2dw12")
    bench.set(0x20, control)
    count = 0
    for _ in range(20_000):
        bench.wait_ms(0.5)
        count += bench.get(0x27) & 1
        bench.get_bytes(0x28, 6)
    assert abs(count - 10 * rate_hz) <= 1


def test_low_power_mode_1_has_12_bits_and_the_others_14(bench: SensorBench) -> None:
    bench.set(0x2E, 0)
    bench.hold(0, 0, 1003)
    for control, step in ((0x40, 16), (0x41, 4), (0x44, 4)):
        bench.set(0x20, control)
        bench.wait_ms(50)
        z = words(bench.get_bytes(0x2C, 2), "little")[0]
        assert z % step == 0
        assert abs(z * 16000 / 32768 - 1003) <= step * 16000 / 32768 / 2


def test_a_conversion_on_demand_is_one_sample(bench: SensorBench) -> None:
    bench.set(0x2E, 0)
    bench.set(0x20, 0x4B)
    bench.get_bytes(0x28, 6)
    bench.wait_ms(500)
    assert bench.get(0x27) & 1 == 0
    bench.set(0x22, 0x03)
    assert bench.get(0x27) & 1 == 1
    assert bench.get(0x22) == 0x02, "the request clears itself"


def test_i2c_that_is_switched_off_answers_nothing_until_power_comes_again(bench: SensorBench) -> None:
    bench.set(0x21, 0x06)
    with pytest.raises(BusError):
        bench.get(0x0F)
    bench.part.power_on()
    assert bench.get(0x0F) == 0x44


def test_overrun_is_told_once_the_33rd_sample_came_and_no_more_after_a_read(bench: SensorBench) -> None:
    bench.set(0x2E, 0)
    bench.set(0x2E, 0xC0 | 20)
    bench.wait_ms(19 * 20)
    assert bench.get(0x2F) == 19
    bench.wait_ms(20)
    assert bench.get(0x2F) == 0x80 | 20
    bench.wait_ms(12 * 20)
    assert bench.get(0x2F) == 0x80 | 32
    bench.wait_ms(20)
    assert bench.get(0x2F) == 0xC0 | 32
    assert bench.get(0x37) & 0x80
    bench.get_bytes(0x28, 6)
    assert bench.get(0x2F) == 0x80 | 31


def test_fifo_mode_stops_when_it_is_full_and_bypass_empties_it(bench: SensorBench) -> None:
    bench.set(0x2E, 0)
    assert bench.get(0x2F) & 0x3F == 0
    bench.set(0x2E, 0x20)
    bench.play([(i * 100, 0, 0) for i in range(100)])
    bench.wait_ms(100 * 20)
    assert bench.get(0x2F) & 0x7F == 0x60
    samples = SETUPS["lis2dw12"].samples(bench)
    assert [round(x / 100) for x, _, _ in samples] == list(range(32)), "the first ones are kept"
    bench.set(0x2E, 0)
    assert bench.get(0x2F) == 0


def test_the_watermark_drives_int1_until_the_fifo_is_below_it(bench: SensorBench) -> None:
    bench.set(0x2E, 0)
    bench.set(0x2E, 0xC0 | 10)
    bench.set(0x23, 0x02)
    bench.wait_ms(9 * 20)
    assert bench.level == 0
    bench.wait_ms(20)
    assert bench.level == 1
    bench.get_bytes(0x28, 6)
    assert bench.level == 0


def test_continuous_to_fifo_keeps_what_was_before_the_impact(bench: SensorBench) -> None:
    arm(bench, threshold=1)
    bench.set(0x2E, 0x60)
    bench.wait_ms(2000)
    bench.play([(0, 0, 1000)] * 5 + [(0, 0, 4000)] + [(0, 0, 1000)] * 60)
    bench.wait_ms(2000)
    heights = [round(z / 1000) for _, _, z in SETUPS["lis2dw12"].samples(bench)]
    assert len(heights) == 32
    assert heights.index(4) == 31, "the FIFO stands still with the sample that triggered"


@pytest.mark.parametrize(("change_mg", "wakes"), [(480, False), (520, True), (-520, True)])
def test_wake_up_looks_at_half_the_change_between_two_samples(bench: SensorBench, change_mg: int, wakes: bool) -> None:
    arm(bench, threshold=1)  # 250 mg
    bench.hold(change_mg, 0, 1000)
    bench.wait_ms(100)
    assert bench.level == int(wakes)
    assert bench.get(0x38) == (0x0C if wakes else 0), "x, and that it was a wake-up"


def test_a_slow_change_wakes_nobody(bench: SensorBench) -> None:
    arm(bench, threshold=1)
    bench.play([(i * 40, 0, 1000) for i in range(200)])
    bench.wait_ms(4000)
    assert bench.rises == 0


def test_after_power_down_the_first_sample_is_a_change() -> None:
    bench = SensorBench("lis2dw12")
    bench.set(0x25, 0x30)
    arm(bench, threshold=1)
    bench.set(0x20, 0x44)
    bench.wait_ms(100)
    assert bench.rises == 1


def test_a_latched_wake_up_lasts_until_a_source_is_read(bench: SensorBench) -> None:
    arm(bench, threshold=1)
    bench.hold(0, 0, 3000)
    bench.wait_ms(1000)
    assert bench.level == 1
    assert bench.get(0x27) & 0x40
    assert bench.level == 1, "STATUS ends nothing"
    assert bench.get(0x3B) == 0x02
    assert bench.level == 0
    assert bench.get(0x38) == 0


def test_an_unlatched_wake_up_lasts_as_long_as_the_change(bench: SensorBench) -> None:
    arm(bench, threshold=1, latched=False)
    bench.hold(0, 0, 3000)
    bench.wait_ms(1000)
    assert (bench.rises, bench.level) == (1, 0)


def test_a_wake_up_may_have_to_last(bench: SensorBench) -> None:
    arm(bench, threshold=1, duration=2)
    bench.play([(0, 0, 1000), (0, 0, 3000), (0, 0, 1000)] + [(0, 0, 1000)] * 20)
    bench.wait_ms(400)
    assert bench.level == 0
    bench.play([(0, 0, 1000), (0, 0, 3000), (0, 0, 1000), (0, 0, 3000)] + [(0, 0, 3000)] * 20)
    bench.wait_ms(400)
    assert bench.level == 1


def test_nothing_wakes_while_interrupts_are_off_and_switching_them_off_ends_one(bench: SensorBench) -> None:
    arm(bench, threshold=1)
    bench.set(0x3F, 0)
    bench.hold(0, 0, 3000)
    bench.wait_ms(200)
    assert bench.level == 0
    bench.set(0x3F, 0x20)
    bench.hold(0, 0, 1000)
    bench.wait_ms(200)
    assert bench.level == 1
    bench.set(0x3F, 0)
    assert bench.level == 0


def test_the_fifo_goes_on_while_it_waits_for_an_impact_and_keeps_its_history(bench: SensorBench) -> None:
    arm(bench, threshold=2)
    bench.wait_ms(5000)
    SETUPS["lis2dw12"].samples(bench)
    bench.play([(i, 0, 1000) for i in range(0, 600, 20)] + [(600, 0, 3500)] + [(0, 0, 1000)] * 9)
    bench.wait_ms(31 * 20)
    assert bench.level == 1
    samples = SETUPS["lis2dw12"].samples(bench)
    assert len(samples) == 31
    assert abs(samples[-1][2] - 3500) <= STEP_MG
    assert abs(samples[0][0]) <= STEP_MG


def test_active_low_is_high_at_rest(bench: SensorBench) -> None:
    arm(bench, threshold=1)
    bench.set(0x22, 0x18)
    assert bench.level == 1
    bench.hold(0, 0, 3000)
    bench.wait_ms(100)
    assert bench.level == 0


def test_wake_up_without_the_filter_compares_with_the_user_offset(bench: SensorBench) -> None:
    arm(bench, threshold=1)
    bench.set(0x3C, 0, 0, 64, 0x2C)  # 64 x 15.6 mg along z, taken away for wake-up
    bench.wait_ms(200)
    bench.get(0x38)
    bench.wait_ms(200)
    assert bench.level == 0
    bench.hold(0, 600, 800)
    bench.wait_ms(2000)
    assert bench.get(0x38) & 0x0F == 0x0A, "it stays tilted: y, at each sample"


@pytest.mark.parametrize(("code", "threshold_mg"), [(0, 156), (3, 312), (7, 500)])
def test_free_fall_is_all_axes_below_the_threshold_for_a_while(
    bench: SensorBench, code: int, threshold_mg: int
) -> None:
    arm(bench, threshold=63, routes=0x10)
    bench.set(0x36, 5 << 3 | code)
    low = threshold_mg - 12
    bench.play([STILL] + [(low, -low, low)] * 5 + [STILL] * 5)
    bench.wait_ms(220)
    assert bench.level == 0, "five samples are not longer than five"
    bench.play([STILL] + [(low, -low, low)] * 6 + [STILL] * 5)
    bench.wait_ms(240)
    assert bench.level == 1
    assert bench.get(0x38) & 0x20
    assert bench.level == 0
    bench.play([(0, threshold_mg + 12, 0)] * 20)
    bench.wait_ms(400)
    assert bench.level == 0


@pytest.mark.parametrize(("mode", "sign"), [(0x40, 1), (0x80, -1)])
def test_self_test_moves_each_axis_within_the_limits(mode: int, sign: int) -> None:
    bench = SensorBench("lis2dw12")
    bench.set(0x25, 0x10)
    bench.set(0x20, 0x44)
    bench.wait_ms(100)
    rest = words(bench.get_bytes(0x28, 6), "little", shift=2)
    bench.set(0x22, mode)
    bench.wait_ms(100)
    moved = words(bench.get_bytes(0x28, 6), "little", shift=2)
    for before, after in zip(rest, moved, strict=True):
        assert 70 <= sign * (after - before) * 4000 / 8192 <= 1500


def test_what_is_not_there_is_told_once(bench: SensorBench, caplog: pytest.LogCaptureFixture) -> None:
    bench.set(0x23, 0x48)
    bench.set(0x23, 0x48)
    assert [record.message for record in caplog.records] == ["Lis2dw12: tap detection is not modelled"]
