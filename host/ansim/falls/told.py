"""A judgement's figures for a person at a terminal (rich) and for a program (JSON)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from ansim.falls import bounds
from ansim.falls.figures import Figures, Judgement, Verdict
from ansim.falls.metrics import Outcome, Rate, Sleep, Summary
from ansim_fw.core.fall.detector import CLEARED, FALL, IMPACT, SUSPECT

REFERENCE = "random forest, 20 x 8"
STAGES = {IMPACT: "impact", SUSPECT: "suspect", FALL: "fall", CLEARED: "cleared"}


def as_json(judgement: Judgement, figures: Figures, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return all figures as one object: the fields of figures.Figures, bounds, mistakes, and whether all hold."""
    return {
        "ok": all(each.holds for each in verdicts),
        "title": judgement.title,
        **_with_values(asdict(figures)),
        "bounds": [{**asdict(each.bound), "value": each.value, "holds": each.holds} for each in verdicts],
        "mistakes": [_mistake(each) for each in judgement.outcomes if not each.right],
    }


def _with_values(told: Any) -> Any:
    """Give every rate its value."""
    if not isinstance(told, dict):
        return told
    made = {name: _with_values(each) for name, each in told.items()}
    return {"value": made["count"] / made["of"], **made} if {"count", "of"} <= made.keys() else made


def _mistake(outcome: Outcome) -> dict[str, Any]:
    recording = outcome.recording
    told = {name: getattr(recording, name) for name in ("name", "subject", "group", "activity", "is_fall")}
    return {**told, "wakes": outcome.played.wakes, "stages": list(stages_of(outcome))}


def stages_of(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """What fired when, in the order of time."""
    for mark in outcome.played.marks:
        for bit, name in STAGES.items():
            if mark.bits & bit:
                yield {"stage": name, "at_s": round(mark.at_s, 2)}


def tables(judgement: Judgement, figures: Figures, verdicts: Sequence[Verdict]) -> Iterator[Table]:
    """What a person is shown: who, which stages, other detectors, other sensors, where it went wrong, the bounds."""
    yield _summaries("who", {"all": figures.overall, **figures.groups})
    yield _stages(figures)
    yield _sleep(figures.sleep)
    if figures.reference:
        yield _summaries("in the same run", {"Ansim": figures.overall, REFERENCE: figures.reference})
    if figures.robustness:
        yield _summaries("disturbed", {"as recorded": figures.overall, **figures.robustness})
    wrong = {each.recording.activity for each in judgement.outcomes if not each.right}
    if wrong:
        yield _summaries("activities with mistakes", {name: figures.activities[name] for name in sorted(wrong)})
    yield _verdicts(verdicts)


def _summaries(title: str, summaries: Mapping[str, Summary]) -> Table:
    """One line a summary: sensitivity, specificity and alarms an hour, with their intervals."""
    table = _numbers(title, "recordings", "sensitivity", "specificity", "alarms/h")
    for name, each in summaries.items():
        shares = (interval(each.sensitivity), interval(each.specificity), interval(each.alarms_an_hour, 2))
        table.add_row(Text(name), str(each.recordings), *shares)
    return table


def _numbers(*columns: str) -> Table:
    """A table of numbers, right aligned, behind a column of names."""
    table = Table(box=None, pad_edge=False)
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def interval(rate: Rate | None, digits: int = 3) -> str:
    """A rate and its interval as text, with digits after the point."""
    if rate is None:
        return "-"
    text = f"{rate.value:.{digits}f}"
    return text if rate.low is None else f"{text} ({rate.low:.{digits}f}-{rate.high:.{digits}f})"


def _stages(figures: Figures) -> Table:
    """How many recordings reach each stage."""
    table = _numbers("stages", "recordings", "woken", "impact", "suspect", "fall")
    for name, each in (("falls", figures.falls), ("other activity", figures.others)):
        table.add_row(name, *map(str, asdict(each).values()))
    return table


def _sleep(sleep: Sleep) -> Table:
    table = _numbers("stage 0", "")
    table.add_row(bounds.WOKEN, interval(sleep.woken))
    table.add_row(bounds.AWAKE, interval(sleep.awake))
    for what, names in (
        (bounds.SLEPT_THROUGH, sleep.falls_slept_through),
        ("falls lost by waking late", sleep.falls_lost),
        ("falls won by it", sleep.falls_won),
    ):
        table.add_row(what, Text(" ".join((str(len(names)), *names))))
    return table


def _verdicts(verdicts: Sequence[Verdict]) -> Table:
    """Each bound beside its figure."""
    table = _numbers("what must hold", "", "bound", "")
    for each in verdicts:
        value = "-" if each.value is None else f"{each.value:.4g}"
        sign = ">=" if each.bound.at_least else "<="
        holds = "" if each.value is None else ("[green]holds[/]" if each.holds else "[red]BROKEN[/]")
        table.add_row(each.bound.figure, value, f"{sign} {each.bound.limit:g}", holds)
    return table
