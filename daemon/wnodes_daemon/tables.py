"""The tables of the store, as they are now; `migrations` brings older ones here."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from wnodes_daemon.records import Step

VERSION: Final = "0005"
"""The newest of the migrations, which makes these tables out of older ones."""

OVER: Final = (Step.ENDED, Step.GIVEN_UP)
"""The steps of a dispatch that is over."""

metadata: Final = sa.MetaData()
_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _requests(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
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
        sa.Index(f"{name}_by_state", "state", "id"),
        sa.Index(f"{name}_by_user", "user", "id"),
        sa.Index(f"{name}_by_share", "share", "id"),
    )


requests: Final = _requests("requests")
"""The requests that are not over: a start reads these, however many there were before."""

archive: Final = _requests("archive")
"""The requests that are over."""

payloads: Final = sa.Table(
    "payloads",
    metadata,
    sa.Column("request", _ID, primary_key=True, autoincrement=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)
"""What the requests run that are not over."""

dispatches: Final = sa.Table(
    "dispatches",
    metadata,
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
    sa.Index("dispatches_by_request", "request"),
    sa.Index("dispatches_by_step", "step", "created"),
)

baits: Final = sa.Table(
    "baits",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("request", _ID, nullable=False),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("bait", sa.LargeBinary, nullable=False),
    sa.Index("baits_by_request", "request"),
    sa.Index("baits_by_stage", "stage"),
)
"""The baits of dispatches that were seen to run, those that have ended, too."""

# Nothing twice: the store itself refuses a second attempt while the first is not over.
sa.Index(
    "one_live_dispatch",
    dispatches.c.request,
    unique=True,
    sqlite_where=dispatches.c.step.not_in(OVER),
    postgresql_where=dispatches.c.step.not_in(OVER),
)

orders: Final = sa.Table(
    "orders",
    metadata,
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
    sa.Index("orders_by_victim", "victim", "id"),
    sa.Index("orders_by_beneficiary", "beneficiary"),
    sa.Index("orders_by_step", "step"),
    sa.Index("orders_by_time", "told"),
)

promises: Final = sa.Table(
    "promises",
    metadata,
    sa.Column("request", _ID, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("rule", sa.Integer, nullable=False),
    sa.Column("policy", sa.String, nullable=False),
    sa.Column("leave_by", sa.BigInteger, nullable=False),
    sa.Column("placement", sa.LargeBinary, nullable=False),
)

past_use: Final = sa.Table(
    "past_use",
    metadata,
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)

cursors: Final = sa.Table(
    "cursors",
    metadata,
    sa.Column("backend", sa.String, primary_key=True),
    sa.Column("cursor", sa.String, nullable=False),
)

answers: Final = sa.Table(
    "answers",
    metadata,
    sa.Column("owner", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("body", sa.String, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=False),
    sa.Index("answers_by_time", "created"),
)
"""What was answered to calls that can be made again, by who called and their key; `body` is its digest."""

policies: Final = sa.Table(
    "policies",
    metadata,
    sa.Column("number", _ID, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("taken", sa.BigInteger, nullable=False),
    sa.Column("origin", sa.String, nullable=False),
    sa.Column("sources", sa.LargeBinary, nullable=False),
)
"""The policies that were in force, the last one is."""

lease: Final = sa.Table(
    "lease",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("term", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.String, nullable=False),
    sa.Column("address", sa.String, nullable=False),
    sa.Column("expires", sa.Float, nullable=False),
)
"""Who leads, where there may be several daemons; in seconds since the epoch by the database's clock."""

version: Final = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32)))
