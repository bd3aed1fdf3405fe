"""Requests, dispatches, cursors."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """As the first daemon made them."""
    op.create_table(
        "requests",
        sa.Column("id", _ID, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("share", sa.String),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("group", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("origin", sa.String, nullable=False),
        sa.Column("cancelling", sa.Boolean, nullable=False),
        sa.Column("started", sa.BigInteger),
        sa.Column("ended", sa.BigInteger),
        sa.Column("exit_status", sa.Integer),
        sa.Column("message", sa.String, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("decision", sa.LargeBinary),
    )
    for column in ("state", "user", "share"):
        op.create_index(f"requests_by_{column}", "requests", [column, "id"])
    op.create_table(
        "dispatches",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("request", _ID, sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("backend", sa.String, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("placement", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("job", sa.String),
        sa.Column("submitted_at", sa.BigInteger),
        sa.Column("started", sa.BigInteger),
    )
    over = sa.text("step NOT IN ('ended', 'given up')")
    op.create_index(
        "one_live_dispatch", "dispatches", ["request"], unique=True, sqlite_where=over, postgresql_where=over
    )
    op.create_index("dispatches_by_step", "dispatches", ["step", "created"])
    op.create_table(
        "cursors",
        sa.Column("backend", sa.String, primary_key=True),
        sa.Column("cursor", sa.String, nullable=False),
    )
