"""What outcomes amount to: sensitivity, specificity, alarms an hour, and how sure one may be of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ansim.falls.recordings import Recording
from ansim.falls.runner import Played
from ansim_fw.core.fall.detector import FALL, IMPACT, SUSPECT

DRAWS = 2000
_INTERVAL_PERCENT = (2.5, 97.5)
_S_AN_HOUR = 3600

Sums = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """A recording, and what the detector made of it."""

    recording: Recording
    played: Played

    def times_s(self, stage: int) -> list[float]:
        """Return when stage (a bit of detector.feed) fired, from the recording's beginning."""
        return [mark.at_s for mark in self.played.marks if mark.bits & stage]

    @property
    def alarms(self) -> int:
        return len(self.times_s(FALL))

    @property
    def right(self) -> bool:
        """Whether it raised an alarm just where there is a fall; any alarm of the recording counts."""
        return (self.alarms > 0) == self.recording.is_fall


@dataclass(frozen=True)
class Rate:
    """``count`` of ``of``, with the interval that holds 95 % of the draws of a bootstrap over subjects.

    low and high are None where fewer than two subjects have any: one person says nothing of others.
    """

    count: float
    of: float
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float:
        return self.count / self.of


def value_of(rate: Rate | None) -> float | None:
    return None if rate is None else rate.value


