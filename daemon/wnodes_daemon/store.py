"""The store: requests and dispatches in SQLite, written in groups, on the disk before anybody is told.

WAL with synchronous=FULL, BEGIN IMMEDIATE, one writer, and an exclusive lock beside the file. All calls
block: the daemon makes the writes from one thread and the reads from others.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy import event, exc
from wnodes_engine.backend import JobRef
from wnodes_engine.values import Decision, Placement, Request

from wnodes_daemon.records import (
    LIVE,
    Change,
    CursorChange,
    Dispatch,
    DispatchChange,
    Entry,
    EntryChange,
    Filter,
    NewDispatch,
    NewEntry,
    State,
    Step,
)

VERSION: Final = 2
"""The version of the tables, kept in SQLite's own `user_version`."""

_OVER: Final = (Step.ENDED, Step.GIVEN_UP)

_tables: Final = sa.MetaData()

_requests: Final = sa.Table(
    "requests",
    _tables,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
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
    sa.Index("requests_by_state", "state", "id"),
    sa.Index("requests_by_user", "user", "id"),
    sa.Index("requests_by_share", "share", "id"),
)

_dispatches: Final = sa.Table(
    "dispatches",
    _tables,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("request", sa.ForeignKey("requests.id"), nullable=False),
    sa.Column("backend", sa.String, nullable=False),
    sa.Column("step", sa.String, nullable=False),
    sa.Column("placement", sa.LargeBinary, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("user", sa.String, nullable=False, server_default=""),
    sa.Column("job", sa.String),
    sa.Column("submitted_at", sa.BigInteger),
    sa.Column("started", sa.BigInteger),
)

# Nothing twice: the store itself refuses a second attempt while the first is not over.
sa.Index(
    "one_live_dispatch",
    _dispatches.c.request,
    unique=True,
    sqlite_where=_dispatches.c.step.not_in(_OVER),
    postgresql_where=_dispatches.c.step.not_in(_OVER),
)
sa.Index("dispatches_by_step", _dispatches.c.step, _dispatches.c.created)

_cursors: Final = sa.Table(
    "cursors",
    _tables,
    sa.Column("backend", sa.String, primary_key=True),
    sa.Column("cursor", sa.String, nullable=False),
)


class StoreError(Exception):
    """The store cannot be used as it is; the message says why, and how to mend it."""


class StoreUnavailable(Exception):  # noqa: N818 - it names a condition
    """A write or a read did not succeed, and left no trace; another may."""


class Store:
    """One SQLite file. `commit` is for one thread at a time; the reads are for any."""

    def __init__(self, path: str) -> None:
        """Opens or creates the store at `path`. Raises StoreError."""
        if "://" in path:
            raise StoreError(
                f"daemon.store: {path.split('://')[0]} is not supported here: name a file for SQLite"
            )
        self.path = path
        self._lock = _lock(path)
        try:
            self._writer = _engine(path, pool_size=1)
            self._reader = _engine(path, pool_size=4)
            self._prepare()
            self._file = _identity(path)
        except exc.DBAPIError as error:
            os.close(self._lock)
            raise StoreError(_explained(path, error)) from None
        except StoreError:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let go of the file and its lock."""
        self._writer.dispose()
        self._reader.dispose()
        os.close(self._lock)

    # ----------------------------------------------------------------- writing

    def commit(self, changes: Sequence[Change]) -> None:
        """Make all these changes in one transaction, on the disk when it returns. Raises StoreUnavailable."""
        if _identity(self.path) != self._file:  # SQLite would go on, in a file that ends with this process
            raise StoreUnavailable(
                f"{self.path} was moved or removed: put it back, or start the daemon anew without its past"
            )
        with _translated(), self._writer.begin() as connection:
            for kind, group in groupby(changes, type):
                _write(connection, kind, list(group))

    # ----------------------------------------------------------------- reading

    def last_id(self) -> int:
        """The largest id that was given to a request; 0 if there is none."""
        with _translated(), self._reader.connect() as connection:
            return connection.scalar(sa.select(sa.func.max(_requests.c.id))) or 0

    def entry(self, id_: int) -> Entry | None:
        """One request. Raises StoreUnavailable."""
        with _translated(), self._reader.connect() as connection:
            row = connection.execute(sa.select(_requests).where(_requests.c.id == id_)).one_or_none()
            return _entry(row) if row is not None else None

    def page(self, which: Filter) -> list[Entry]:
        """The next requests of a listing, oldest first. Raises StoreUnavailable."""
        columns = _requests.c
        query = sa.select(_requests).where(columns.id > which.after).order_by(columns.id).limit(which.limit)
        if which.states:
            query = query.where(columns.state.in_(which.states))
        if which.share is not None:
            below = columns.share.startswith(which.share + ".", autoescape=True)
            query = query.where((columns.share == which.share) | below)
        for column, value in (
            (columns.user, which.user),
            (columns.group, which.group),
            (columns.kind, which.kind),
            (columns.origin, which.origin),
        ):
            if value is not None:
                query = query.where(column == value)
        with _translated(), self._reader.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def live(self) -> list[Entry]:
        """All requests that are not over, oldest first. Raises StoreUnavailable."""
        query = sa.select(_requests).where(_requests.c.state.in_(LIVE)).order_by(_requests.c.id)
        with _translated(), self._reader.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def live_dispatches(self) -> list[Dispatch]:
        """All dispatches that are not over. Raises StoreUnavailable."""
        return self._dispatches(_dispatches.c.step.not_in(_OVER))

    def given_up(self, since: int) -> list[Dispatch]:
        """The dispatches created since then of which no job had appeared. Raises StoreUnavailable."""
        return self._dispatches((_dispatches.c.step == Step.GIVEN_UP) & (_dispatches.c.created >= since))

    def attempts(self, id_: int) -> list[Dispatch]:
        """All dispatches of one request. Raises StoreUnavailable."""
        return self._dispatches(_dispatches.c.request == id_)

    def cursor(self, backend: str) -> str:
        """How far the accounting of a backend was taken in; "" is the beginning. Raises StoreUnavailable."""
        query = sa.select(_cursors.c.cursor).where(_cursors.c.backend == backend)
        with _translated(), self._reader.connect() as connection:
            return connection.scalar(query) or ""

    def _dispatches(self, which: sa.ColumnElement[bool]) -> list[Dispatch]:
        query = sa.select(_dispatches).where(which).order_by(_dispatches.c.created, _dispatches.c.key)
        with _translated(), self._reader.connect() as connection:
            return [_dispatch(row) for row in connection.execute(query)]

    def _prepare(self) -> None:
        """Check what is there, and make what is not. Raises StoreError and DBAPIError."""
        with self._writer.begin() as connection:
            if (found := connection.scalar(sa.text("PRAGMA quick_check(1)"))) != "ok":
                raise StoreError(f"the store {self.path} is damaged ({found}): restore it from a backup")
            version = connection.scalar(sa.text("PRAGMA user_version")) or 0
            if version > VERSION:
                raise StoreError(
                    f"the store {self.path} is of version {version}, and this daemon knows {VERSION}: "
                    "run the newer daemon that wrote it"
                )
            if version == 0 and sa.inspect(connection).get_table_names():
                raise StoreError(
                    f"{self.path} is a database of something else: name another file as daemon.store"
                )
            if version == 1:
                _tell_users(connection)
            _tables.create_all(connection)
            connection.execute(sa.text(f"PRAGMA user_version = {VERSION}"))


# ------------------------------------------------------------ connection, lock


def _lock(path: str) -> int:
    """Hold the lock beside the store until the process ends. Raises StoreError."""
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StoreError(
            f"cannot open {path}.lock: {error.strerror}; is {Path(path).parent} writable?"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreError(
            f"another wnodesd (process {holder}) runs on the store {path}: stop it, or name another store"
        ) from None
    os.truncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _tell_users(connection: sa.Connection) -> None:
    """A store of version 1 did not say whom a batch job runs as."""
    connection.execute(sa.text("ALTER TABLE dispatches ADD COLUMN user VARCHAR NOT NULL DEFAULT ''"))
    jobs = sa.select(_requests.c.user).where(_requests.c.id == _dispatches.c.request)
    are_jobs = _dispatches.c.request.in_(sa.select(_requests.c.id).where(_requests.c.kind == "job"))
    connection.execute(sa.update(_dispatches).where(are_jobs).values(user=jobs.scalar_subquery()))


def _identity(path: str) -> tuple[int, int] | None:
    """Which file a path leads to; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - once a commit
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _engine(path: str, pool_size: int) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=path),
        poolclass=sa.QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": 10},
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver begins no transactions of its own
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    if pool_size == 1:

        @event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _explained(path: str, error: exc.DBAPIError) -> str:
    said = str(error.orig)
    if "readonly" in said:
        return f"the store {path} cannot be written: make the file and its folder writable for this user"
    if "not a database" in said or "malformed" in said:
        return f"the store {path} is damaged or not a database ({said}): restore it from a backup"
    return f"cannot open the store {path}: {said}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError:
        raise  # a fault of ours, not of the disk
    except exc.DBAPIError as error:
        raise StoreUnavailable(f"the store did not answer: {error.orig}") from error


