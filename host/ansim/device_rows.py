"""What is known of each device that was ever heard: when, how it is, which boot it is in, which of its events came."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ansim.device_state import RETIRED
from ansim.event import Event
from ansim.gaps import DeviceIds
from ansim.schema import NAME_CHARS, WITH_HOLES, device_states, devices, faults
from ansim_fw.core import message

# In each try another receiver was quicker with another device of the batch.
_TRIES = 20

# From here on boot numbers are random (docs/protocol.md, generation 2,047): the higher one need not be the newer.
FIRST_RANDOM_BOOT = message.MAX_ID + 1 - (1 << 19)

# Events of a device come in the broker's order but for what a killed receiver had in hand. One that is older than the
# last by more than this is from a clock that was put right.
_LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True)
class DeviceState:
    """A device's last sign of life, and what its last heartbeat said (None: never said).

    Args:
        signs: rises whenever the device is heard.
        silent: its silence is on record.
    """

    device: str
    site: str
    last_seen_at: datetime
    battery_mv: int | None
    rssi_dbm: int | None
    firmware: str | None
    interval_min: int | None
    signs: int
    silent: bool


@dataclass(frozen=True)
class DeviceNews:
    """What a batch changed about a device, as far as it ends conditions.

    Args:
        boot: the newest boot it was heard in; None when none can be compared.
        at: when the batch's last event of it was received.
        restarted: boot is newer than before.
        speaks: it was silent.
        complete: events were missing, and none is now.
    """

    boot: int | None
    at: datetime
    restarted: bool
    speaks: bool
    complete: bool


_STATE_COLUMNS = (
    device_states.c.device,
    device_states.c.site,
    device_states.c.last_seen_at,
    device_states.c.battery_mv,
    device_states.c.rssi_dbm,
    device_states.c.firmware,
    device_states.c.interval_min,
    device_states.c.signs,
    device_states.c.silent,
)
_UNHEARD: dict[str, Any] = {
    "last_seen_at": None,
    "battery_mv": None,
    "rssi_dbm": None,
    "firmware": None,
    "interval_min": None,
    "signs": 0,
    "boot": None,
    "silent": False,
    "ids": [],
    "missing": 0,
}
_UPDATE = (
    device_states.update()
    .where(device_states.c.device == sa.bindparam("new_device"))
    .values({name: sa.bindparam(f"new_{name}") for name in ("site", *_UNHEARD)})
)


def note(connection: sa.Connection, batch: Sequence[Event], live: bool) -> dict[str, DeviceNews]:
    """Keep what batch says of its devices; return for each what changed.

    Args:
        live: the devices were heard just now; False: these events were heard once, and are taken again.
    """
    said = defaultdict[str, list[Event]](list)
    for each in sorted(batch, key=lambda event: event.received_at):
        said[each.device].append(each)
    if not said:
        return {}
    before, after = _hold(connection, said, live)
    if known := [{f"new_{name}": value for name, value in after[device].items()} for device in before]:
        connection.execute(_UPDATE, known)
    return {device: _news(before.get(device), row, said[device][-1].received_at) for device, row in after.items()}


_Rows = dict[str, dict[str, Any]]


def _hold(connection: sa.Connection, said: Mapping[str, Sequence[Event]], live: bool) -> tuple[_Rows, _Rows]:
    """Keep other receivers from these devices until the transaction ends; devices that were never heard get their row.

    Returns:
        the rows as they were, of those that had one, and all as they are to be.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            with connection.begin_nested():
                before = {row["device"]: row for row in _rows(connection, said)}
                after = {device: _after(before.get(device), mine, live) for device, mine in said.items()}
                if unknown := [after[device] for device in sorted(after.keys() - before.keys())]:
                    connection.execute(device_states.insert(), unknown)
            break
        except IntegrityError:
            # Another receiver heard one of them for the first time just now, and has committed that.
            if not tries_left:
                raise
    return before, after


def find(connection: sa.Connection, limit: int | None) -> list[DeviceState]:
    """Return devices, the last seen first."""
    query = sa.select(*_STATE_COLUMNS).order_by(device_states.c.last_seen_at.desc()).limit(limit)
    return [DeviceState(**row._asdict()) for row in connection.execute(query)]


