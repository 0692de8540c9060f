"""Properties of the small machines: battery, heartbeat, and what the wearer sees."""

from hypothesis import given
from hypothesis import strategies as st

from ansim_fw.core import battery, indicator
from ansim_fw.core.heartbeat import Heartbeat

MINUTE_MS = 60_000
LOW_MV = 3400


@given(st.lists(st.integers(-100, 5000), max_size=100))
def test_low_and_well_take_turns_and_each_is_true(readings: list[int]) -> None:
    gauge = battery.Battery(LOW_MV)
    low = False
    for reading_mv in readings:
        news = gauge.step(reading_mv)
        if news == battery.LOW:
            assert not low and 0 < reading_mv < LOW_MV
            low = True
        elif news == battery.WELL:
            assert low and reading_mv >= LOW_MV + battery.HYSTERESIS_MV
            low = False
        else:
            assert low or not 0 < reading_mv < LOW_MV
        assert gauge.low == low


@given(st.integers(LOW_MV - battery.HYSTERESIS_MV // 2, LOW_MV), st.lists(st.integers(-50, 50), max_size=100))
def test_a_voltage_that_trembles_is_told_of_once_at_the_most(level_mv: int, tremble_mv: list[int]) -> None:
    gauge = battery.Battery(LOW_MV)
    told = [gauge.step(level_mv + one) for one in tremble_mv]
    assert len([one for one in told if one != battery.UNCHANGED]) <= 1


@given(
    st.integers(1, 1440),
    st.lists(
        st.tuples(st.integers(1, 200_000), st.booleans(), st.one_of(st.none(), st.integers(1, 1440))), max_size=80
    ),
)
def test_heartbeats_come_at_their_interval_and_none_is_late_while_there_is_a_link(
    interval_min: int, story: list[tuple[int, bool, int | None]]
) -> None:
    heart = Heartbeat(interval_min)
    since_ms = None
    for elapsed_ms, link_up, new_min in story:
        if new_min is not None:
            interval_min = new_min
            heart.set_interval(new_min)
            since_ms = None if since_ms is None else 0
        idle_ms = heart.idle_ms()
        beat = heart.step(elapsed_ms, link_up)
        since_ms = None if since_ms is None else since_ms + elapsed_ms
        # As soon as it is due and there is a link, and never before.
        assert beat == (link_up and elapsed_ms >= idle_ms)
        assert since_ms is None or not link_up or beat or since_ms < interval_min * MINUTE_MS
        since_ms = 0 if beat else since_ms
        assert heart.idle_ms() <= interval_min * MINUTE_MS


@given(st.lists(st.tuples(st.integers(0, len(indicator.NAMES) - 1), st.integers(1, 20_000)), min_size=1, max_size=100))
def test_any_pattern_shows_known_outputs_and_begins_with_its_own_first_step(played: list[tuple[int, int]]) -> None:
    player = indicator.Indicator()
    for pattern, elapsed_ms in played:
        new = player.show(pattern)
        if new:
            fresh = indicator.Indicator()
            fresh.show(pattern)
            assert player.step(1) == fresh.step(1)
        assert player.pattern == pattern
        assert player.step(elapsed_ms) & ~(indicator.LED | indicator.BUZZER | indicator.VIBRATION) == 0