# ------------------------------------------------------------------------ rows


def _write(connection: sa.Connection, kind: type, group: list[Any]) -> None:
    """Changes of one kind, in one statement where that is possible."""
    if kind is NewEntry:
        connection.execute(sa.insert(_requests), [_request_row(change.entry) for change in group])
    elif kind is EntryChange:
        known = _requests.c.id == sa.bindparam("of_id")
        rows = [{"of_id": change.entry.id, **_state_row(change.entry)} for change in group]
        connection.execute(sa.update(_requests).where(known), rows)
    elif kind is NewDispatch:
        connection.execute(sa.insert(_dispatches), [_dispatch_row(change.dispatch) for change in group])
    elif kind is DispatchChange:
        known = _dispatches.c.key == sa.bindparam("of_key")
        rows = [{"of_key": change.dispatch.key, **_progress_row(change.dispatch)} for change in group]
        connection.execute(sa.update(_dispatches).where(known), rows)
    else:
        for change in group:
            _set_cursor(connection, change)


def _set_cursor(connection: sa.Connection, change: CursorChange) -> None:
    known = _cursors.c.backend == change.backend
    if not connection.execute(sa.update(_cursors).where(known).values(cursor=change.cursor)).rowcount:
        connection.execute(sa.insert(_cursors).values(backend=change.backend, cursor=change.cursor))


