"""What outcomes amount to, against figures worked out by hand."""

import itertools

import made_up_falls
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansim.falls import bounds
from ansim.falls.bounds import Bound
from ansim.falls.figures import Judgement, figures_of
from ansim.falls.metrics import (
    Attrition,
    Outcome,
    attrition,
    bootstrap,
    lead,
    sleep,
    summaries,
    summarise,
)
from ansim.falls.runner import Mark, Played
from ansim_fw.core.fall.detector import CLEARED, DECIDED, FALL, IMPACT, SUSPECT

HOUR = np.zeros((3600 * 50, 3))
HALF_A_MINUTE = np.zeros((1500, 3))


def outcome(
    subject: str, is_fall: bool, *marks: int, wakes: int = 1, awake_s: float = 3.0, acc: made_up_falls.Vectors = HOUR
) -> Outcome:
    """A recording of an hour in which marks came, a second apart."""
    recording = made_up_falls.recording(f"{subject}-{marks}", acc, subject=subject, is_fall=is_fall)
    return Outcome(recording, Played(wakes, awake_s, tuple(Mark(10.0 + i, bits) for i, bits in enumerate(marks))))


def rates(outcomes: list[Outcome]) -> tuple[float | None, float | None, float | None]:
    summary = summarise(outcomes)
    found = (summary.sensitivity, summary.specificity, summary.alarms_an_hour)
    sensitivity, specificity, alarms = (each and each.value for each in found)
    return sensitivity, specificity, alarms


def test_figures_worked_out_by_hand() -> None:
    outcomes = [
        outcome("P1", True, IMPACT, DECIDED | SUSPECT | FALL),
        outcome("P1", True, IMPACT, SUSPECT, CLEARED),
        outcome("P2", True, IMPACT, FALL, FALL),
        outcome("P1", False),
        outcome("P2", False, FALL, IMPACT, FALL, FALL),
        outcome("P2", False, SUSPECT),
        outcome("P3", False, CLEARED),
    ]
    # 2 of 3 falls; 3 of 4 other recordings without any alarm; 3 alarms in their 4 hours.
    assert rates(outcomes) == (pytest.approx(2 / 3), 0.75, 0.75)


def test_an_alarm_in_a_fall_s_recording_is_not_a_false_one() -> None:
    assert rates([outcome("P1", True, FALL, FALL), outcome("P1", False)]) == (1, 1, 0)


def test_without_falls_there_is_no_sensitivity() -> None:
    assert rates([outcome("P1", False)]) == (None, 1, 0)
    assert rates([outcome("P1", True)]) == (0, None, None)


def test_groups_are_told_apart() -> None:
    outcomes = [outcome("P1", True, FALL), outcome("P6", True), outcome("P7", False)]
    by_group = summaries(outcomes, lambda one: one.group)
    assert list(by_group) == ["elderly", "young"]
    assert by_group["young"].subjects == 1 and by_group["elderly"].subjects == 2
    young, elderly = (by_group[name].sensitivity for name in ("young", "elderly"))
    assert young and young.value == 1 and elderly and elderly.value == 0


def test_stages_thin_out() -> None:
    outcomes = [
        outcome("P1", True, IMPACT, SUSPECT, FALL),
        outcome("P1", True, IMPACT | DECIDED, IMPACT | SUSPECT),
        outcome("P1", True, IMPACT),
        outcome("P1", True, wakes=0),
        outcome("P1", True),
    ]
    assert attrition(outcomes) == Attrition(5, 4, 3, 2, 1)
    assert attrition([]) == Attrition(0, 0, 0, 0, 0)


def test_sleep_and_what_it_costs() -> None:
    heard, unheard = (IMPACT, FALL), ()
    deployed = [
        outcome("P1", True, *heard),
        outcome("P1", True, *unheard, wakes=0),
        outcome("P2", True, *unheard, wakes=2),
        outcome("P2", True, *unheard, wakes=0),
        outcome("P3", True, *heard),
        outcome("P1", False, wakes=0, awake_s=0),
        outcome("P2", False, wakes=3, awake_s=900),
    ]
    awake = [
        outcome("P1", True, *heard),
        outcome("P1", True, *heard),
        outcome("P2", True, *heard),
        outcome("P2", True, *unheard),
        outcome("P3", True, *unheard),
        outcome("P1", False),
        outcome("P2", False, *heard),
    ]
    found = sleep(deployed, awake)
    assert found.woken and found.woken.value == 0.5
    assert found.awake and found.awake.value == pytest.approx(900 / 7200)
    assert found.falls_slept_through == (deployed[1].recording.name,)
    assert found.falls_lost == (deployed[2].recording.name,)
    assert found.falls_won == (deployed[4].recording.name,)


