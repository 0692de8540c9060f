"""``ansim line``: boards plugged in as fast as hands allow, each made ready by itself."""

from pathlib import Path

import click
from rich.console import Console

from ansim.errors import BadInput
from ansim.flash_job import Job
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.line import summary
from ansim.line.faces import EventsFace, Face, LinesFace, ScreenFace, debug, emit
from ansim.line.floor import Floor
from ansim.line.hotplug import usb_sockets, virtual_sockets
from ansim.line.job import Treatment
from ansim.line.labels import PRELOAD, LabelPrinter
from ansim.line.phrases import Phrases
from ansim.line.plan import Plan
from ansim.line.run import Line
from ansim.line.words import languages, words_of
from ansim.manifest_file import load_manifest
from ansim.proof import HANDS, Hands
from ansim.provisioning import Wishes, baud_option, manifest_networks
from ansim.show import board_option, progress
from ansim.station import station_option
from ansim.workers import Workers


@click.command()
@click.argument("manifest", required=False, type=click.Path(path_type=Path))
@board_option
@click.option("--micropython", type=click.Path(path_type=Path), help="MicroPython's .bin file; fetched if left out.")
@click.option(
    "--hands",
    type=click.Choice(HANDS),
    default="person",
    show_default=True,
    help="Who presses the button for the test alarm: a person; the rig of a virtual board; none leaves it out.",
)
@click.option("--virtual", is_flag=True, help="The virtual boards of this station instead of what is on USB.")
@click.option("--ignore", multiple=True, metavar="PORT", help="A port of something else, like a printer's. Repeatable.")
@click.option(
    "--label", type=click.Path(path_type=Path), metavar="PRINTER", help="Print each board's label there; takes ZPL."
)
@click.option("--label-format", default="roll-50x30", show_default=True, help="See: ansim label --list-formats.")
@click.option("--label-text", default="", help="A line of yours on each label, such as a telephone number.")
@click.option("--label-dpi", type=click.Choice(["203", "300"]), default="203", show_default=True)
@click.option("--limit", type=click.IntRange(1, 64), default=32, show_default=True, help="So many boards at once.")
@click.option("--sound", is_flag=True, help="Ring the terminal's bell: 1 passed, 2 press the button, 3 failed.")
@click.option("--language", "-l", type=click.Choice([*languages()]), help="Of the screen.  [default: the terminal's]")
@station_option
@baud_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for what happens.")
@click.pass_context
def command(
    context: click.Context,
    manifest: Path | None,
    board: str,
    micropython: Path | None,
    hands: Hands,
    virtual: bool,
    ignore: tuple[str, ...],
    label: Path | None,
    label_format: str,
    label_text: str,
    label_dpi: str,
    limit: int,
    sound: bool,
    language: str | None,
    station: str | None,
    baud: int,
    as_json: bool,
) -> None:
    """Make a box of boards ready: flash, give identity, prove, label.

    Plug boards in as fast as you like; each starts by itself, and the screen says what to do next. MANIFEST says where
    the devices go (ansim manifest); without one all are the fleet's. The line ends when the manifest is complete, or
    with Ctrl-C: boards on their way are finished; Ctrl-C again stops them, too. docs/line.md is the guide.

    \b
    Examples:
      ansim line jongno.csv --board esp32_devkit --sound
      ansim line -b esp32_devkit --language ko
      ansim line jongno.csv -b esp32_devkit --label /dev/usb/lp0
      ansim line -b virtual --virtual --hands rig
    """
    if hands == "rig" and not virtual:
        raise BadInput(
            "only virtual boards have a rig", "Press the buttons yourself: --hands person; or give --virtual."
        )
    printer = LabelPrinter(label, label_format, label_text, int(label_dpi)) if label else None
    home, phrases = Home.default(), Phrases(words_of(language))
    job = Job(home, "", board, _wishes(manifest, home), baud, micropython, station=station)
    with progress(as_json) as on_progress:
        on_progress("building", 0, 1)
        plan = Plan.made(job, Treatment(hands, printer), limit)
    look = (lambda: virtual_sockets(home)) if virtual else (lambda: usb_sockets(ignore))
    with Workers([PRELOAD] if printer else []) as workers, _face(phrases, sound, as_json) as face:
        line = Line(plan.floor, look, workers, lambda row: plan.begin(workers, row), face)
        line.run()
    debug(line.tracebacks)
    _report(plan.floor, phrases, as_json)
    context.exit(summary.exit_code(plan.floor))


def _wishes(manifest: Path | None, home: Home) -> Wishes:
    """What is wished for all boards; asks for the Wi-Fi networks of manifest that the fleet does not know."""
    fleet = Fleet.load(home)
    if manifest is None:
        return Wishes()
    orders = load_manifest(manifest)
    return Wishes(manifest=orders, networks=manifest_networks(orders, fleet))


def _face(phrases: Phrases, sound: bool, as_json: bool) -> Face:
    if as_json:
        return EventsFace()
    terminal = Console(emoji=False, highlight=False)
    if terminal.is_terminal:
        return ScreenFace(terminal, phrases, sounds=sound, whole=True)
    return LinesFace(phrases)


def _report(floor: Floor, phrases: Phrases, as_json: bool) -> None:
    if as_json:
        emit({"event": "summary", **summary.as_dict(floor)})
    else:
        click.echo("\n".join(summary.lines(floor, phrases)))
