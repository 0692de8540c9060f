"""The line as a technician sees it from two metres away: a row of colour a socket, and the next thing to do."""

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Group
from rich.text import Text

from ansim.line.floor import Floor, Row
from ansim.line.phrases import Phrases

_BAR_CELLS = 24
# The most urgent first: what hands can do something about, and what only has to be waited for last.
_STYLES = {
    "asked": "bold black on bright_yellow",
    "missing": "bold white on red",
    "pulled": "bold white on red",
    "failed": "bold white on red",
    "passed": "bold black on green",
    "already": "bold white on blue",
    "spare": "bold white on blue",
    "running": "bold cyan",
    "waiting": "dim",
    "empty": "dim",
}


def picture(floor: Floor, phrases: Phrases, now_s: float, width: int, height: int) -> Group:
    """Return what is on a screen of width cells and height lines: as much of each row as fits, but all rows."""
    head = _head(floor, phrases)
    room = height - len(head) - 1
    rows = floor.rows
    for draw in (_full, _tall, _flat):
        lines = [line for row in rows for line in draw(row, phrases, now_s, width)]
        if len(lines) <= room:
            break
    else:
        shown = _most_urgent(rows, phrases, room - 1)
        lines = [line for row in shown for line in _flat(row, phrases, now_s, width)]
        lines.append(Text(phrases.hidden(len(rows) - len(shown)), style="bold"))
    for line in [*head, *lines]:
        line.truncate(width, overflow="ellipsis", pad=True)
    return Group(*head, *lines)


def _head(floor: Floor, phrases: Phrases) -> list[Text]:
    style = "bold black on bright_yellow" if floor.stopping else "bold"
    return [Text(phrases.head(floor), style="bold reverse"), Text(f" {phrases.now(floor)}", style=style)]


def _most_urgent(rows: Sequence[Row], phrases: Phrases, room: int) -> list[Row]:
    """Return the rows for which there is room, in their order: first of all those that wait for hands."""
    looks = list(_STYLES)
    wanted = sorted(rows, key=lambda row: looks.index(phrases.look(row)))[: max(room, 0)]
    return sorted(wanted, key=lambda row: row.number)


def _full(row: Row, phrases: Phrases, now_s: float, width: int) -> list[Text]:
    """As _tall; below it, what exactly went wrong."""
    indent = _indent(phrases)
    detail = phrases.detail(row) if phrases.look(row) != "empty" else ""
    more = textwrap.wrap(detail, max(width - len(indent), 20))
    return [*_tall(row, phrases, now_s, width), *(Text(f"{indent}{line}", style="dim") for line in more)]


def _tall(row: Row, phrases: Phrases, now_s: float, _width: int) -> list[Text]:
    """Two lines: the verdict and what it is about; below it what to do next."""
    second = Text(f"{_indent(phrases)}{phrases.next(row)}", style=_STYLES[phrases.look(row)])
    return [_first(row, phrases, phrases.about(row, now_s)), second]


def _flat(row: Row, phrases: Phrases, now_s: float, _width: int) -> list[Text]:
    """One line: the verdict, and what to do next; while nothing is to be done, how far it is."""
    told = phrases.about(row, now_s) if phrases.look(row) == "running" else phrases.next(row)
    return [_first(row, phrases, told)]


def _first(row: Row, phrases: Phrases, told: str) -> Text:
    look = phrases.look(row)
    bar = ""
    if look == "running":
        full = _BAR_CELLS * row.percent // 100
        bar = f"{'█' * full}{'░' * (_BAR_CELLS - full)} {row.percent:>3} %  "
    return Text(f"{row.number:>3} {phrases.badge(look)} {bar}{told}", style=_STYLES[look])


def _indent(phrases: Phrases) -> str:
    return " " * (5 + cell_len(phrases.badge("empty")))
