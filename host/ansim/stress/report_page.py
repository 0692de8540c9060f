"""The report of a stress run as a page: one HTML file that needs nothing else."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ansim.stress import report_plots
from ansim.stress.report import sections, summary
from ansim.stress.report_words import Words
from ansim.stress.result import Result


def render(result: Result, words: Words) -> str:
    environment = Environment(
        loader=PackageLoader("ansim.stress", "."), autoescape=select_autoescape(["j2"]), undefined=StrictUndefined
    )
    drawn = [
        (words.timeline, report_plots.timeline(result)),
        (words.histogram, report_plots.histogram(result)),
        (words.heap, report_plots.heap(result)),
    ]
    return environment.get_template("report.html.j2").render(
        language=words.code,
        title=words.title.format(scenario=result.setting.scenario),
        passed=result.passed,
        summary=summary(result, words),
        about=f"{result.version}, {result.started_at}",
        # The drawings are ours: Matplotlib escapes the text in them.
        drawings=[(what, Markup(svg)) for what, svg in drawn if svg],
        sections=sections(result, words),
        keys=[(report_plots.COLOURS[name], what) for name, what in words.keys.items()],
    )
