"""The store: what is committed is there, what is not is not, and a file that cannot be used is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy
import sqlalchemy.exc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wnodes_daemon import tables
from wnodes_daemon.records import (
    Answer,
    CursorChange,
    Dispatch,
    DispatchChange,
    Entry,
    EntryChange,
    Filter,
    ForgetAnswers,
    Leave,
    NewAnswer,
    NewDispatch,
    NewEntry,
    NewOrder,
    NewPromise,
    Order,
    OrderChange,
    PastUse,
    Promise,
    PromiseOver,
    RoomUsed,
    State,
    Step,
    UseChange,
    Visible,
)
from wnodes_daemon.store import Store, StoreError, StoreUnavailable
from wnodes_engine.backend import JobRef
from wnodes_engine.values import Code, Decision, Outcome, Placement, Reason, Request


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.sqlite")


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    made = Store(place)
    yield made
    made.close()


def entry(id_: int, state: State = State.WAITING, share: str | None = "grid.lhc", user: str = "ada") -> Entry:
    request = Request(str(id_), "job", "grid", user, "cms", 100, tags=frozenset({"a"}), attributes={"x": 1})
    decision = Decision(Outcome.WAIT, "d", share, reasons=(Reason(Code.SHARE, "full", limit=3),))
    return Entry(id_, request, state, share, decision=decision)


def dispatch(key: str, request: int, step: Step = Step.SUBMITTING) -> Dispatch:
    return Dispatch(key, request, "farm", (Placement("n1", 2),), 50, step)


def test_what_was_committed_is_there_when_the_store_is_opened_again(place: str) -> None:
    store = Store(place)
    held = msgspec.structs.replace(dispatch("k", 1), step=Step.HELD, ref=JobRef("farm", "7", "k", 51))
    store.commit([NewEntry(entry(1)), NewEntry(entry(2)), NewDispatch(dispatch("k", 1))])
    store.commit([DispatchChange(held), EntryChange(entry(2, State.DONE)), CursorChange("farm", "c1")])
    store.commit([CursorChange("farm", "c2")])
    store.close()
    store = Store(place)
    assert store.entry(1) == entry(1)
    assert store.entry(2) == entry(2, State.DONE)
    assert store.entry(3) is None
    assert store.live() == [entry(1)]
    assert store.live_dispatches() == [held] == store.attempts(1)
    assert (store.cursor("farm"), store.cursor("other")) == ("c2", "")
    assert store.last_id() == 2
    store.close()


def test_a_group_is_committed_whole_or_not_at_all(store: Store) -> None:
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        store.commit([NewEntry(entry(1)), NewEntry(entry(2)), NewEntry(entry(1))])
    assert store.live() == []


def test_nothing_is_written_to_a_file_that_is_not_there_any_more(path: str) -> None:
    store = Store(path)
    store.commit([NewEntry(entry(1))])
    Path(path).rename(f"{path}.away")
    with pytest.raises(StoreUnavailable, match="moved or removed: put it back"):
        store.commit([NewEntry(entry(2))])
    Path(f"{path}.away").rename(path)
    store.commit([NewEntry(entry(3))])
    assert [one.id for one in store.live()] == [1, 3]
    store.close()


def test_a_request_never_has_two_live_dispatches(store: Store) -> None:
    store.commit([NewEntry(entry(1)), NewDispatch(dispatch("k1", 1))])
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        store.commit([NewDispatch(dispatch("k2", 1))])
    store.commit([DispatchChange(dispatch("k1", 1, Step.GIVEN_UP)), NewDispatch(dispatch("k2", 1))])
    assert [made.key for made in store.live_dispatches()] == ["k2"]
    assert [made.key for made in store.given_up(50)] == ["k1"]
    assert store.given_up(51) == []


def test_every_write_is_synchronous(store: Store) -> None:
    with store._writer.connect() as connection:
        if not store.is_file:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
            return
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_share_is_listed_with_everything_below_it_and_nothing_beside_it(store: Store) -> None:
    shares = ["grid", "grid.lhc", "grid.small", "grid_lhc", "gridxlhc", None]
    store.commit([NewEntry(entry(at, share=share)) for at, share in enumerate(shares, 1)])
    assert [found.id for found in store.page(Filter(share="grid"))] == [1, 2, 3]
    assert [found.id for found in store.page(Filter(share="grid.lhc"))] == [2]


def test_somebody_sees_what_is_theirs_and_what_is_in_their_shares(store: Store) -> None:
    of = [
        ("ada", "local"),
        ("eve", "local"),
        ("eve", "grid.lhc"),
        ("eve", "grid.lhc.cms"),
        ("eve", "grid.lhcb"),
    ]
    entries = [entry(at, share=share, user=user) for at, (user, share) in enumerate(of, 1)]
    store.commit([NewEntry(each) for each in entries])

    def seen(**visible: Any) -> list[int]:
        return [found.id for found in store.page(Filter(visible=Visible(**visible)))]

    assert seen(user="ada") == [1]
    assert seen(user="ada", shares=("grid.lhc",)) == [1, 3, 4]
    assert [found.id for found in store.page(Filter(user="eve", visible=Visible("ada")))] == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    states=st.lists(st.sampled_from([State.WAITING, State.RUNNING, State.DONE]), max_size=30),
    size=st.integers(1, 8),
    wanted=st.sets(st.sampled_from(State)),
)
def test_paging_through_a_filter_shows_each_match_exactly_once(
    store: Store, states: list[State], size: int, wanted: set[State]
) -> None:
    with store._writer.begin() as connection:
        for table in (tables.requests, tables.archive):
            connection.execute(sqlalchemy.delete(table))
    if states:
        store.commit([NewEntry(entry(at, state)) for at, state in enumerate(states, 1)])
    seen, after = [], 0
    while page := store.page(Filter(states=tuple(wanted), after=after, limit=size)):
        assert len(page) <= size
        seen += [found.id for found in page]
        after = seen[-1]
    assert seen == [at for at, state in enumerate(states, 1) if state in wanted or not wanted]


def test_a_store_is_for_one_process(path: str) -> None:
    store = Store(path)
    with pytest.raises(StoreError, match="another wnodesd"):
        Store(path)
    store.close()
    Store(path).close()


def test_a_store_of_a_newer_daemon_is_refused(path: str) -> None:
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(StoreError, match="newer daemon"):
        Store(path)


def test_a_database_of_something_else_is_left_alone(path: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(StoreError, match="something else"):
        Store(path)


def test_a_damaged_store_is_named_and_its_lock_is_given_back(path: str) -> None:
    store = Store(path)
    store.commit([NewEntry(entry(at)) for at in range(1, 500)])
    store.close()
    data = bytearray(Path(path).read_bytes())
    data[4096 * 3 : 4096 * 9] = b"\xa5" * 4096 * 6
    Path(path).write_bytes(data)
    for _ in range(2):
        with pytest.raises(StoreError, match="restore it from a backup"):
            Store(path)


@pytest.mark.parametrize("path", ["/nowhere/store.sqlite", "/proc/store.sqlite", "mysql://db/wnodes"])
def test_a_place_where_no_store_can_be_is_named(path: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert path.split("://")[0] in str(caught.value)


def test_what_is_over_is_in_the_archive_and_is_found_there(store: Store) -> None:
    store.commit([NewEntry(entry(at)) for at in range(1, 4)])
    store.commit([EntryChange(entry(1, State.RUNNING)), EntryChange(entry(2, State.RUNNING))])
    store.commit([EntryChange(entry(1, State.DONE)), EntryChange(entry(2, State.FAILED))])
    assert [one.id for one in store.live()] == [3]
    assert store.entry(1) == entry(1, State.DONE)
    assert [(one.id, one.state) for one in store.page(Filter())] == [
        (1, State.DONE),
        (2, State.FAILED),
        (3, State.WAITING),
    ]
    assert [one.id for one in store.page(Filter(states=(State.DONE, State.WAITING)))] == [1, 3]
    assert store.last_id() == 3


def order(id_: int, victim: str, beneficiary: int, step: Leave = Leave.TOLD, told: int = 100) -> Order:
    return Order(id_, victim, beneficiary, "requeue", told, told + 60, 0, "digest", "reclaim", "p", 8, step)


def test_a_memory_is_made_of_what_is_live_and_of_what_of_the_past_still_counts(store: Store) -> None:
    promise = Promise(2, 1, 0, "digest", 160, (Placement("n1", 1),))
    store.commit(
        [
            *(NewEntry(entry(at)) for at in (1, 2)),
            *(NewEntry(entry(at, State.DONE)) for at in (3, 4)),
            NewOrder(order(1, "1", 2)),
            NewOrder(order(2, "3", 4, Leave.LEFT)),
            NewOrder(order(3, "1", 4, Leave.LEFT)),
            NewOrder(order(4, "3", 2, Leave.LEFT)),
            NewOrder(order(5, "3", 4, Leave.LEFT, told=9_000)),
            NewPromise(promise),
            UseChange(PastUse("average", "a", b"1")),
            UseChange(PastUse("average", "a", b"2")),
        ]
    )
    store.commit(
        [OrderChange(order(1, "1", 2, Leave.LEAVING)), RoomUsed(2), UseChange(PastUse("hours", "a", b"3"))]
    )
    stored = store.load(10_000, 86_400)
    assert [one.id for one in stored.entries] == [1, 2]
    assert (stored.last_id, stored.last_order) == (4, 5)
    assert [(one.id, one.step, one.needed) for one in sorted(stored.orders, key=lambda one: one.id)] == [
        (1, Leave.LEAVING, False),
        (3, Leave.LEFT, True),
        (4, Leave.LEFT, False),
        (5, Leave.LEFT, True),
    ]
    assert stored.promises == [promise]
    assert {(use.kind, use.value) for use in stored.past_use} == {("average", b"2"), ("hours", b"3")}
    assert [one.id for one in store.orders_of("1")] == [1, 3]
    store.commit([PromiseOver(2)])
    assert store.load(10_000, 86_400).promises == []


def test_an_answer_is_kept_under_its_key_for_as_long_as_it_counts(store: Store) -> None:
    kept = Answer("ada", "k", "digest", 100, (entry(1), entry(0, State.DENIED)))
    store.commit([NewAnswer(kept), NewAnswer(msgspec.structs.replace(kept, owner="eve", created=50))])
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        store.commit([NewAnswer(kept)])
    assert store.answer("ada", "k") == kept
    assert store.answer("ada", "other") is None
    store.commit([ForgetAnswers(100)])
    assert store.answer("ada", "k") == kept
    assert store.answer("eve", "k") is None
