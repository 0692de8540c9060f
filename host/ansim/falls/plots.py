"""Recordings drawn as SVG that can stand inside a page: |a| over time, with what fired when."""

import numpy as np
from matplotlib.figure import Figure

from ansim.falls.metrics import Outcome
from ansim.falls.told import stages_of
from ansim.svg import svg_of_figure

COLOURS = {"impact": "#8a8a8a", "suspect": "#d97706", "fall": "#c81e1e", "cleared": "#15803d"}
_SIZE_INCHES = (5.2, 1.6)


def svg_of(outcome: Outcome) -> str:
    """Return a drawing of outcome as one <svg> element, without anything from outside."""
    return svg_of_figure(lambda: _drawn(outcome))


def _drawn(outcome: Outcome) -> Figure:
    recording = outcome.recording
    figure = Figure(_SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    strength_g = np.linalg.norm(recording.acc.astype(np.float64), axis=1) / 1000
    axes.plot(np.arange(len(strength_g)) / recording.fs, strength_g, color="#1f4e79", linewidth=0.6)
    if np.isfinite([recording.fall_start_s, recording.fall_end_s]).all():
        axes.axvspan(recording.fall_start_s, recording.fall_end_s, color="#fde8e8")
    for each in stages_of(outcome):
        axes.axvline(each["at_s"], color=COLOURS[each["stage"]], linewidth=1)
    axes.set(xlabel="s", ylabel="|a|, g", xmargin=0)
    return figure
