"""The same movements as other sensors would have recorded them."""

import made_up_falls
import numpy as np
import pytest

from ansim.falls import disturbances
from ansim.falls.disturbances import ALL, Disturbance
from ansim.falls.recordings import Recording


@pytest.fixture(scope="module")
def movements() -> list[Recording]:
    return made_up_falls.people(2, 1)


def strengths(one: Recording) -> made_up_falls.Vectors:
    made: made_up_falls.Vectors = np.linalg.norm(one.acc.astype(np.float64), axis=1)
    return made


@pytest.mark.parametrize("disturbance", ALL, ids=lambda each: each.name)
def test_the_same_seed_disturbs_alike_and_leaves_the_original(
    disturbance: Disturbance, movements: list[Recording]
) -> None:
    before = [each.acc.copy() for each in movements]
    first, again = (disturbance.to_all(movements, 3) for _ in range(2))
    assert all(np.array_equal(one.acc, other.acc) for one, other in zip(first, again, strict=True))
    assert all(np.array_equal(one.acc, kept) for one, kept in zip(movements, before, strict=True))
    assert [each.name for each in first] == [each.name for each in movements]


def test_a_turned_sensor_feels_the_same_strength_in_another_direction(movements: list[Recording]) -> None:
    turned = disturbances.turned().to_all(movements, 0)
    for one, other in zip(movements, turned, strict=True):
        assert np.abs(strengths(one) - strengths(other)).max() < 2
    assert len({tuple(np.sign(each.acc[0])) for each in turned}) > 1


def test_a_turned_sensor_is_no_mirror() -> None:
    axes = made_up_falls.recording("each axis in turn", 1000 * np.eye(3))
    volumes = [np.linalg.det(each.acc / 1000) for each in disturbances.turned().to_all([axes] * 20, 0)]
    assert volumes == pytest.approx([1] * 20, abs=0.01)


def test_gain_offset_and_full_scale(movements: list[Recording]) -> None:
    one = movements[0]
    louder, shifted, cut = (
        each.to_all([one], 0)[0].acc.astype(int)
        for each in (disturbances.amplified(1.1), disturbances.shifted(60), disturbances.clipped(2000))
    )
    assert np.abs(louder - one.acc * 1.1).max() <= 0.5
    assert set(np.abs(shifted - one.acc).ravel()) == {60}
    assert np.abs(cut).max() == 2000 and (cut == one.acc)[np.abs(one.acc).max(axis=1) <= 2000].all()


def test_a_slower_source_loses_what_is_quick(movements: list[Recording]) -> None:
    peaks = [strengths(each.at_rate(50)).max() for each in disturbances.sampled(20).to_all(movements, 0)]
    assert all(peak < strengths(each).max() for peak, each in zip(peaks, movements, strict=True) if each.is_fall)


def test_a_quick_clock_gives_more_samples_that_are_taken_for_the_nominal_rate(movements: list[Recording]) -> None:
    quick, slow = (disturbances.off_pace(share).to_all(movements, 0)[0] for share in (0.1, -0.1))
    count = len(movements[0].acc)
    assert quick.fs == slow.fs == 50
    assert len(quick.acc) == pytest.approx(1.1 * count, abs=2) and len(slow.acc) == pytest.approx(0.9 * count, abs=2)


def test_what_begins_later_ends_as_it_did(movements: list[Recording]) -> None:
    later = disturbances.begun_later(2).to_all(movements, 5)
    assert len({len(each.acc) for each in later}) > 1
    for before, after in zip(movements, later, strict=True):
        assert len(before.acc) - 2 * before.fs <= len(after.acc) <= len(before.acc)
        assert np.array_equal(after.acc, before.acc[len(before.acc) - len(after.acc) :])
