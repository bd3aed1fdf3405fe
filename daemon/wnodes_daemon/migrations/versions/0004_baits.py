"""Baits, which win cores for machines."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """There were none."""
    op.create_table(
        "baits",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("request", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("bait", sa.LargeBinary, nullable=False),
    )
    op.create_index("baits_by_request", "baits", ["request"])
    op.create_index("baits_by_stage", "baits", ["stage"])