def test_a_lead_counts_sensitivity_and_specificity() -> None:
    ours = [outcome("P1", True, FALL), outcome("P2", True, FALL), outcome("P1", False, FALL), outcome("P2", False)]
    theirs = [outcome("P1", True, FALL), outcome("P2", True), outcome("P1", False), outcome("P2", False)]
    found = lead(ours, theirs)
    assert found and found.value == 0.5 - 0.5
    same = lead(ours, ours)
    assert same and (same.value, same.low, same.high) == (0, 0, 0)
    assert lead(ours[:2], theirs[:2]) is None


def share(sums: made_up_falls.Vectors) -> made_up_falls.Vectors:
    made: made_up_falls.Vectors = sums[..., 0] / sums[..., 1]
    return made


def test_the_bootstrap_finds_the_interval_of_a_known_case() -> None:
    # Half of 100 subjects are right: draws of it have the binomial distribution, sd .05, middle 95 % from .40 to .60.
    sums = np.array([[i % 2, 1] for i in range(100)], np.float64)
    low, high = bootstrap(sums, share, seed=1) or (0, 0)
    assert low == pytest.approx(0.40, abs=0.02) and high == pytest.approx(0.60, abs=0.02)


def test_the_bootstrap_of_few_subjects_is_that_of_all_draws() -> None:
    sums = np.array([[9, 10], [5, 10], [1, 20], [7, 10], [3, 10]], np.float64)
    every = [share(sums[list(draw)].sum(axis=0)) for draw in itertools.product(range(5), repeat=5)]
    expected = np.percentile(every, (2.5, 97.5))
    assert bootstrap(sums, share, seed=3) == pytest.approx(expected, abs=0.02)


def test_the_bootstrap_draws_people_and_not_recordings() -> None:
    def alike(recordings: int) -> made_up_falls.Vectors:
        return np.array([[recordings * (i % 2), recordings] for i in range(10)], np.float64)

    assert bootstrap(alike(1), share, seed=0) == bootstrap(alike(1000), share, seed=0)


def test_one_subject_has_no_interval() -> None:
    assert bootstrap(np.array([[1.0, 2.0]]), share, seed=0) is None
    summary = summarise([outcome("P1", True, FALL), outcome("P2", False), outcome("P3", False)])
    assert summary.sensitivity and summary.sensitivity.low is None
    assert summary.specificity and summary.specificity.low == 1


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)).map(lambda each: (min(each), each[1])), min_size=2),
    st.integers(0, 9),
)
def test_an_interval_is_in_order_within_what_can_be_and_repeats(rows: list[tuple[int, int]], seed: int) -> None:
    sums = np.array(rows, np.float64)
    low, high = bootstrap(sums, share, seed) or (2, -1)
    assert 0 <= low <= high <= 1
    assert (low, high) == bootstrap(sums, share, seed)


def test_an_alarm_after_the_recording_s_end_is_told() -> None:
    outcomes = [outcome("P1", True, FALL), outcome("P2", True, *[0] * 25, FALL, acc=HALF_A_MINUTE)]
    assert figures_of(Judgement("some", outcomes, outcomes)).held == 1


def test_bounds_stand_beside_their_figures() -> None:
    outcomes = [outcome("P1", True, FALL), outcome("P1", True), outcome("P2", False), outcome("P2", False, FALL)]
    limits = (
        Bound(bounds.SENSITIVITY, 0.5),
        Bound(bounds.SPECIFICITY, 0.51),
        Bound(bounds.ALARMS_AN_HOUR, 0.4, at_least=False),
        Bound(bounds.in_group("young", bounds.SENSITIVITY), 0.9),
        Bound(bounds.in_group("elderly", bounds.SENSITIVITY), 0.9),
        Bound(bounds.SLEPT_THROUGH, 0, at_least=False),
        Bound(bounds.LEAD, 0),
    )
    found = figures_of(Judgement("some", outcomes, outcomes)).verdicts(limits)
    assert [(each.value, each.holds) for each in found] == [
        (0.5, True),
        (0.5, False),
        (0.5, False),
        (0.5, False),
        (None, True),
        (0, True),
        (None, True),
    ]


@pytest.mark.parametrize("placement", bounds.PLACEMENTS.values(), ids=list(bounds.PLACEMENTS))
def test_every_bound_names_a_figure(placement: bounds.Placement) -> None:
    outcomes = [outcome(f"P{i}", i % 2 == 0, FALL) for i in range(1, 9)]
    figures = figures_of(Judgement("all there is", outcomes, outcomes, outcomes))
    assert all(each.value is not None for each in figures.verdicts(placement.bounds))
