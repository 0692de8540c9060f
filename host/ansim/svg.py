"""Matplotlib's figures as SVG that can stand inside a page."""

import io
import re
from collections.abc import Callable

from matplotlib import rc_context
from matplotlib.figure import Figure


def svg_of_figure(draw: Callable[[], Figure]) -> str:
    """Return what draw makes as one <svg> element, without anything from outside; the same figure is the same bytes."""
    # Text as text.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "ansim", "font.size": 7, "path.simplify_threshold": 0.5}):
        written = io.StringIO()
        draw().savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    # Neither the XML prologue nor who made it belongs into a page.
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
