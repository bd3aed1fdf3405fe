"""The daemon makes room: victims are warned, leave in time, and wait again, through crashes, too."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sites.running import Site, form, until
from wnodes_daemon.client import Client
from wnodes_daemon.natives import Native, native_of
from wnodes_daemon.records import Dispatch, Entry, Leave, Order, State, Step
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store, StoreUnavailable
from wnodes_engine.backend import Ending, Job, JobRef, JobState
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Node, Outcome, Request

POLICY = """
policy roomy "grid takes back what local borrows"
share grid 50%
share local 50% borrow any
default walltime 10h when kind == job
assign grid  when origin == grid
assign local otherwise
reclaim for grid
    by requeue for job after 1m
route job, vmjob, vm, pool to farm
"""
NODES = [Node(f"n{at}", 8, 32768) for at in range(4)]


def policy(text: str = POLICY) -> CompiledPolicy:
    checked, _ = check_policy(load_text(text, "roomy.policy"))
    assert checked is not None
    return compile_policy(checked)


class Clock:
    def __init__(self) -> None:
        self.now = 6000.0

    def __call__(self) -> float:
        return self.now


class Farm:
    """A service on a store, and a batch system that does what it is told at once."""

    def __init__(self, path: Path, text: str = POLICY) -> None:
        self.path, self.policy, self.clock = path, policy(text), Clock()
        self.jobs = 0
        self.service = self.made()

    def made(self) -> Service:
        return Service(self.policy, NODES, Store(str(self.path)), ("farm",), clock=self.clock)

    async def crash(self) -> Service:
        """End without a word, and come back."""
        self.service._store.close()
        self.service = self.made()
        await self.service.recover()
        return self.service

    async def submit(self, origin: str, count: int, cores: int = 8, **fields: Any) -> list[int]:
        asked = Request("", "job", origin, "ada", "lab", 0, cores=cores, **fields)  # type: ignore[arg-type]
        return [entry.id for entry in await self.service.submit([asked] * count)]

    async def run(self) -> list[int]:
        """One pass; what it starts runs. Returns the requests."""
        started = []
        for dispatch, _ in await self.service.place():
            self.jobs += 1
            ref = JobRef("farm", str(self.jobs), dispatch.key, self.service.now())
            await self.service.step(dispatch.key, Step.HELD, ref=ref)
            await self.service.step(dispatch.key, Step.RUNNING, started=self.service.now())
            started.append(dispatch.request)
        return started

    def dispatch(self, request: int) -> Dispatch:
        return next(d for d in self.service.dispatches.values() if d.request == request)

    async def end(
        self, request: int, state: JobState = JobState.CANCELLED, status: int | None = None
    ) -> None:
        ref = self.dispatch(request).ref
        assert ref is not None
        now = self.service.now()
        await self.service.end(Ending(ref, state, now, now, status))

    async def entry(self, id_: int) -> Entry:
        found = await self.service.show(id_)
        assert found is not None
        return found

    async def order(self, victim: int) -> Order:
        return (await self.service.orders_of(victim))[-1]


@pytest.fixture
def served(tmp_path: Path) -> Callable[..., None]:
    def run(work: Callable[[Farm], Awaitable[None]], text: str = POLICY) -> None:
        async def in_loop() -> None:
            farm = Farm(tmp_path / "s", text)
            await farm.service.recover()
            await work(farm)
            await farm.service.close()

        asyncio.run(in_loop())

    return run


async def full_of_borrowers(farm: Farm) -> tuple[list[int], int]:
    """Local runs on the whole farm, and one of the grid has just had its pass."""
    borrowers = await farm.submit("local", 4)
    assert await farm.run() == borrowers
    farm.clock.now += 60
    (owner,) = await farm.submit("grid", 1)
    assert await farm.run() == []
    return borrowers, owner


def test_a_victim_is_warned_has_its_grace_leaves_and_waits_again_with_its_age(served: Any) -> None:
    async def work(farm: Farm) -> None:
        borrowers, owner = await full_of_borrowers(farm)
        (order,) = farm.service.orders.values()
        victim = int(order.victim)
        assert victim == borrowers[0]
        assert (order.beneficiary, order.action, order.step) == (owner, "requeue", Leave.TOLD)
        assert (order.told, order.leave_by, order.line) == (6060, 6120, 8)
        assert (await farm.entry(owner)).decision.outcome is Outcome.PREEMPT  # type: ignore[union-attr]
        assert not farm.service.is_taken_back(victim)

        farm.clock.now += 60
        assert await farm.run() == []
        assert farm.service.is_taken_back(victim)
        assert farm.service.orders[str(victim)].step is Leave.LEAVING

        submitted = (await farm.entry(victim)).request.submitted
        await farm.end(victim)
        waiting = await farm.entry(victim)
        assert (waiting.state, waiting.started, waiting.request.submitted) == (State.WAITING, None, submitted)
        assert waiting.message == f"it had to leave for request {owner} (reclaim, roomy.policy:8)"
        assert await farm.run() == [owner]
        assert (await farm.order(victim)).step is Leave.LEFT
        assert farm.service.orders == {}

        await farm.end(owner, JobState.DONE, 0)
        assert await farm.run() == [victim]
        assert (await farm.entry(victim)).message == ""

    served(work)


@pytest.mark.parametrize("moment", ["told", "leaving", "left"])
def test_a_crash_at_any_moment_is_taken_up_where_it_was(served: Any, moment: str) -> None:
    async def work(farm: Farm) -> None:
        borrowers, owner = await full_of_borrowers(farm)
        if moment == "told":
            before = dict(farm.service.orders)
            service = await farm.crash()
            assert service.orders == before
        farm.clock.now += 60
        await farm.run()
        if moment == "leaving":
            service = await farm.crash()
            assert [order.step for order in service.orders.values()] == [Leave.LEAVING]
        await farm.end(borrowers[0])
        if moment == "left":
            await farm.crash()
        assert list(farm.service.state.pledges) == [str(owner)]
        await farm.submit("local", 1)  # nobody else gets the room that was made
        assert await farm.run() == [owner]
        assert farm.service.state.history.left(str(borrowers[0])) == 1
        await farm.crash()
        state = farm.service.state
        assert state.history.left(str(borrowers[0])) == 1
        assert state.history.pushed_by(str(borrowers[0])) == {str(owner)}
        assert not state.history.made_room(str(owner))
        assert not state.pledges

    served(work)


def test_what_is_suspended_stays_where_it_is_and_goes_on_when_there_is_room(served: Any) -> None:
    async def work(farm: Farm) -> None:
        borrowers, owner = await full_of_borrowers(farm)
        victim = borrowers[0]
        key = farm.dispatch(victim).key
        farm.clock.now += 60
        await farm.run()
        assert await farm.service.stopped(key)
        assert not await farm.service.stopped(key)
        assert (await farm.entry(victim)).state is State.SUSPENDED
        assert await farm.run() == [owner]

        service = await farm.crash()
        assert list(service.state.paused) == [str(victim)]
        assert (await farm.order(victim)).step is Leave.STOPPED
        farm.clock.now += 100
        await farm.end(owner, JobState.DONE, 0)
        assert await farm.run() == []
        assert (await farm.order(victim)).step is Leave.RETURNING
        service = await farm.crash()
        assert not service.state.paused
        assert await service.goes_on(key)
        assert (await farm.entry(victim)).state is State.RUNNING
        assert (await farm.order(victim)).step is Leave.BACK
        stood_still = service.dispatches[key].paused
        assert stood_still == 100
        assert farm.dispatch(victim).key == key
        service = await farm.crash()
        assert service.state.running[str(victim)].started == 6000 + stood_still

    served(work, POLICY.replace("by requeue", "by suspend"))


def test_a_victim_that_is_deleted_is_over_and_says_for_whom(served: Any) -> None:
    async def work(farm: Farm) -> None:
        borrowers, owner = await full_of_borrowers(farm)
        farm.clock.now += 60
        await farm.run()
        await farm.end(borrowers[0], JobState.FAILED, 137)
        over = await farm.entry(borrowers[0])
        assert over.state is State.CANCELLED
        assert f"for request {owner}" in over.message
        assert await farm.run() == [owner]

    served(work, POLICY.replace("by requeue", "by delete"))


def test_a_job_that_stops_by_itself_when_it_is_warned_to_save_its_state_waits_again(served: Any) -> None:
    async def work(farm: Farm) -> None:
        borrowers, _ = await full_of_borrowers(farm)
        await farm.end(borrowers[0], JobState.FAILED, 85)
        assert (await farm.entry(borrowers[0])).state is State.WAITING

    served(work, POLICY.replace("by requeue", "by checkpoint"))


def test_a_victim_that_is_done_before_its_time_is_up_is_done(served: Any) -> None:
    async def work(farm: Farm) -> None:
        borrowers, owner = await full_of_borrowers(farm)
        await farm.end(borrowers[0], JobState.DONE, 0)
        assert (await farm.entry(borrowers[0])).state is State.DONE
        assert (await farm.order(borrowers[0])).step is Leave.LEFT
        assert await farm.run() == [owner]

    served(work)


def test_whoever_is_let_off_stays_and_is_told_nothing_more(served: Any) -> None:
    async def work(farm: Farm) -> None:
        borrowers, owner = await full_of_borrowers(farm)
        await farm.service.cancel(owner)
        assert farm.service.orders == {}
        assert (await farm.order(borrowers[0])).step is Leave.LET_OFF
        service = await farm.crash()
        assert not service.state.pledges
        farm.clock.now += 120
        assert await farm.run() == []
        assert not service.is_taken_back(borrowers[0])

    served(work)


def test_budgets_of_victims_and_of_rules_hold_over_a_restart(served: Any) -> None:
    async def work(farm: Farm) -> None:
        borrowers, _ = await full_of_borrowers(farm)
        farm.clock.now += 60
        await farm.run()
        await farm.end(borrowers[0])
        await farm.run()
        await farm.crash()
        await farm.submit("grid", 1)
        await farm.run()
        assert farm.service.orders == {}  # the rule has told one in this hour
        farm.clock.now += 3600
        await farm.run()
        assert [order.victim for order in farm.service.orders.values()] == [str(borrowers[1])]

    served(work, POLICY.replace("by requeue", "at most 1 per victim, 1 per hour by requeue"))


def test_a_reload_takes_promises_back_and_whoever_has_been_told_may_stay(served: Any) -> None:
    async def work(farm: Farm) -> None:
        borrowers, owner = await full_of_borrowers(farm)
        await farm.service.reload(
            policy(POLICY.replace("reclaim for grid\n    by requeue for job after 1m", ""))
        )
        assert farm.service.orders == {}
        assert farm.service.state.pledges == {}
        assert (await farm.order(borrowers[0])).step is Leave.LET_OFF
        assert (await farm.entry(owner)).state is State.WAITING

    served(work)


def test_a_write_that_fails_promises_nothing_and_tells_nobody(served: Any, monkeypatch: Any) -> None:
    def refuse(store: Store, changes: object) -> None:
        raise StoreUnavailable("the disk is full")

    async def work(farm: Farm) -> None:
        await farm.submit("local", 4)
        await farm.run()
        await farm.submit("grid", 1)
        with monkeypatch.context() as patch:
            patch.setattr(Store, "commit", refuse)
            with pytest.raises(StoreUnavailable):
                await farm.run()
        await farm.service.recover()
        assert not farm.service.state.pledges
        assert farm.service.orders == {}
        await farm.run()
        assert len(farm.service.orders) == 1

    served(work)


def stranger(state: JobState = JobState.RUNNING) -> Native:
    shown = Job(JobRef("farm", "7", "", 5000), state, "x", "eve", 8, 100, nodes=(("n0", 8),), started_at=5000)
    made = native_of("farm", shown, 6000)
    assert made is not None
    return made


@pytest.mark.parametrize("included", [True, False])
def test_native_jobs_are_victims_only_where_the_rule_includes_them(served: Any, included: bool) -> None:
    async def work(farm: Farm) -> None:
        await farm.service.see_natives("farm", [stranger()])
        await farm.submit("local", 3)
        await farm.run()
        farm.clock.now += 60
        await farm.submit("grid", 2)
        await farm.run()
        farm.clock.now += 60
        await farm.run()
        victims = {order.victim for order in farm.service.orders.values()}
        assert ("native:farm:7:5000" in victims) is included
        await farm.service.see_natives("farm", [])
        assert "native:farm:7:5000" not in farm.service.orders

    rule = "reclaim for grid taking shortest runtime including native"
    text = POLICY.replace(
        "reclaim for grid", rule if included else "reclaim for grid taking shortest runtime"
    )
    served(work, text.replace("shortest", "longest"))


# ----------------------------------------------------------------- real daemons

SITE_POLICY = """
policy little "grid takes back what local borrows"
share grid 50%
share local 50% borrow any
default walltime 10h when kind == job
assign grid  when origin == grid
assign local otherwise
reclaim for grid by {action} for job after {after}
route job, vmjob, vm, pool to farm
"""


def filled(site: Site, action: str, after: str = "0s") -> tuple[Client, list[str]]:
    """A daemon under such a policy, whose farm is full of borrowers."""
    site.write(speed=1)
    (site.folder / "little.policy").write_text(SITE_POLICY.format(action=action, after=after))
    client = site.start()
    items = client.submit_all([form(cores=8)] * 4)
    ids = [item.request.id for item in items if item.request is not None]
    until(lambda: all(client.show(id_).state is State.RUNNING for id_ in ids))
    return client, ids


def test_a_daemon_ends_the_victims_job_and_starts_the_owners_in_its_place(site: Site) -> None:
    client, ids = filled(site, "requeue")
    owner = client.submit(form(origin="grid", cores=8)).id
    until(lambda: client.show(owner).state is State.RUNNING)
    (victim,) = [view for id_ in ids if (view := client.show(id_)).state is State.WAITING]
    assert [attempt.step for attempt in victim.attempts] == [Step.ENDED]
    assert client.show(owner).attempts[0].nodes == victim.attempts[0].nodes
    assert [(told.beneficiary, told.action, told.step) for told in victim.told_to_leave] == [
        (owner, "requeue", Leave.LEFT)
    ]


def test_a_daemon_that_is_killed_while_victims_leave_goes_on_with_it(site: Site) -> None:
    client, ids = filled(site, "requeue", after="3s")
    owner = client.submit(form(origin="grid", cores=8)).id
    until(lambda: any(client.show(id_).told_to_leave for id_ in ids))
    site.end(signal.SIGKILL)
    client = site.start()
    until(lambda: client.show(owner).state is State.RUNNING)
    assert sorted(client.show(id_).state for id_ in ids) == [State.RUNNING] * 3 + [State.WAITING]


def test_a_daemon_suspends_the_victims_job_and_lets_it_go_on(site: Site) -> None:
    client, ids = filled(site, "suspend")
    owner = client.submit(form(origin="grid", cores=8)).id
    until(lambda: client.show(owner).state is State.RUNNING)
    (victim,) = [id_ for id_ in ids if client.show(id_).state is State.SUSPENDED]
    client.cancel(owner)
    until(lambda: client.show(victim).state is State.RUNNING)
    assert len(client.show(victim).attempts) == 1
