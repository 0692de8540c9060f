"""Where a ledger comes from: a device's heartbeats in the receiver's database, or its console."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ansim.boards import Board, board_names, load_board
from ansim.database import Database
from ansim.errors import BadInput, DeviceError
from ansim.power.usage import Usage, read_usage
from ansim.registry import Registry
from ansim.schema import events
from ansim.show import console_of


@dataclass(frozen=True)
class Ledger:
    """What a device has told of itself.

    Args:
        who: for messages; at: when, None: just now; interval_min: of its heartbeats.
        battery_pct: of its cell, None: it did not say.
    """

    who: str
    board: Board
    usage: Usage
    interval_min: int
    battery_pct: int | None
    at: datetime | None


def from_database(url: str, device: str, board: Board | None = None) -> Ledger:
    """Return what the last heartbeat of a device tells.

    Args:
        board: its board, None: the project's that the registry names.

    Raises:
        BadInput: there is no such device, or no board file for it, or it is another board.
        DeviceError: no heartbeat of it is known, or none with a ledger.
        ServiceError: the database can't be used.
    """
    database = Database.open(url)
    try:
        board = _board_named(Registry(database).get(device).board, device, board)
        with database.reading() as connection:
            last = connection.execute(_last_heartbeat(device)).first()
    finally:
        database.close()
    if last is None:
        raise DeviceError(f"no heartbeat of {device} is known", "It has not been heard: ansim receive")
    return _ledger(device, board, last.data or {}, last.received_at)


def _last_heartbeat(device: str) -> sa.Select[Any]:
    query = sa.select(events.c.data, events.c.received_at).where(
        events.c.device == device, events.c.type == "heartbeat"
    )
    return query.order_by(events.c.received_at.desc()).limit(1)


def from_console(port: str, board: Board | None = None) -> Ledger:
    """Return what the device on a port tells.

    Args:
        board: its board, None: the project's that it says.

    Raises:
        BadInput: it is another board.
        PortError: the port can't be used.
        DeviceError: it does not answer, tells no ledger, or is a board that no file describes.
    """
    with console_of(port) as console:
        info = console.request("info", repeat=True)
        told = console.request("power", repeat=True)
    who = f"the device on {port}"
    return _ledger(who, _board_named(info.get("board"), who, board), told, None)


def _board_named(name: object, who: str, given: Board | None) -> Board:
    """Return the board that a device says it is, given or one of the project's, whatever a wire may say."""
    said = str(name)[:40]
    if given is not None:
        if given.name != name:
            raise BadInput(f"{who} is a board '{said}', not '{given.name}'", "Give that board's file: --board FILE")
        return given
    if not isinstance(name, str) or name not in board_names():
        hint = "Give the file it was flashed with: --board FILE; or add that: boards/README.md"
        raise DeviceError(f"{who} is a board without a board file here: {said!r}", hint)
    return load_board(name)


def _ledger(who: str, board: Board, told: dict[str, Any], at: datetime | None) -> Ledger:
    usage = read_usage(told, who)
    interval_min, battery_pct = told.get("interval_min"), told.get("battery_pct")
    if type(interval_min) is not int or not 1 <= interval_min <= 1440:
        raise DeviceError(f"{who} tells no heartbeat interval", "Update its firmware: ansim flash")
    is_percent = type(battery_pct) is int and 0 <= battery_pct <= 100
    return Ledger(who, board, usage, interval_min, battery_pct if is_percent else None, at)
