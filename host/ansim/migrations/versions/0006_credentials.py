"""Which of a device's credentials the broker refuses, and the fleet's account with its signing keys."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("devices", sa.Column("revoked_generation", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "fleet_account",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("taken", sa.Boolean, nullable=False),
    )