def named(connection: sa.Connection, names: Collection[str], lock: bool = False) -> list[DeviceState]:
    """Return these devices, as far as they were heard; lock: keep other receivers from changing them."""
    query = sa.select(*_STATE_COLUMNS).where(device_states.c.device.in_(names)).order_by(device_states.c.device)
    return [DeviceState(**row._asdict()) for row in connection.execute(query.with_for_update() if lock else query)]


def retired(connection: sa.Connection, names: Collection[str]) -> set[str]:
    """Return those of these devices that the registry has out of service."""
    query = sa.select(devices.c.device).where(devices.c.device.in_(names), devices.c.state == RETIRED)
    return set(connection.execute(query).scalars())


def give_up_holes(connection: sa.Connection, device: str) -> None:
    """Take what is missing of a device for lost: nobody waits for it any more."""
    for row in _rows(connection, [device]):
        ids = DeviceIds.load(row["ids"])
        ids.give_up()
        mine = device_states.c.device == device
        connection.execute(device_states.update().where(mine).values(ids=ids.dump(), missing=0))


def count(connection: sa.Connection) -> int:
    """Return how many devices were ever heard."""
    found: int = connection.execute(sa.select(sa.func.count()).select_from(device_states)).scalar_one()
    return found


def mark_silent(connection: sa.Connection, names: Collection[str]) -> None:
    """Note that the silence of these devices is on record."""
    connection.execute(device_states.update().where(device_states.c.device.in_(names)).values(silent=True))


def with_holes(connection: sa.Connection) -> dict[str, tuple[int, DeviceIds]]:
    """Return the devices of which events are missing without a fault `gap`: their signs and their ids."""
    on_record = sa.exists().where(
        faults.c.device == device_states.c.device, faults.c.kind == "gap", faults.c.until.is_(None)
    )
    query = sa.select(device_states.c.device, device_states.c.signs, device_states.c.ids).where(WITH_HOLES, ~on_record)
    return {row.device: (row.signs, DeviceIds.load(row.ids)) for row in connection.execute(query)}


def plausible_interval_min(event: Event) -> int | None:
    """Return the interval that a heartbeat promises, None when this is none or promises none."""
    found = event.data.get("interval_min") if event.type == "heartbeat" and event.data else None
    return found if isinstance(found, int) and 1 <= found <= message.MAX_INTERVAL_MIN else None


def _rows(connection: sa.Connection, names: Collection[str]) -> list[dict[str, Any]]:
    # In one order, so that two receivers which lock the same rows do not wait for each other.
    query = sa.select(device_states).where(device_states.c.device.in_(names)).order_by(device_states.c.device)
    return [row._asdict() for row in connection.execute(query.with_for_update())]


def _after(before: Mapping[str, Any] | None, mine: Sequence[Event], live: bool) -> dict[str, Any]:
    """Return a device's row once it said mine, which are in the order in which they were received."""
    row = {**(before or _UNHEARD), "device": mine[0].device}
    ids = DeviceIds.load(row["ids"])
    for each in mine:
        health = _health(each)
        if _is_newer(each, row["last_seen_at"], live):
            row.update(health, site=each.site, last_seen_at=each.received_at)
        elif live and "interval_min" in health:
            # A clock may have dated what was heard last in the future; what a device promises now holds all the same.
            row["interval_min"] = health["interval_min"]
        if each.boot < FIRST_RANDOM_BOOT and each.boot > (-1 if row["boot"] is None else row["boot"]):
            row["boot"] = each.boot
        ids.take(each.boot, each.seq)
    row.update(ids=ids.dump(), missing=ids.missing())
    if live:
        row.update(signs=row["signs"] + 1, silent=False)
    return row


def _is_newer(event: Event, last_seen_at: datetime | None, live: bool) -> bool:
    """Tell whether event is its device's latest; one that waited is not, unless a wrong clock dated the last one."""
    if last_seen_at is None or event.received_at >= last_seen_at:
        return True
    return live and last_seen_at - event.received_at > _LONGEST_WAIT


def _news(before: Mapping[str, Any] | None, after: Mapping[str, Any], at: datetime) -> DeviceNews:
    was = before or _UNHEARD
    return DeviceNews(
        boot=after["boot"],
        at=at,
        restarted=after["boot"] != was["boot"],
        speaks=was["silent"] and not after["silent"],
        complete=was["missing"] > 0 and after["missing"] == 0,
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
    if interval_min := plausible_interval_min(event):
        found["interval_min"] = interval_min
    return found
