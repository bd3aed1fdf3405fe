"""The archive; orders to leave, promises of room, past use; answers, policies, the lease."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DISPATCHES = 'key, request, backend, step, placement, created, "user", job, submitted_at, started'


def upgrade() -> None:
    """What is over moves to the archive; nothing else of a request changes."""
    _dispatches()
    _archive()
    _orders()
    op.create_table(
        "past_use",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "answers",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("body", sa.String, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
    )
    op.create_index("answers_by_time", "answers", ["created"])
    op.create_table(
        "policies",
        sa.Column("number", _ID, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("taken", sa.BigInteger, nullable=False),
        sa.Column("origin", sa.String, nullable=False),
        sa.Column("sources", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "lease",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )


def _dispatches() -> None:
    """They outlive their requests' rows, so they point to none: the table is made anew."""
    for index in ("one_live_dispatch", "dispatches_by_step"):
        op.drop_index(index, "dispatches")
    op.rename_table("dispatches", "old_dispatches")
    op.create_table(
        "dispatches",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("request", _ID, nullable=False),
        sa.Column("backend", sa.String, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("placement", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("user", sa.String, nullable=False, server_default=""),
        sa.Column("job", sa.String),
        sa.Column("submitted_at", sa.BigInteger),
        sa.Column("started", sa.BigInteger),
        sa.Column("paused", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.execute(f"INSERT INTO dispatches ({_DISPATCHES}) SELECT {_DISPATCHES} FROM old_dispatches")  # noqa: S608
    op.drop_table("old_dispatches")
    over = sa.text("step NOT IN ('ended', 'given up')")
    op.create_index(
        "one_live_dispatch", "dispatches", ["request"], unique=True, sqlite_where=over, postgresql_where=over
    )
    op.create_index("dispatches_by_step", "dispatches", ["step", "created"])
    op.create_index("dispatches_by_request", "dispatches", ["request"])


def _archive() -> None:
    op.create_table(
        "archive",
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
    columns = (
        'id, state, share, "user", "group", kind, origin, cancelling, started, ended, exit_status, message, '
        "request, decision"
    )
    over = "state IN ('done', 'failed', 'cancelled', 'denied')"
    op.execute(f"INSERT INTO archive ({columns}) SELECT {columns} FROM requests WHERE {over}")  # noqa: S608
    op.execute(f"DELETE FROM requests WHERE {over}")  # noqa: S608
    for column in ("state", "user", "share"):
        op.create_index(f"archive_by_{column}", "archive", [column, "id"])


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", _ID, primary_key=True, autoincrement=False),
        sa.Column("victim", sa.String, nullable=False),
        sa.Column("beneficiary", _ID, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("told", sa.BigInteger, nullable=False),
        sa.Column("leave_by", sa.BigInteger, nullable=False),
        sa.Column("rule", sa.Integer, nullable=False),
        sa.Column("policy", sa.String, nullable=False),
        sa.Column("word", sa.String, nullable=False),
        sa.Column("file", sa.String, nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("needed", sa.Boolean, nullable=False),
    )
    op.create_index("orders_by_victim", "orders", ["victim", "id"])
    op.create_index("orders_by_beneficiary", "orders", ["beneficiary"])
    op.create_index("orders_by_step", "orders", ["step"])
    op.create_index("orders_by_time", "orders", ["told"])
    op.create_table(
        "promises",
        sa.Column("request", _ID, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("rule", sa.Integer, nullable=False),
        sa.Column("policy", sa.String, nullable=False),
        sa.Column("leave_by", sa.BigInteger, nullable=False),
        sa.Column("placement", sa.LargeBinary, nullable=False),
    )
