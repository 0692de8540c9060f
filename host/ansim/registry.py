"""The registry: which device is where, its credential's public part, and all that was done to it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ansim.database import Database, DatabaseRefused
from ansim.errors import BadInput, ServiceError
from ansim.schema import KEY_CHARS, NAME_CHARS, devices, history
from ansim_fw.core import message

# docs/protocol.md: a boot count starts at generation * 2^19 and stays below 2^30.
MAX_GENERATION = 2046
ROLES = ("pendant", "hub")
_MAC = re.compile(r"[0-9a-f]{12}")
# More processes than that enrolling in the same instant is a fault, not a race.
_RACE_TRIES = 20


@dataclass(frozen=True)
class Identity:
    """Who a device is.

    ``device`` is its serial number and its name in topics; ``mac`` is in the form
    ``24:6f:28:00:00:01``; ``generation`` counts its provisionings (0: never provisioned).
    """

    device: str
    mac: str
    board: str
    site: str
    role: str
    generation: int


@dataclass(frozen=True)
class Entry:
    """One line of a device's history: what was done to it, and how that ended."""

    device: str
    at: datetime
    action: str
    result: str
    details: Mapping[str, Any]


class Registry:
    """The devices of a fleet. Several processes and stations may use one registry at the same time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> "Registry":
        """Open the registry in the database at url (a SQLAlchemy URL); see Database.open for its errors."""
        return cls(Database.open(url))

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enroll(self, mac: str, *, board: str, site: str, role: str) -> Identity:
        """Return the identity of the device with this MAC; the first time it gets the next serial number.

        A known device keeps its name; a board, site or role that differs is changed, and the history says so.

        Raises:
            BadInput: mac, site or role is not legal.
            DatabaseUnavailable: nothing was stored.
        """
        wanted = {
            "board": _checked_text("board", board, KEY_CHARS),
            "site": checked_name("site", site),
            "role": _checked_role(role),
        }
        mac = normal_mac(mac)
        for _ in range(_RACE_TRIES):
            try:
                with self._database.writing() as connection:
                    return _enroll(connection, mac, wanted)
            except DatabaseRefused as error:
                # Another process took the same number (or the same MAC) first: look again.
                if not isinstance(error.__cause__, IntegrityError):
                    raise
        raise ServiceError("too many stations enroll devices at once", "Try again.")

    def next_generation(self, device: str) -> int:
        """Return a number for this provisioning of device, 1 to 2046; durable, and never given again.

        Raises:
            BadInput: no such device.
            ServiceError: all numbers are used.
        """
        mine = devices.c.device == device
        with self._database.writing() as connection:
            raised = connection.execute(
                devices.update()
                .where(mine, devices.c.generation < MAX_GENERATION)
                .values(generation=devices.c.generation + 1)
            )
            generation = connection.execute(sa.select(devices.c.generation).where(mine)).scalar()
        if generation is None:
            raise _unknown(device)
        if not raised.rowcount:
            raise ServiceError(
                f"{device} has been provisioned {MAX_GENERATION} times; its event ids are used up",
                "Replace the device: a new module has a new MAC and gets a new serial number.",
            )
        return int(generation)

    def set_credential(self, device: str, *, key: str, jti: str, issued_at: datetime) -> None:
        """Note the public part of the credential that device now holds: user nkey, token id and time.

        Raises:
            BadInput: no such device.
        """
        with self._database.writing() as connection:
            changed = connection.execute(
                devices.update()
                .where(devices.c.device == device)
                .values(credential_key=key, credential_jti=jti, credential_issued_at=issued_at)
            )
        if not changed.rowcount:
            raise _unknown(device)

    def record(self, device: str, action: str, result: str, details: Mapping[str, Any] | None = None) -> None:
        """Append to the history of device. details: JSON values; never put a secret there.

        Raises:
            BadInput: no such device.
        """
        with self._database.writing() as connection:
            if not _find(connection, devices.c.device == device):
                raise _unknown(device)
            _append(connection, device, action, result, details or {})

    def get(self, device: str) -> Identity:
        """Return the identity of device.

        Raises:
            BadInput: no such device.
        """
        with self._database.reading() as connection:
            found = _find(connection, devices.c.device == device)
        if found is None:
            raise _unknown(device)
        return found

    def devices(self) -> list[Identity]:
        """Return all devices by serial number."""
        with self._database.reading() as connection:
            return [_identity(row) for row in connection.execute(sa.select(devices).order_by(devices.c.number))]

    def history(self, device: str | None = None) -> list[Entry]:
        """Return the history of device (of all devices: None), oldest first."""
        query = sa.select(history).order_by(history.c.id)
        if device is not None:
            query = query.where(history.c.device == device)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [Entry(row.device, row.at, row.action, row.result, row.details) for row in rows]


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


def checked_name(what: str, name: str) -> str:
    """Return name if it may stand in a topic.

    Raises:
        BadInput: it may not; what says which name it is.
    """
    if not (name.isascii() and message.is_name(name)):
        raise BadInput(
            f"{what} {name[:40]!r} is not legal",
            f"Use 1 to {message.MAX_NAME} of a-z, A-Z, 0-9, '_' and '-'.",
        )
    return name


def _checked_role(role: str) -> str:
    if role not in ROLES:
        raise BadInput(f"role {role[:40]!r} is not known", f"It is one of: {', '.join(ROLES)}.")
    return role


def _checked_text(what: str, text: str, max_chars: int) -> str:
    if not 0 < len(text) <= max_chars or not text.isprintable():
        raise BadInput(f"{what} {text[:40]!r} is not legal", f"Use 1 to {max_chars} printable characters.")
    return text


def _unknown(device: str) -> BadInput:
    return BadInput(f"the registry has no device {device[:40]!r}", "List them with: ansim registry list")


def _enroll(connection: sa.Connection, mac: str, wanted: dict[str, str]) -> Identity:
    known = _find(connection, devices.c.mac == mac)
    if known is None:
        return _add(connection, mac, wanted)
    changes = {name: [getattr(known, name), value] for name, value in wanted.items() if getattr(known, name) != value}
    if changes:
        connection.execute(devices.update().where(devices.c.mac == mac).values(wanted))
        _append(connection, known.device, "change", "done", changes)
    return Identity(known.device, mac, **wanted, generation=known.generation)


def _add(connection: sa.Connection, mac: str, wanted: dict[str, str]) -> Identity:
    # Devices are never deleted, so one more than the highest number was never given.
    number = connection.execute(sa.select(sa.func.coalesce(sa.func.max(devices.c.number), 0))).scalar_one() + 1
    device = f"AN{number:06d}"
    connection.execute(
        devices.insert().values(number=number, device=device, mac=mac, enrolled_at=datetime.now(UTC), **wanted)
    )
    _append(connection, device, "enroll", "done", {"mac": mac, **wanted})
    return Identity(device, mac, **wanted, generation=0)


def _append(connection: sa.Connection, device: str, action: str, result: str, details: Mapping[str, Any]) -> None:
    connection.execute(
        history.insert().values(
            device=device,
            at=datetime.now(UTC),
            action=_checked_text("action", action, NAME_CHARS),
            result=_checked_text("result", result, NAME_CHARS),
            details=dict(details),
        )
    )


def _find(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Identity | None:
    row = connection.execute(sa.select(devices).where(where)).first()
    return None if row is None else _identity(row)


def _identity(row: sa.Row[Any]) -> Identity:
    return Identity(row.device, row.mac, row.board, row.site, row.role, row.generation)
