"""The tables of the fleet database, registry and events, as the newest migration leaves them."""

from datetime import UTC, datetime

import sqlalchemy as sa

# Longest texts that are stored; what comes from outside is checked or cut to these before.
NAME_CHARS = 24
KEY_CHARS = 64
REASON_CHARS = 200
SUBJECT_CHARS = 128


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept as naive UTC because SQLite has no time zones."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - the base class's signature
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - the base class's signature
        return None if value is None else value.replace(tzinfo=UTC)


metadata = sa.MetaData()

devices = sa.Table(
    "devices",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("device", sa.String(NAME_CHARS), nullable=False, unique=True),
    sa.Column("mac", sa.String(17), nullable=False, unique=True),
    sa.Column("board", sa.String(KEY_CHARS), nullable=False),
    sa.Column("site", sa.String(NAME_CHARS), nullable=False),
    sa.Column("role", sa.String(NAME_CHARS), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
    sa.Column("enrolled_at", UtcDateTime, nullable=False),
    sa.Column("credential_key", sa.String(KEY_CHARS)),
    sa.Column("credential_jti", sa.String(KEY_CHARS)),
    sa.Column("credential_issued_at", UtcDateTime),
)

history = sa.Table(
    "history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("device", sa.String(NAME_CHARS), sa.ForeignKey("devices.device"), nullable=False, index=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("action", sa.String(NAME_CHARS), nullable=False),
    sa.Column("result", sa.String(NAME_CHARS), nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
)

# No foreign key to devices: an alarm of a device unknown to this registry must be stored all the same.
events = sa.Table(
    "events",
    metadata,
    sa.Column("device", sa.String(NAME_CHARS), primary_key=True),
    sa.Column("boot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("site", sa.String(NAME_CHARS), nullable=False),
    sa.Column("type", sa.String(NAME_CHARS), nullable=False),
    sa.Column("kind", sa.String(NAME_CHARS), nullable=False, server_default=""),
    sa.Column("of_boot", sa.Integer),
    sa.Column("of_seq", sa.Integer),
    sa.Column("occurred_at", UtcDateTime),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("deliveries", sa.Integer, nullable=False),
    sa.Column("data", sa.JSON(none_as_null=True)),
    sa.Column("state", sa.String(NAME_CHARS)),
    sa.Column("handled_at", UtcDateTime),
    sa.Column("handled_by", sa.String(KEY_CHARS)),
    sa.Index("events_cancels", "device", "of_boot", "of_seq"),
    sa.Index("events_by_type", "type", "received_at"),
    sa.Index("events_by_state", "state", "received_at"),
)

device_states = sa.Table(
    "device_states",
    metadata,
    sa.Column("device", sa.String(NAME_CHARS), primary_key=True),
    sa.Column("site", sa.String(NAME_CHARS), nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    sa.Column("battery_mv", sa.Integer),
    sa.Column("rssi_dbm", sa.Integer),
    sa.Column("firmware", sa.String(NAME_CHARS)),
    sa.Index("device_states_seen", "last_seen_at"),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("subject", sa.String(SUBJECT_CHARS), nullable=False),
    sa.Column("reason", sa.String(REASON_CHARS), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
