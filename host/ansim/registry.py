"""The registry: which device is where, its credential's public part, and the ledger of all that was done to it."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ansim import alarm_rows, fault_rows, ledger, manifest_rows
from ansim.credential_book import CredentialBook, generation_of
from ansim.database import Database
from ansim.device_state import READY, RETIRED, UNFINISHED, state_after
from ansim.errors import BadInput, ServiceError
from ansim.ledger import Entry, Pen
from ansim.ledger_check import Verified, check_ledger
from ansim.manifest import Manifest
from ansim.nats_jwt import PublicPart
from ansim.place import checked_household, checked_name, checked_role
from ansim.schema import KEY_CHARS, REASON_CHARS, devices
from ansim.schema import ledger as ledger_table
from ansim.station import station_name

# docs/protocol.md: a boot count starts at generation * 2^19 and stays below 2^30.
MAX_GENERATION = 2046
# What a device keeps when it is flashed again and nothing else is asked for.
PLACE = ("site", "role", "household")
# What a device gives to the one that replaces it.
HANDED_ON = (*PLACE, "manifest", "place")
NO_PLACE = {"manifest": "", "place": 0}
# A box of boards writes at once, and SQLite lets writers in by chance, not by turn.
BUSY_TIMEOUT_MS = 30_000
_MAC = re.compile(r"[0-9a-f]{12}")


class DeviceRetired(BadInput):
    """The device is out of service; nothing is done to it until a person takes that back."""


class CredentialRefused(ServiceError):
    """The broker refuses the credential that a device was found to hold; the ledger says that it failed."""


class DeviceInService(BadInput):
    """The device is ready for another place, and stays so until a person takes it out of there."""


@dataclass(frozen=True)
class Identity:
    """Who a device is, and where it stands.

    ``device`` is its serial number and its name in topics; ``mac`` is in the form
    ``24:6f:28:00:00:01``; ``generation`` counts its provisionings (0: never provisioned).
    ``household`` is what the city calls the home it is in (empty: none was said), ``replaced_by``
    the device that took its place (empty: none), ``state`` one of STATES. ``place`` is the one it has of
    ``manifest``, from 1 (0 and empty: of none); a retired device keeps it only until another one has it.
    """

    device: str
    mac: str
    board: str
    site: str
    role: str
    generation: int
    household: str = ""
    state: str = UNFINISHED
    replaced_by: str = ""
    manifest: str = ""
    place: int = 0


class Registry:
    """The devices of a fleet. Several processes and stations may use one registry at the same time.

    Args:
        station: as the ledger calls this one; see station_name.

    Every method may raise DatabaseUnavailable: nothing was stored, and the same call may be made again. A server that
    is lost in the very moment of a commit may have stored it; what is done twice is stored once all the same, but for
    ``issue``, ``record`` and ``record_labels``, of which each call makes entries of its own.
    """

    def __init__(self, database: Database, station: str | None = None) -> None:
        self._database = database
        self._station = station_name(station)

    @classmethod
    def open(cls, url: str, station: str | None = None) -> "Registry":
        """Open the registry in the database at url (a SQLAlchemy URL); see Database.open for its errors."""
        station = station_name(station)
        return cls(Database.open(url, BUSY_TIMEOUT_MS), station)

    @property
    def credentials(self) -> CredentialBook:
        """Which credentials are refused, and which keys may sign them; it lasts as long as the registry is open."""
        return CredentialBook(self._database)

    @property
    def where(self) -> str:
        """As a person is told which one it is; without a password."""
        return self._database.where

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enroll(
        self, mac: str, *, board: str, site: str, role: str, household: str = "", keep: Collection[str] = ()
    ) -> Identity:
        """Return the identity of the device with this MAC; the first time it gets the next serial number.

        A known device keeps its name; a board or place that differs is changed, and the ledger says so.

        Args:
            keep: those of PLACE that a known device keeps, whatever the other arguments say.

        Raises:
            BadInput: mac, site, role or household is not legal.
            DeviceRetired: it is out of service.
        """
        wanted = {
            "board": _checked_text("board", board, KEY_CHARS),
            "site": checked_name("site", site),
            "role": checked_role(role),
            "household": checked_household(household),
        }
        mac = normal_mac(mac)
        with self._writing() as (connection, pen):
            known = _find(connection, devices.c.mac == mac)
            if known is None:
                return _add(connection, pen, mac, wanted)
            _refuse_retired(connection, known)
            wishes = {name: value for name, value in wanted.items() if name not in keep}
            return _change(connection, pen, known, "change", wishes)

    def begin(self, manifest: Manifest) -> None:
        """Keep manifest, so that devices can have its places; one that was begun already goes on.

        Raises:
            BadInput: a manifest of that name was begun with other orders.
        """
        with self._writing() as (connection, _):
            manifest_rows.begin(connection, manifest)

    def assign(self, mac: str, manifest: Manifest, *, board: str, role: str) -> Identity:
        """As enroll, at a place of manifest: the one that the device has there, else the first that is free.

        Args:
            role: of a device that is new, where the order names none.

        Raises:
            BadInput: mac is not legal, or the manifest was begun with other orders.
            ManifestFull: no place is free.
            DeviceRetired: it is out of service.
            DeviceInService: it is ready, and has another manifest's place or another household.
        """
        _checked_text("board", board, KEY_CHARS)
        mac = normal_mac(mac)
        with self._writing() as (connection, pen):
            manifest_rows.begin(connection, manifest)
            known = _find(connection, devices.c.mac == mac)
            if known is not None:
                _refuse_retired(connection, known)
            if known is not None and known.manifest == manifest.name:
                return _change(connection, pen, known, "change", _ordered(manifest, known.place, board))
            place = manifest_rows.free_place(connection, manifest)
            wishes = _ordered(manifest, place, board)
            if known is None:
                known = _add(connection, pen, mac, {"role": checked_role(role), "household": "", **wishes})
            else:
                _refuse_in_service(known, wishes)
            taken = {"household": "", **wishes, "manifest": manifest.name, "place": place}
            return _change(connection, pen, known, "assign", taken, {"digest": manifest.digest})

    def issue(self, device: str, credential: PublicPart) -> int:
        """Note that a credential is about to be written to device, which is unfinished until that has passed.

        Returns:
            a number for this provisioning of device, 1 to 2046; durable, and never given again.

        Raises:
            BadInput: no such device.
            DeviceRetired: it is out of service.
            ServiceError: all numbers are used.
        """
        with self._writing() as (connection, pen):
            known = _existing(connection, device)
            _refuse_retired(connection, known)
            if known.generation >= MAX_GENERATION:
                raise ServiceError(
                    f"{device} has been provisioned {MAX_GENERATION} times; its event ids are used up",
                    "Replace the device: a new module has a new MAC and gets a new serial number.",
                )
            generation = known.generation + 1
            _update(connection, device, {"generation": generation, "state": UNFINISHED})
            details = {
                "generation": generation,
                "key": credential.key,
                "jti": credential.jti,
                "signer": credential.signer,
            }
            pen.append(device, "credential", "issued", details)
        return generation

    def record(
        self,
        device: str,
        action: str,
        result: str,
        details: Mapping[str, Any] | None = None,
        holds: PublicPart | None = None,
    ) -> None:
        """Append to the ledger what was done to device; a flash or provision that passed makes it ready.

        Args:
            details: JSON values; never a secret.
            holds: the credential that the device was found to hold; those that were issued to it before are refused
                from now on. None: what it holds is as before.

        Raises:
            BadInput: no such device, or no such credential was issued to it.
            CredentialRefused: what it holds is refused, because the device was provisioned elsewhere or retired
                meanwhile; the ledger says that it failed.
        """
        with self._writing() as (connection, pen):
            known = _existing(connection, device)
            new, told, refusal = _hold(connection, known, holds) if holds else ({}, {}, "")
            if refusal:
                result = "failed"
            pen.append(device, action, result, {**(details or {}), **told})
            state = state_after(known.state, action, result)
            if state != known.state:
                new["state"] = state
            if new:
                _update(connection, device, new)
        if refusal:
            raise CredentialRefused(
                refusal, f"What was done to it: ansim registry show {device}. Then provision it again."
            )

    def record_labels(self, names: Sequence[str], details: Mapping[str, Any]) -> None:
        """Append to the ledger that a label of each of these devices, all of this registry, was printed."""
        with self._writing() as (_, pen):
            for device in names:
                pen.append(device, "label", "printed", details)

    def end_tests(self, device: str, tests: Collection[tuple[int, int]]) -> None:
        """Close the test alarms (boot, seq) of device that a proof raised, where the receiver keeps them here, too."""
        with self._database.writing() as connection:
            by = f"proof, {self._station}"[:KEY_CHARS]
            alarm_rows.end_tests(connection, [(device, *each) for each in tests], by)

    def retire(self, device: str, reason: str) -> Identity:
        """Take device out of service and end its open faults; one that is out of service already stays as it is.

        Raises:
            BadInput: no such device, or reason is not legal.
        """
        _checked_text("reason", reason, REASON_CHARS)
        with self._writing() as (connection, pen):
            known = _existing(connection, device)
            return known if known.state == RETIRED else _retire(connection, pen, known, {"reason": reason})

    def reinstate(self, device: str, reason: str) -> Identity:
        """Take the retirement of device back: it is unfinished until it has been provisioned again.

        Only a new credential lets it in: the broker goes on refusing those that it had.

        Where another one has its place of a manifest now, it has none.

        Raises:
            BadInput: no such device, or reason is not legal.
        """
        _checked_text("reason", reason, REASON_CHARS)
        with self._writing() as (connection, pen):
            known = _existing(connection, device)
            if known.state != RETIRED:
                return known
            wishes = {"state": UNFINISHED, "replaced_by": "", **_place_left(connection, known)}
            refused = _refusing(_refused_to(connection, device), known.generation)
            _update(connection, device, {"revoked_generation": known.generation})
            return _change(connection, pen, known, "reinstate", wishes, {"reason": reason, **refused})

    def replace(self, old: str, new: str, reason: str) -> Identity:
        """Give new the place of old, which is retired, all at once; return new's identity.

        The place is HANDED_ON, as far as old has it: new keeps a household of its own where old has none to give.

        Where site or role change, new is unfinished until it has been provisioned again. Done already, nothing changes.

        Raises:
            BadInput: no such device, both are the same, or another one has old's place already; or reason is not legal.
            DeviceRetired: new is out of service.
        """
        _checked_text("reason", reason, REASON_CHARS)
        if old == new:
            raise BadInput(f"{old} can't replace itself", "Name the old device, then the new one.")
        with self._writing() as (connection, pen):
            leaving, coming = _existing(connection, old), _existing(connection, new)
            if leaving.replaced_by == new:
                return coming
            if leaving.replaced_by:
                raise BadInput(
                    f"{old} was replaced by {leaving.replaced_by}",
                    f"To replace that one: ansim registry replace {leaving.replaced_by} {new}",
                )
            _refuse_retired(connection, coming)
            why = {"reason": reason}
            wishes = {"household": "", "replaced_by": new, **NO_PLACE}
            place = {name: getattr(leaving, name) for name in HANDED_ON} | _place_left(connection, leaving)
            place = {name: value for name, value in place.items() if value}
            if leaving.state == RETIRED:
                _change(connection, pen, leaving, "replaced", wishes, why)
            else:
                _retire(connection, pen, leaving, why, wishes)
            if (coming.site, coming.role) != (leaving.site, leaving.role):
                place["state"] = UNFINISHED
            return _change(connection, pen, coming, "replace", place, {**why, "replaces": old})

    def manifests(self) -> list[str]:
        """Return the names of all manifests, the first begun first."""
        with self._database.reading() as connection:
            return list(manifest_rows.digests(connection))

    def progress(self, manifest: str) -> list[manifest_rows.Progress]:
        """Return how far each order of the manifest of that name is.

        Raises:
            BadInput: no such manifest.
        """
        with self._database.reading() as connection:
            return manifest_rows.progress(connection, manifest)

    def get(self, device: str) -> Identity:
        """Return the identity of device.

        Raises:
            BadInput: no such device.
        """
        with self._database.reading() as connection:
            return _existing(connection, device)

    def devices(self, **only: str | None) -> list[Identity]:
        """Return the devices by serial number; only: values that fields of Identity must have (None: any)."""
        query = sa.select(*_COLUMNS).order_by(devices.c.number)
        for name, value in only.items():
            if value is not None:
                query = query.where(devices.c[name] == value)
        with self._database.reading() as connection:
            return [Identity(**row._asdict()) for row in connection.execute(query)]

    def history(self, device: str | None = None) -> list[Entry]:
        """Return what the ledger says of device (of all devices: None), oldest first."""
        with self._database.reading() as connection:
            return list(ledger.entries(connection, device))

    def export(self) -> Iterator[dict[str, Any]]:
        """Yield the whole ledger as of now, each entry as a line of an export; a bounded number is in memory."""
        previous = ledger.BEGINNING
        with self._database.reading() as connection:
            for entry in ledger.entries(connection):
                yield entry.as_dict(previous)
                previous = entry.hash

    def verify(
        self,
        *,
        head: str | None = None,
        export: Path | None = None,
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Verified:
        """Check the ledger from its first entry to its last, and the devices against it.

        Args:
            head: the hash of an entry that must be there, as an earlier verify or export said it.
            export: an earlier export; each of its entries must be there as it was.
            on_progress: called with how many entries are checked, and of how many.

        Raises:
            LedgerBroken: the first thing that is wrong.
            BadInput: head is no hash, or export is no export.
        """
        with self._database.reading() as connection:
            return check_ledger(connection, head, export, on_progress)

    @contextmanager
    def _writing(self) -> Iterator[tuple[sa.Connection, Pen]]:
        """One transaction that no other station's can come between."""
        with self._database.writing() as connection:
            yield connection, Pen(connection, self._station)


