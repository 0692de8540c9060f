"""What commands share of the terminal: options, progress, and the verdict at the end."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.console import Console as Terminal
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ansim.boards import board_names
from ansim.client import Console
from ansim.home import Home
from ansim.serial_link import AUTO, PORT_HELP, open_port
from ansim.terminal import printable, say

port_option = click.option("--port", "-p", default=AUTO, show_default=True, help=PORT_HELP)
ports_option = click.option(
    "--port", "-p", "ports", multiple=True, default=[AUTO], show_default=True, help=f"{PORT_HELP} May be repeated."
)
board_option = click.option("--board", "-b", required=True, help=f"One of: {', '.join(board_names())}.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for a program.")


@contextlib.contextmanager
def console_of(port: str) -> Iterator[Console]:
    """The console of the device on port, while the port is open."""
    with open_port(port, Home.default()) as link:
        yield Console(link, port)


@contextlib.contextmanager
def progress(as_json: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show how far something is: a bar on a terminal, a line a step elsewhere, nothing with --json."""
    terminal = Terminal(emoji=False, stderr=True, highlight=False)
    if as_json:
        yield lambda *_: None
    elif not terminal.is_terminal:
        yield _StepPrinter()
    else:
        columns = (SpinnerColumn(), TextColumn("{task.description:<22}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=terminal, transient=True) as bar:
            task = bar.add_task("")
            yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


class _StepPrinter:
    """Prints each step once."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        del done, total
        if what != self._last:
            click.echo(f"{what} ...", err=True)
            self._last = what


@contextlib.contextmanager
def verdict(what: str, as_json: bool) -> Iterator[None]:
    """Print FAIL for a person when what is tried inside fails; the error itself is printed by the caller of all."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        if not as_json:
            say("FAIL", "bold red", what, err=True)
        raise


def passed(text: str) -> None:
    say("PASS", "bold green", text)


def show_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print facts as a table of two columns, or as one JSON object."""
    if as_json:
        click.echo(json.dumps(facts))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in facts.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(Text(name, style="bold"), Text(printable(shown)))
    Terminal(emoji=False, highlight=False, soft_wrap=True).print(table)
