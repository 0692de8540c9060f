"""Whether the ledger is whole, and the devices are what it says."""

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

import sqlalchemy as sa

from ansim import ledger, manifest_rows
from ansim.device_state import Told, ToldFleet
from ansim.errors import AnsimError, BadInput
from ansim.ledger import BEGINNING, Entry, hash_of
from ansim.schema import devices

_HASH = re.compile(r"[0-9a-f]{64}")
_LINE_CHARS = 8 * ledger.MAX_DETAILS_BYTES
_PROGRESS = 1000
_CHUNK = 1000
_HINT = (
    "Stop the stations, keep a copy of the database as it is, and compare it with the last export: "
    "ansim registry verify --export FILE"
)


class LedgerBroken(AnsimError):
    """Something in the ledger was changed, removed or put in, or the devices are not what it says."""


@dataclass(frozen=True)
class Verified:
    """What was found whole.

    Args:
        head: the hash of the last entry, which stands for all of them.
        exported: so many entries are as an export has them; 0 without one.
    """

    entries: int
    devices: int
    head: str
    exported: int


def check_ledger(
    connection: sa.Connection, head: str | None, export: Path | None, on_progress: Callable[[int, int], None]
) -> Verified:
    """Check all of the ledger in the transaction of connection; see Registry.verify."""
    if head is not None and not _HASH.fullmatch(head):
        raise BadInput(f"{head[:40]!r} is not the hash of an entry", "It has 64 digits of 0-9 and a-f.")
    noted = ledger.head(connection)
    chain, fleet, exported = _Chain(head), ToldFleet(), 0
    with _exported(export) as lines:
        for entry in _followed(ledger.entries(connection), chain, fleet):
            exported += _compare(entry, next(lines, None))
            if entry.seq % _PROGRESS == 0:
                on_progress(entry.seq, noted[0] if noted else 0)
        if line := next(lines, None):
            raise LedgerBroken(f"entry {line.seq} of {export} is missing at the end of the ledger", _HINT)
    chain.end(noted)
    _check_manifests(connection, fleet)
    return Verified(chain.seq, _check_devices(connection, fleet.devices), chain.hash, exported)


class _Exported(NamedTuple):
    """A line of an export; fits: its hash is that of the line."""

    seq: object
    hash: str
    fits: bool


class _Chain:
    """Follows the chain from its first entry.

    Args:
        wanted: the hash of an entry that must come.
    """

    def __init__(self, wanted: str | None) -> None:
        self.seq = 0
        self.hash = BEGINNING
        self._wanted = wanted

    def take(self, entry: Entry) -> None:
        if entry.seq != self.seq + 1:
            raise LedgerBroken(f"entry {self.seq + 1} of the ledger is missing", _HINT)
        if hash_of(entry.as_dict(self.hash)) != entry.hash:
            raise LedgerBroken(
                f"entry {entry.seq} of the ledger does not fit its hash: it was changed, or the one before it", _HINT
            )
        self.seq, self.hash = entry.seq, entry.hash
        if self.hash == self._wanted:
            self._wanted = None

    def end(self, noted: tuple[int, str] | None) -> None:
        """Check the last entry against its note in the database, and that the wanted one came."""
        if noted is None or noted[0] > self.seq:
            until = f" to {noted[0]}" if noted else ""
            raise LedgerBroken(f"entries {self.seq + 1}{until} are missing at the end of the ledger", _HINT)
        if noted != (self.seq, self.hash):
            raise LedgerBroken(f"the ledger ends with entry {self.seq}, but was noted to end with {noted[0]}", _HINT)
        # The beginning of all ledgers is in this one, too.
        if self._wanted not in (None, BEGINNING):
            raise LedgerBroken(
                f"no entry has the hash {self._wanted}: since it was noted, entries were rewritten or cut off",
                _HINT,
            )


def _followed(entries: Iterator[Entry], chain: _Chain, fleet: ToldFleet) -> Iterator[Entry]:
    """Yield each entry once chain and fleet have taken it."""
    try:
        for entry in entries:
            chain.take(entry)
            if problem := fleet.take(entry):
                raise LedgerBroken(f"entry {entry.seq} of the ledger {problem}", _HINT)
            yield entry
    except (ValueError, TypeError) as error:
        raise LedgerBroken(f"an entry soon after entry {chain.seq} of the ledger can't be read", _HINT) from error


@contextlib.contextmanager
def _exported(path: Path | None) -> Iterator[Iterator[_Exported]]:
    """The entries in an export; none without one."""
    if path is None:
        yield iter(())
        return
    try:
        file = path.open(encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"can't read {path}: {error.strerror}", "Name a file that ansim registry export made."
        ) from error
    with file:
        yield _lines(file, path)


def _lines(file: TextIO, path: Path) -> Iterator[_Exported]:
    for number in itertools.count(1):
        try:
            line = file.readline(_LINE_CHARS)
            if not line:
                return
            found = _read(line)
        except (ValueError, RecursionError):
            found = None
        if found is None:
            raise BadInput(f"{path}, line {number}, is no entry of an export", "Make one with: ansim registry export")
        yield found


def _read(line: str) -> _Exported | None:
    found = json.loads(line)
    if not isinstance(found, dict) or not isinstance(found.get("hash"), str):
        return None
    return _Exported(found.get("seq"), found["hash"], hash_of(found) == found["hash"])


def _compare(entry: Entry, exported: _Exported | None) -> bool:
    """Tell whether entry is in the export, where it must be the same."""
    if exported is None:
        return False
    if exported.hash != entry.hash or not exported.fits:
        raise LedgerBroken(
            f"entry {entry.seq} of the ledger is not as it was exported, or the export was changed", _HINT
        )
    return True


def _check_manifests(connection: sa.Connection, fleet: ToldFleet) -> None:
    """Check that each manifest orders what its places were given out for, and has as many."""
    totals: dict[str, int] = {}
    for name, begun in manifest_rows.digests(connection).items():
        found = manifest_rows.stored(connection, name)
        totals[name] = found.total
        if not found.digest == begun == fleet.manifests.get(name, begun):
            raise LedgerBroken(f"the orders of manifest {name} are not those that it was begun with", _HINT)
    for device, told in fleet.devices.items():
        if told.place > totals.get(told.manifest, 0):
            raise LedgerBroken(f"{device} has place {told.place} of manifest {told.manifest}, which has none", _HINT)


def _check_devices(connection: sa.Connection, told: dict[str, Told]) -> int:
    """Compare each device with what the ledger says of it, and return how many there are."""
    count = 0
    query = sa.select(devices).order_by(devices.c.number).execution_options(yield_per=_CHUNK)
    for row in connection.execute(query):
        count += 1
        mine = told.pop(row.device, None)
        if mine is None or row.device != f"AN{row.number:06d}":
            raise LedgerBroken(f"the registry has the device {row.device}, which the ledger never enrolled", _HINT)
        for name in Told.__slots__:
            if getattr(row, name) != getattr(mine, name) and getattr(mine, name) is not None:
                raise LedgerBroken(
                    f"{row.device} has {name} '{getattr(row, name)}', but '{getattr(mine, name)}' by the ledger", _HINT
                )
    for device in told:
        raise LedgerBroken(f"the ledger enrolled {device}, but the registry has no such device", _HINT)
    return count