def normal_mac(mac: str) -> str:
    """Return mac as ``24:6f:28:00:00:01``; ``-``, ``.`` or nothing may separate the digits.

    Raises:
        BadInput: not six bytes, a group address, or all zero.
    """
    digits = re.sub(r"[:.\-]", "", mac.strip().lower())
    if not _MAC.fullmatch(digits):
        raise BadInput(f"{mac[:40]!r} is not a MAC address", "It has six bytes, like 24:6f:28:00:00:01.")
    first = int(digits[:2], 16)
    if first & 1 or int(digits, 16) == 0:
        raise BadInput(f"{mac[:40]!r} can't be a device's MAC address", "Read it again with: ansim flash --port PORT")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _checked_text(what: str, text: str, max_chars: int) -> str:
    if not 0 < len(text) <= max_chars or not text.isprintable():
        raise BadInput(f"{what} {text[:40]!r} is not legal", f"Use 1 to {max_chars} printable characters.")
    return text


_COLUMNS = [devices.c[field.name] for field in fields(Identity)]


def _find(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Identity | None:
    row = connection.execute(sa.select(*_COLUMNS).where(where)).first()
    return None if row is None else Identity(**row._asdict())


def _existing(connection: sa.Connection, device: str) -> Identity:
    found = _find(connection, devices.c.device == device)
    if found is None:
        raise BadInput(f"the registry has no device {device[:40]!r}", "List them with: ansim registry list")
    return found


def _refuse_retired(connection: sa.Connection, known: Identity) -> None:
    if known.state != RETIRED:
        return
    query = sa.select(sa.func.max(ledger_table.c.at)).where(
        ledger_table.c.device == known.device, ledger_table.c.action == "retire"
    )
    at = connection.execute(query).scalar_one()
    replaced = f" and replaced by {known.replaced_by}" if known.replaced_by else ""
    raise DeviceRetired(
        f"{known.device} ({known.mac}) was retired on {at:%Y-%m-%d}{replaced}",
        f"Why: ansim registry show {known.device}. To use it again: "
        f"ansim registry retire {known.device} --undo --reason TEXT",
    )


def _refuse_in_service(known: Identity, wishes: Mapping[str, Any]) -> None:
    others_home = known.household and known.household != wishes.get("household")
    if known.state != READY or not (known.place or others_home):
        return
    where = f"household {known.household}" if others_home else f"place {known.place} of manifest {known.manifest}"
    raise DeviceInService(
        f"{known.device} ({known.mac}) is ready for {where}, site {known.site}",
        "It stays that. To use it for this manifest, take it out of there: "
        f"ansim registry retire {known.device} --reason TEXT, and once more with --undo.",
    )


def _place_left(connection: sa.Connection, known: Identity) -> dict[str, Any]:
    """Return that known has no place, where it is retired and another device has its place now."""
    taken = known.state == RETIRED and manifest_rows.is_taken(connection, known.manifest, known.place)
    return NO_PLACE if taken else {}


def _ordered(manifest: Manifest, place: int, board: str) -> dict[str, Any]:
    """Return what a device at place of manifest is, as far as that is ordered."""
    order = manifest.order_at(place)
    said = {"site": order.site, "role": order.role, "household": order.household}
    return {"board": board, **{name: text for name, text in said.items() if text}}


def _update(connection: sa.Connection, device: str, new: Mapping[str, Any]) -> None:
    connection.execute(devices.update().where(devices.c.device == device).values(new))


def _refused_to(connection: sa.Connection, device: str) -> int:
    query = sa.select(devices.c.revoked_generation).where(devices.c.device == device)
    found: int = connection.execute(query).scalar_one()
    return found


def _hold(connection: sa.Connection, known: Identity, holds: PublicPart) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return what becomes of a device that was found to hold this credential.

    Returns:
        its columns that change, what the ledger says, and why the broker refuses it (empty: it does not).
    """
    refused_to = _refused_to(connection, known.device)
    generation = generation_of(connection, known.device, holds.key)
    if refusal := _refusal(known, generation, refused_to):
        return {}, {"error": refusal}, refusal
    columns = {
        "credential_key": holds.key,
        "credential_jti": holds.jti,
        "credential_issued_at": holds.issued_at,
        "revoked_generation": generation - 1,
    }
    told = {"holds": {"key": holds.key, "jti": holds.jti}, **_refusing(refused_to, generation - 1)}
    return columns, told, ""


def _refusing(before: int, now: int) -> dict[str, Any]:
    """Return what the ledger says where credentials up to another generation are refused."""
    return {} if before == now else {"revoked_generation": [before, now]}


def _refusal(known: Identity, generation: int, refused_to: int) -> str:
    """Return why the broker refuses what the device holds; empty: it does not."""
    if known.state == RETIRED:
        return f"{known.device} was retired while it was worked on: the broker refuses it"
    if generation <= refused_to:
        return f"{known.device} was provisioned elsewhere meanwhile: the broker refuses what this run wrote"
    return ""


def _add(connection: sa.Connection, pen: Pen, mac: str, wanted: dict[str, Any]) -> Identity:
    # Devices are never deleted, so one more than the highest number was never given.
    number = connection.execute(sa.select(sa.func.coalesce(sa.func.max(devices.c.number), 0))).scalar_one() + 1
    device = f"AN{number:06d}"
    connection.execute(
        devices.insert().values(number=number, device=device, mac=mac, enrolled_at=datetime.now(UTC), **wanted)
    )
    pen.append(device, "enroll", "done", {"mac": mac, **wanted})
    return Identity(device, mac, generation=0, **wanted)


def _change(
    connection: sa.Connection,
    pen: Pen,
    known: Identity,
    action: str,
    wishes: Mapping[str, Any],
    why: Mapping[str, Any] | None = None,
) -> Identity:
    """Make known what wishes say, and note each change as [old, new]; with none, and no why, nothing is noted."""
    changes = {name: [getattr(known, name), value] for name, value in wishes.items() if getattr(known, name) != value}
    if changes:
        _update(connection, known.device, {name: new for name, (_, new) in changes.items()})
    if changes or why:
        pen.append(known.device, action, "done", {**changes, **(why or {})})
    return replace(known, **{name: new for name, (_, new) in changes.items()})


def _retire(
    connection: sa.Connection,
    pen: Pen,
    known: Identity,
    why: Mapping[str, str],
    wishes: Mapping[str, Any] | None = None,
) -> Identity:
    fault_rows.end_all(connection, known.device, "registry", datetime.now(UTC))
    return _change(connection, pen, known, "retire", {"state": RETIRED, **(wishes or {})}, why)
