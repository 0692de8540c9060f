"""Conditions of devices that last, from the event that tells them, or that the receiver notices, to their end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from ansim import device_rows
from ansim.device_rows import DeviceNews, DeviceState
from ansim.event import Event
from ansim.gaps import DeviceIds
from ansim.schema import REASON_CHARS, RESTORE, events, faults

SILENT, GAP = "silent", "gap"
DEVICE, RECEIVER = "device", "receiver"

# A restore of this kind ends every fault of the link (docs/protocol.md).
LINK = "link"
LINK_FAULTS = frozenset(
    (
        "wifi_absent",
        "wifi_refused",
        "wifi_timeout",
        "name_unknown",
        "broker_unreachable",
        "tls_refused",
        "broker_refused",
        "link_lost",
    )
)


# Of one device; a sound one knows a dozen kinds. What it tells beyond that is kept as events.
MAX_OPEN = 64


@dataclass(frozen=True)
class Fault:
    """A condition of a device.

    Args:
        noticed_by: the device (it sent an event) or the receiver (kinds silent and gap).
        boot, seq: the id of the event that told it; None when the receiver noticed.
        since, until: when it began, and ended (None: it is still there).
        detail: for a person; at most 200 characters, printable.
        closed_by: the person who ended it; None: it ended by itself, or is still there.
    """

    device: str
    site: str
    kind: str
    noticed_by: str
    boot: int | None
    seq: int | None
    since: datetime
    until: datetime | None
    detail: str
    closed_by: str | None = None


_COLUMNS = (
    faults.c.device,
    faults.c.site,
    faults.c.kind,
    faults.c.noticed_by,
    faults.c.boot,
    faults.c.seq,
    faults.c.since,
    faults.c.until,
    faults.c.detail,
    faults.c.closed_by,
)


def find(connection: sa.Connection, open_only: bool, limit: int | None) -> list[Fault]:
    """Return faults, newest first; open_only: those that have not ended."""
    query = sa.select(*_COLUMNS).order_by(faults.c.since.desc(), faults.c.id.desc()).limit(limit)
    if open_only:
        query = query.where(faults.c.until.is_(None))
    return [Fault(**row._asdict()) for row in connection.execute(query)]


def follow(connection: sa.Connection, fresh: Sequence[Event], news: Mapping[str, DeviceNews]) -> list[Fault]:
    """Begin and end conditions as new events and their devices' news say; return those that changed, as they are now.

    Events may come in any order: a fault that its restore, or a newer boot, has overtaken begins and ends at once.
    """
    told = [each for each in fresh if each.type in ("fault", "restore") and each.kind not in (SILENT, GAP)]
    ends = {device for device, each in news.items() if each.restarted or each.speaks or each.complete}
    if not told and not ends:
        return []
    ledger = _Ledger(connection, ends.union(each.device for each in told))
    for device in sorted(ends):
        _end_by_news(ledger, device, news[device])
    for event in sorted(told, key=lambda each: (each.device, each.boot, each.seq)):
        if event.type == "restore":
            ledger.end(_ended_by(ledger.of(event.device), event), _when(event))
        else:
            _begin(ledger, event, news[event.device].boot)
    return ledger.changed


def begin_silence(connection: sa.Connection, devices: Sequence[DeviceState]) -> list[Fault]:
    """Note that these devices are silent since they were last seen; return the faults that began."""
    ledger = _Ledger(connection, {each.device for each in devices})
    for each in devices:
        detail = f"last heard {each.last_seen_at:%Y-%m-%d %H:%M:%S} UTC"
        ledger.begin(Fault(each.device, each.site, SILENT, RECEIVER, None, None, each.last_seen_at, None, detail))
    return ledger.changed


def begin_gap(connection: sa.Connection, state: DeviceState, ids: DeviceIds, at: datetime) -> list[Fault]:
    """Note that events of this device are missing; return the fault that began, if it was not there before."""
    ledger = _Ledger(connection, {state.device})
    spans = [f"{boot}/{first}" if first == last else f"{boot}/{first}-{last}" for boot, first, last in ids.holes()]
    detail = f"{ids.missing()} missing (boot/seq): {', '.join(spans)}"[:REASON_CHARS]
    ledger.begin(Fault(state.device, state.site, GAP, RECEIVER, None, None, at, None, detail))
    return ledger.changed


def close(connection: sa.Connection, device: str, kind: str, by: str, at: datetime) -> Fault | None:
    """End a fault that a person has dealt with, and return it; None when there is no such fault."""
    ledger = _held(connection, device)
    ledger.end((each for each in ledger.of(device) if each.kind == kind), at, by)
    return ledger.changed[0] if ledger.changed else None


def end_all(connection: sa.Connection, device: str, by: str, at: datetime) -> None:
    """End the open faults of a device that is out of service."""
    ledger = _held(connection, device)
    ledger.end(ledger.of(device), at, by)


class _Ledger:
    """The open faults of some devices, and what changes about them."""

    def __init__(self, connection: sa.Connection, devices: Iterable[str]) -> None:
        self._connection = connection
        self.changed: list[Fault] = []
        query = sa.select(faults.c.id, *_COLUMNS).where(faults.c.until.is_(None), faults.c.device.in_(devices))
        self._ids: dict[Fault, int] = {}
        for row in connection.execute(query):
            fields = row._asdict()
            number = fields.pop("id")
            self._ids[Fault(**fields)] = number

    def of(self, device: str) -> list[Fault]:
        return [each for each in self._ids if each.device == device]

    def begin(self, fault: Fault) -> None:
        """Store fault; one that has not ended only when none of its kind is open, and not too many of its device."""
        if fault.until is None and not self._may_open(fault):
            return
        stored = self._connection.execute(faults.insert().values(**vars(fault)))
        if fault.until is None and stored.inserted_primary_key is not None:
            self._ids[fault] = stored.inserted_primary_key[0]
        self.changed.append(fault)

    def _may_open(self, fault: Fault) -> bool:
        others = self.of(fault.device)
        crowded = fault.noticed_by == DEVICE and len(others) >= MAX_OPEN
        return not crowded and all(each.kind != fault.kind for each in others)

    def end(self, ended: Iterable[Fault], at: datetime, by: str | None = None) -> None:
        for each in list(ended):
            over = replace(each, until=max(at, each.since), closed_by=by)
            mine = faults.c.id == self._ids.pop(each)
            self._connection.execute(faults.update().where(mine).values(until=over.until, closed_by=by))
            self.changed.append(over)

    def restored_at(self, fault: Event) -> datetime | None:
        """Return when the fault of this event ended, if its restore was here before it."""
        kinds = (fault.kind, LINK) if fault.kind in LINK_FAULTS else (fault.kind,)
        query = (
            sa.select(events.c.occurred_at, events.c.received_at)
            .where(RESTORE, events.c.device == fault.device, events.c.boot == fault.boot, events.c.seq > fault.seq)
            .where(events.c.kind.in_(kinds))
            .order_by(events.c.seq)
        )
        row = self._connection.execute(query.limit(1)).first()
        return None if row is None else row.occurred_at or row.received_at


def _held(connection: sa.Connection, device: str) -> _Ledger:
    """Return the open faults of device; receivers that begin or end one in this moment are waited for, or wait."""
    # The device first, as receivers do, or each would wait for what the other holds.
    device_rows.named(connection, [device], lock=True)
    return _Ledger(connection, {device})


def _end_by_news(ledger: _Ledger, device: str, news: DeviceNews) -> None:
    mine = ledger.of(device)
    if news.speaks:
        ledger.end((each for each in mine if each.kind == SILENT), news.at)
    if news.complete:
        ledger.end((each for each in mine if each.kind == GAP), news.at)
    if news.restarted:
        ledger.end((each for each in mine if each.noticed_by == DEVICE and each.boot != news.boot), news.at)


def _begin(ledger: _Ledger, event: Event, newest_boot: int | None) -> None:
    made = Fault(
        event.device, event.site, event.kind, DEVICE, event.boot, event.seq, _when(event), None, _detail(event)
    )
    if newest_boot is not None and event.boot < newest_boot:
        made = replace(made, until=max(event.received_at, made.since))
    elif restored_at := ledger.restored_at(event):
        made = replace(made, until=max(restored_at, made.since))
    ledger.begin(made)


def _ended_by(candidates: Iterable[Fault], restore: Event) -> list[Fault]:
    return [
        each
        for each in candidates
        if each.noticed_by == DEVICE
        and each.boot == restore.boot
        and each.seq is not None
        and each.seq < restore.seq
        and (each.kind == restore.kind or (restore.kind == LINK and each.kind in LINK_FAULTS))
    ]


def _when(event: Event) -> datetime:
    return event.occurred_at or event.received_at


def _detail(event: Event) -> str:
    text = ", ".join(f"{name} {value}" for name, value in (event.data or {}).items())
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:REASON_CHARS]
