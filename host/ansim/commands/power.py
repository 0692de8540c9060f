"""``ansim power``: what takes charge from a pendant's cell, how long it lasts, and what a change would cost."""

import json
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource
from rich.console import Console
from rich.text import Text

from ansim.boards import Board, board_names, load_board
from ansim.errors import BadInput
from ansim.falls.commands.options import check_writable
from ansim.falls.extra import require_extra
from ansim.home import Home
from ansim.power.day import day_names, load_day
from ansim.power.report import of_ledger, of_life
from ansim.power.simulate import Life, Tell
from ansim.power.source import from_console, from_database
from ansim.power.told import Report, tables
from ansim.power.told import as_json as report_as_json
from ansim.serial_link import PORT_HELP
from ansim.serial_number import device_named
from ansim.show import json_option, progress

_NORMAL_DAY = "at_home"
# What bounds every other day from above.
_HARD_DAY = "restless"
_NORMAL_BOARD = "esp32c3_pendant"
# Parameters that say nothing of a device that is asked.
_OF_A_LIFE = ("day", "interval_min", "seed", "firmware")


@click.command()
@click.argument("device", type=device_named, required=False)
@click.option("--port", "-p", help=f"Ask a device's console. {PORT_HELP}")
@click.option("--simulate", "days", type=click.IntRange(1, 3650), help="Live so many days in virtual time.")
@click.option(
    "--day", default=_NORMAL_DAY, show_default=True, help=f"One of: {', '.join(day_names())}; or a .toml file."
)
@click.option(
    "--board",
    "-b",
    help=f"A .toml file, or one of: {', '.join(board_names())}. Not given: {_NORMAL_BOARD}, or what a device says.",
)
@click.option(
    "--interval-min", type=click.IntRange(1, 1440), default=60, show_default=True, help="Minutes between heartbeats."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The same seed is the same life."
)
@click.option(
    "--firmware", is_flag=True, help="Have the real firmware live the same days on a virtual board; minutes a day."
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with a plot, too.")
@json_option
def command(
    device: str | None,
    port: str | None,
    days: int | None,
    day: str,
    board: str | None,
    interval_min: int,
    seed: int,
    firmware: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show what drains a pendant's cell, and what a change costs.

    Of DEVICE by its last heartbeat, of one on a port by its console, or of one that is simulated: the device's own core
    in virtual time, on somebody whose day is described. --day, --interval-min, --seed and --firmware are for that one.
    Currents come from the board's file: docs/power.md tells what is model, and how to measure.

    \b
    Examples:
      ansim power AN000001
      ansim power --port /dev/ttyUSB0 --html power.html
      ansim power --port /dev/ttyUSB0 --board mine.toml
      ansim power --simulate 30
      ansim power --simulate 30 --interval-min 15 --day restless
      ansim power --simulate 1 --firmware
    """
    if [device, port, days].count(None) != 2:
        raise BadInput("what to look at is not clear", "Give one of these: a DEVICE's name, --port, --simulate DAYS.")
    if days is None:
        _refuse_of_a_life(click.get_current_context())
    if html is not None:
        require_extra()
        check_writable(html, "--html")
    with progress(as_json) as tell:
        if days is not None:
            life = Life(load_board(board or _NORMAL_BOARD), load_day(day), interval_min, days, seed)
            report = _of_life(life, tell, firmware)
        else:
            report = _of_device(device, port, load_board(board) if board else None)
    if html is not None:
        _write_page(html, report)
    _show(report, as_json)


def _refuse_of_a_life(context: click.Context) -> None:
    given = [name for name in _OF_A_LIFE if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise BadInput(
            f"{options}: for a simulated life only", "Give --simulate DAYS in place of the device, or leave it out."
        )


def _of_device(device: str | None, port: str | None, board: Board | None) -> Report:
    if port:
        return of_ledger(from_console(port, board))
    return of_ledger(from_database(Home.default().database_url, str(device), board))


def _of_life(life: Life, tell: Tell, with_firmware: bool) -> Report:
    hard = load_day(_HARD_DAY)
    bound = None if life.day == hard else replace(life, day=hard)
    return of_life(life, bound, tell, with_firmware)


def _write_page(path: Path, report: Report) -> None:
    from ansim.power.page import render

    try:
        path.write_text(render(report), encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"can't write {path}: {error}", "Give --html a file in a folder that you may write to."
        ) from error


def _show(report: Report, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report_as_json(report)))
        return
    console = Console(emoji=False, highlight=False)
    console.print(Text(report.title, style="bold"))
    for table in tables(report):
        console.print(table)
    for remark in report.remarks:
        console.print(Text(remark))
