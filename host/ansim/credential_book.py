"""What the registry says of credentials: which the broker refuses, who signed which, and which keys may sign.

A device's credentials are told apart by generation. Refused are all of a retired device, and of any other those before
the one that it was last seen to hold: never the one that it holds, nor one that may have been written since.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from ansim.database import Database
from ansim.device_state import RETIRED
from ansim.errors import BadInput
from ansim.schema import devices, fleet_account, ledger, ledger_head

_ONE = 1
# Of an entry that says that a credential was issued.
_generation = ledger.c.details["generation"].as_integer()
_key = ledger.c.details["key"].as_string()
_signer = ledger.c.details["signer"].as_string()
_issued = ledger.c.action == "credential"


class Refused(NamedTuple):
    """A credential that is refused: the user it names, and the key that signed it (empty: the account's own)."""

    user: str
    signer: str


@dataclass(frozen=True)
class NotedAccount:
    """The account's token after its signing keys were last changed; taken: a broker goes by it."""

    token: str
    taken: bool


class CredentialBook:
    """The registry's view on credentials; every method may raise DatabaseUnavailable, as the registry's do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self) -> tuple[int, NotedAccount | None]:
        """Return a value that is another once anything else here may answer differently; it costs next to nothing."""
        with self._database.reading() as connection:
            seq = connection.execute(sa.select(ledger_head.c.seq)).scalar()
            return seq or 0, _account(connection)

    def refused(self) -> list[Refused]:
        """Return what is refused: retired devices' credentials first, then superseded ones, the newest first."""
        query = (
            sa.select(sa.func.coalesce(_key, ""), sa.func.coalesce(_signer, ""))
            .join(devices, devices.c.device == ledger.c.device)
            .where(_issued, (devices.c.state == RETIRED) | (_generation <= devices.c.revoked_generation))
            .order_by(devices.c.state != RETIRED, ledger.c.seq.desc())
        )
        with self._database.reading() as connection:
            return [Refused(*row) for row in connection.execute(query)]

    def holders(self) -> dict[str, list[str]]:
        """Return the devices by the keys that signed what they hold, or may hold; the account's own key is empty."""
        query = (
            sa.select(sa.func.coalesce(_signer, ""), ledger.c.device)
            .distinct()
            .join(devices, devices.c.device == ledger.c.device)
            .where(_issued, devices.c.state != RETIRED, _generation > devices.c.revoked_generation)
            .order_by(ledger.c.device)
        )
        found = defaultdict[str, list[str]](list)
        with self._database.reading() as connection:
            for signer, device in connection.execute(query):
                found[signer].append(device)
        return dict(found)

    def account(self) -> NotedAccount | None:
        """Return the account as it was last changed; None: it never was."""
        with self._database.reading() as connection:
            return _account(connection)

    def change_account(self, token: str, instead_of: NotedAccount | None) -> None:
        """Note a changed account for brokers to take.

        Args:
            instead_of: what ``account`` said when the change was made.

        Raises:
            BadInput: another station has changed it since.
        """
        with self._database.writing() as connection:
            # The lock under which all stations write.
            connection.execute(sa.select(ledger_head.c.seq).with_for_update())
            now = _account(connection)
            if (now and now.token) != (instead_of and instead_of.token):
                raise BadInput(
                    "another station has changed the fleet's keys just now", "Look at them first: ansim keys list"
                )
            connection.execute(fleet_account.delete())
            connection.execute(fleet_account.insert().values(id=_ONE, token=token, taken=False))

    def account_taken(self, token: str) -> None:
        """Note that a broker goes by the account of this token, if it is still the one that was last noted."""
        with self._database.writing() as connection:
            connection.execute(fleet_account.update().where(fleet_account.c.token == token).values(taken=True))


def generation_of(connection: sa.Connection, device: str, key: str) -> int:
    """Return the generation of the credential of device that names this user.

    Raises:
        BadInput: none was issued to it.
    """
    query = sa.select(sa.func.max(_generation)).where(ledger.c.device == device, _issued, _key == key)
    found: int | None = connection.execute(query).scalar()
    if found is None:
        raise BadInput(f"no credential {key[:40]!r} was issued to {device}", "Provision the device again.")
    return found


def _account(connection: sa.Connection) -> NotedAccount | None:
    row = connection.execute(sa.select(fleet_account.c.token, fleet_account.c.taken)).first()
    return None if row is None else NotedAccount(*row)
