"""Where a line shows itself: a screen, lines of text, or events for a program."""

import json
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from ansim.line.floor import Event, Floor, Notice
from ansim.line.phrases import Phrases
from ansim.line.screen import picture
from ansim.line.sounds import Sounds

_FRAME_S = 0.25


class Face:
    """Shows nothing; what the others are made from. A context manager."""

    def __enter__(self) -> "Face":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, notice: Notice) -> None:
        """Something happened."""

    def show(self, floor: Floor, now_s: float) -> None:
        """The floor is like this now; called many times a second."""


class LinesFace(Face):
    """A line of text for each step of each board."""

    def __init__(self, phrases: Phrases) -> None:
        self._phrases = phrases
        self._steps: dict[int, str] = {}

    def tell(self, notice: Notice) -> None:
        row = notice.row
        known = notice.event is Event.STEP and self._steps.get(row.number) == row.step
        self._steps[row.number] = row.step
        if not known and (line := self._phrases.line(notice)):
            click.echo(line)


class EventsFace(Face):
    """A JSON object a line for each thing that happens."""

    def tell(self, notice: Notice) -> None:
        emit(event_of(notice))


class ScreenFace(Face):
    """A terminal: all sockets at once, redrawn as things change.

    Args:
        sounds: ring the terminal's bell.
        whole: take the whole screen, and give it back at the end as it was.
    """

    def __init__(self, terminal: Console, phrases: Phrases, *, sounds: bool = False, whole: bool = False) -> None:
        self._terminal = terminal
        self._phrases = phrases
        self._sounds = Sounds() if sounds else None
        self._live = Live(console=terminal, auto_refresh=False, screen=whole)
        self._shown_s = float("-inf")

    def __enter__(self) -> "Face":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tell(self, notice: Notice) -> None:
        if self._sounds:
            self._sounds.hear(notice.event)

    def show(self, floor: Floor, now_s: float) -> None:
        if self._sounds and self._sounds.due(now_s):
            self._terminal.bell()
        if now_s - self._shown_s >= _FRAME_S or floor.over:
            self._shown_s = now_s
            width, height = self._terminal.size
            self._live.update(picture(floor, self._phrases, now_s, width, height), refresh=True)


def event_of(notice: Notice) -> dict[str, Any]:
    """Return notice for a program."""
    row = notice.row
    told: dict[str, Any] = {"event": str(notice.event), "socket": row.number, "port": row.socket.port}
    told |= {"mac": row.mac, "device": row.device}
    if notice.event is Event.STEP:
        told |= {"step": row.step, "part": row.part, "percent": row.percent}
    if notice.event is Event.ASKED:
        told["ask"] = row.ask
    if row.over:
        told["seconds"] = round(row.seconds, 1)
    if row.passed:
        told |= {"unlabelled": row.passed.unlabelled, "details": row.passed.details}
    return told | (row.trouble.as_dict() if row.trouble else {})


def emit(told: dict[str, Any]) -> None:
    """Print one event, at once."""
    click.echo(json.dumps(told, ensure_ascii=False))


def debug(tracebacks: Iterable[str]) -> None:
    """Print tracebacks to stderr where the command was given --debug."""
    if click.get_current_context().find_root().params.get("debug"):
        for each in tracebacks:
            click.echo(each, err=True)
