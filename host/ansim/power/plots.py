"""A report drawn: what takes charge, and how long the cell lasts at other heartbeat intervals."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ansim.power.told import Report
from ansim.svg import svg_of_figure

_SIZE_INCHES = (7.5, 3.0)
_BLUE, _GREY = "#1f4e79", "#8a8a8a"


def svg_of(report: Report) -> str:
    """Return the drawing as one <svg> element."""
    return svg_of_figure(lambda: _drawn(report))


def _drawn(report: Report) -> Figure:
    figure = Figure(_SIZE_INCHES, layout="constrained")
    causes, cases = figure.subplots(1, 2)
    _bars(causes, [(cause.name, cause.mah_a_day) for cause in report.budget.causes], "mAh a day")
    _bars(cases, [(case.name, case.budget.days) for case in report.cases], "days")
    cases.axvline(report.budget.days, color=_GREY, linewidth=0.8)
    return figure


def _bars(axes: Axes, rows: list[tuple[str, float]], what: str) -> None:
    """Draw one bar a row, the first one on top."""
    axes.barh([name for name, _ in rows][::-1], [value for _, value in rows][::-1], color=_BLUE)
    axes.set_xlabel(what)
    axes.spines[["top", "right"]].set_visible(False)
