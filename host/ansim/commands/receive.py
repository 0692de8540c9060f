"""``ansim receive``: take events, keep them, acknowledge them, and show them."""

import asyncio
import contextlib
import json
import logging
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ansim.alarm_rows import RAISED
from ansim.database import Database, DatabaseUnavailable
from ansim.event import Event
from ansim.event_store import EventStore
from ansim.fault_rows import Fault
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.receiver import Receiver
from ansim.receiver_table import live_table

REFRESH_S = 0.5
# Lines that may wait for a slow reader; the newest after that are not shown. All are in the database.
MAX_WAITING_LINES = 10_000
_LAST_LINES_S = 2


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each new event and each change of a fault.")
def command(as_json: bool) -> None:
    """Receive, keep and acknowledge events until Ctrl-C.

    Shows a live table on a terminal; elsewhere a line for each event, and for each fault that begins or ends. An alarm
    that its wearer has cancelled already says so.

    \b
    Examples:
      ansim receive
      ansim receive --json | jq -r 'select(.state == "raised").kind'
    """
    # asyncio warns of something that nats-py does on each lost connection; we tell of those ourselves.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    home = Home.default()
    database = Database.open(home.database_url)
    console = Console(emoji=False)
    shown = _on_terminal(console, database) if console.is_terminal and not as_json else _on_lines(as_json)
    try:
        with shown as display:
            asyncio.run(_receive(home, database, display))
    finally:
        database.close()


async def _receive(home: Home, database: Database, display: "_Display") -> None:
    receiver = Receiver(home, Fleet.load(home), database, display.event, display.notice, display.fault)
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, receiver.stop)
    announcing = asyncio.ensure_future(_announce(receiver, display))
    try:
        await receiver.run()
    finally:
        announcing.cancel()


async def _announce(receiver: Receiver, display: "_Display") -> None:
    await receiver.ready.wait()
    display.ready()


class _Display:
    """Shows what the receiver tells, without ever waiting: a held terminal must not hold up an alarm."""

    def ready(self) -> None: ...

    def event(self, event: Event, new: bool) -> None: ...

    def fault(self, fault: Fault) -> None: ...

    def notice(self, text: str) -> None: ...


class _Lines(_Display):
    """A line for each new event to stdout, notices to stderr, written by a thread of its own."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self.waiting: queue.Queue[tuple[str, bool] | None] = queue.Queue(MAX_WAITING_LINES)

    def ready(self) -> None:
        self._put('{"ready": true}' if self._as_json else "Receiving. Ctrl-C ends it.")

    def event(self, event: Event, new: bool) -> None:
        if new:
            self._put(json.dumps(as_dict(event)) if self._as_json else _line(event))

    def fault(self, fault: Fault) -> None:
        self._put(json.dumps({"fault": fault_as_dict(fault)}) if self._as_json else _fault_line(fault))

    def notice(self, text: str) -> None:
        self._put(_dated(text), is_notice=True)

    def _put(self, line: str, is_notice: bool = False) -> None:
        try:
            self.waiting.put_nowait((line, is_notice))
        except queue.Full:
            return

    def write(self) -> None:
        """Write what is put, until None is."""
        while (each := self.waiting.get()) is not None:
            line, is_notice = each
            # A reader that went away, or a full disk, ends neither the receiver nor the other stream.
            with contextlib.suppress(OSError):
                print(line, file=sys.stderr if is_notice else sys.stdout, flush=True)


@contextlib.contextmanager
def _on_lines(as_json: bool) -> Iterator[_Display]:
    lines = _Lines(as_json)
    writer = threading.Thread(target=lines.write, daemon=True)
    writer.start()
    try:
        yield lines
    finally:
        try:
            lines.waiting.put(None, timeout=_LAST_LINES_S)
            writer.join(_LAST_LINES_S)
        except queue.Full:
            # No one reads; the thread ends with the process.
            pass


class _Board(_Display):
    """The live table, drawn by a thread of its own, which also prints the notices above it."""

    def __init__(self, console: Console, store: EventStore) -> None:
        self._console = console
        self._store = store
        self._notices: queue.Queue[str] = queue.Queue(MAX_WAITING_LINES)
        self.stopped = threading.Event()

    def notice(self, text: str) -> None:
        try:
            self._notices.put_nowait(_dated(text))
        except queue.Full:
            return

    def draw(self) -> None:
        """Draw again and again, until stopped, and once more then."""
        with Live(console=self._console, auto_refresh=False) as live:
            while not self.stopped.wait(REFRESH_S):
                self._draw_once(live)
            self._draw_once(live)

    def _draw_once(self, live: Live) -> None:
        while not self._notices.empty():
            self._console.print(Text(self._notices.get(), style="yellow"))
        try:
            live.update(live_table(self._store, datetime.now(UTC)), refresh=True)
        except DatabaseUnavailable:
            # The receiver tells of it; the table stays as it was.
            return


@contextlib.contextmanager
def _on_terminal(console: Console, database: Database) -> Iterator[_Display]:
    board = _Board(console, EventStore(database))
    drawer = threading.Thread(target=board.draw, daemon=True)
    drawer.start()
    try:
        yield board
    finally:
        board.stopped.set()
        drawer.join(_LAST_LINES_S)


def _dated(notice: str) -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}  {notice}"


def _line(event: Event) -> str:
    what = f"{event.type} {event.kind}".strip()
    if event.of is not None:
        what += f" of ({event.of[0]}, {event.of[1]})"
    if event.state not in (None, RAISED):
        what += f", {event.state}"
    when = f"{event.received_at:%Y-%m-%d %H:%M:%S}"
    return f"{when}  {event.site}/{event.device}  {what}  ({event.boot}, {event.seq})"


def _fault_line(fault: Fault) -> str:
    detail = f"  {fault.detail}" if fault.detail else ""
    if fault.until is None:
        return f"{fault.since:%Y-%m-%d %H:%M:%S}  {fault.site}/{fault.device}  fault {fault.kind} began{detail}"
    return f"{fault.until:%Y-%m-%d %H:%M:%S}  {fault.site}/{fault.device}  fault {fault.kind} ended"


def as_dict(event: Event) -> dict[str, object]:
    """Return event as JSON values; times are ISO 8601 in UTC."""
    return {
        "device": event.device,
        "boot": event.boot,
        "seq": event.seq,
        "site": event.site,
        "type": event.type,
        "kind": event.kind,
        "of": event.of,
        "state": event.state,
        "try": event.attempt,
        "received_at": event.received_at.isoformat(),
        "occurred_at": event.occurred_at.isoformat() if event.occurred_at else None,
        "data": event.data,
    }


def fault_as_dict(fault: Fault) -> dict[str, object]:
    """Return fault as JSON values; times are ISO 8601 in UTC."""
    return {
        "device": fault.device,
        "site": fault.site,
        "kind": fault.kind,
        "noticed_by": fault.noticed_by,
        "boot": fault.boot,
        "seq": fault.seq,
        "since": fault.since.isoformat(),
        "until": fault.until.isoformat() if fault.until else None,
        "detail": fault.detail,
        "closed_by": fault.closed_by,
    }
