"""The history becomes a hash-chained ledger; devices have a state, a household, and one that took their place."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# The history did not say where a thing was done.
_STATION = "unknown"
_CHUNK = 1000

_devices = sa.table("devices", sa.column("number"), sa.column("device"), sa.column("generation"), sa.column("state"))
_history = sa.table(
    "history",
    sa.column("id"),
    sa.column("device"),
    sa.column("at", sa.DateTime),
    sa.column("action"),
    sa.column("result"),
    sa.column("details", sa.JSON),
)
_ledger = sa.table(
    "ledger",
    sa.column("seq"),
    sa.column("at", sa.DateTime),
    sa.column("station"),
    sa.column("device"),
    sa.column("action"),
    sa.column("result"),
    sa.column("details", sa.JSON),
    sa.column("hash"),
)
_head = sa.table("ledger_head", sa.column("id"), sa.column("seq"), sa.column("hash"))

_SQLITE_GUARDS = (
    "CREATE TRIGGER ledger_keeps_rows BEFORE DELETE ON ledger "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER ledger_keeps_values BEFORE UPDATE ON ledger "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER ledger_head_stays BEFORE DELETE ON ledger_head "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER ledger_head_grows BEFORE UPDATE ON ledger_head WHEN NEW.seq <= OLD.seq "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
)
_POSTGRESQL_GUARDS = (
    "CREATE FUNCTION ansim_ledger_refuses() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$",
    "CREATE TRIGGER ledger_keeps_rows BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger "
    "FOR EACH STATEMENT EXECUTE FUNCTION ansim_ledger_refuses()",
    "CREATE TRIGGER ledger_head_stays BEFORE DELETE OR TRUNCATE ON ledger_head "
    "FOR EACH STATEMENT EXECUTE FUNCTION ansim_ledger_refuses()",
    "CREATE TRIGGER ledger_head_grows BEFORE UPDATE ON ledger_head FOR EACH ROW "
    "WHEN (NEW.seq <= OLD.seq) EXECUTE FUNCTION ansim_ledger_refuses()",
)


def upgrade() -> None:
    for column in (
        sa.Column("state", sa.String(24), nullable=False, server_default="unfinished"),
        sa.Column("household", sa.String(64), nullable=False, server_default=""),
        sa.Column("replaced_by", sa.String(24), nullable=False, server_default=""),
    ):
        op.add_column("devices", column)
    _create_ledger()
    _carry_over()
    op.drop_table("history")
    connection = op.get_bind()
    guards = _POSTGRESQL_GUARDS if connection.dialect.name == "postgresql" else _SQLITE_GUARDS
    for guard in guards:
        connection.exec_driver_sql(guard)


def _create_ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("device", sa.String(24), sa.ForeignKey("devices.device"), nullable=False),
        sa.Column("action", sa.String(24), nullable=False),
        sa.Column("result", sa.String(24), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("ledger_of_device", "ledger", ["device", "seq"])
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )


def _carry_over() -> None:
    seq, last, ready, generations = 0, "0" * 64, set[str](), dict[str, int]()
    # The second is asked once the first has told all of its generations.
    for rows in itertools.chain(_old_rows(), _generations_not_told(generations)):
        for row in rows:
            seq += 1
            row |= {"seq": seq, "station": _STATION}
            last = row["hash"] = _hash(row, last)
            _follow(row, ready, generations)
        op.bulk_insert(_ledger, rows)
    op.bulk_insert(_head, [{"id": 1, "seq": seq, "hash": last}])
    for device in sorted(ready):
        op.execute(_devices.update().where(_devices.c.device == device).values(state="ready"))


def _old_rows() -> Iterator[list[dict[str, Any]]]:
    """Yield the history in its order, some rows at a time."""
    connection, last = op.get_bind(), -1
    query = sa.select(_history).order_by(_history.c.id).limit(_CHUNK)
    while rows := [row._asdict() for row in connection.execute(query.where(_history.c.id > last))]:
        last = rows[-1]["id"]
        yield [{name: value for name, value in row.items() if name != "id"} for row in rows]


def _generations_not_told(told: Mapping[str, int]) -> Iterator[list[dict[str, Any]]]:
    """Yield what the history lacks: numbers that were given for a provisioning which then was cut short."""
    now = datetime.now(UTC).replace(tzinfo=None)
    query = sa.select(_devices.c.device, _devices.c.generation).order_by(_devices.c.number)
    entry = {"at": now, "action": "change", "result": "done"}
    rows = [
        {**entry, "device": row.device, "details": {"generation": [told.get(row.device, 0), row.generation]}}
        for row in op.get_bind().execute(query)
        if row.generation != told.get(row.device, 0)
    ]
    if rows:
        yield rows


def _follow(row: Mapping[str, Any], ready: set[str], generations: dict[str, int]) -> None:
    device, action = row["device"], row["action"]
    if action == "credential":
        generations[device] = max(generations.get(device, 0), int(row["details"].get("generation", 0)))
    if action in ("flash", "provision") and row["result"] == "passed":
        ready.add(device)
    elif action in ("flash", "provision", "credential"):
        ready.discard(device)


def _hash(row: Mapping[str, Any], previous: str) -> str:
    """As ansim.ledger.hash_of; here it never changes."""
    at: datetime = row["at"]
    fields = {**row, "at": at.isoformat(timespec="microseconds") + "+00:00", "previous": previous}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()
