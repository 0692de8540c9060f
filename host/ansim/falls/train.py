"""Fits a placement's model to windows that the firmware itself measured.

Gradient boosted trees of depth 2: 2 KB of them caught more falls, at the same number of false alarms, than a random
forest of 20 trees, 8 deep. emlearn's conversion of trees (0.23.2) does not serve: it knows forests and single trees,
and gives C code, or a table for a native module of its own that there is not for the ESP32-C3 and C6.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from ansim.falls.candidates import Candidates
from ansim.falls.recordings import Recording, to_mg

# A score of so much is a log-odds of 1.
SCALE = 128
_TREES = 200
_INNER_FOLDS = 5
_SOFTNESS = 0.6
# The feature that is the length of the longest sample of the impact.
_IMPACT = 0
_NEVER = 32767


@dataclass(frozen=True)
class Placement:
    """What is not learned.

    Args:
        certain, suspect: of the recordings without a fall that have a window at all, the share that may be taken for a
            fall at once, and the share that may be in doubt or be taken for one.
        others: as in ansim_fw.core.fall.model.
    """

    certain: float
    suspect: float
    others: dict[str, int]


PLACEMENTS = {
    "waist": Placement(
        certain=0.002,
        suspect=0.009,
        others={"wake_mg": 250, "impact_mg": 1400, "still": 20, "same": 240, "moved_loss": 50, "blocks": 8},
    ),
    "wrist": Placement(
        certain=0.022,
        suspect=0.03,
        # An arm that lies does not lie as still, nor as straight, as a trunk.
        others={"wake_mg": 500, "impact_mg": 1600, "still": 40, "same": 128, "moved_loss": 50, "blocks": 8},
    ),
}
VERSION = 1


def with_softer(recordings: Sequence[Recording]) -> list[Recording]:
    """Return the recordings, and after them each once more as if somebody had moved more softly.

    Those who fall in recordings are young and mean to; old people fall more softly. What is slow (a Hann window of half
    a second) stays as it is, such as how the body turns; what is quick is made weaker.
    """
    return [*recordings, *map(_softer, recordings)]


def _softer(recording: Recording) -> Recording:
    weights = np.hanning(round(recording.fs / 2) + 2)
    slow = convolve1d(recording.acc.astype(np.float64), weights / weights.sum(), axis=0, mode="nearest")
    return replace(recording, acc=to_mg(slow + _SOFTNESS * (recording.acc - slow)))


def open_model(placement: str) -> dict[str, Any]:
    """Return a model that judges every window and suspects nothing."""
    return _told(placement, _NEVER, _NEVER, [])


def labels(candidates: Candidates) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which of K windows are falls, and which of them teach (both K).

    Of a recording with a fall the window with the longest sample is the fall; of the others nobody knows what they are.
    """
    teaches = ~candidates.is_fall
    impact = candidates.features[:, _IMPACT]
    for recording in set(candidates.recording[candidates.is_fall].tolist()):
        windows = np.flatnonzero(candidates.recording == recording)
        teaches[windows[np.argmax(impact[windows])]] = True
    return candidates.is_fall, teaches


def operating_point(scores: NDArray[Any], candidates: Candidates, placement: str) -> float:
    """Return the least score that is a fall at once.

    Args:
        scores: K, of subjects that were not learned from.
        candidates: K windows.
    """
    return _quantile(scores, candidates, PLACEMENTS[placement].certain)


def _quantile(scores: NDArray[Any], candidates: Candidates, share: float) -> float:
    """Return a score that this share of the recordings without a fall reach: between the last that do, and the next."""
    others = ~candidates.is_fall
    best = [
        scores[others & (candidates.recording == each)].max() for each in set(candidates.recording[others].tolist())
    ]
    return float(np.quantile(best, 1 - share))


