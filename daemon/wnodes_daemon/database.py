"""Opening the store's database: a file for SQLite, or PostgreSQL by its URL.

SQLite: WAL with synchronous=FULL, BEGIN IMMEDIATE, one writer, and an exclusive lock beside the file, which
has to be on a disk of this machine. PostgreSQL: synchronous_commit=on, and a session that stands still in the
middle of a transaction is ended by the server.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event, exc

POSTGRESQL: Final = ("postgresql", "postgres")
PRAGMAS: Final = ("journal_mode = WAL", "synchronous = FULL")
"""How SQLite is set up: a commit has been forced to the disk when it returns."""

# fmt: off
_NETWORK: Final = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2",
    "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "smb3", "smbfs",
})
# fmt: on
_STANDING_STILL: Final = 1000
"""Milliseconds in which a session may stand still in a transaction: no longer does a stopped daemon lock."""


class StoreError(Exception):
    """The store cannot be used as it is; the message says why, and how to mend it."""


class StoreUnavailable(Exception):  # noqa: N818 - it names a condition
    """A write or a read did not succeed, and left no trace; another may."""


def is_url(store: str) -> bool:
    """Whether the store is named by a URL, and not by a file."""
    return "://" in store


def shown(store: str) -> str:
    """The store's name as it may be told: without a password."""
    return re.sub(r"(://[^/@:]*):[^@]*@", r"\1:***@", store)


# -------------------------------------------------------------------- SQLite


def lock(path: str) -> int:
    """Hold the lock beside the store until the process ends. Raises StoreError."""
    try:
        held = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StoreError(
            f"cannot open {path}.lock: {error.strerror}; is {Path(path).parent} writable?"
        ) from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(held, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(held)
        raise StoreError(
            f"another wnodesd (process {holder}) runs on the store {path}: stop it, or name another store"
        ) from None
    os.truncate(held, 0)
    os.write(held, f"{os.getpid()}\n".encode())
    return held


def refuse_network(path: str, mounts: str = "/proc/self/mountinfo") -> None:
    """Raises StoreError for a file on a network file system: locks and flushes may mean nothing there."""
    folder = str(Path(path).resolve().parent)
    kind, longest = "", -1
    try:
        lines = Path(mounts).read_text(errors="replace").splitlines()
    except OSError:
        return  # no Linux: nothing is known of it
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, where = before.split(), after.split()
        if len(fields) < 5 or not where:
            continue
        mount = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        inside = folder == mount or folder.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= longest:  # what was mounted last lies on top
            kind, longest = where[0], len(mount)
    if kind in _NETWORK:
        raise StoreError(
            f"the store {path} would be on a network file system ({kind}), where a commit may not be on the "
            "disk and a lock may not hold: name a file on a disk of this machine, or a PostgreSQL URL, as "
            "daemon.store"
        )


def sqlite(path: str, pool_size: int) -> sa.Engine:
    """Connections to the file; a pool of one is for writing."""
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
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    if pool_size == 1:

        @event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def identity(path: str) -> tuple[int, int] | None:
    """Which file a path leads to; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - once a commit
    except OSError:
        return None
    return status.st_dev, status.st_ino


# ---------------------------------------------------------------- PostgreSQL


def postgresql(url: str, pool_size: int, patience: float = 10.0) -> sa.Engine:
    """Connections to a PostgreSQL database, that wait so many seconds for an answer.

    Raises StoreError for what is no such URL.
    """
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        raise StoreError("daemon.store is no URL: postgresql://USER@HOST/DATABASE") from None
    if parsed.drivername not in POSTGRESQL:
        raise StoreError(
            f"daemon.store: {parsed.drivername} is not supported: name a file for SQLite, or a URL of postgresql://"
        )
    folder = parsed.query.get("host")  # as libpq has it: a UNIX socket's folder
    arguments: dict[str, Any] = {"timeout": patience, "application_name": "wnodesd"}
    if isinstance(folder, str) and folder.startswith("/"):
        arguments["unix_sock"] = f"{folder}/.s.PGSQL.{parsed.port or 5432}"
        parsed = parsed.set(port=None)
    try:
        engine = sa.create_engine(
            parsed.set(drivername="postgresql+pg8000", query={}),
            pool_size=pool_size,
            max_overflow=0,
            pool_pre_ping=pool_size > 1,
            pool_timeout=patience,
            connect_args=arguments,
        )
    except ImportError:
        raise StoreError(
            "daemon.store: PostgreSQL needs a driver: pip install 'wnodes[postgresql]'"
        ) from None

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for setting in (
            "synchronous_commit = on",
            f"idle_in_transaction_session_timeout = {_STANDING_STILL}",
            f"lock_timeout = {round(1000 * patience)}",
            "statement_timeout = 30000",
        ):
            cursor.execute(f"SET {setting}")
        connection.commit()
        cursor.close()

    return engine


# ---------------------------------------------------------------------- errors


def explained(store: str, error: exc.DBAPIError) -> str:
    """What is wrong with a store that does not open, and how to mend it."""
    said, store = _said(error), shown(store)
    if "readonly" in said:
        return f"the store {store} cannot be written: make the file and its folder writable for this user"
    if "not a database" in said or "malformed" in said:
        return f"the store {store} is damaged or not a database ({said}): restore it from a backup"
    if "locked" in said:
        return f"the store {store} is in use by another program ({said}): end it, and start again"
    return f"cannot open the store {store}: {said}"


def _said(error: exc.DBAPIError) -> str:
    """What the database said, in one line: pg8000 has a dictionary of it."""
    original = error.orig
    first = original.args[0] if original is not None and original.args else original
    if isinstance(first, dict):
        return str(first.get("M", first))
    return " ".join(str(first).split())


@contextmanager
def translated() -> Iterator[None]:
    """What the database does not do becomes StoreUnavailable."""
    try:
        yield
    except exc.IntegrityError:
        raise  # a fault of ours, not of the disk
    except exc.DBAPIError as error:
        raise StoreUnavailable(f"the store did not answer: {_said(error)}") from error
    except exc.TimeoutError as error:
        raise StoreUnavailable("the store did not answer: all connections are in use") from error
    except OSError as error:
        raise StoreUnavailable(f"the store did not answer: {error}") from error
