"""Properties of the small machines: cell and mains, heartbeat, and what the wearer sees."""

from hypothesis import given
from hypothesis import strategies as st

from ansim_fw.core import battery, indicator, supply
from ansim_fw.core.heartbeat import Heartbeat

MINUTE_MS = 60_000
READING_MS = 10_000
CURVE = ((4200, 100), (3800, 40), (3700, 15), (3600, 5), (3300, 0))

curves = st.builds(
    lambda first_mv, steps: tuple(
        (first_mv - 20 * sum(falls[: at + 1]), 100 - 100 * at // (len(steps) - 1))
        for falls in [[fall for fall, _ in steps]]
        for at in range(len(steps))
    ),
    st.integers(4000, 4400),
    st.lists(st.tuples(st.integers(1, 5), st.none()), min_size=2, max_size=24),
)


@given(curves, st.integers(0, 6000), st.integers(0, 500))
def test_a_cell_with_less_voltage_is_never_fuller_and_its_curve_is_met(
    curve: tuple[tuple[int, int], ...], mv: int, more_mv: int
) -> None:
    found = battery.percent(mv, curve)
    assert 0 <= found <= battery.percent(mv + more_mv, curve) <= 100
    assert [battery.percent(each_mv, curve) for each_mv, _ in curve] == [charge for _, charge in curve]


@given(st.lists(st.tuples(st.integers(-100, 5000), st.integers(1, 100_000)), max_size=100))
def test_what_is_told_of_a_cell_is_true_and_was_for_longer_than_one_reading(story: list[tuple[int, int]]) -> None:
    cell = battery.Battery(CURVE, 0)
    told = since_ms = 0
    for mv, elapsed_ms in story:
        charge = battery.percent(mv, CURVE)
        expected = _expected(told, charge)
        known = mv > 0
        since_ms = since_ms + elapsed_ms if known and expected != told else 0 if known else since_ms
        changed = cell.step(elapsed_ms, mv)
        assert changed == (known and expected != told and since_ms >= battery.STEADY_MS)
        if changed:
            told, since_ms = expected, 0
        assert cell.told == told
        assert cell.idle_ms() > 0


def _expected(told: int, charge: int) -> int:
    low = charge < 20 if told & battery.IS_LOW else charge <= 15
    critical = charge < 10 if told & battery.IS_CRITICAL else charge <= 5
    return low * battery.IS_LOW | critical * battery.IS_CRITICAL


@given(st.integers(5, 20), st.lists(st.integers(-2, 2), max_size=100))
def test_a_voltage_that_trembles_is_told_of_once_at_the_most(level: int, tremble: list[int]) -> None:
    # A line, so that a volt is a percent.
    line = ((1100, 100), (1000, 0))
    cell = battery.Battery(line, 0)
    changes = []
    for one in tremble:
        for _ in range(3):
            before = cell.told
            cell.step(READING_MS, 1000 + level + one)
            changes.append(before ^ cell.told)
    assert sum(bool(bits & battery.IS_LOW) for bits in changes) <= 1
    assert sum(bool(bits & battery.IS_CRITICAL) for bits in changes) <= 1


@given(st.lists(st.tuples(st.integers(1, 20_000), st.booleans(), st.integers(3300, 4200)), max_size=80))
def test_lost_mains_and_a_flat_cell_are_told_in_turn_with_their_end(story: list[tuple[int, bool, int]]) -> None:
    one = supply.Supply(CURVE, True, 0)
    told: dict[str, bool] = {}
    for elapsed_ms, is_fed, mv in story:
        idle_ms = one.idle_ms()
        changed = one.step(elapsed_ms, mv, is_fed)
        assert idle_ms > 0
        for kind, began in one.kinds(changed):
            assert told.get(kind, False) != began
            told[kind] = began
        expected = min(4 * 60, 1440) if told.get("mains_lost") else 60
        if told.get("battery_critical") and not one.fed:
            expected = max(expected, 360)
        assert one.interval_min(60) == expected


@given(
    st.integers(1, 1440),
    st.integers(0, 300_000),
    st.lists(
        st.tuples(st.integers(1, 200_000), st.booleans(), st.one_of(st.none(), st.integers(1, 1440))), max_size=80
    ),
)
def test_heartbeats_fall_due_on_a_grid_that_no_link_and_no_delay_moves(
    interval_min: int, first_ms: int, story: list[tuple[int, bool, int | None]]
) -> None:
    heart = Heartbeat(interval_min, first_ms)
    now_ms = 0
    next_ms, owed = (first_ms, False) if first_ms else (interval_min * MINUTE_MS, True)
    for elapsed_ms, link_up, new_min in story:
        if new_min is not None:
            interval_min = new_min
            heart.set_interval(new_min)
            next_ms = min(next_ms, now_ms + new_min * MINUTE_MS)
        idle_ms = heart.idle_ms(link_up)
        assert idle_ms == (0 if owed and link_up else next_ms - now_ms)
        now_ms += elapsed_ms
        assert heart.pass_time(elapsed_ms) == (now_ms >= next_ms)
        while next_ms <= now_ms:
            next_ms += interval_min * MINUTE_MS
            owed = True
        if link_up:
            # As soon as it is due and there is a link, and never before.
            assert heart.take() == owed
            owed = False
        assert heart.owed == owed
        assert 0 < heart.wait_ms <= max(interval_min * MINUTE_MS, first_ms)


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
