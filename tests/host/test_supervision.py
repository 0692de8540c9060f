"""Which devices are silent, and which events are missing: within the bounds, and without false alarms."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansim.gaps import MAX_BOOTS, MAX_HOLES, BootIds, DeviceIds, HoleWatch
from ansim.supervision import FROZEN_MS, JUMP_MS, ClockWatch, Supervisor, reach_ms
from ansim_fw.core.message import FIRST_HEARTBEAT_SEQ, MAX_ID

MIN = 60_000
REACH = 7 * MIN
HOUR = 60 * MIN
DEVICE = "AN000001"


def hearing(since_ms: int = 0) -> Supervisor:
    made = Supervisor(REACH)
    made.hear(since_ms)
    return made


def test_the_reach_time_covers_the_slowest_retry_and_the_slowest_connecting() -> None:
    assert reach_ms(30) == REACH
    assert reach_ms(0) == REACH
    assert reach_ms(600) == (5 + 20 + 1) * MIN


def test_a_device_is_silent_an_interval_and_the_reach_time_after_it_was_heard_and_not_before() -> None:
    watch = hearing()
    watch.heard(DEVICE, 10 * MIN, HOUR)
    assert watch.due(10 * MIN + HOUR + REACH) == []
    assert watch.due(10 * MIN + HOUR + REACH + 1) == [DEVICE]


def test_a_silence_that_could_not_be_recorded_is_due_again_and_then_no_more() -> None:
    watch = hearing()
    watch.heard(DEVICE, 0, HOUR)
    assert watch.due(2 * HOUR) == watch.due(2 * HOUR + 1) == [DEVICE]
    watch.noted(DEVICE)
    assert watch.due(3 * HOUR) == []


def test_a_device_that_was_silent_may_fall_silent_again_once_it_was_heard() -> None:
    watch = hearing()
    watch.heard(DEVICE, 0, HOUR)
    assert watch.due(2 * HOUR) == [DEVICE]
    watch.noted(DEVICE)
    watch.heard(DEVICE, 3 * HOUR)
    assert watch.due(4 * HOUR + REACH) == []
    assert watch.due(4 * HOUR + REACH + 1) == [DEVICE]


def test_an_old_message_that_arrives_late_makes_no_silent_device_speak() -> None:
    watch = hearing()
    watch.heard(DEVICE, HOUR, HOUR)
    assert watch.due(3 * HOUR) == [DEVICE]
    watch.heard(DEVICE, HOUR - 1)
    assert watch.due(3 * HOUR + 1) == [DEVICE]
    watch.noted(DEVICE)
    watch.heard(DEVICE, HOUR - 1)
    assert watch.due(3 * HOUR + 2) == []


def test_a_shorter_interval_counts_from_now_on() -> None:
    watch = hearing()
    watch.heard(DEVICE, 0, 24 * HOUR)
    watch.heard(DEVICE, MIN, 5 * MIN)
    assert watch.due(6 * MIN + REACH + 1) == [DEVICE]


def test_a_longer_interval_counts_from_now_on() -> None:
    watch = hearing()
    watch.heard(DEVICE, 0, 5 * MIN)
    watch.heard(DEVICE, MIN, 24 * HOUR)
    assert watch.due(24 * HOUR + REACH + MIN) == []
    assert watch.due(24 * HOUR + REACH + MIN + 1) == [DEVICE]


def test_no_one_is_silent_while_we_are_deaf_nor_before_all_had_time_to_be_heard_again() -> None:
    watch = hearing()
    watch.heard(DEVICE, 0, HOUR)
    watch.deaf()
    assert watch.due(3 * HOUR) == []
    watch.hear(5 * HOUR)
    watch.hear(5 * HOUR + MIN)
    assert watch.due(5 * HOUR + REACH - 1) == []
    assert watch.due(5 * HOUR + REACH) == [DEVICE]


def test_when_much_of_the_fleet_is_unheard_after_an_outage_we_doubt_ourselves_for_one_interval() -> None:
    watch = Supervisor(REACH)
    for number in range(100):
        watch.heard(f"D{number}", 0, HOUR)
    watch.hear(5 * HOUR)
    for number in range(60):
        watch.heard(f"D{number}", 5 * HOUR + MIN)
    assert watch.due(5 * HOUR + REACH) == []
    assert watch.due(6 * HOUR + REACH) == []
    assert sorted(watch.due(6 * HOUR + REACH + 1)) == sorted(f"D{number}" for number in range(60, 100))


def test_a_few_devices_that_stay_away_after_an_outage_are_believed() -> None:
    watch = Supervisor(REACH)
    for number in range(100):
        watch.heard(f"D{number}", 0, HOUR)
    watch.hear(5 * HOUR)
    for number in range(80):
        watch.heard(f"D{number}", 5 * HOUR + MIN)
    assert len(watch.due(5 * HOUR + REACH)) == 20


def test_a_device_that_was_never_heard_is_not_watched() -> None:
    watch = hearing()
    assert not watch.knows(DEVICE)
    assert watch.due(1000 * HOUR) == []
    with pytest.raises(ValueError, match="interval"):
        watch.heard(DEVICE, 0)


@st.composite
def outages(draw: st.DrawFn) -> list[tuple[int, int]]:
    """When we do not hear, as ascending (from, until) in minutes."""
    ends = sorted(draw(st.sets(st.integers(1, 3000), max_size=10)))
    return list(zip(ends[::2], ends[1::2], strict=False))


def _minutes(away: list[tuple[int, int]], until: int) -> Iterator[tuple[int, bool]]:
    for minute in range(until):
        yield minute, not any(start <= minute < end for start, end in away)


@settings(max_examples=150, deadline=None)
@given(outages(), st.integers(1, 300), st.integers(0, 6), st.integers(0, 400))
def test_no_living_device_is_ever_silent_whenever_we_are_away(
    away: list[tuple[int, int]], interval_min: int, late_min: int, first_min: int
) -> None:
    """It speaks each interval, up to the reach time late; what it says while we are away comes that much after."""
    watch = Supervisor(REACH)
    watch.heard(DEVICE, 0, interval_min * MIN)
    to_say = first_min % interval_min
    for minute, able in _minutes(away, 3200):
        if not able:
            watch.deaf()
            to_say = max(to_say, minute + 1 + late_min) if minute >= to_say else to_say
            continue
        watch.hear(minute * MIN)
        if minute >= to_say:
            watch.heard(DEVICE, minute * MIN)
            to_say = minute + interval_min + late_min
        assert watch.due(minute * MIN) == []


@settings(max_examples=150, deadline=None)
@given(outages(), st.integers(1, 300), st.integers(0, 500))
def test_a_device_that_dies_is_silent_exactly_at_the_bound_whenever_we_are_away(
    away: list[tuple[int, int]], interval_min: int, dies_min: int
) -> None:
    watch = Supervisor(REACH)
    watch.heard(DEVICE, 0, interval_min * MIN)
    hears_since: int | None = None
    for minute, able in _minutes(away, 4000):
        if not able:
            watch.deaf()
            hears_since = None
            continue
        watch.hear(minute * MIN)
        hears_since = minute if hears_since is None else hears_since
        if minute <= dies_min:
            watch.heard(DEVICE, minute * MIN)
            last_min = minute
        silent = minute > last_min + interval_min + REACH // MIN and minute >= hears_since + REACH // MIN
        assert watch.due(minute * MIN) == ([DEVICE] if silent else [])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 90), st.integers(1, 60)), max_size=80), st.integers(0, 40))
def test_every_device_of_a_fleet_is_judged_by_its_own_signs_of_life(
    signs: list[tuple[int, int, int]], hears_from_min: int
) -> None:
    """A list of (device, minutes passed before, interval it tells), against the definition itself."""
    watch, last = Supervisor(REACH), dict[str, tuple[int, int]]()
    now_min = 0
    for number, passed_min, interval_min in signs:
        now_min += passed_min
        if now_min >= hears_from_min:
            watch.hear(hears_from_min * MIN)
        watch.heard(f"D{number}", now_min * MIN, interval_min * MIN)
        last[f"D{number}"] = now_min, interval_min
        silent = {each for each, (heard, interval) in last.items() if now_min > heard + interval + REACH // MIN}
        unheard = {each for each in silent if last[each][0] < hears_from_min}
        if now_min < hears_from_min + REACH // MIN:
            assert watch.due(now_min * MIN) == []
        elif len(unheard) < 4:
            assert set(watch.due(now_min * MIN)) == silent
        else:
            return


def test_a_clock_that_runs_evenly_is_trusted() -> None:
    watch = ClockWatch()
    assert not any(watch.doubtful(now, 1_000_000 + now + now // 1000) for now in range(0, HOUR, 10_000))


@pytest.mark.parametrize("step_ms", [JUMP_MS + 1, -JUMP_MS - 1, 365 * 24 * HOUR, -365 * 24 * HOUR])
def test_a_clock_that_was_set_is_doubted_once(step_ms: int) -> None:
    watch = ClockWatch()
    assert not watch.doubtful(0, 0)
    assert watch.doubtful(10_000, 10_000 + step_ms)
    assert not watch.doubtful(20_000, 20_000 + step_ms)


def test_a_process_that_stood_still_doubts_the_time_that_passed() -> None:
    watch = ClockWatch()
    assert not watch.doubtful(0, 0)
    assert watch.doubtful(FROZEN_MS + 1, FROZEN_MS + 1)
    assert not watch.doubtful(FROZEN_MS + 10_000, FROZEN_MS + 10_000)


def ids_of(*events: tuple[int, int]) -> DeviceIds:
    made = DeviceIds()
    for boot, seq in events:
        made.take(boot, seq)
    return made


@settings(max_examples=300)
@given(st.permutations(range(40)), st.sets(st.integers(0, 39)), st.lists(st.integers(0, 39)))
def test_the_holes_are_what_did_not_come_in_whatever_order_and_however_often(
    order: list[int], lost: set[int], again: list[int]
) -> None:
    arrived = [seq for seq in [*order, *again] if seq not in lost]
    ids = ids_of(*((3, seq) for seq in arrived))
    missing = {seq for _, first, last in ids.holes() for seq in range(first, last + 1)}
    assert missing == set(range(max(arrived, default=-1) + 1)) - set(arrived)
    assert ids.missing() == len(missing)
    assert DeviceIds.load(ids.dump()).dump() == ids.dump()


def test_heartbeats_are_no_part_of_it() -> None:
    assert ids_of((3, FIRST_HEARTBEAT_SEQ), (3, FIRST_HEARTBEAT_SEQ + 5), (3, MAX_ID)).holes() == []


def test_the_largest_hole_is_one_hole() -> None:
    assert ids_of((3, 0), (3, FIRST_HEARTBEAT_SEQ - 1)).holes() == [(3, 1, FIRST_HEARTBEAT_SEQ - 2)]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, FIRST_HEARTBEAT_SEQ)), max_size=400))
def test_whatever_a_device_sends_little_is_kept_and_nothing_missing_is_taken_for_come(
    events: list[tuple[int, int]],
) -> None:
    ids = ids_of(*events)
    assert len(ids.boots) <= MAX_BOOTS
    assert all(len(each.holes) <= MAX_HOLES for each in ids.boots.values())
    for boot, found in ids.boots.items():
        came = {seq for other, seq in events if other == boot}
        covered = sum(last - first + 1 for first, last in found.holes)
        assert found.next_seq - covered <= len(came)


def test_more_holes_than_can_fill_are_made_one_at_the_low_end() -> None:
    ids = BootIds()
    for seq in range(1, 2 * MAX_HOLES + 4, 2):
        ids.take(seq)
    assert len(ids.holes) == MAX_HOLES
    assert ids.holes[:2] == [(0, 4), (6, 6)]


def test_only_the_newest_boots_are_checked() -> None:
    ids = ids_of(*((boot, 1) for boot in range(MAX_BOOTS + 2)))
    assert sorted(ids.boots) == [2, 3, 4, 5]
    ids.take(0, 7)
    assert sorted(ids.boots) == [2, 3, 4, 5]


def test_an_event_that_alarms_overtook_is_not_missing() -> None:
    watch, late = HoleWatch(REACH), ids_of((3, 0), (3, 2))
    for now_ms in range(0, REACH, MIN):
        assert watch.overdue(now_ms, {DEVICE: (now_ms, late)}) == []
    assert watch.overdue(REACH, {}) == []
    assert watch.overdue(10 * REACH, {DEVICE: (99, late)}) == []


def test_an_event_that_does_not_come_while_its_device_speaks_is_missing() -> None:
    watch, late = HoleWatch(REACH), ids_of((3, 0), (3, 2))
    assert watch.overdue(0, {DEVICE: (1, late)}) == []
    assert watch.overdue(REACH, {DEVICE: (2, late)}) == []
    assert watch.overdue(2 * REACH - 1, {DEVICE: (3, late)}) == []
    assert watch.overdue(2 * REACH, {DEVICE: (3, late)}) == [DEVICE]


def test_a_device_that_went_away_with_an_event_has_time_to_bring_it() -> None:
    watch, late = HoleWatch(REACH), ids_of((3, 0), (3, 2))
    assert watch.overdue(0, {DEVICE: (1, late)}) == []
    for hour in range(1, 72):
        assert watch.overdue(hour * HOUR, {DEVICE: (1, late)}) == []
    assert watch.overdue(72 * HOUR, {DEVICE: (2, late)}) == []
    assert watch.overdue(72 * HOUR + REACH - 1, {DEVICE: (3, late)}) == []
    assert watch.overdue(72 * HOUR + REACH, {DEVICE: (3, late)}) == [DEVICE]


def test_a_promise_that_is_told_of_late_counts_if_nothing_newer_is_known() -> None:
    supervisor = Supervisor(reach_ms=10)
    supervisor.heard("A", 0, 100)
    supervisor.heard_of("A", 50, 1000)
    supervisor.heard_of("A", 40, 1)
    supervisor.heard_of("unknown", 40, 1)
    supervisor.hear(0)
    assert supervisor.due(1060) == []
    assert supervisor.due(1061) == ["A"]
