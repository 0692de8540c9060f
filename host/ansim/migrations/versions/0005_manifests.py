"""Manifests and what they order; a device may have a place of one."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "manifests",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("begun_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "manifest_orders",
        sa.Column("manifest", sa.String(64), sa.ForeignKey("manifests.name"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("site", sa.String(24), nullable=False),
        sa.Column("role", sa.String(24), nullable=False),
        sa.Column("wifi", sa.String(32), nullable=False),
        sa.Column("household", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.add_column("devices", sa.Column("manifest", sa.String(64), nullable=False, server_default=""))
    op.add_column("devices", sa.Column("place", sa.Integer, nullable=False, server_default="0"))
    taken = sa.text("place > 0 AND state <> 'retired'")
    op.create_index(
        "devices_places",
        "devices",
        ["manifest", "place"],
        unique=True,
        sqlite_where=taken,
        postgresql_where=taken,
    )
