"""What the detector is measured against: a forest of 20 trees, 8 deep, on the same windows and features.

It is what is usual in the field, costs some hundred KB, and is never on a device.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from ansim.falls import train
from ansim.falls.candidates import Candidates
from ansim.falls.metrics import Outcome
from ansim.falls.recordings import Recording
from ansim.falls.runner import Mark, Played
from ansim_fw.core.fall.detector import FALL

Scores = NDArray[np.float64]


class Reference:
    """A forest that learned from candidates: from the same windows as the detector, and what they are taken for."""

    def __init__(self, candidates: Candidates, seed: int) -> None:
        positive, teaches = train.labels(candidates)
        self._forest = RandomForestClassifier(20, max_depth=8, class_weight="balanced_subsample", random_state=seed)
        self._forest.fit(candidates.features[teaches], positive[teaches])

    def scores(self, candidates: Candidates) -> Scores:
        """Return for each of candidates how much it looks like a fall, from 0 to 1."""
        if not len(candidates.at_s):
            return np.zeros(0)
        scores: Scores = self._forest.predict_proba(candidates.features)[:, 1]
        return scores


def outcomes(recordings: Sequence[Recording], candidates: Candidates, scores: Scores, wrong: int) -> list[Outcome]:
    """Return what it makes of recordings, of which candidates come, by their scores.

    Its threshold is the least with which it raises an alarm in no more than wrong recordings without a fall. That is
    found on the very recordings that it is judged on, as the detector's never is, so the comparison favours the forest.
    """
    threshold = _threshold(recordings, candidates, scores, wrong)
    marks: list[list[Mark]] = [[] for _ in recordings]
    for i in np.flatnonzero(scores > threshold):
        marks[candidates.recording[i]].append(Mark(float(candidates.at_s[i]), FALL))
    return [Outcome(each, Played(0, 0.0, tuple(told))) for each, told in zip(recordings, marks, strict=True)]


def _threshold(recordings: Sequence[Recording], candidates: Candidates, scores: Scores, wrong: int) -> float:
    """Return what a score must exceed to be an alarm."""
    most = np.zeros(len(recordings))
    np.maximum.at(most, candidates.recording, scores)
    others = np.sort(most[[not each.is_fall for each in recordings]])[::-1]
    return float(others[wrong]) if wrong < len(others) else 0.0
