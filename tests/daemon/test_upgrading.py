"""An old store is brought to the tables of today, with all that is in it; a newer one is left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from wnodes_daemon import database, tables
from wnodes_daemon.records import Filter, State, Step
from wnodes_daemon.store import Store
from wnodes_daemon.upgrading import upgrade
from wnodes_engine.values import Placement, Request

OLD = (
    """CREATE TABLE requests (id INTEGER NOT NULL, state VARCHAR NOT NULL, share VARCHAR,
    user VARCHAR NOT NULL, "group" VARCHAR NOT NULL, kind VARCHAR NOT NULL, origin VARCHAR NOT NULL,
    cancelling BOOLEAN NOT NULL, started BIGINT, ended BIGINT, exit_status INTEGER, message VARCHAR NOT NULL,
    request BLOB NOT NULL, decision BLOB, PRIMARY KEY (id))""",
    "CREATE INDEX requests_by_share ON requests (share, id)",
    "CREATE INDEX requests_by_user ON requests (user, id)",
    "CREATE INDEX requests_by_state ON requests (state, id)",
    """CREATE TABLE dispatches ("key" VARCHAR NOT NULL, request INTEGER NOT NULL, backend VARCHAR NOT NULL,
    step VARCHAR NOT NULL, placement BLOB NOT NULL, created BIGINT NOT NULL,
    user VARCHAR DEFAULT '' NOT NULL, job VARCHAR, submitted_at BIGINT, started BIGINT,
    PRIMARY KEY ("key"), FOREIGN KEY(request) REFERENCES requests (id))""",
    "CREATE UNIQUE INDEX one_live_dispatch ON dispatches (request) WHERE (step NOT IN ('ended', 'given up'))",
    "CREATE INDEX dispatches_by_step ON dispatches (step, created)",
    "CREATE TABLE cursors (backend VARCHAR NOT NULL, cursor VARCHAR NOT NULL, PRIMARY KEY (backend))",
)
"""What the daemon of version 2 made of an empty file, as `.schema` shows it."""


def old_store(path: str, version: int) -> None:
    """A store as an earlier daemon left it: 1 is done, 2 runs, 3 waits."""
    connection = sqlite3.connect(path)
    for statement in OLD:
        if version == 1:
            statement = statement.replace(" user VARCHAR DEFAULT '' NOT NULL,", "")
        connection.execute(statement)
    request = msgspec.json.encode(Request("", "job", "local", "ada", "lab", 100, cores=4))
    for id_, state in ((1, "done"), (2, "running"), (3, "waiting")):
        row = (id_, state, "local", "ada", "lab", "job", "local", 0, None, None, None, "", request, None)
        connection.execute("INSERT INTO requests VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", row)
    placement = msgspec.json.encode((Placement("n1", 1),))
    insert = (
        "INSERT INTO dispatches (key, request, backend, step, placement, created, job, "
        "submitted_at, started) VALUES (?,?,?,?,?,?,?,?,?)"
    )
    for key, id_, step in (("a", 1, "ended"), ("b", 2, "running")):
        row = (key, id_, "farm", step, placement, 100, key, 101, 102)
        connection.execute(insert, row)
    if version == 2:
        connection.execute("UPDATE dispatches SET user = 'ada'")
    connection.execute("INSERT INTO cursors VALUES ('farm', 'c')")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("version", [1, 2])
def test_an_old_store_is_upgraded_with_all_that_is_in_it(tmp_path: Path, version: int) -> None:
    path = str(tmp_path / "s")
    old_store(path, version)
    for _ in range(2):
        store = Store(path)
        assert [(one.id, one.state) for one in store.page(Filter())] == [
            (1, State.DONE),
            (2, State.RUNNING),
            (3, State.WAITING),
        ]
        assert [one.id for one in store.live()] == [2, 3]
        (live,) = store.live_dispatches()
        assert (live.key, live.user, live.step, live.started, live.paused) == (
            "b",
            "ada",
            Step.RUNNING,
            102,
            0,
        )
        assert [one.key for one in store.attempts(1)] == ["a"]
        assert store.cursor("farm") == "c"
        store.close()


def test_the_migrations_come_to_the_tables_of_today(places: Callable[[], str]) -> None:
    place = places()
    engine = (database.postgresql if database.is_url(place) else database.sqlite)(place, 1)
    with engine.begin() as connection:
        upgrade(connection)
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == tables.VERSION
    engine.dispose()
    Store(place).close()


def test_an_upgrade_that_is_cut_off_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "s")
    old_store(path, 2)

    def cut_off(connection: sa.Connection) -> None:
        upgrade(connection)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("wnodes_daemon.upgrading.upgrade", cut_off)
        with pytest.raises(KeyboardInterrupt):
            Store(path)
    with sqlite3.connect(path) as connection:
        names = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    assert names == {"requests", "dispatches", "cursors"}
