"""What an operator watches: alarms and faults, newest first, and the devices that were heard last."""

from datetime import UTC, datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ansim.alarm_rows import CANCELLED, HANDLED, RAISED, Alarm
from ansim.device_rows import DeviceState
from ansim.event_store import EventStore
from ansim.fault_rows import Fault

ALARM_ROWS = 12
FAULT_ROWS = 8
DEVICE_ROWS = 20

# Wider than any row.
_PIPE_COLUMNS = 400
_WHOLE = ("state", "alarm", "fault", "device", "received (UTC)", "since (UTC)", "id")

_STYLES = {RAISED: "bold white on red", CANCELLED: "black on yellow", HANDLED: "green"}


def live_table(store: EventStore, now: datetime) -> RenderableType:
    """Return the tables as they stand at now; that of faults is there when there are open ones.

    Open alarms come first, and a line says when there are more than are shown: none is pushed out unseen.

    Raises:
        DatabaseUnavailable: the database can't be read just now.
    """
    # One more of each than is shown, to know whether there are more.
    waiting = store.alarms(open_only=True, limit=ALARM_ROWS + 1)
    closed = [each for each in store.alarms(limit=ALARM_ROWS) if each.state != RAISED]
    shown: list[RenderableType] = [alarm_table([*waiting, *closed][:ALARM_ROWS])]
    if len(waiting) > ALARM_ROWS:
        shown.append(Text("More alarms are open: ansim alarms --open", style=_STYLES[RAISED]))
    if open_faults := store.faults(open_only=True, limit=FAULT_ROWS + 1):
        shown.append(fault_table(open_faults[:FAULT_ROWS], now))
    if len(open_faults) > FAULT_ROWS:
        shown.append(Text("There are more faults: ansim faults", style="bold yellow"))
    return Group(*shown, _device_table(store.devices(limit=DEVICE_ROWS), now))


def print_table(table: Table) -> None:
    """Print table as wide as the terminal; in a pipe, where programs search it, with every line whole."""
    terminal = Console(emoji=False)
    if not terminal.is_terminal:
        terminal = Console(emoji=False, width=_PIPE_COLUMNS)
    terminal.print(table)


def alarm_table(alarms: list[Alarm]) -> Table:
    """Return a table of alarms, in the given order."""
    table = _table("Alarms", "state", "alarm", "device", "site", "received (UTC)", "id", "handled by")
    for each in alarms:
        table.add_row(
            Text(f" {each.state.upper()} ", style=_STYLES[each.state]),
            Text(each.kind, style="bold"),
            each.device,
            each.site,
            f"{each.received_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            f"{each.boot} {each.seq}",
            Text(each.handled_by or ""),
        )
    return table


def fault_table(faults: list[Fault], now: datetime) -> Table:
    """Return a table of faults as they stand at now, in the given order."""
    table = _table("Faults", "fault", "device", "site", "since (UTC)", "lasts", "noticed by", "detail")
    for each in faults:
        lasts = spoken_age((each.until or now) - each.since)
        table.add_row(
            Text(each.kind, style="bold yellow" if each.until is None else "dim"),
            each.device,
            each.site,
            f"{each.since.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            lasts if each.until is None else f"over after {lasts}",
            each.noticed_by,
            Text(each.detail if each.closed_by is None else f"{each.detail} (closed by {each.closed_by})"),
        )
    return table


def _device_table(devices: list[DeviceState], now: datetime) -> Table:
    table = _table("Devices", "device", "site", "last seen", "battery", "signal", "firmware")
    for each in devices:
        table.add_row(
            each.device,
            each.site,
            f"{spoken_age(now - each.last_seen_at)} ago",
            "" if each.battery_mv is None else f"{each.battery_mv / 1000:.2f} V",
            "" if each.rssi_dbm is None else f"{each.rssi_dbm} dBm",
            Text(each.firmware or ""),
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for each in columns:
        # What a person looks for stays whole on a narrow terminal.
        table.add_column(each, no_wrap=each in _WHOLE, overflow="fold")
    return table


def spoken_age(age: timedelta) -> str:
    """Return an age in its largest whole unit: ``3 s``, ``12 min``, ``5 h``, ``9 d``."""
    seconds = max(0, int(age.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