def _request_row(entry: Entry) -> dict[str, Any]:
    request = entry.request
    return {
        "id": entry.id,
        "user": request.user,
        "group": request.group,
        "kind": request.kind,
        "origin": request.origin,
        "request": msgspec.json.encode(request),
        **_state_row(entry),
    }


def _state_row(entry: Entry) -> dict[str, Any]:
    return {
        "state": entry.state,
        "share": entry.share,
        "cancelling": entry.cancelling,
        "started": entry.started,
        "ended": entry.ended,
        "exit_status": entry.exit_status,
        "message": entry.message,
        "decision": msgspec.json.encode(entry.decision) if entry.decision is not None else None,
    }


def _entry(row: Any) -> Entry:
    return Entry(
        id=row.id,
        request=_read_request(row.request),
        state=State(row.state),
        share=row.share,
        cancelling=row.cancelling,
        started=row.started,
        ended=row.ended,
        exit_status=row.exit_status,
        message=row.message,
        decision=_read_decision(row.decision) if row.decision is not None else None,
    )


def _dispatch_row(dispatch: Dispatch) -> dict[str, Any]:
    return {
        "key": dispatch.key,
        "request": dispatch.request,
        "backend": dispatch.backend,
        "placement": msgspec.json.encode(dispatch.placement),
        "created": dispatch.created,
        "user": dispatch.user,
        **_progress_row(dispatch),
    }


def _progress_row(dispatch: Dispatch) -> dict[str, Any]:
    ref = dispatch.ref
    return {
        "step": dispatch.step,
        "job": ref.id if ref is not None else None,
        "submitted_at": ref.submitted_at if ref is not None else None,
        "started": dispatch.started,
    }


def _dispatch(row: Any) -> Dispatch:
    return Dispatch(
        key=row.key,
        request=row.request,
        backend=row.backend,
        placement=_read_placement(row.placement),
        created=row.created,
        step=Step(row.step),
        ref=JobRef(row.backend, row.job, row.key, row.submitted_at) if row.job is not None else None,
        started=row.started,
        user=row.user,
    )


_read_request: Final = msgspec.json.Decoder(Request).decode
_read_decision: Final = msgspec.json.Decoder(Decision).decode
_read_placement: Final = msgspec.json.Decoder(tuple[Placement, ...]).decode
