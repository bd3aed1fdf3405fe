"""The store: requests, dispatches and orders, written in groups, on the disk before anybody is told.

All calls block: the daemon makes the writes from one thread and the reads from others. What is over is in a
table of its own, the archive.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from wnodes_engine.payload import NOTHING, Payload

from wnodes_daemon import database, rows, tables
from wnodes_daemon.baits.records import Stage
from wnodes_daemon.database import StoreError, StoreUnavailable, translated
from wnodes_daemon.making_room import STANDING
from wnodes_daemon.records import (
    LIVE,
    Answer,
    Change,
    Dispatch,
    Entry,
    Filter,
    KnownPolicy,
    Order,
    Step,
    Stored,
)
from wnodes_daemon.upgrading import prepare

__all__ = ["Store", "StoreError", "StoreUnavailable"]

_HOUR = 3600
_POLICIES = 100
"""So many policies are looked back at."""


class Store:
    """One database. `commit` is for one thread at a time; the reads are for any."""

    def __init__(self, place: str) -> None:
        """Opens or creates the store: a file, or the URL of a PostgreSQL database. Raises StoreError."""
        self.place = place
        self.is_file = not database.is_url(place)
        self._lock: int | None = None
        if self.is_file:
            database.refuse_network(place)
            self._lock = database.lock(place)
        opened = database.sqlite if self.is_file else database.postgresql
        try:
            self._writer = opened(place, 1)
            self._reader = opened(place, 4)
            prepare(self._writer, place)
            self._file = database.identity(place) if self.is_file else None
        except exc.DBAPIError as error:
            self._unlock()
            raise StoreError(database.explained(place, error)) from None
        except (OSError, exc.TimeoutError) as error:
            self._unlock()
            raise StoreError(f"cannot open the store {database.shown(place)}: {error}") from None
        except StoreError:
            self._unlock()
            raise
        self.fence: Callable[[sa.Connection], None] | None = None
        """What each transaction that writes begins with: it raises StoreUnavailable where we may not."""

    def close(self) -> None:
        """Let go of the database, and of the lock on a file."""
        self._writer.dispose()
        self._reader.dispose()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # ----------------------------------------------------------------- writing

    def commit(self, changes: Sequence[Change]) -> None:
        """Make all these changes in one transaction, on the disk when it returns. Raises StoreUnavailable."""
        if self.is_file and database.identity(self.place) != self._file:
            # SQLite would go on, in a file that ends with this process.
            raise StoreUnavailable(
                f"{self.place} was moved or removed: put it back, or start the daemon anew without its past"
            )
        with translated(), self._writer.begin() as connection:
            if self.fence is not None:
                self.fence(connection)
            rows.write(connection, changes)

    # ----------------------------------------------------------------- reading

    def load(self, now: int, remembered: int) -> Stored:
        """What a memory is made of; dispatches that were given up for `remembered` seconds."""
        live = sa.select(tables.requests.c.id)
        named = sa.cast(tables.requests.c.id, sa.String)
        orders = tables.orders.c
        counts = (
            orders.step.in_(STANDING)
            | (orders.told > now - _HOUR)
            | orders.beneficiary.in_(live)
            | orders.victim.in_(sa.select(named))
        )
        live_baits = tables.baits.c.stage != Stage.BAIT_ENDED
        with translated(), self._reader.connect() as connection:

            def read(query: Any, of: Callable[[Any], Any]) -> list[Any]:
                return [of(row) for row in connection.execute(query)]

            return Stored(
                last_id=self.last_id(),
                last_order=connection.scalar(sa.select(sa.func.max(orders.id))) or 0,
                entries=self.live(),
                dispatches=self.live_dispatches(),
                given_up=self.given_up(now - remembered),
                orders=read(sa.select(tables.orders).where(counts), rows.order_of),
                promises=read(sa.select(tables.promises), rows.promise_of),
                past_use=read(sa.select(tables.past_use), rows.use_of),
                baits=read(sa.select(tables.baits).where(live_baits), rows.bait_of),
            )

    def last_id(self) -> int:
        """The largest id that was given to a request; 0 if there is none."""
        with translated(), self._reader.connect() as connection:
            both = (tables.requests, tables.archive)
            return max(connection.scalar(sa.select(sa.func.max(table.c.id))) or 0 for table in both)

    def entry(self, id_: int) -> Entry | None:
        """One request. Raises StoreUnavailable."""
        with translated(), self._reader.connect() as connection:
            for table in (tables.archive, tables.requests, tables.archive):  # it may move in between
                row = connection.execute(sa.select(table).where(table.c.id == id_)).one_or_none()
                if row is not None:
                    return rows.entry_of(row)
        return None

    def payload(self, id_: int) -> Payload:
        """What a request runs that is not over. Raises StoreUnavailable."""
        columns = tables.payloads.c
        query = sa.select(columns.payload).where(columns.request == id_)
        with translated(), self._reader.connect() as connection:
            blob = connection.scalar(query)
            return rows.payload_of(blob) if blob is not None else NOTHING

    def page(self, which: Filter) -> list[Entry]:
        """The next requests of a listing, oldest first. Raises StoreUnavailable."""
        live = not which.states or any(state in LIVE for state in which.states)
        over = not which.states or any(state not in LIVE for state in which.states)
        found: dict[int, Entry] = {}
        with translated(), self._reader.connect() as connection:
            for table, wanted in ((tables.requests, live), (tables.archive, over)):
                if wanted:
                    query = _filtered(table, which)
                    found |= {row.id: rows.entry_of(row) for row in connection.execute(query)}
        return [found[id_] for id_ in sorted(found)[: which.limit]]

    def live(self) -> list[Entry]:
        """All requests that are not over, oldest first. Raises StoreUnavailable."""
        with translated(), self._reader.connect() as connection:
            query = sa.select(tables.requests).order_by(tables.requests.c.id)
            return [rows.entry_of(row) for row in connection.execute(query)]

    def live_dispatches(self) -> list[Dispatch]:
        """All dispatches that are not over. Raises StoreUnavailable."""
        return self._dispatches(tables.dispatches.c.step.not_in(tables.OVER))

    def given_up(self, since: int) -> list[Dispatch]:
        """The dispatches created since then of which no job had appeared. Raises StoreUnavailable."""
        columns = tables.dispatches.c
        return self._dispatches((columns.step == Step.GIVEN_UP) & (columns.created >= since))

    def attempts(self, id_: int) -> list[Dispatch]:
        """All dispatches of one request. Raises StoreUnavailable."""
        return self._dispatches(tables.dispatches.c.request == id_)

    def orders_of(self, victim: str) -> list[Order]:
        """What somebody was told, oldest first. Raises StoreUnavailable."""
        query = sa.select(tables.orders).where(tables.orders.c.victim == victim).order_by(tables.orders.c.id)
        with translated(), self._reader.connect() as connection:
            return [rows.order_of(row) for row in connection.execute(query)]

    def answer(self, owner: str, key: str) -> Answer | None:
        """What was answered to a call of that key; None if there was none. Raises StoreUnavailable."""
        columns = tables.answers.c
        query = sa.select(tables.answers).where((columns.owner == owner) & (columns.key == key))
        with translated(), self._reader.connect() as connection:
            row = connection.execute(query).one_or_none()
            return rows.answer_of(row) if row is not None else None

    def policies(self) -> list[KnownPolicy]:
        """The policies that were in force, the last one is. Raises StoreUnavailable."""
        query = sa.select(tables.policies).order_by(tables.policies.c.number.desc()).limit(_POLICIES)
        with translated(), self._reader.connect() as connection:
            return [rows.policy_of(row) for row in connection.execute(query)][::-1]

    def cursor(self, backend: str) -> str:
        """How far the accounting of a backend was taken in; "" is the beginning. Raises StoreUnavailable."""
        query = sa.select(tables.cursors.c.cursor).where(tables.cursors.c.backend == backend)
        with translated(), self._reader.connect() as connection:
            return connection.scalar(query) or ""

    def _dispatches(self, which: sa.ColumnElement[bool]) -> list[Dispatch]:
        table = tables.dispatches
        query = sa.select(table).where(which).order_by(table.c.created, table.c.key)
        with translated(), self._reader.connect() as connection:
            return [rows.dispatch_of(row) for row in connection.execute(query)]


def _filtered(table: sa.Table, which: Filter) -> sa.Select[Any]:
    columns = table.c
    query = sa.select(table).where(columns.id > which.after).order_by(columns.id).limit(which.limit)
    if which.states:
        query = query.where(columns.state.in_(which.states))
    if which.share is not None:
        query = query.where(_in_share(columns.share, which.share))
    if which.visible is not None:
        of_shares = [_in_share(columns.share, share) for share in which.visible.shares]
        query = query.where(sa.or_(columns.user == which.visible.user, *of_shares))
    for column, value in (
        (columns.user, which.user),
        (columns.group, which.group),
        (columns.kind, which.kind),
        (columns.origin, which.origin),
    ):
        if value is not None:
            query = query.where(column == value)
    return query


def _in_share(column: sa.Column[Any], share: str) -> sa.ColumnElement[bool]:
    """Whether a share is this one, or is below it."""
    return (column == share) | column.startswith(share + ".", autoescape=True)
