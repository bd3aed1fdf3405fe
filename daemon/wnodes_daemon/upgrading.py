"""Bringing a store to the tables of today: a new one is made, an older one upgraded, a newer one refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from wnodes_daemon import tables
from wnodes_daemon.database import StoreError, shown

_log: Final = logging.getLogger(__name__)
_ONE_AT_A_TIME: Final = 0x776E6F646573
_BY_NUMBER: Final = {1: "0001", 2: "0002"}
"""Before there were migrations, SQLite's own `user_version` told the version."""


def prepare(engine: sa.Engine, place: str) -> None:
    """Check what is there, and make what is not. Raises StoreError and DBAPIError."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # another daemon may start at the same moment
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
        names = set(sa.inspect(connection).get_table_names())
        found = _version(connection, names)
        if found is None and names:
            raise StoreError(
                f"{shown(place)} is a database of something else: name another one as daemon.store"
            )
        if found is not None and found > tables.VERSION:
            raise StoreError(
                f"the store {shown(place)} is of version {found}, and this daemon knows {tables.VERSION}: "
                "run the newer daemon that wrote it"
            )
        _check(connection, place, names)
        if found is None:
            tables.metadata.create_all(connection)
            tables.version.create(connection)
            connection.execute(sa.insert(tables.version).values(version_num=tables.VERSION))
        elif found < tables.VERSION:
            _log.info("upgrading the store", extra={"from": found, "to": tables.VERSION})
            if tables.version.name not in names:
                tables.version.create(connection)
                connection.execute(sa.insert(tables.version).values(version_num=found))
            upgrade(connection)


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Run the migrations that are missing, in the transaction that is open."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _version(connection: sa.Connection, names: set[str]) -> str | None:
    """The version of the tables that are there; None where there is no store yet."""
    if tables.version.name in names:
        return connection.scalar(sa.select(tables.version.c.version_num))
    if connection.dialect.name == "sqlite":
        number = connection.scalar(sa.text("PRAGMA user_version")) or 0
        return _BY_NUMBER.get(number, f"{number:04}") if number else None
    return None


def _check(connection: sa.Connection, place: str, names: set[str]) -> None:
    """Look at what a start reads; reading all of a large archive would take minutes."""
    if connection.dialect.name != "sqlite":
        return
    for table in sorted(names & {"requests", "orders", "promises", "past_use"}):
        if (found := connection.scalar(sa.text(f"PRAGMA quick_check({table})"))) != "ok":
            raise StoreError(f"the store {place} is damaged ({found}): restore it from a backup")
