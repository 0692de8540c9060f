"""How far the broker's archive is in the database."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "archive_marks",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("archive", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
