"""The service: memory and store say the same, also when a write fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from sites.running import POLICY
from wnodes_daemon.grouping import Busy
from wnodes_daemon.records import Change, Entry, Filter, State, Step
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store, StoreUnavailable
from wnodes_engine.backend import Ending, JobRef, JobState
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Node, Request

NODES = [Node(f"n{at}", 8, 32768) for at in range(4)]
CLOCK = [1000.0]


@pytest.fixture(scope="module")
def policy() -> CompiledPolicy:
    return compiled(POLICY)


def compiled(text: str) -> CompiledPolicy:
    checked, _ = check_policy(load_text(text, "little.policy"))
    assert checked is not None
    return compile_policy(checked)


class FailingStore(Store):
    """A store whose disk is full when it is told so."""

    full = False
    commits = 0

    def commit(self, changes: Sequence[Change]) -> None:
        if self.full:
            raise StoreUnavailable("the disk is full")
        self.commits += 1
        super().commit(changes)


@pytest.fixture
def store(tmp_path: Path) -> FailingStore:
    return FailingStore(str(tmp_path / "s.sqlite"))


def make(policy: CompiledPolicy, store: Store) -> Service:
    return Service(policy, NODES, store, ("farm",), clock=lambda: CLOCK[0])


def job(user: str = "ada", **fields: int) -> Request:
    return Request("", "job", "local", user, "lab", 0, **fields)


def ids(entries: Sequence[Entry]) -> list[int]:
    return [entry.id for entry in entries]


def test_requests_that_come_together_are_committed_together(
    policy: CompiledPolicy, store: FailingStore
) -> None:
    async def run() -> list[int]:
        service = make(policy, store)
        taken = await asyncio.gather(*(service.submit([job()]) for _ in range(50)))
        await service.close()
        return [entry.id for entries in taken for entry in entries]

    assert asyncio.run(run()) == list(range(1, 51))
    assert store.commits <= 2


def test_when_a_write_fails_nothing_has_happened_and_afterwards_all_goes_on(
    policy: CompiledPolicy, store: FailingStore
) -> None:
    async def run() -> None:
        service = make(policy, store)
        await service.submit([job(cores=4)] * 3)
        await service.place()
        store.full = True
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await service.submit([job()])
        with pytest.raises(StoreUnavailable):
            await service.cancel(1)
        store.full = False
        with pytest.raises(StoreUnavailable):
            await service.submit([job()])  # until the memory is that of the store again
        await service.recover()
        assert sorted(service.state.running) == ["1", "2", "3"]
        assert not service.state.waiting
        assert ids(await service.submit([job()])) == [5]  # an id that was given away is not given again
        assert [entry.state for entry in await service.page(Filter())] == [
            *[State.STARTING] * 3,
            State.WAITING,
        ]
        await service.close()

    asyncio.run(run())


def test_a_start_that_cannot_be_recorded_is_not_carried_out(
    policy: CompiledPolicy, store: FailingStore
) -> None:
    async def run() -> None:
        service = make(policy, store)
        await service.submit([job()])
        store.full = True
        with pytest.raises(StoreUnavailable):
            await service.place()
        store.full = False
        await service.recover()
        assert list(service.state.waiting) == ["1"]
        assert service.dispatches == {}
        await service.close()

    asyncio.run(run())


def test_a_restart_finds_everything_as_it_was(policy: CompiledPolicy, tmp_path: Path) -> None:
    async def before() -> tuple[object, object, object]:
        service = make(policy, Store(str(tmp_path / "s")))
        await service.submit([job(cores=4, walltime=600)] * 5)
        (one, _), *_ = await service.place()
        await service.step(one.key, Step.HELD, ref=JobRef("farm", "1", one.key, 1000))
        CLOCK[0] += 10
        await service.step(one.key, Step.RUNNING, started=1003)
        await service.close()
        return service.entries, service.dispatches, service.shares()

    async def after() -> tuple[object, object, object]:
        service = make(policy, Store(str(tmp_path / "s")))
        await service.recover()
        await service.close()
        return service.entries, service.dispatches, service.shares()

    assert asyncio.run(before()) == asyncio.run(after())


def test_a_request_that_got_fewer_parts_keeps_them_through_a_restart_and_then_asks_for_all(
    policy: CompiledPolicy, tmp_path: Path
) -> None:
    async def run() -> None:
        service = make(policy, Store(str(tmp_path / "s")))
        await service.submit([job("bob", cores=4, count=5, at_least=2)])  # 12 cores are his quota
        ((dispatch, slot),) = await service.place()
        assert (slot.count, sum(parts for _, parts in slot.nodes)) == (3, 3)
        await service.close()

        service = make(policy, Store(str(tmp_path / "s")))
        await service.recover()
        assert service.shares()[0].used["cores"] == 12
        await service.give_up(dispatch.key)
        await service.reload(compiled(POLICY.replace("cores <= 12", "cores <= 20")))
        ((_, slot),) = await service.place()
        assert slot.count == 5
        await service.close()

    asyncio.run(run())


def test_what_waits_and_is_no_longer_admitted_is_denied_and_not_lost(
    policy: CompiledPolicy, store: FailingStore
) -> None:
    async def run() -> None:
        service = make(policy, store)
        await service.submit([job(cores=8), job(cores=8)])
        assert len(await service.place()) == 1
        await service.reload(compiled(POLICY.replace("cores <= 12", "cores <= 4")))
        running, denied = await service.page(Filter())
        assert (running.state, denied.state) == (State.STARTING, State.DENIED)
        assert denied.decision is not None
        assert denied.decision.reasons
        assert service.shares()[0].used["cores"] == 8
        await service.close()

    asyncio.run(run())


def test_a_new_policy_moves_requests_to_its_shares(policy: CompiledPolicy, store: FailingStore) -> None:
    moved = POLICY.replace("share local 40% borrow any", "share home 40% borrow any")
    moved = moved.replace("assign local", "assign home").replace("user in local", "user in home")

    async def run() -> None:
        service = make(policy, store)
        await service.submit([job(cores=8), job(cores=8)])
        assert len(await service.place()) == 1
        await service.reload(compiled(moved))
        assert [entry.share for entry in await service.page(Filter())] == ["home", "home"]
        await service.close()

    asyncio.run(run())


def test_a_policy_that_cannot_be_recorded_is_not_taken(policy: CompiledPolicy, store: FailingStore) -> None:
    async def run() -> None:
        service = make(policy, store)
        await service.submit([job(cores=8)])
        store.full = True
        with pytest.raises(StoreUnavailable):
            await service.reload(compiled(POLICY.replace("cores <= 12", "cores <= 4")))
        store.full = False
        await service.recover()
        assert service.policy is service.state.policy is policy
        assert list(service.state.waiting) == ["1"]
        await service.close()

    asyncio.run(run())


def test_the_queue_stays_within_its_bound_when_many_ask_at_one_time(
    policy: CompiledPolicy, store: FailingStore
) -> None:
    async def run() -> None:
        service = Service(policy, NODES, store, ("farm",), most_waiting=10)
        asked = await asyncio.gather(*(service.submit([job()] * 4) for _ in range(5)), return_exceptions=True)
        assert [isinstance(answer, Busy) for answer in asked] == [False, False, True, True, True]
        assert len(service.state.waiting) == 8
        await service.submit([job()] * 2)
        await service.close()

    asyncio.run(run())


@pytest.mark.parametrize("wrong", ["id", "submitted_at"])
def test_the_ending_of_another_job_under_our_key_ends_nothing(
    policy: CompiledPolicy, store: FailingStore, wrong: str
) -> None:
    async def run() -> None:
        service = make(policy, store)
        await service.submit([job()])
        [(one, _)] = await service.place()
        await service.step(one.key, Step.HELD, ref=JobRef("farm", "1", one.key, 1000))
        other = JobRef("farm", "2" if wrong == "id" else "1", one.key, 1000 if wrong == "id" else 999)
        ending = Ending(other, JobState.DONE, 1000, 1001, 0)
        assert await service.endings("farm", [ending], "c") == 0
        assert list(service.dispatches) == [one.key]
        assert await service.cursor("farm") == "c"
        await service.close()

    asyncio.run(run())


def test_steps_are_never_taken_back(policy: CompiledPolicy, store: FailingStore) -> None:
    async def run() -> None:
        service = make(policy, store)
        await service.submit([job()])
        [(one, _)] = await service.place()
        assert await service.step(one.key, Step.RUNNING, started=1000)
        assert not await service.step(one.key, Step.RELEASED)
        assert not await service.step("unknown", Step.RUNNING)
        assert service.dispatches[one.key].step is Step.RUNNING
        await service.close()

    asyncio.run(run())


def test_time_never_goes_back(policy: CompiledPolicy, store: FailingStore) -> None:
    async def run() -> list[int]:
        service = make(policy, store)
        seen = []
        for CLOCK[0] in (5000.0, 4000.0, 5001.0):
            seen.append(service.now())
        await service.close()
        return seen

    assert asyncio.run(run()) == [5000, 5000, 5001]


def test_a_node_that_was_taken_away_still_counts_for_what_runs_on_it(
    policy: CompiledPolicy, tmp_path: Path
) -> None:
    async def run(nodes: list[Node]) -> tuple[int, int]:
        service = Service(policy, nodes, Store(str(tmp_path / "s")), ("farm",))
        await service.recover()
        await service.submit([job(cores=8)])
        await service.place()
        await service.close()
        return len(service.state.running), service.shares()[0].used["cores"]

    assert asyncio.run(run(NODES)) == (1, 8)
    assert asyncio.run(run([Node("new", 8, 32768)])) == (1, 8)
