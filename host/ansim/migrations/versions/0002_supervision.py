"""Faults that last, what supervision needs to know of devices, and which handled alarms their devices heard of."""

from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# So many of a device's boots are checked for missing events.
_BOOTS = 4


def upgrade() -> None:
    _events()
    _device_states()
    _faults()


def _events() -> None:
    op.add_column("events", sa.Column("told_at", sa.DateTime))
    # Their devices were told once when they were closed; nobody waits for these any more.
    op.execute("UPDATE events SET told_at = handled_at WHERE state = 'handled'")
    _partial_index("events_untold", "events", ["device"], "state = 'handled' AND told_at IS NULL")
    _partial_index("events_restores", "events", ["device", "boot", "seq"], "type = 'restore'")


def _device_states() -> None:
    for column in (
        sa.Column("interval_min", sa.Integer),
        sa.Column("signs", sa.Integer, nullable=False, server_default="0"),
        sa.Column("boot", sa.Integer),
        sa.Column("silent", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("ids", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("missing", sa.Integer, nullable=False, server_default="0"),
    ):
        op.add_column("device_states", column)
    _partial_index("device_states_holes", "device_states", ["device"], "missing > 0")
    _begin_checking()


def _begin_checking() -> None:
    """Check from the newest event of each boot on: heartbeats had numbers between the others before."""
    events = sa.table("events", sa.column("device"), sa.column("boot"), sa.column("seq"))
    states = sa.table("device_states", sa.column("device"), sa.column("ids", sa.JSON))
    query = sa.select(events.c.device, events.c.boot, sa.func.max(events.c.seq)).group_by(
        events.c.device, events.c.boot
    )
    boots = defaultdict[str, list[list[int]]](list)
    for device, boot, seq in op.get_bind().execute(query.order_by(events.c.device, events.c.boot)):
        boots[device].append([boot, seq + 1])
    for device, known in boots.items():
        op.execute(states.update().where(states.c.device == device).values(ids=known[-_BOOTS:]))


def _faults() -> None:
    op.create_table(
        "faults",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("device", sa.String(24), nullable=False),
        sa.Column("site", sa.String(24), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("noticed_by", sa.String(24), nullable=False),
        sa.Column("boot", sa.Integer),
        sa.Column("seq", sa.Integer),
        sa.Column("since", sa.DateTime, nullable=False),
        sa.Column("until", sa.DateTime),
        sa.Column("detail", sa.String(200), nullable=False, server_default=""),
        sa.Column("closed_by", sa.String(64)),
    )
    op.create_index("faults_until", "faults", ["until", "since"])
    _partial_index("faults_open", "faults", ["device", "kind"], "until IS NULL", unique=True)


def _partial_index(name: str, table: str, columns: list[str], where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
