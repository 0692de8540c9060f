"""What the receiver keeps: each event exactly once, the life of alarms, devices last seen, and quarantine."""

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import sqlalchemy as sa

from ansim.database import Database
from ansim.errors import BadInput
from ansim.schema import KEY_CHARS, NAME_CHARS, REASON_CHARS, SUBJECT_CHARS, device_states, events, quarantine
from ansim_fw.core import message

# So much of a message that could not be taken is kept, and so many of them.
QUARANTINE_BYTES = message.MAX_BYTES
QUARANTINE_ROWS = 1000

RAISED, CANCELLED, HANDLED = "raised", "cancelled", "handled"

_EventId = tuple[str, int, int]
_IdColumns = tuple[sa.Column[Any], sa.Column[Any], sa.Column[Any]]


class Rejected(ValueError):
    """A message that is no legal event; says why, without its content."""


@dataclass(frozen=True)
class Event:
    """An event as the receiver took it.

    Args:
        attempt: which transmission this was, from 1.
        of: for a cancel the (boot, seq) of its alarm.
        received_at: when the broker stored it.
        occurred_at: when it happened; None when the device does not know.
        data: details of a fault or heartbeat.
    """

    site: str
    device: str
    boot: int
    seq: int
    type: str
    kind: str
    of: tuple[int, int] | None
    attempt: int
    received_at: datetime
    occurred_at: datetime | None
    data: Mapping[str, str | int] | None = None

    @property
    def id(self) -> _EventId:
        return self.device, self.boot, self.seq


@dataclass(frozen=True)
class Refused:
    """A message for quarantine."""

    subject: str
    payload: bytes = field(repr=False)
    reason: str
    received_at: datetime


class Outcome(Enum):
    """What became of an event: stored now, stored before, or in quarantine because its id belongs to another."""

    STORED = 1
    AGAIN = 2
    CONFLICT = 3


@dataclass(frozen=True)
class Alarm:
    """An alarm; its ``state`` is raised, cancelled (by the wearer) or handled (by an operator)."""

    device: str
    boot: int
    seq: int
    site: str
    kind: str
    occurred_at: datetime | None
    received_at: datetime
    state: str
    handled_at: datetime | None
    handled_by: str | None


@dataclass(frozen=True)
class DeviceState:
    """A device's last sign of life, and what its last heartbeat said (None: never said)."""

    device: str
    site: str
    last_seen_at: datetime
    battery_mv: int | None
    rssi_dbm: int | None
    firmware: str | None


def parse(subject: str, payload: bytes, received_at: datetime) -> Event:
    """Return the event in a message on subject ``ansim.<site>.<device>.evt``.

    Raises:
        Rejected: the subject or the message is not legal.
    """
    site, device = _parse_subject(subject)
    try:
        found: dict[str, Any] = message.decode_event(payload)
    except ValueError as error:
        raise Rejected(str(error)[:REASON_CHARS]) from error
    age_ms = found.get("age_ms")
    of = found.get("of") if found["type"] == "cancel" else None
    return Event(
        site=site,
        device=device,
        boot=found["boot"],
        seq=found["seq"],
        type=found["type"],
        kind=found.get("kind", "") if found["type"] in ("alarm", "fault", "restore") else "",
        of=None if of is None else (of[0], of[1]),
        attempt=found["try"],
        received_at=received_at,
        occurred_at=None if age_ms is None else received_at - timedelta(milliseconds=age_ms),
        data=found.get("data"),
    )


def _parse_subject(subject: str) -> tuple[str, str]:
    parts = subject.split(".")
    if len(parts) != 4 or parts[0] != "ansim" or parts[3] != "evt":
        raise Rejected("subject is not a device's")
    if not all(part.isascii() and message.is_name(part) for part in parts[1:3]):
        raise Rejected("site or device is not legal")
    return parts[1], parts[2]


