"""The plan of a stress run: the same for the same seed, within its scenario, and no more than was asked for."""

from dataclasses import replace
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from ansim.stress import scenario
from ansim.stress.plan import RESTARTS, episodes, outages, shares
from ansim.stress.scenario import GestureLine

SCENARIO = replace(
    scenario.load("soak"),
    gestures=(GestureLine("press", hold_ms=(60, 90)), GestureLine("body", weight=3, hold_ms=(11000, 12000))),
    faults=tuple(replace(line, chance_percent=60) for line in scenario.load("soak").faults),
)
seeds = st.integers(0, 1 << 40)


@given(seeds, st.integers(0, 9), st.integers(1, 300))
def test_the_same_seed_is_the_same_plan_with_as_many_gestures_as_were_asked_for(
    seed: int, device: int, count: int
) -> None:
    made = list(episodes(SCENARIO, seed, device, count))
    assert made == list(episodes(SCENARIO, seed, device, count))
    assert sum(len(episode.gestures) for episode in made) == count
    assert [episode.number for episode in made] == list(range(len(made)))


@given(seeds, st.integers(1, 100))
def test_a_shorter_run_is_the_beginning_of_a_longer_one(seed: int, count: int) -> None:
    short, long = list(episodes(SCENARIO, seed, 0, count)), list(episodes(SCENARIO, seed, 0, count + 50))
    assert [each.faults for each in short] == [each.faults for each in long[: len(short)]]
    assert [each for episode in short for each in episode.gestures] == [
        each for episode in long for each in episode.gestures
    ][:count]


@given(seeds)
def test_what_is_planned_is_within_its_scenario(seed: int) -> None:
    hold_ms = {line.kind: line.hold_ms for line in SCENARIO.gestures}
    lines = {line.kind: line for line in SCENARIO.faults}
    for episode in islice(episodes(SCENARIO, seed, 0), 20):
        assert SCENARIO.each[0] <= len(episode.gestures) <= SCENARIO.each[1]
        for gesture in episode.gestures:
            assert hold_ms[gesture.kind][0] <= gesture.hold_ms <= hold_ms[gesture.kind][1]
            assert SCENARIO.gap_ms[0] <= gesture.gap_ms <= SCENARIO.gap_ms[1]
        for fault in episode.faults:
            assert lines[fault.kind].at_ms[0] <= fault.at_ms <= lines[fault.kind].at_ms[1]
        assert sum(fault.kind in RESTARTS for fault in episode.faults) <= 1, "each start has one reason"


def test_devices_and_seeds_have_plans_of_their_own() -> None:
    plans = [tuple(islice(episodes(SCENARIO, seed, device), 5)) for seed in (1, 2) for device in (0, 1)]
    assert len(set(plans)) == 4


@given(st.integers(0, 10_000), st.integers(1, 64))
def test_gestures_are_shared_out(count: int, devices: int) -> None:
    found = shares(count, devices)
    assert sum(found) == count and len(found) == devices
    assert max(found) - min(found) <= 1


def test_outages_are_planned_by_the_seed() -> None:
    (line, *_) = SCENARIO.outages
    some = list(islice(outages(line, 3), 10))
    assert some == list(islice(outages(line, 3), 10))
    assert some != list(islice(outages(line, 4), 10))
    assert all(line.for_ms[0] <= each.for_ms <= line.for_ms[1] for each in some)
