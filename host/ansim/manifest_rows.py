"""Manifests in the fleet database, and which of their places are taken; in the transaction of their caller."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from ansim.device_state import READY
from ansim.errors import BadInput
from ansim.manifest import Manifest, Order
from ansim.schema import TAKEN, devices, manifest_orders, manifests

_ORDER = [manifest_orders.c[name] for name in ("line", "site", "role", "wifi", "household", "count")]


class ManifestFull(BadInput):
    """All places of a manifest are taken."""


class Progress(NamedTuple):
    """An order, how many of its places devices have, and how many of these are ready."""

    order: Order
    assigned: int
    ready: int


def begin(connection: sa.Connection, manifest: Manifest) -> None:
    """Store manifest where its name is new.

    Raises:
        BadInput: a manifest of that name orders something else.
    """
    query = sa.select(manifests.c.digest).where(manifests.c.name == manifest.name)
    digest = connection.execute(query).scalar_one_or_none()
    if digest == manifest.digest:
        return
    if digest is not None:
        raise BadInput(
            f"manifest {manifest.name} was begun with other orders than these",
            f"Give the new orders a name of their own; what was begun: ansim manifest show '{manifest.name}'",
        )
    row = {"name": manifest.name, "digest": manifest.digest, "begun_at": datetime.now(UTC)}
    connection.execute(manifests.insert().values(row))
    rows = [
        {"manifest": manifest.name, "number": number, **asdict(order)}
        for number, order in enumerate(manifest.orders, 1)
    ]
    connection.execute(manifest_orders.insert(), rows)


def digests(connection: sa.Connection) -> dict[str, str]:
    """Return the names of all manifests, the first begun first, with the digest that each had then."""
    query = sa.select(manifests.c.name, manifests.c.digest).order_by(manifests.c.begun_at, manifests.c.name)
    return {row.name: row.digest for row in connection.execute(query)}


def stored(connection: sa.Connection, name: str) -> Manifest:
    """Return the manifest called name; without orders where there is none."""
    query = sa.select(*_ORDER).where(manifest_orders.c.manifest == name).order_by(manifest_orders.c.number)
    return Manifest(name, tuple(Order(*row) for row in connection.execute(query)))


def free_place(connection: sa.Connection, manifest: Manifest) -> int:
    """Return the first place of manifest that no device in service has.

    Raises:
        ManifestFull: there is none.
    """
    taken = _taken(manifest.name)
    before = sa.union_all(sa.select(sa.literal(0).label("place")), taken).subquery()
    query = sa.select(sa.func.min(before.c.place) + 1).where((before.c.place + 1).not_in(taken))
    place: int = connection.execute(query).scalar_one()
    if place > manifest.total:
        raise ManifestFull(
            f"manifest {manifest.name} is full: devices have all of its {manifest.total} places",
            f"See which: ansim manifest show '{manifest.name}'. A device that is broken frees its place: "
            "ansim registry retire DEVICE --reason TEXT",
        )
    return place


def is_taken(connection: sa.Connection, name: str, place: int) -> bool:
    """Tell whether a device in service has place of the manifest called name."""
    query = sa.select(sa.exists(_taken(name).where(devices.c.place == place)))
    return bool(connection.execute(query).scalar_one())


def progress(connection: sa.Connection, name: str) -> list[Progress]:
    """Return how far each order of the manifest called name is.

    Raises:
        BadInput: there is none.
    """
    manifest = stored(connection, name)
    if not manifest.orders:
        raise BadInput(f"the registry has no manifest {name[:64]!r}", "List them with: ansim manifest list")
    assigned, ready = Counter[int](), Counter[int]()
    for place, state in connection.execute(_taken(name).add_columns(devices.c.state)):
        number = manifest.number_at(place)
        assigned[number] += 1
        ready[number] += state == READY
    return [Progress(order, assigned[at], ready[at]) for at, order in enumerate(manifest.orders)]


def _taken(name: str) -> sa.Select[tuple[int]]:
    """The places of a manifest that devices in service have, each once."""
    # The index of places is found by the very words of its condition.
    return sa.select(devices.c.place).where(devices.c.manifest == name, TAKEN)
