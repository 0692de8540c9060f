"""Subjects are dealt out to folds, and nobody is in two."""

from collections import Counter

import made_up_falls
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansim.errors import BadInput
from ansim.falls.folds import fold_of
from ansim.falls.recordings import Recording


def standing(subject: str, is_fall: bool) -> Recording:
    return made_up_falls.recording("stands", np.zeros((1, 3)), subject=subject, is_fall=is_fall)


people = st.lists(st.tuples(st.sampled_from([f"P{i}" for i in range(12)]), st.booleans()), min_size=1)


@given(people, st.integers(2, 8), st.integers(0, 99))
def test_each_subject_has_one_fold_and_the_folds_are_even(moved: list[tuple[str, bool]], folds: int, seed: int) -> None:
    recordings = [standing(*each) for each in moved]
    subjects = {each.subject for each in recordings}
    if len(subjects) < folds:
        with pytest.raises(BadInput, match="--folds|subjects"):
            fold_of(recordings, folds, seed)
        return
    found = fold_of(recordings, folds, seed)
    assert found.keys() == subjects
    sizes = Counter(found.values())
    assert sizes.keys() == set(range(folds)) and max(sizes.values()) - min(sizes.values()) <= 1
    assert found == fold_of(recordings[::-1], folds, seed)


@given(people, st.integers(2, 8), st.integers(0, 99))
def test_those_who_fall_are_spread_over_the_folds(moved: list[tuple[str, bool]], folds: int, seed: int) -> None:
    recordings = [standing(*each) for each in moved]
    if len({each.subject for each in recordings}) < folds:
        return
    found = fold_of(recordings, folds, seed)
    fallers = Counter(found[subject] for subject in {each.subject for each in recordings if each.is_fall})
    counts = [fallers[fold] for fold in range(folds)]
    assert max(counts) - min(counts) <= 1