@dataclass(frozen=True)
class Lead:
    """By how much sensitivity + specificity are above a peer's in the same recordings; low and high as in Rate."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Summary:
    """Figures over some outcomes; None where there is nothing to divide by.

    Args:
        recordings, subjects: how many.
        sensitivity: falls with an alarm, of all falls.
        specificity: other recordings without an alarm, of all these.
        alarms_an_hour: alarms in recordings without a fall, of their hours.
    """

    recordings: int
    subjects: int
    sensitivity: Rate | None
    specificity: Rate | None
    alarms_an_hour: Rate | None


@dataclass(frozen=True)
class Attrition:
    """How many recordings reached each stage: all there are, and those that woke the device, and so on."""

    recordings: int
    woken: int
    impact: int
    suspect: int
    fall: int


@dataclass(frozen=True)
class Sleep:
    """What stage 0 saves, and what it costs.

    Args:
        woken: recordings without a fall that woke the device, of these.
        awake: the seconds that they kept it awake, of their seconds.
        falls_slept_through: falls that did not wake it, and raise an alarm when it is always awake.
        falls_lost: falls that woke it, and raise an alarm only when it is always awake.
        falls_won: falls that raise an alarm only when it sleeps; as many as falls_lost, and both are chance.
    """

    woken: Rate | None
    awake: Rate | None
    falls_slept_through: tuple[str, ...]
    falls_lost: tuple[str, ...]
    falls_won: tuple[str, ...]


def summarise(outcomes: Sequence[Outcome], seed: int = 0) -> Summary:
    """Return the figures over outcomes; the same seed gives the same intervals."""
    falls = [each for each in outcomes if each.recording.is_fall]
    others = [each for each in outcomes if not each.recording.is_fall]
    return Summary(
        len(outcomes),
        len({each.recording.subject for each in outcomes}),
        _rate(falls, lambda each: each.right, lambda _: 1, seed),
        _rate(others, lambda each: each.right, lambda _: 1, seed),
        _rate(others, lambda each: each.alarms, lambda each: each.recording.duration_s / _S_AN_HOUR, seed),
    )


def summaries(outcomes: Iterable[Outcome], key: Callable[[Recording], str], seed: int = 0) -> dict[str, Summary]:
    """Return the figures for each value of key, in the order of the values."""
    sorted_out: dict[str, list[Outcome]] = defaultdict(list)
    for each in outcomes:
        sorted_out[key(each.recording)].append(each)
    return {value: summarise(sorted_out[value], seed) for value in sorted(sorted_out)}


def attrition(outcomes: Sequence[Outcome]) -> Attrition:
    """Count outcomes by the stages that they reached."""
    woken = sum(each.played.wakes > 0 for each in outcomes)
    reached = (sum(bool(each.times_s(stage)) for each in outcomes) for stage in (IMPACT, SUSPECT, FALL))
    return Attrition(len(outcomes), woken, *reached)


def sleep(outcomes: Sequence[Outcome], always_awake: Sequence[Outcome], seed: int = 0) -> Sleep:
    """Compare outcomes as deployed with those of the same recordings while stage 0 was open, in the same order."""
    others = [each for each in outcomes if not each.recording.is_fall]
    differing = [
        each
        for each, awake in zip(outcomes, always_awake, strict=True)
        if each.recording.is_fall and bool(awake.alarms) != bool(each.alarms)
    ]
    lost = [each for each in differing if not each.alarms]
    return Sleep(
        _rate(others, lambda each: each.played.wakes > 0, lambda _: 1, seed),
        _rate(others, lambda each: each.played.awake_s, lambda each: each.recording.duration_s, seed),
        tuple(each.recording.name for each in lost if not each.played.wakes),
        tuple(each.recording.name for each in lost if each.played.wakes),
        tuple(each.recording.name for each in differing if each.alarms),
    )


def lead(outcomes: Sequence[Outcome], peers: Sequence[Outcome], seed: int = 0) -> Lead | None:
    """Compare outcomes with another detector's of the same recordings, in the same order.

    Returns None where there are no falls, or nothing but falls.
    """

    def row(ours: Outcome, peer: Outcome) -> tuple[float, ...]:
        gained = ours.right - peer.right
        return (gained, 1, 0, 0) if ours.recording.is_fall else (0, 0, gained, 1)

    rows = [row(*each) for each in zip(outcomes, peers, strict=True)]
    sums = _by_subject([each.recording.subject for each in outcomes], rows)
    gained_falls, falls, gained_others, others = sums.sum(axis=0)
    if not falls or not others:
        return None

    def difference(of: Sums) -> Sums:
        made: Sums = of[..., 0] / of[..., 1] + of[..., 2] / of[..., 3]
        return made

    low, high = bootstrap(sums, difference, seed) or (None, None)
    return Lead(float(gained_falls / falls + gained_others / others), low, high)


def _rate(
    outcomes: Sequence[Outcome], count: Callable[[Outcome], float], of: Callable[[Outcome], float], seed: int
) -> Rate | None:
    if not outcomes:
        return None
    rows = [(count(each), of(each)) for each in outcomes]
    sums = _by_subject([each.recording.subject for each in outcomes], rows)
    low, high = bootstrap(sums, _share, seed) or (None, None)
    all_counts, all_of = sums.sum(axis=0)
    return Rate(float(all_counts), float(all_of), low, high)


def _share(sums: Sums) -> Sums:
    made: Sums = sums[..., 0] / sums[..., 1]
    return made


def _by_subject(subjects: Sequence[str], rows: Sequence[Sequence[float]]) -> Sums:
    """Return the sums of rows, subject by subject."""
    numbers = {subject: i for i, subject in enumerate(dict.fromkeys(subjects))}
    sums = np.zeros((len(numbers), len(rows[0])))
    np.add.at(sums, [numbers[subject] for subject in subjects], np.array(rows, np.float64))
    return sums


def bootstrap(sums: Sums, figure: Callable[[Sums], Sums], seed: int) -> tuple[float, float] | None:
    """Return the percentile interval of figure when subjects are drawn anew, with replacement.

    Draws that leave figure undefined, such as one without any fall, are left out.

    Args:
        sums: one row a subject.
        figure: of rows summed over the subjects drawn (draws x columns), the figure of each draw.

    Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if len(sums) < 2:
        return None
    drawn = np.random.default_rng(seed).integers(len(sums), size=(DRAWS, len(sums)))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = figure(sums[drawn].sum(axis=1))
    low, high = np.nanpercentile(values, _INTERVAL_PERCENT)
    return float(low), float(high)
