"""Who leads, where several daemons share one database: a row with a term, which expires by its clock.

The leader renews its lease from a thread of its own, and counts by its own clock from before it asked, so
that it stops before anybody else can begin. Each of its commits holds on to the row, under its term: a new
term waits for the commits that are under way, and after it none of the old one succeeds.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc

from wnodes_daemon import database
from wnodes_daemon.database import StoreUnavailable, translated
from wnodes_daemon.rows import put
from wnodes_daemon.tables import lease

_log: Final = logging.getLogger(__name__)
LENGTH: Final = 3.0
"""Seconds for which a lease is given; a leader that is gone is missed for no longer."""

_RENEWED: Final = 0.8
"""Seconds between two renewals."""

_NOW: Final = sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Float)


class Leader(NamedTuple):
    """Who leads now; both are empty if nobody does."""

    holder: str
    address: str


class Lease:
    """One daemon's part in it. `take`, `leader` and `give_back` block."""

    def __init__(self, url: str, address: str) -> None:
        """`address` is where clients reach this daemon."""
        self.holder = f"{socket.gethostname()}:{os.getpid()}"
        self.term = 0
        self._address = address
        self._engine = database.postgresql(url, 2, patience=1.0)
        self._until = 0.0
        self._over = threading.Event()
        self._renewing: threading.Thread | None = None

    def take(self) -> bool:
        """Lead, if nobody else does. Raises StoreUnavailable."""
        asked = time.monotonic()
        with translated(), self._engine.begin() as connection:
            term = connection.scalar(
                sa.select(lease.c.term).where(lease.c.id == 1, lease.c.expires < _NOW).with_for_update()
            )
            if term is None:
                if connection.scalar(sa.select(lease.c.id).where(lease.c.id == 1)) is None:
                    row = {"id": 1, "term": 0, "holder": "", "address": "", "expires": 0.0}
                    put(connection, lease, [row])
                return False
            mine = {"term": term + 1, "holder": self.holder, "address": self._address}
            changed = sa.update(lease).where(lease.c.id == 1, lease.c.term == term)
            if not connection.execute(changed.values(**mine, expires=_NOW + LENGTH)).rowcount:
                return False
        self.term, self._until = term + 1, asked + LENGTH
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewing.start()
        return True

    def holds(self) -> bool:
        """Whether this daemon leads, by its own clock: to be asked before each command to others."""
        return time.monotonic() < self._until

    def leader(self) -> Leader:
        """Who leads. Raises StoreUnavailable."""
        query = sa.select(lease.c.holder, lease.c.address).where(lease.c.id == 1, lease.c.expires >= _NOW)
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
            return Leader(row.holder, row.address) if row is not None else Leader("", "")

    def fence(self, connection: sa.Connection) -> None:
        """Hold on to this term until the end of the transaction. Raises StoreUnavailable if it is over."""
        mine = sa.select(lease.c.id).where(
            lease.c.id == 1, lease.c.term == self.term, lease.c.expires >= _NOW
        )
        # This lock lets a renewal pass, and not a new term.
        if connection.scalar(mine.with_for_update(read=True, key_share=True)) is None:
            self._until = 0.0
            raise StoreUnavailable(
                "this daemon does not lead any more: another one does, or will in a moment"
            )

    def give_back(self) -> None:
        """Lead no longer, so that another one need not wait."""
        self._over.set()
        self._until = 0.0
        if self._renewing is not None:
            self._renewing.join(5)
        try:
            with self._engine.begin() as connection:
                mine = sa.update(lease).where(lease.c.id == 1, lease.c.term == self.term)
                connection.execute(mine.values(expires=0.0))
        except (exc.SQLAlchemyError, OSError):
            pass  # it expires by itself
        self._engine.dispose()

    def _renew(self) -> None:
        mine = sa.update(lease).where(lease.c.id == 1, lease.c.term == self.term)
        while not self._over.wait(_RENEWED):
            asked = time.monotonic()
            try:
                with self._engine.begin() as connection:
                    renewed = connection.execute(mine.values(expires=_NOW + LENGTH)).rowcount
            except (exc.SQLAlchemyError, OSError) as error:
                _log.warning("the lease could not be renewed", extra={"error": str(error).split("\n")[0]})
                continue
            if not renewed:
                self._until = 0.0
                return
            if not self.holds():
                return  # too late: whoever asks in between was told no
            self._until = max(self._until, asked + LENGTH)
