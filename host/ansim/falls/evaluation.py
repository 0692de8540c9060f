"""The protocols by which a detector is judged; in each, nobody is both learned from and judged on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ansim.errors import BadInput
from ansim.falls import reference, train
from ansim.falls.candidates import Candidates, gather
from ansim.falls.disturbances import Disturbance
from ansim.falls.figures import Judgement
from ansim.falls.folds import fold_of
from ansim.falls.judging import Deployed, judge
from ansim.falls.metrics import Outcome
from ansim.falls.recordings import Recording
from ansim.falls.reference import Reference

# Told with what is being done, how much of it is done, and how much there is.
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Study:
    """What all protocols need.

    Args:
        placement: where the device is worn.
        processes: how many MicroPythons share the work.
        seed: of folds, learning and chance; the same seed gives the same figures.
        disturbances: what is done to the recordings that are judged, never to those that are learned from.
        robustness: with each of these the recordings are judged once more.
    """

    placement: str
    processes: int
    seed: int
    tell: Tell
    disturbances: Sequence[Disturbance] = ()
    robustness: Sequence[Disturbance] = ()

    def fit(self, recordings: Sequence[Recording], source: str) -> dict[str, Any]:
        """Return a model that learned from all recordings of the set source, as its file tells it.

        Raises:
            BadInput: there is too little in them.
        """
        told = self._fit(self._look(train.with_softer(recordings)))
        subjects = sorted({each.subject for each in recordings})
        return {"learned_from": {"set": source, "recordings": len(recordings), "subjects": subjects}, **told}

    def cross_validate(self, recordings: Sequence[Recording], folds: int, title: str) -> Judgement:
        """Judge each subject by a model that learned from the subjects of all other folds.

        Raises:
            BadInput: there are fewer subjects than folds, or too little to learn from.
        """
        fold_by_subject = fold_of(recordings, folds, self.seed)
        seen = self._look(train.with_softer(recordings))
        fold = np.array([fold_by_subject[each] for each in seen.subject.tolist()])
        learned = []
        for number in range(folds):
            self.tell(f"learning, fold {number + 1} of {folds}", number, folds)
            learned.append(self._learn(seen.chosen(fold != number)))
        return self._judge(recordings, [learned[fold_by_subject[each.subject]] for each in recordings], title)

    def judge_learned(self, training: Sequence[Recording], recordings: Sequence[Recording], title: str) -> Judgement:
        """Judge recordings by a model that learned from training.

        Raises:
            BadInput: somebody is in both, or there is too little to learn from.
        """
        shared = {each.subject for each in training} & {each.subject for each in recordings}
        if shared:
            raise BadInput(f"{', '.join(sorted(shared))} would be learned from and judged", "Give another set.")
        learned = self._learn(self._look(train.with_softer(training)))
        return self._judge(recordings, [learned] * len(recordings), title)

    def judge_model(self, model: Deployed, recordings: Sequence[Recording], title: str) -> Judgement:
        """Judge recordings by model, wherever it learned; the title tells how many it has learned from.

        Raises:
            BadInput: it is for another placement.
        """
        worn = model.told["placement"]
        if worn != self.placement:
            raise BadInput(f"the model is for the {worn}, not for the {self.placement}", f"Say --placement {worn}.")
        taught = set(model.told.get("learned_from", {}).get("subjects", ()))
        known = taught & {each.subject for each in recordings}
        if known:
            title += f" ({len(known)} OF THE SUBJECTS TAUGHT IT)"
        return self._judge(recordings, [_Learned(model, None)] * len(recordings), title)

    def _look(self, recordings: Sequence[Recording]) -> Candidates:
        """Return the windows that the first stages see, whatever a model would make of them."""
        anything = [Deployed(train.open_model(self.placement))] * len(recordings)
        outcomes = self._play(recordings, anything, "looking", candidates=True)
        return gather(recordings, [each.played for each in outcomes])

    def _learn(self, candidates: Candidates) -> "_Learned":
        return _Learned(Deployed(self._fit(candidates)), Reference(candidates, self.seed))

    def _fit(self, candidates: Candidates) -> dict[str, Any]:
        if len(set(candidates.subject.tolist())) < 2 or len(set(candidates.is_fall.tolist())) < 2:
            raise BadInput(
                "there is too little to learn from",
                "It takes impacts of two people at least, in falls and in all else.",
            )
        return train.fit(candidates, self.placement, self.seed)

    def _judge(self, recordings: Sequence[Recording], learned: Sequence["_Learned"], title: str) -> Judgement:
        """Judge each of recordings by its own of learned."""
        judged = recordings
        for each in self.disturbances:
            judged = each.to_all(judged, self.seed)
        models = [each.model for each in learned]
        outcomes = self._play(judged, models, "judging")
        wrong = sum(each.alarms > 0 for each in outcomes if not each.recording.is_fall)
        return Judgement(
            ", ".join([title, *(each.name for each in self.disturbances)]),
            outcomes,
            self._play(judged, models, "judging, always awake", always_awake=True),
            self._refer(judged, learned, wrong),
            {each.name: self._play(each.to_all(judged, self.seed), models, each.name) for each in self.robustness},
        )

    def _refer(
        self, recordings: Sequence[Recording], learned: Sequence["_Learned"], wrong: int
    ) -> list[Outcome] | None:
        """Return what the reference makes of recordings; None where nothing was learned here."""
        references = {each: each.reference for each in learned if each.reference}
        if not references:
            return None
        seen = self._look(recordings)
        scores = np.zeros(len(seen.at_s))
        for each, its in references.items():
            theirs = np.array([learned[i] is each for i in seen.recording], np.bool_)
            scores[theirs] = its.scores(seen.chosen(theirs))
        return reference.outcomes(recordings, seen, scores, wrong)

    def _play(
        self,
        recordings: Sequence[Recording],
        models: Sequence[Deployed],
        what: str,
        *,
        always_awake: bool = False,
        candidates: bool = False,
    ) -> list[Outcome]:
        total = len(recordings)
        return judge(
            recordings,
            models,
            self.processes,
            always_awake=always_awake,
            candidates=candidates,
            on_done=lambda done: self.tell(what, done, total),
        )


@dataclass(frozen=True, eq=False)
class _Learned:
    """What came of some recordings; the reference is None where only a model is given."""

    model: Deployed
    reference: Reference | None
