"""Registry, events, quarantine."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _registry()
    _events()
    _receiver()


def _registry() -> None:
    op.create_table(
        "devices",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("device", sa.String(24), nullable=False, unique=True),
        sa.Column("mac", sa.String(17), nullable=False, unique=True),
        sa.Column("board", sa.String(64), nullable=False),
        sa.Column("site", sa.String(24), nullable=False),
        sa.Column("role", sa.String(24), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
        sa.Column("enrolled_at", sa.DateTime, nullable=False),
        sa.Column("credential_key", sa.String(64)),
        sa.Column("credential_jti", sa.String(64)),
        sa.Column("credential_issued_at", sa.DateTime),
    )
    op.create_table(
        "history",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("device", sa.String(24), sa.ForeignKey("devices.device"), nullable=False, index=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("action", sa.String(24), nullable=False),
        sa.Column("result", sa.String(24), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("device", sa.String(24), primary_key=True),
        sa.Column("boot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("site", sa.String(24), nullable=False),
        sa.Column("type", sa.String(24), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False, server_default=""),
        sa.Column("of_boot", sa.Integer),
        sa.Column("of_seq", sa.Integer),
        sa.Column("occurred_at", sa.DateTime),
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("deliveries", sa.Integer, nullable=False),
        sa.Column("data", sa.JSON),
        sa.Column("state", sa.String(24)),
        sa.Column("handled_at", sa.DateTime),
        sa.Column("handled_by", sa.String(64)),
    )
    op.create_index("events_cancels", "events", ["device", "of_boot", "of_seq"])
    op.create_index("events_by_type", "events", ["type", "received_at"])
    op.create_index("events_by_state", "events", ["state", "received_at"])


def _receiver() -> None:
    op.create_table(
        "device_states",
        sa.Column("device", sa.String(24), primary_key=True),
        sa.Column("site", sa.String(24), nullable=False),
        sa.Column("last_seen_at", sa.DateTime, nullable=False),
        sa.Column("battery_mv", sa.Integer),
        sa.Column("rssi_dbm", sa.Integer),
        sa.Column("firmware", sa.String(24)),
    )
    op.create_index("device_states_seen", "device_states", ["last_seen_at"])
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
