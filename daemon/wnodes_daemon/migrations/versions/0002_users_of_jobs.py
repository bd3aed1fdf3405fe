"""Whom a batch job runs as."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Jobs ran as who had asked, all else as the service."""
    op.add_column("dispatches", sa.Column("user", sa.String, nullable=False, server_default=""))
    op.execute(
        'UPDATE dispatches SET "user" = (SELECT r."user" FROM requests r WHERE r.id = dispatches.request) '
        "WHERE request IN (SELECT id FROM requests WHERE kind = 'job')"
    )
