"""Alarms and their life: raised, cancelled by the wearer, handled by an operator, and told to the device."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ansim.event import EventId
from ansim.schema import UNTOLD_ALARM, events

RAISED, CANCELLED, HANDLED = "raised", "cancelled", "handled"


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

    @property
    def id(self) -> EventId:
        return self.device, self.boot, self.seq


_COLUMNS = (
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


def find(connection: sa.Connection, open_only: bool, limit: int | None) -> list[Alarm]:
    """Return alarms, newest first; open_only: those that are neither cancelled nor handled."""
    query = sa.select(*_COLUMNS).where(events.c.type == "alarm").limit(limit)
    if open_only:
        query = query.where(events.c.state == RAISED)
    return _alarms(connection, query.order_by(events.c.received_at.desc(), events.c.boot.desc(), events.c.seq.desc()))


def handle(connection: sa.Connection, alarm_id: EventId, by: str) -> Alarm | None:
    """Close an alarm and return it; one that is closed keeps who closed it first. None: there is no such alarm."""
    mine = is_event(alarm_id) & (events.c.type == "alarm")
    connection.execute(
        events.update()
        .where(mine, events.c.state != HANDLED)
        .values(state=HANDLED, handled_at=datetime.now(UTC), handled_by=by)
    )
    found = _alarms(connection, sa.select(*_COLUMNS).where(mine))
    return found[0] if found else None


def end_tests(connection: sa.Connection, tests: Collection[EventId], by: str) -> None:
    """Close those of these alarms that are tests and open; their devices are not told, as nobody waits there."""
    now = datetime.now(UTC)
    for each in tests:
        connection.execute(
            events.update()
            .where(is_event(each), events.c.type == "alarm", events.c.kind == "test", events.c.state == RAISED)
            .values(state=HANDLED, handled_at=now, handled_by=by, told_at=now)
        )


def untold(connection: sa.Connection, devices: Collection[str], limit: int) -> list[Alarm]:
    """Return handled alarms of which these devices were not told while they were heard, the newest first."""
    query = sa.select(*_COLUMNS).where(UNTOLD_ALARM, events.c.device.in_(devices))
    return _alarms(connection, query.order_by(events.c.handled_at.desc()).limit(limit))


def note_told(connection: sa.Connection, told: Sequence[EventId]) -> None:
    """Note that the devices of these alarms were told now."""
    for each in told:
        connection.execute(events.update().where(is_event(each)).values(told_at=datetime.now(UTC)))


def is_event(event_id: EventId) -> sa.ColumnElement[bool]:
    """Return the condition that a row of events is this one."""
    device, boot, seq = event_id
    return sa.and_(events.c.device == device, events.c.boot == boot, events.c.seq == seq)


def _alarms(connection: sa.Connection, query: sa.Select[Any]) -> list[Alarm]:
    return [Alarm(**row._asdict()) for row in connection.execute(query)]
