"""What a replay shows while it runs: live on a terminal, lines elsewhere, JSON for programs."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ansim.falls.replay import Happening, Movement, Outcome
from ansim.falls.replay_report import Judged

_WORDS = {
    "impact": ("impact", "yellow"),
    "suspect": ("looks like a fall", "dark_orange"),
    "fall": ("a fall", "bold red"),
    "cleared": ("no fall after all", "green"),
    "prealarm": ("pre-alarm: the wearer may cancel", "bold magenta"),
    "raised": ("alarm raised", "bold red"),
    "cancelled": ("cancelled by the wearer", "bold green"),
    "sent": ("sent", ""),
    "acknowledged": ("acknowledged: the receiver has it", "bold green"),
}
_VERDICTS = {True: ("as expected", "green"), False: ("NOT AS EXPECTED", "bold red")}
_BAR_COLUMNS = 30
# Lines of a movement that are seen at once.
_SHOWN = 12


class View:
    """Shows nothing; the others show some of it."""

    def begin(self, number: int, count: int, movement: Movement, tries: int) -> None:
        """The next movement starts, number of count; or the same again, because the board did not keep up."""

    def tell(self, happening: Happening) -> None:
        """Something happened in it."""

    def look(self, at_s: float) -> None:
        """So far it is."""

    def end(self, judged: Judged) -> None:
        """It is over."""


class JsonView(View):
    """One JSON object a line: what happened, and what became of each movement."""

    def __init__(self) -> None:
        self._name = ""

    def begin(self, _number: int, _count: int, movement: Movement, _tries: int) -> None:
        self._name = movement.name

    def tell(self, happening: Happening) -> None:
        _print({"recording": self._name, "at_s": round(happening.at_s, 2), "what": happening.what})

    def end(self, judged: Judged) -> None:
        _print(judged.as_dict())


class LineView(View):
    """One line each."""

    def __init__(self) -> None:
        self._terminal = Terminal(emoji=False, highlight=False, soft_wrap=True)

    def begin(self, number: int, count: int, movement: Movement, tries: int) -> None:
        self._terminal.print(_title(number, count, movement, tries))

    def tell(self, happening: Happening) -> None:
        self._terminal.print(_line(happening))

    def end(self, judged: Judged) -> None:
        self._terminal.print(_verdict(judged))


class LiveView(View):
    """The movement that plays with its stages as they fire, above it a line for each that is over."""

    def __init__(self, live: Live, prealarm_s: int) -> None:
        self._live = live
        self._prealarm_s = prealarm_s
        self._title = Text()
        self._movement: Movement | None = None
        self._happened: list[Happening] = []

    def begin(self, number: int, count: int, movement: Movement, tries: int) -> None:
        self._title = _title(number, count, movement, tries)
        self._movement = movement
        self._happened = []

    def tell(self, happening: Happening) -> None:
        self._happened.append(happening)

    def look(self, at_s: float) -> None:
        self._live.update(Group(*self._parts(at_s)))

    def end(self, judged: Judged) -> None:
        stages = [_line(happening) for happening in self._happened] if not judged.as_expected else []
        self._live.console.print(Group(Text.assemble(self._title, "  ", _verdict(judged)), *stages))
        self._live.update(Text())

    def _parts(self, at_s: float) -> Iterator[RenderableType]:
        assert self._movement
        of_s = self._movement.duration_s
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=of_s, completed=min(max(at_s, 0.0), of_s), width=_BAR_COLUMNS)
        row.add_row(self._title, bar, f"{min(max(at_s, 0.0), of_s):.1f} of {of_s:.1f} s")
        yield row
        for happening in self._happened[-_SHOWN:]:
            yield _line(happening)
        last = self._happened[-1] if self._happened else None
        if last is not None and last.what == "prealarm":
            left_s = max(last.at_s + self._prealarm_s - at_s, 0.0)
            yield Text(f"{'':12}{left_s:4.0f} s left to cancel", style="magenta")


@contextmanager
def view(as_json: bool, prealarm_s: int) -> Iterator[View]:
    """The view that suits: JSON, a terminal, or neither."""
    terminal = Terminal(emoji=False, highlight=False)
    if as_json:
        yield JsonView()
    elif not terminal.is_terminal:
        yield LineView()
    else:
        with Live(console=terminal, transient=True) as live:
            yield LiveView(live, prealarm_s)


def _print(data: dict[str, Any]) -> None:
    click.echo(json.dumps(data))


def _title(number: int, count: int, movement: Movement, tries: int) -> Text:
    place = f"[{number}/{count}] " if count > 1 else ""
    again = ", again: the board did not keep up" if tries > 1 else ""
    return Text.assemble(place, (movement.name, "bold"), " (a fall" if movement.is_fall else " (no fall", again, ")")


def _line(happening: Happening) -> Text:
    words, style = _WORDS[happening.what]
    return Text.assemble(f"{happening.at_s:8.2f} s  ", (words, style))


def _verdict(judged: Judged) -> Text:
    words, style = _VERDICTS[judged.as_expected]
    return Text.assemble((words, style), f": {describe(judged.outcome)}")


def describe(outcome: Outcome) -> str:
    """Say in a few words what became of a movement."""
    said = outcome.result.value
    if outcome.stages:
        said += f" ({', '.join(f'{stage} {count}x' for stage, count in Counter(outcome.stages).items())})"
    if not outcome.kept_up:
        said += f"; the board did not keep up: late {outcome.late} times, samples lost {outcome.gaps} times"
    return said
