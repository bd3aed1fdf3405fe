"""What requests run: scripts, and how machines are equipped."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Requests of before run nothing."""
    op.create_table(
        "payloads",
        sa.Column(
            "request",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
