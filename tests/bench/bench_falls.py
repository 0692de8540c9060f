"""How well falls are told from other activity, by the firmware's own code, for people whom its model has not seen."""

import os
from collections.abc import Mapping

from ansim.falls import bounds
from ansim.falls.bounds import PLACEMENTS, Placement
from ansim.falls.evaluation import Study
from ansim.falls.figures import Figures, Judgement, figures_of
from ansim.falls.metrics import value_of
from ansim.falls.recordings import Recording, data_folder, load
from figure import Figure

FOLDS = 6
# What a forest, which is on no device, has no figure for.
_OURS_ALONE = (bounds.WOKEN, bounds.AWAKE, bounds.SLEPT_THROUGH, bounds.LEAD)


def measure() -> list[Figure]:
    """Cross-validate each placement on its set, and judge it by what the other set teaches; a note without the sets."""
    sets = {name: data_folder() / each.recordings for name, each in PLACEMENTS.items()}
    missing = [str(path) for path in sets.values() if not path.is_file()]
    if missing:
        return [Figure(f"falls NOT MEASURED, recordings missing: {', '.join(missing)}", 0, "")]
    recordings = {name: load(path) for name, path in sets.items()}
    return [figure for each in PLACEMENTS.values() for figure in _placement(each, recordings)]


def _placement(placement: Placement, recordings: Mapping[str, list[Recording]]) -> list[Figure]:
    name = placement.name
    study = Study(name, os.cpu_count() or 1, 0, lambda *_: None)
    judgement = study.cross_validate(recordings[name], FOLDS, "strangers")
    figures = figures_of(judgement)
    (other,) = recordings.keys() - {name}
    crossed = figures_of(study.judge_learned(recordings[other], recordings[name], "another set's"))
    return [
        *_bounded(placement, figures, _forest(judgement)),
        _plain(f"{name}: falls lost by waking late", len(figures.sleep.falls_lost)),
        _plain(f"{name}: falls won by waking late", len(figures.sleep.falls_won)),
        _plain(f"{name}: sensitivity, learned from the {other}'s set", value_of(crossed.overall.sensitivity)),
        _plain(f"{name}: specificity, learned from the {other}'s set", value_of(crossed.overall.specificity)),
    ]


def _forest(judgement: Judgement) -> dict[str, float]:
    """Return the reference's figures, by their names."""
    reference = judgement.reference or ()
    return figures_of(Judgement("random forest", reference, reference)).named()


def _bounded(placement: Placement, figures: Figures, forest: Mapping[str, float]) -> list[Figure]:
    made = []
    for verdict in figures.verdicts(placement.bounds):
        bound, value = verdict.bound, verdict.value
        peer = "" if bound.figure in _OURS_ALONE else f"random forest {forest[bound.figure]:.4f}"
        if value is not None:
            name = f"{placement.name}: {bound.figure}"
            made.append(Figure(name, round(value, 4), "", bound.limit, bound.at_least, peer))
    return made


def _plain(name: str, value: float | None) -> Figure:
    return Figure(name, round(value or 0, 4), "")
