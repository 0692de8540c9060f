"""A judgement put into figures, and these beside their bounds; the same for table, JSON and page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ansim.falls import bounds
from ansim.falls.bounds import Bound, in_group
from ansim.falls.metrics import (
    Attrition,
    Lead,
    Outcome,
    Sleep,
    Summary,
    attrition,
    lead,
    sleep,
    summaries,
    summarise,
    value_of,
)
from ansim_fw.core.fall.detector import FALL


@dataclass(frozen=True)
class Judgement:
    """What came of judging a detector on a set.

    Args:
        title: which set, by which protocol, in words.
        outcomes: as deployed; always_awake: the same recordings without stage 0.
        reference: the same recordings by the random forest; None where there was nothing to train it on.
        robustness: outcomes of the same recordings disturbed, by the disturbance's name.
    """

    title: str
    outcomes: Sequence[Outcome]
    always_awake: Sequence[Outcome]
    reference: Sequence[Outcome] | None = None
    robustness: dict[str, Sequence[Outcome]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """A bound, and the figure that it is for; value is None where the set has no such figure."""

    bound: Bound
    value: float | None

    @property
    def holds(self) -> bool:
        return self.value is None or self.bound.holds(self.value)


@dataclass(frozen=True)
class Figures:
    """All figures of a judgement.

    Args:
        overall, and by groups, subjects, activities: as deployed.
        falls, others: how many recordings reached each stage.
        reference: the random forest's; lead: over it.
        held: alarms that came after a recording's end, in the rest that is made up.
        robustness: by the disturbance's name.
    """

    overall: Summary
    groups: dict[str, Summary]
    subjects: dict[str, Summary]
    activities: dict[str, Summary]
    falls: Attrition
    others: Attrition
    sleep: Sleep
    reference: Summary | None
    lead: Lead | None
    held: int
    robustness: dict[str, Summary]

    def named(self) -> dict[str, float]:
        """Return the figures that have bounds, by the names of bounds.py; none that the set does not give."""
        found = {
            **_rates(self.overall),
            bounds.WOKEN: value_of(self.sleep.woken),
            bounds.AWAKE: value_of(self.sleep.awake),
            bounds.SLEPT_THROUGH: len(self.sleep.falls_slept_through),
            bounds.LEAD: self.lead.value if self.lead else None,
        }
        for group, summary in self.groups.items():
            found |= {in_group(group, name): value for name, value in _rates(summary).items()}
        return {name: value for name, value in found.items() if value is not None}

    def verdicts(self, limits: Iterable[Bound]) -> list[Verdict]:
        """Return each of limits with the figure that it is for."""
        named = self.named()
        return [Verdict(limit, named.get(limit.figure)) for limit in limits]


def figures_of(judgement: Judgement, seed: int = 0) -> Figures:
    """Return the figures of judgement; the same seed gives the same intervals."""
    outcomes = judgement.outcomes
    peers = judgement.reference
    return Figures(
        summarise(outcomes, seed),
        summaries(outcomes, lambda one: one.group, seed),
        summaries(outcomes, lambda one: one.subject, seed),
        summaries(outcomes, lambda one: one.activity, seed),
        attrition([each for each in outcomes if each.recording.is_fall]),
        attrition([each for each in outcomes if not each.recording.is_fall]),
        sleep(outcomes, judgement.always_awake, seed),
        summarise(peers, seed) if peers else None,
        lead(outcomes, peers, seed) if peers else None,
        sum(at_s > each.recording.duration_s for each in outcomes for at_s in each.times_s(FALL)),
        {name: summarise(disturbed, seed) for name, disturbed in judgement.robustness.items()},
    )


def _rates(summary: Summary) -> dict[str, float | None]:
    return {
        bounds.SENSITIVITY: value_of(summary.sensitivity),
        bounds.SPECIFICITY: value_of(summary.specificity),
        bounds.ALARMS_AN_HOUR: value_of(summary.alarms_an_hour),
    }
