"""What is found out about a device's power, as tables for a person and as one object for a program."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from ansim.power.doubts import Doubt
from ansim.power.model import Budget
from ansim.power.usage import Usage
from ansim.power.what_if import Case

# Rows of a day, by the fields of Usage.
_DURATIONS = (
    ("in deep sleep", "deep_s"),
    ("in light sleep", "light_s"),
    ("awake, radio off", "cpu_s"),
    ("radio on", "radio_s"),
)
_COUNTS = (
    ("woken by the timer", "wake_timer"),
    ("woken by movement", "wake_motion"),
    ("woken by the button", "wake_button"),
    ("impacts looked at", "impacts"),
    ("contacts", "links"),
    ("contacts that failed", "failed"),
)


@dataclass(frozen=True)
class Report:
    """What ``ansim power`` has to tell.

    Args:
        title: of what, and over how long; remarks: what a reader must know of it.
        usage: over that time; budget: what it comes to; cases: what changes would cost.
        firmware: what the real firmware told of the same life, if it was asked.
        doubts: how long the cell lasts with figures at their worst; of a simulated life alone.
    """

    title: str
    usage: Usage
    budget: Budget
    cases: Sequence[Case]
    remarks: Sequence[str]
    firmware: Usage | None = None
    doubts: Sequence[Doubt] = ()


def tables(report: Report) -> list[Table]:
    doubts = [_doubts_table(report)] if report.doubts else []
    return [_usage_table(report), _causes_table(report.budget), _cases_table(report), *doubts]


def as_json(report: Report) -> dict[str, Any]:
    """Return all figures; charge in mAh a day, times in seconds of the whole time."""
    return {
        "title": report.title,
        "usage": asdict(report.usage),
        "firmware": asdict(report.firmware) if report.firmware else None,
        "capacity_mah": report.budget.capacity_mah,
        "mah_a_day": round(report.budget.mah_a_day, 4),
        "days": round(report.budget.days, 1),
        "causes": {cause.name: round(cause.mah_a_day, 4) for cause in report.budget.causes},
        "what_if": {case.name: round(case.budget.days, 1) for case in report.cases},
        "at_worst": {doubt.name: round(doubt.days, 1) for doubt in report.doubts},
        "remarks": list(report.remarks),
    }


def day_rows(report: Report) -> list[list[str]]:
    """Return what a day consists of: rows of a name, how long or how often, and the same on the firmware if it ran."""
    days = [each.a_day() for each in (report.usage, report.firmware) if each]
    rows = [[name, *(_duration(getattr(day, field)) for day in days)] for name, field in _DURATIONS]
    return rows + [[name, *(_count(getattr(day, field)) for day in days)] for name, field in _COUNTS]


def _usage_table(report: Report) -> Table:
    table = _table("a day", "", *(["on the firmware"] if report.firmware else []))
    for row in day_rows(report):
        table.add_row(*row)
    return table


def _causes_table(budget: Budget) -> Table:
    table = _table("what takes charge", "mAh a day", "share")
    for cause in budget.causes:
        table.add_row(cause.name, f"{cause.mah_a_day:.3f}", f"{cause.mah_a_day / budget.mah_a_day:.0%}")
    table.add_section()
    table.add_row("all", f"{budget.mah_a_day:.3f}", "")
    table.add_row(f"[bold]{budget.capacity_mah} mAh last[/]", f"[bold]{budget.days:.0f} days[/]", "")
    return table


def _cases_table(report: Report) -> Table:
    table = _table("what if", "days", "change", "mAh a day")
    for case in report.cases:
        change = case.budget.days - report.budget.days
        table.add_row(case.name, f"{case.budget.days:.0f}", f"{change:+.0f}", f"{case.budget.mah_a_day:.2f}")
    return table


def _doubts_table(report: Report) -> Table:
    table = _table("what the board may turn out to be, at worst", "days", "change")
    for doubt in report.doubts:
        table.add_row(doubt.name, f"{doubt.days:.0f}", f"{doubt.days - report.budget.days:+.0f}")
    return table


def _table(*columns: str) -> Table:
    table = Table(*columns)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _count(number: float) -> str:
    return f"{number:.3g}" if number < 1 else f"{number:.1f}"


def _duration(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