class EventStore:
    """Events in the fleet database. Several receivers may write to one; threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, batch: Sequence[Event], refused: Sequence[Refused] = ()) -> list[Outcome]:
        """Store a batch and what was refused; all of it is durable when this returns, or nothing is stored.

        Returns:
            what became of each event of batch, in its order.

        Raises:
            DatabaseUnavailable: nothing was stored; the same call may succeed later.
            DatabaseRefused: nothing was stored; an event in it can't be, or another receiver stored it just now.
        """
        with self._database.writing() as connection:
            outcomes, fresh = _sort_out(connection, batch)
            if fresh:
                connection.execute(events.insert(), [_row(each) for each in fresh])
                _cancel_alarms(connection, fresh)
            _count_again(connection, batch, outcomes)
            _note_devices(connection, batch)
            conflicts = [each for each, outcome in zip(batch, outcomes, strict=True) if outcome is Outcome.CONFLICT]
            _put_aside(connection, [*refused, *map(_as_refused, conflicts)])
        return outcomes

    def alarms(self, *, open_only: bool = False, limit: int | None = None) -> list[Alarm]:
        """Return alarms, newest first; open_only: those that are neither cancelled nor handled."""
        query = sa.select(*_ALARM_COLUMNS).where(events.c.type == "alarm").limit(limit)
        if open_only:
            query = query.where(events.c.state == RAISED)
        query = query.order_by(events.c.received_at.desc(), events.c.boot.desc(), events.c.seq.desc())
        with self._database.reading() as connection:
            return [Alarm(**row._asdict()) for row in connection.execute(query)]

    def handle(self, device: str, boot: int, seq: int, by: str) -> Alarm:
        """Close an alarm and return it; one that is closed already keeps who closed it first.

        Raises:
            BadInput: there is no such alarm, or by is no name of a person.
            DatabaseUnavailable: nothing was stored.
        """
        if not 0 < len(by) <= KEY_CHARS or not by.isprintable():
            raise BadInput("who closes the alarm is not legal", f"Use 1 to {KEY_CHARS} printable characters.")
        mine = _is((device, boot, seq)) & (events.c.type == "alarm")
        with self._database.writing() as connection:
            connection.execute(
                events.update()
                .where(mine, events.c.state != HANDLED)
                .values(state=HANDLED, handled_at=datetime.now(UTC), handled_by=by)
            )
            row = connection.execute(sa.select(*_ALARM_COLUMNS).where(mine)).first()
        if row is None:
            raise BadInput(f"there is no alarm {device[:40]} {boot} {seq}", "List them with: ansim alarms")
        return Alarm(**row._asdict())

    def devices(self, limit: int | None = None) -> list[DeviceState]:
        """Return devices, the last seen first."""
        query = sa.select(device_states).order_by(device_states.c.last_seen_at.desc()).limit(limit)
        with self._database.reading() as connection:
            return [DeviceState(**row._asdict()) for row in connection.execute(query)]


_ALARM_COLUMNS = (
    events.c.device,
    events.c.boot,
    events.c.seq,
    events.c.site,
    events.c.kind,
    events.c.occurred_at,
    events.c.received_at,
    events.c.state,
    events.c.handled_at,
    events.c.handled_by,
)
_ID_COLUMNS = (events.c.device, events.c.boot, events.c.seq)
_OF_COLUMNS = (events.c.device, events.c.of_boot, events.c.of_seq)


def _is(event_id: _EventId) -> sa.ColumnElement[bool]:
    return sa.and_(*(column == value for column, value in zip(_ID_COLUMNS, event_id, strict=True)))


def _row(event: Event) -> dict[str, Any]:
    return {
        "device": event.device,
        "boot": event.boot,
        "seq": event.seq,
        "site": event.site,
        "type": event.type,
        "kind": event.kind,
        "of_boot": event.of[0] if event.of else None,
        "of_seq": event.of[1] if event.of else None,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "attempt": event.attempt,
        "deliveries": 1,
        "data": None if event.data is None else dict(event.data),
        "state": RAISED if event.type == "alarm" else None,
    }


def _substance(event: Event) -> tuple[object, ...]:
    """What makes two messages with one id the same event; age, attempt and details may differ between transmissions."""
    return event.site, event.type, event.kind, event.of


def _sort_out(connection: sa.Connection, batch: Sequence[Event]) -> tuple[list[Outcome], list[Event]]:
    """Return what each event is, and those that are new."""
    known = _known(connection, list({each.id for each in batch}))
    outcomes, fresh = [], []
    for each in batch:
        if each.id not in known:
            known[each.id] = _substance(each)
            fresh.append(each)
            outcomes.append(Outcome.STORED)
        else:
            same = known[each.id] == _substance(each)
            outcomes.append(Outcome.AGAIN if same else Outcome.CONFLICT)
    return outcomes, fresh


def _known(connection: sa.Connection, ids: Sequence[_EventId]) -> dict[_EventId, tuple[object, ...]]:
    """Return the substance of those events that are stored."""
    return {
        (row.device, row.boot, row.seq): (
            row.site,
            row.type,
            row.kind,
            None if row.of_boot is None else (row.of_boot, row.of_seq),
        )
        for parameters in _parameters(ids)
        for row in connection.execute(_known_query(_size(parameters)), parameters)
    }


def _cancel_alarms(connection: sa.Connection, fresh: Sequence[Event]) -> None:
    """Mark the alarms that are cancelled by the new events, or that a cancel was here before."""
    targets = {(each.device, *each.of) for each in fresh if each.of is not None}
    for parameters in _parameters([each.id for each in fresh if each.type == "alarm"]):
        rows = connection.execute(_cancelled_query(_size(parameters)), parameters)
        targets |= {(row.device, row.of_boot, row.of_seq) for row in rows}
    for parameters in _parameters(sorted(targets)):
        connection.execute(_cancel_statement(_size(parameters)), parameters)


# SQLite takes expressions up to 1000 terms deep.
_CHUNK = 256


def _parameters(ids: Sequence[_EventId]) -> Iterator[dict[str, Any]]:
    """Yield ids as parameters of the statements below, each filled up to a power of two with its last id.

    So there are few different statements; SQLAlchemy takes longer to build one than SQLite to run it.
    """
    for start in range(0, len(ids), _CHUNK):
        chunk = list(ids[start : start + _CHUNK])
        chunk += chunk[-1:] * ((1 << (len(chunk) - 1).bit_length()) - len(chunk))
        yield {f"id{row}_{column}": value for row, each in enumerate(chunk) for column, value in enumerate(each)}


def _size(parameters: Mapping[str, Any]) -> int:
    return len(parameters) // len(_ID_COLUMNS)


def _any_of(columns: _IdColumns, size: int) -> sa.ColumnElement[bool]:
    """Return the condition that columns are one of size ids.

    SQLite searches an index for each term of an OR; for an IN of several columns it reads the whole table.
    """
    return sa.or_(
        *(
            sa.and_(*(column == sa.bindparam(f"id{row}_{place}") for place, column in enumerate(columns)))
            for row in range(size)
        )
    )


@functools.cache
def _known_query(size: int) -> sa.Select[Any]:
    columns = (events.c.site, events.c.type, events.c.kind, events.c.of_boot, events.c.of_seq)
    return sa.select(*_ID_COLUMNS, *columns).where(_any_of(_ID_COLUMNS, size))


@functools.cache
def _cancelled_query(size: int) -> sa.Select[Any]:
    return sa.select(*_OF_COLUMNS).where(_any_of(_OF_COLUMNS, size))


@functools.cache
def _cancel_statement(size: int) -> sa.Update:
    # The state is no part of the condition, or SQLite may go through all raised alarms to find these.
    cancelled = sa.case((events.c.state == RAISED, CANCELLED), else_=events.c.state)
    return events.update().where(_any_of(_ID_COLUMNS, size)).values(state=cancelled)


def _count_again(connection: sa.Connection, batch: Sequence[Event], outcomes: Sequence[Outcome]) -> None:
    again = Counter(each.id for each, outcome in zip(batch, outcomes, strict=True) if outcome is Outcome.AGAIN)
    for event_id, times in again.items():
        connection.execute(events.update().where(_is(event_id)).values(deliveries=events.c.deliveries + times))


def _note_devices(connection: sa.Connection, batch: Sequence[Event]) -> None:
    """Keep what batch says of its devices: last seen, and what heartbeats tell."""
    told: dict[str, dict[str, Any]] = {}
    for each in sorted(batch, key=lambda event: event.received_at):
        told.setdefault(each.device, {}).update(
            _health(each), device=each.device, site=each.site, last_seen_at=each.received_at
        )
    if not told:
        return
    query = sa.select(device_states).where(device_states.c.device.in_(told))
    before = {row.device: row._asdict() for row in connection.execute(query)}
    # A message that waited in the broker must not make a device look older than it is.
    rows = [
        {**_UNTOLD, **before.get(device, {}), **new}
        for device, new in told.items()
        if device not in before or before[device]["last_seen_at"] <= new["last_seen_at"]
    ]
    if known := [{f"new_{name}": value for name, value in row.items()} for row in rows if row["device"] in before]:
        connection.execute(_UPDATE_DEVICE, known)
    if unknown := [row for row in rows if row["device"] not in before]:
        connection.execute(device_states.insert(), unknown)


_UNTOLD = {"battery_mv": None, "rssi_dbm": None, "firmware": None}
_UPDATE_DEVICE = (
    device_states.update()
    .where(device_states.c.device == sa.bindparam("new_device"))
    .values({name: sa.bindparam(f"new_{name}") for name in ("site", "last_seen_at", *_UNTOLD)})
)


def _health(event: Event) -> dict[str, Any]:
    """Return what a heartbeat says, as far as it is plausible."""
    if event.type != "heartbeat" or event.data is None:
        return {}
    found: dict[str, Any] = {}
    for name, low, high in (("battery_mv", 0, 100_000), ("rssi_dbm", -200, 100)):
        value = event.data.get(name)
        if isinstance(value, int) and low <= value <= high:
            found[name] = value
    firmware = event.data.get("fw")
    if isinstance(firmware, str) and firmware.isprintable():
        found["firmware"] = firmware[:NAME_CHARS]
    return found


def _as_refused(event: Event) -> Refused:
    detail = f"{event.type} {event.kind} {event.of or ''}".encode()
    return Refused(
        f"ansim.{event.site}.{event.device}.evt",
        detail,
        f"id ({event.boot}, {event.seq}) belongs to another event",
        event.received_at,
    )


def _put_aside(connection: sa.Connection, refused: Sequence[Refused]) -> None:
    if not refused:
        return
    rows = [
        {
            "received_at": each.received_at,
            "subject": each.subject[:SUBJECT_CHARS],
            "reason": each.reason[:REASON_CHARS],
            "size": len(each.payload),
            "payload": each.payload[:QUARANTINE_BYTES],
        }
        for each in refused
    ]
    connection.execute(quarantine.insert(), rows)
    newest = connection.execute(sa.select(sa.func.max(quarantine.c.id))).scalar_one()
    connection.execute(quarantine.delete().where(quarantine.c.id <= newest - QUARANTINE_ROWS))
