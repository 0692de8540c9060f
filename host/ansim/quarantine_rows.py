"""Messages that could not be taken: the newest of them, cut, for whoever looks into it."""

from collections.abc import Sequence

import sqlalchemy as sa

from ansim.event import Event, Refused
from ansim.schema import REASON_CHARS, SUBJECT_CHARS, quarantine
from ansim_fw.core import message

# So much of a message that could not be taken is kept, and so many of them.
QUARANTINE_BYTES = message.MAX_BYTES
QUARANTINE_ROWS = 1000


def put_aside(connection: sa.Connection, refused: Sequence[Refused]) -> None:
    """Keep refused, and drop the oldest that are too many."""
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


def as_refused(event: Event) -> Refused:
    """Return an event whose id belongs to another one, as what is refused."""
    detail = f"{event.type} {event.kind} {event.of or ''}".encode()
    return Refused(
        f"ansim.{event.site}.{event.device}.evt",
        detail,
        f"id ({event.boot}, {event.seq}) belongs to another event",
        event.received_at,
    )
