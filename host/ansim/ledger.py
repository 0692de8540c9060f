"""The ledger: all that was done to the devices of a fleet, in one chain that can only grow.

Each entry holds the SHA-256 of the entry before it and of itself, so one that is changed, removed or put in between
is found. The chain's end stands in a row of its own; who holds that row's lock may append, so that stations that
write at once make one chain. docs/registry.md says what this proves.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ansim.errors import BadInput, ServiceError
from ansim.schema import NAME_CHARS, ledger, ledger_head

# What the first entry names as the one before it.
BEGINNING = "0" * 64
MAX_DETAILS_BYTES = 16_384
# So many entries are in memory when the whole ledger is read.
_CHUNK = 1000


@dataclass(frozen=True)
class Entry:
    """One entry: what was done to a device, where, and how that ended.

    Args:
        seq: 1 for the first entry of the ledger, and so on without a gap.
        hash: of this entry and of all before it, as 64 hexadecimal digits.
    """

    seq: int
    at: datetime
    station: str
    device: str
    action: str
    result: str
    details: Mapping[str, Any]
    hash: str

    def as_dict(self, previous: str) -> dict[str, Any]:
        """Return the entry as it is exported and hashed; previous: the hash of the entry before it."""
        return {
            "seq": self.seq,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "station": self.station,
            "device": self.device,
            "action": self.action,
            "result": self.result,
            "details": dict(self.details),
            "previous": previous,
            "hash": self.hash,
        }


def hash_of(fields: Mapping[str, Any]) -> str:
    """Return the hash of an entry, given as its as_dict; the field ``hash`` does not count.

    It is the SHA-256 of the other fields as JSON: keys sorted, no spaces, ASCII only.
    """
    hashed = {name: value for name, value in fields.items() if name != "hash"}
    return hashlib.sha256(_canonical(hashed)).hexdigest()


class Pen:
    """The right to append, from now until the transaction of connection ends; others wait for it meanwhile.

    Raises:
        ServiceError: the chain's end is not there.
    """

    def __init__(self, connection: sa.Connection, station: str) -> None:
        self._connection = connection
        self._station = station
        head = connection.execute(sa.select(ledger_head.c.seq, ledger_head.c.hash).with_for_update()).first()
        if head is None:
            raise ServiceError("the end of the ledger is missing", "Look what else is: ansim registry verify")
        self._seq, self._hash = head

    def append(self, device: str, action: str, result: str, details: Mapping[str, Any]) -> None:
        """Append an entry about device.

        Args:
            details: JSON values. Never a secret: nothing is ever taken out of the ledger again.

        Raises:
            BadInput: a text or the details are too long.
        """
        for what, text in (("action", action), ("result", result)):
            if not 0 < len(text) <= NAME_CHARS or not text.isprintable():
                raise BadInput(f"{what} {text[:40]!r} is not legal", f"Use 1 to {NAME_CHARS} printable characters.")
        told = _canonical(details)
        if len(told) > MAX_DETAILS_BYTES:
            raise BadInput(f"the details of {action} are too long", f"At most {MAX_DETAILS_BYTES} bytes are kept.")
        # As they will be read, or a number for a name would be hashed in another order.
        kept = json.loads(told)
        entry = Entry(self._seq + 1, datetime.now(UTC), self._station, device, action, result, kept, "")
        self._seq, self._hash = entry.seq, hash_of(entry.as_dict(self._hash))
        row = {**vars(entry), "hash": self._hash}
        self._connection.execute(ledger.insert().values(row))
        self._connection.execute(ledger_head.update().values(seq=self._seq, hash=self._hash))


def entries(connection: sa.Connection, device: str | None = None) -> Iterator[Entry]:
    """Yield the entries about device (None: all), the first first; a bounded number is in memory."""
    query = sa.select(ledger).order_by(ledger.c.seq).execution_options(yield_per=_CHUNK)
    if device is not None:
        query = query.where(ledger.c.device == device)
    for row in connection.execute(query):
        yield Entry(**row._asdict())


def head(connection: sa.Connection) -> tuple[int, str] | None:
    """Return the number and the hash of the last entry, as they were noted with it; None: the note is missing."""
    row = connection.execute(sa.select(ledger_head.c.seq, ledger_head.c.hash)).first()
    return None if row is None else (row.seq, row.hash)


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
