"""A stress run drawn as SVG that can stand inside a page."""

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ansim.stress.result import Gesture, Result
from ansim.svg import svg_of_figure

_WIDTH_INCHES = 9.0
# Words are the page's: a drawing has none, so that it is the same in every language.
COLOURS = {"untroubled": "#1f4e79", "troubled": "#d97706", "fault": "#8a8a8a", "finding": "#c81e1e"}
_PARTS = [COLOURS["untroubled"], COLOURS["troubled"]]
_MINUTE_MS = 60_000
# A page with more is slow, and nobody sees more.
_SLICES = 1000
_BINS_A_DECADE = 10


def histogram(result: Result) -> str:
    """Return how many gestures took how long, as one <svg> element; empty if none was acknowledged."""
    if not any(each.acknowledged_ms is not None for each in result.gestures):
        return ""
    return svg_of_figure(lambda: _histogram(result))


def timeline(result: Result) -> str:
    """Return gestures against faults over the run's time, as one <svg> element; empty if nothing was done."""
    return svg_of_figure(lambda: _timeline(result)) if result.gestures else ""


def heap(result: Result) -> str:
    """Return each device's free heap over its gestures, as one <svg> element; empty if none told it."""
    return svg_of_figure(lambda: _heap(result)) if result.levels else ""


def slowest(gestures: Iterable[Gesture], slices: int = _SLICES) -> list[Gesture]:
    """Return of the acknowledged gestures the slowest in each slice of their time, in the order of time."""
    taken = [each for each in gestures if each.acknowledged_ms is not None]
    last_ms = max((each.at_ms for each in taken), default=0) + 1
    found: dict[int, Gesture] = {}
    for each in taken:
        place = each.at_ms * slices // last_ms
        if place not in found or _latency_ms(each) > _latency_ms(found[place]):
            found[place] = each
    return [found[place] for place in sorted(found)]


def _latency_ms(gesture: Gesture) -> int:
    """Return at least 1, for an axis of logarithms."""
    return max(gesture.acknowledged_ms or 0, 1)


def _histogram(result: Result) -> Figure:
    figure = Figure((_WIDTH_INCHES, 2.4), layout="constrained")
    axes = figure.subplots()
    parts = [[max(ms, 1) for ms in result.latencies_ms(troubled)] for troubled in (False, True)]
    axes.hist(parts, _bins(parts[0] + parts[1]), stacked=True, color=_PARTS)
    axes.set(xscale="log", xlabel="ms")
    _tidy(axes)
    return figure


def _bins(taken_ms: Sequence[int]) -> list[float]:
    """Return the edges of bins that are as wide as one another where the axis is logarithmic."""
    low = math.floor(math.log10(min(taken_ms)) * _BINS_A_DECADE)
    high = math.floor(math.log10(max(taken_ms)) * _BINS_A_DECADE) + 1
    return [10 ** (edge / _BINS_A_DECADE) for edge in range(low, high + 1)]


def _timeline(result: Result) -> Figure:
    kinds = sorted(result.faults_by_kind())
    heights = (2.4, 0.4 + 0.16 * max(len(kinds), 1))
    figure = Figure((_WIDTH_INCHES, sum(heights)), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
    for troubled, colour in enumerate(_PARTS):
        dots = slowest(each for each in result.gestures if each.troubled == troubled)
        times = [each.at_ms / _MINUTE_MS for each in dots]
        above.plot(times, [_latency_ms(each) for each in dots], ".", color=colour, markersize=3)
    above.set(yscale="log", ylabel="ms")
    _tidy(above)
    _fault_bars(below, result, kinds)
    below.set_xlabel("min")
    for axes in (above, below):
        for finding in result.findings[:_SLICES]:
            axes.axvline(finding.at_ms / _MINUTE_MS, color=COLOURS["finding"], linewidth=0.8)
    return figure


def _fault_bars(axes: Axes, result: Result, kinds: Sequence[str]) -> None:
    """Draw a row of bars for each kind of fault; one that was over at once is seen, too."""
    shortest = max(result.lasted_s * 1000 / _SLICES, 1)
    for row, kind in enumerate(kinds):
        bars = [
            (each.at_ms / _MINUTE_MS, max(each.until_ms - each.at_ms, shortest) / _MINUTE_MS)
            for each in result.faults
            if each.kind == kind
        ]
        axes.broken_barh(bars, (row - 0.4, 0.8), color=COLOURS["fault"])
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    _tidy(axes)


def _heap(result: Result) -> Figure:
    figure = Figure((_WIDTH_INCHES, 2.0), layout="constrained")
    axes = figure.subplots()
    for device in result.devices:
        said = [each for each in result.levels if each.device == device]
        said = said[:: math.ceil(len(said) / _SLICES) or 1]
        axes.plot([each.gestures for each in said], [each.heap_free / 1024 for each in said], linewidth=0.7)
    axes.set(xlabel="n", ylabel="KB")
    axes.set_ylim(bottom=0)
    _tidy(axes)
    return figure


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