def fit(candidates: Candidates, placement: str, seed: int) -> dict[str, Any]:
    """Return a placement's model as its file tells it; the same candidates and seed give the same model.

    The scores that are a fall, or a doubt, are chosen by what models of a part of the subjects made of the others.
    """
    positive, teaches = labels(candidates)
    taught = candidates.chosen(teaches)
    scores = _unseen_scores(taught, positive[teaches], seed)
    given = PLACEMENTS[placement]
    certain = round(operating_point(scores, taught, placement))
    suspect = round(_quantile(scores, taught, given.suspect))
    return _told(placement, suspect, certain, boost(taught.features, positive[teaches], seed))


def _unseen_scores(taught: Candidates, positive: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    scores = np.zeros(len(positive), np.int64)
    folds = GroupKFold(min(_INNER_FOLDS, len(set(taught.subject.tolist()))))
    for learned, unseen in folds.split(taught.features, positive, taught.subject):
        trees = boost(taught.features[learned], positive[learned], seed)
        scores[unseen] = score(trees, taught.features[unseen])
    return scores


def boost(features: NDArray[np.int64], positive: NDArray[np.bool_], seed: int) -> list[dict[str, list[int]]]:
    """Return trees that tell the positive of K windows (K x F features) from the others."""
    model = HistGradientBoostingClassifier(
        max_iter=_TREES,
        learning_rate=0.1,
        max_depth=2,
        max_leaf_nodes=4,
        min_samples_leaf=15,
        l2_regularization=1.0,
        max_features=0.4,
        early_stopping=False,
        random_state=seed,
    )
    # So little to learn from is learned ten times slower when threads wait for each other.
    with threadpool_limits(1):
        model.fit(features, positive)
        trees = [_tree(each[0].nodes) for each in model._predictors]
        _check(trees, model, features)
    return trees


def _tree(nodes: NDArray[Any]) -> dict[str, list[int]]:
    """Return one tree as model_file packs it. nodes: scikit-learn's own table; the first one is the root."""
    decisions = [_decision(nodes, 0)]
    leaves = []
    for child in _children(nodes, 0):
        decisions.append(_decision(nodes, child))
        leaves += [_leaf(nodes[grandchild]["value"]) for grandchild in _children(nodes, child)]
    features, thresholds = zip(*decisions, strict=True)
    return {"features": list(features), "thresholds": list(thresholds), "leaves": leaves}


def _decision(nodes: NDArray[Any], index: int) -> tuple[int, int]:
    """Return the feature and the threshold; where the tree has a leaf already, one that no value is above."""
    if nodes[index]["is_leaf"]:
        return 0, 255
    return int(nodes[index]["feature_idx"]), min(int(np.floor(nodes[index]["num_threshold"])), 255)


def _children(nodes: NDArray[Any], index: int) -> tuple[int, int]:
    if nodes[index]["is_leaf"]:
        return index, index
    return int(nodes[index]["left"]), int(nodes[index]["right"])


def _leaf(value: float) -> int:
    return int(np.clip(round(value * SCALE), -127, 127))


def score(trees: list[dict[str, list[int]]], features: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what the firmware makes of K windows: K x F features, K scores."""
    total = np.zeros(len(features), np.int64)
    for tree in trees:
        right = [features[:, i] > limit for i, limit in zip(tree["features"], tree["thresholds"], strict=True)]
        total += np.array(tree["leaves"])[np.where(right[0], 2 + right[2], right[1] + 0)]
    return total


def _check(
    trees: list[dict[str, list[int]]], model: HistGradientBoostingClassifier, features: NDArray[np.int64]
) -> None:
    """The table of nodes is not part of scikit-learn's interface: see that what was read from it says the same."""
    apart = score(trees, features) / SCALE - model.decision_function(features)
    if np.ptp(apart) > 1:
        raise RuntimeError(
            "the trees taken from scikit-learn do not say what its model says; is its version supported?"
        )


def _told(placement: str, suspect: int, certain: int, trees: list[dict[str, list[int]]]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "placement": placement,
        **PLACEMENTS[placement].others,
        "suspect": suspect,
        "certain": max(suspect, certain),
        "trees": trees,
    }
