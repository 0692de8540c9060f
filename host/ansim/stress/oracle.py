"""The receiver's database as a judge reads it: alarms and cancels of one device, and what was put aside."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ansim.database import Database
from ansim.schema import events, quarantine
from ansim.stress.expect import Raised

EventId = tuple[int, int]
# The alarms that a gesture raises.
KINDS = ("sos", "fall")


@dataclass(frozen=True)
class Row:
    """An event; of: what a cancel cancels, state: an alarm's."""

    id: EventId
    type: str
    kind: str
    state: str
    of: EventId | None
    deliveries: int


class Oracle:
    """Reads the database, from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, device: str, after: EventId = (-1, -1)) -> list[Row]:
        """Return what there is of a device from boot and seq ``after`` on, in the order in which it was raised."""
        return self._of(device, after, events.c.type.in_(("alarm", "cancel")))

    def of_sensor(self, device: str, after: EventId) -> list[Row]:
        """Return when a device told that its motion sensor has a fault, and when that this is over, as rows() does."""
        return self._of(device, after, events.c.type.in_(("fault", "restore")), events.c.kind.startswith("sensor_"))

    def _of(self, device: str, after: EventId, *wanted: sa.ColumnElement[bool]) -> list[Row]:
        ids = sa.tuple_(events.c.boot, events.c.seq)
        query = (
            sa.select(events)
            .where(events.c.device == device, ids > sa.tuple_(*after), *wanted)
            .order_by(events.c.boot, events.c.seq)
        )
        with self._database.reading() as connection:
            return [_row(each) for each in connection.execute(query)]

    def strangers(self, devices: Sequence[str]) -> list[str]:
        """Return which other devices have alarms or cancels."""
        query = sa.select(events.c.device).where(
            events.c.device.not_in(devices), events.c.type.in_(("alarm", "cancel"))
        )
        with self._database.reading() as connection:
            return sorted({str(name) for name in connection.execute(query).scalars()})

    def refused(self) -> list[str]:
        """Return why messages were put aside."""
        with self._database.reading() as connection:
            return [str(reason) for reason in connection.execute(sa.select(quarantine.c.reason)).scalars()]


def _row(found: sa.Row[tuple[object, ...]]) -> Row:
    of = None if found.of_boot is None else (found.of_boot, found.of_seq)
    return Row((found.boot, found.seq), found.type, found.kind, found.state or "", of, found.deliveries)


def alarms(rows: Sequence[Row], raised_ms: Mapping[EventId, int]) -> list[Raised]:
    """Return the alarms among rows, each with its cancels, as expect.py takes them.

    An alarm of another kind counts as a call for help that nobody made. A cancel of an alarm that is not there is left
    out: disagreement() tells of it.

    Args:
        raised_ms: when which was announced.
    """
    cancels = Counter(each.of for each in rows if each.type == "cancel")
    found = []
    for each in rows:
        if each.type == "alarm":
            falls = int(each.kind == "fall")
            counted = (1 - falls, cancels[each.id], falls)
            found.append(Raised(f"{each.kind} {each.id}", counted, raised_ms.get(each.id)))
    return found


def disagreement(rows: list[Row]) -> str:
    """Return what is wrong with rows beside their number, of alarms and cancels that belong together.

    An alarm is cancelled if there is a cancel of it, and only then; a cancel is one of an alarm that is there; nobody
    has raised an alarm of another kind. Empty if all is well.
    """
    alarms = [each for each in rows if each.type == "alarm"]
    cancelled = {each.of for each in rows if each.type == "cancel"}
    for each in alarms:
        if each.kind not in KINDS:
            return f"the alarm {each.id} is of the kind {each.kind!r}, which nobody has raised"
        if (each.state == "cancelled") != (each.id in cancelled):
            return f"the alarm {each.id} is {each.state}, and there is {'a' if each.id in cancelled else 'no'} cancel"
    if strange := cancelled - {each.id for each in alarms}:
        return f"a cancel is of {next(iter(strange))}, and there is no such alarm"
    return ""
