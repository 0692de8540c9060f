"""A report as a page: one HTML file that needs nothing else."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ansim.power.plots import svg_of
from ansim.power.told import Report, day_rows


def render(report: Report) -> str:
    environment = Environment(
        loader=PackageLoader("ansim.power", "."), autoescape=select_autoescape(["j2"]), undefined=StrictUndefined
    )
    # The drawing is ours: Matplotlib escapes the text in it.
    page = environment.get_template("page.html.j2")
    return page.render(report=report, day=day_rows(report), drawing=Markup(svg_of(report)))
