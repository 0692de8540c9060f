"""Events in the database: each exactly once, whatever comes twice, and cancels with their alarms."""

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

import sqlalchemy as sa

from ansim.alarm_rows import CANCELLED, RAISED, is_event
from ansim.event import Event, EventId
from ansim.schema import events

_IdColumns = tuple[sa.Column[Any], sa.Column[Any], sa.Column[Any]]

_ID_COLUMNS = (events.c.device, events.c.boot, events.c.seq)
_OF_COLUMNS = (events.c.device, events.c.of_boot, events.c.of_seq)


class Outcome(Enum):
    """What became of an event: stored now, stored before, or in quarantine because its id belongs to another."""

    STORED = 1
    AGAIN = 2
    CONFLICT = 3


class Delivered(NamedTuple):
    """What became of an event, and the event with its state."""

    outcome: Outcome
    event: Event


def add(connection: sa.Connection, batch: Sequence[Event]) -> tuple[list[Outcome], list[Event]]:
    """Store the new events of batch, once each, and mark alarms that are cancelled.

    Returns:
        what became of each event, in the order of batch; and those that were stored now.
    """
    outcomes, fresh = _sort_out(connection, batch)
    if fresh:
        connection.execute(events.insert(), [as_row(each) for each in fresh])
        _cancel_alarms(connection, fresh)
    return outcomes, fresh


def count_again(connection: sa.Connection, batch: Sequence[Event], outcomes: Sequence[Outcome]) -> None:
    """Count the deliveries of events that were stored before."""
    again = Counter(each.id for each, outcome in zip(batch, outcomes, strict=True) if outcome is Outcome.AGAIN)
    for event_id, times in again.items():
        connection.execute(events.update().where(is_event(event_id)).values(deliveries=events.c.deliveries + times))


def with_states(connection: sa.Connection, batch: Sequence[Event]) -> list[Event]:
    """Return batch with the state that each of its alarms has in the database."""
    states = {
        (row.device, row.boot, row.seq): row.state
        for parameters in _parameters(sorted({each.id for each in batch if each.type == "alarm"}))
        for row in connection.execute(_states_query(_size(parameters)), parameters)
    }
    return [replace(each, state=states[each.id]) if each.id in states else each for each in batch]


def as_row(event: Event) -> dict[str, Any]:
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


def _known(connection: sa.Connection, ids: Sequence[EventId]) -> dict[EventId, tuple[object, ...]]:
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


def _parameters(ids: Sequence[EventId]) -> Iterator[dict[str, Any]]:
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
def _states_query(size: int) -> sa.Select[Any]:
    return sa.select(*_ID_COLUMNS, events.c.state).where(_any_of(_ID_COLUMNS, size))


@functools.cache
def _cancelled_query(size: int) -> sa.Select[Any]:
    return sa.select(*_OF_COLUMNS).where(_any_of(_OF_COLUMNS, size))


@functools.cache
def _cancel_statement(size: int) -> sa.Update:
    # The state is no part of the condition, or SQLite may go through all raised alarms to find these.
    cancelled = sa.case((events.c.state == RAISED, CANCELLED), else_=events.c.state)
    return events.update().where(_any_of(_ID_COLUMNS, size)).values(state=cancelled)
