"""The tables of the fleet database, registry and events, as the newest migration leaves them."""

from datetime import UTC, datetime

import sqlalchemy as sa

# Longest texts that are stored; what comes from outside is checked or cut to these before.
NAME_CHARS = 24
KEY_CHARS = 64
REASON_CHARS = 200
SUBJECT_CHARS = 128
SSID_CHARS = 32


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept as naive UTC because SQLite has no time zones."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - the base class's signature
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - the base class's signature
        return None if value is None else value.replace(tzinfo=UTC)


metadata = sa.MetaData()

# The conditions of partial indexes; a query finds one only by the very same words.
UNTOLD_ALARM = sa.text("state = 'handled' AND told_at IS NULL")
RESTORE = sa.text("type = 'restore'")
OPEN_FAULT = sa.text("until IS NULL")
WITH_HOLES = sa.text("missing > 0")
TAKEN = sa.text("place > 0 AND state <> 'retired'")

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
    # The broker refuses credentials of generations up to this one; a retired device's, all.
    sa.Column("revoked_generation", sa.Integer, nullable=False, server_default="0"),
    # One of ansim.registry.STATES.
    sa.Column("state", sa.String(NAME_CHARS), nullable=False, server_default="unfinished"),
    # What the city calls the home it is in; empty: none was said.
    sa.Column("household", sa.String(KEY_CHARS), nullable=False, server_default=""),
    # The device that took its place; empty: none.
    sa.Column("replaced_by", sa.String(NAME_CHARS), nullable=False, server_default=""),
    # The place that it has of a manifest, from 1; 0: of none.
    sa.Column("manifest", sa.String(KEY_CHARS), nullable=False, server_default=""),
    sa.Column("place", sa.Integer, nullable=False, server_default="0"),
)
# No place twice, however many stations there are.
sa.Index(
    "devices_places",
    devices.c.manifest,
    devices.c.place,
    unique=True,
    sqlite_where=TAKEN,
    postgresql_where=TAKEN,
)

manifests = sa.Table(
    "manifests",
    metadata,
    sa.Column("name", sa.String(KEY_CHARS), primary_key=True),
    # Of what it orders (ansim.manifest).
    sa.Column("digest", sa.String(KEY_CHARS), nullable=False),
    sa.Column("begun_at", UtcDateTime, nullable=False),
)

manifest_orders = sa.Table(
    "manifest_orders",
    metadata,
    sa.Column("manifest", sa.String(KEY_CHARS), sa.ForeignKey("manifests.name"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    # Of the file that it was read from.
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("site", sa.String(NAME_CHARS), nullable=False),
    sa.Column("role", sa.String(NAME_CHARS), nullable=False),
    sa.Column("wifi", sa.String(SSID_CHARS), nullable=False),
    sa.Column("household", sa.String(KEY_CHARS), nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
)

# Triggers refuse to change or remove a row (ansim.ledger).
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("station", sa.String(KEY_CHARS), nullable=False),
    sa.Column("device", sa.String(NAME_CHARS), sa.ForeignKey("devices.device"), nullable=False),
    sa.Column("action", sa.String(NAME_CHARS), nullable=False),
    sa.Column("result", sa.String(NAME_CHARS), nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("hash", sa.String(KEY_CHARS), nullable=False),
    sa.Index("ledger_of_device", "device", "seq"),
)

# One row: the last entry of the ledger. Who appends holds its lock.
ledger_head = sa.Table(
    "ledger_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(KEY_CHARS), nullable=False),
)

# One row, once its signing keys were changed: the fleet's account, signed in the operator's name (ansim.account).
fleet_account = sa.Table(
    "fleet_account",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("token", sa.Text, nullable=False),
    # A broker goes by it, so what its newest key signs is let in.
    sa.Column("taken", sa.Boolean, nullable=False),
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
    # When its device, while it was heard, was told that the alarm is handled.
    sa.Column("told_at", UtcDateTime),
    sa.Index("events_cancels", "device", "of_boot", "of_seq"),
    sa.Index("events_by_type", "type", "received_at"),
    sa.Index("events_by_state", "state", "received_at"),
)
sa.Index(
    "events_untold",
    events.c.device,
    sqlite_where=UNTOLD_ALARM,
    postgresql_where=UNTOLD_ALARM,
)
sa.Index(
    "events_restores",
    events.c.device,
    events.c.boot,
    events.c.seq,
    sqlite_where=RESTORE,
    postgresql_where=RESTORE,
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
    # As its heartbeats promise; null: it never said.
    sa.Column("interval_min", sa.Integer),
    # Rises whenever it is heard, also when clocks run backwards.
    sa.Column("signs", sa.Integer, nullable=False, server_default="0"),
    # The newest boot that it was heard in; null: none that can be compared.
    sa.Column("boot", sa.Integer),
    # A fault `silent` is open.
    sa.Column("silent", sa.Boolean, nullable=False, server_default=sa.false()),
    # Which events came (ansim.gaps.DeviceIds.dump), and how many are missing between them.
    sa.Column("ids", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("missing", sa.Integer, nullable=False, server_default="0"),
    sa.Index("device_states_seen", "last_seen_at"),
)
sa.Index("device_states_holes", device_states.c.device, sqlite_where=WITH_HOLES, postgresql_where=WITH_HOLES)

# Conditions of devices that last: from an event, or seen by the receiver itself.
faults = sa.Table(
    "faults",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("device", sa.String(NAME_CHARS), nullable=False),
    sa.Column("site", sa.String(NAME_CHARS), nullable=False),
    sa.Column("kind", sa.String(NAME_CHARS), nullable=False),
    sa.Column("noticed_by", sa.String(NAME_CHARS), nullable=False),
    # Of the event that told it; null: the receiver noticed.
    sa.Column("boot", sa.Integer),
    sa.Column("seq", sa.Integer),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("until", UtcDateTime),
    sa.Column("detail", sa.String(REASON_CHARS), nullable=False, server_default=""),
    # Who ended it; null: it ended by itself, or is open.
    sa.Column("closed_by", sa.String(KEY_CHARS)),
    sa.Index("faults_until", "until", "since"),
)
# At most one of a kind is open, however many receivers there are.
sa.Index(
    "faults_open", faults.c.device, faults.c.kind, unique=True, sqlite_where=OPEN_FAULT, postgresql_where=OPEN_FAULT
)

# One row: all that the broker's archive held up to this place is in the database. None: nobody knows.
archive_marks = sa.Table(
    "archive_marks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("archive", sa.String(KEY_CHARS), nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
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
