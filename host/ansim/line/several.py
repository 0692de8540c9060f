"""Several named ports at once: the line without hot-plug, for commands that take more than one --port."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.console import Console

from ansim.errors import BadInput
from ansim.home import Home
from ansim.languages import DEFAULT
from ansim.line import summary
from ansim.line.faces import Face, LinesFace, ScreenFace, debug
from ansim.line.floor import Floor, Row, Socket
from ansim.line.phrases import Phrases
from ansim.line.run import Line
from ansim.line.words import words_of
from ansim.serial_link import AUTO, find_port
from ansim.workers import Workers

# Starts a task, called by the port, for the board on a port.
Begin = Callable[[Workers, str], None]


def work_on(ports: Sequence[str], home: Home, begin: Begin, *, as_json: bool) -> int:
    """Work on the boards on all ports at once, show it, and return the exit code: 0, or that of the first failure.

    Raises:
        BadInput: ports are not different, or can't be named together.
    """
    floor, phrases = Floor(len(ports), once=True), Phrases(words_of(DEFAULT))
    sockets = _sockets(ports, home)
    with Workers() as workers, _face(phrases, as_json) as face:
        line = Line(floor, lambda: sockets, workers, lambda row: begin(workers, row.socket.port), face, patient=False)
        line.run()
    debug(line.tracebacks)
    if as_json:
        click.echo(json.dumps({"ok": summary.exit_code(floor) == 0, "devices": [_told(row) for row in floor.rows]}))
    else:
        click.echo("\n".join(summary.lines(floor, phrases)))
    return summary.exit_code(floor)


def _sockets(ports: Sequence[str], home: Home) -> list[Socket]:
    if AUTO in ports:
        raise BadInput("--port auto is the only port that there is", "Name each port, or give auto alone.")
    found: dict[str, str] = {}
    for port in ports:
        where = find_port(port, home)
        if where in found:
            raise BadInput(f"--port {port} and --port {found[where]} are the same", "Name each port once.")
        found[where] = port
    return [Socket(port, port) for port in ports]


def _face(phrases: Phrases, as_json: bool) -> Face:
    if as_json:
        return Face()
    terminal = Console(emoji=False, highlight=False)
    return ScreenFace(terminal, phrases) if terminal.is_terminal else LinesFace(phrases)


def _told(row: Row) -> dict[str, Any]:
    if row.passed:
        return {"port": row.socket.port, **row.passed.details}
    trouble = row.trouble.as_dict() if row.trouble else {"error": "not begun", "hint": "", "exit_code": 130}
    return {"port": row.socket.port, "ok": False, "mac": row.mac, "device": row.device, **trouble}
