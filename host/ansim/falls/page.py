"""A judgement as a page: one HTML file that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ansim.falls.figures import Figures, Judgement, Verdict
from ansim.falls.metrics import Outcome
from ansim.falls.plots import COLOURS, svg_of
from ansim.falls.told import REFERENCE, interval

# A page of more is not read, and a browser is slow with it.
MAX_PLOTS = 200


@dataclass(frozen=True)
class Drawn:
    """A recording that was judged wrongly, and its drawing."""

    outcome: Outcome
    svg: Markup


def render(judgement: Judgement, figures: Figures, verdicts: Sequence[Verdict]) -> str:
    """Return the page; of the mistakes at most MAX_PLOTS are drawn."""
    mistakes = sorted(
        (each for each in judgement.outcomes if not each.right),
        key=lambda each: (not each.recording.is_fall, each.recording.activity, each.recording.name),
    )
    environment = Environment(
        loader=PackageLoader("ansim.falls", "."), autoescape=select_autoescape(["j2"]), undefined=StrictUndefined
    )
    environment.filters["interval"] = interval
    return environment.get_template("page.html.j2").render(
        title=judgement.title,
        figures=figures,
        groups={"all": figures.overall, **figures.groups},
        detectors=figures.reference and {"Ansim": figures.overall, REFERENCE: figures.reference},
        verdicts=verdicts,
        # The drawing is ours: it holds no text of the recording's.
        drawn=[Drawn(each, Markup(svg_of(each))) for each in mistakes[:MAX_PLOTS]],
        left_out=max(0, len(mistakes) - MAX_PLOTS),
        colours=COLOURS,
    )
