"""A batch system to which users also submit past us: who waits in its queue, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from wnodes_daemon import shown
from wnodes_daemon.decision_log import DecisionLog
from wnodes_daemon.loop import Line, Loop
from wnodes_daemon.records import Dispatch, Entry, State, Step
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store
from wnodes_daemon.views import request_view
from wnodes_engine.backend import Action, JobRef, JobState, SlotRequest
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.decision_log.confirm import confirm
from wnodes_engine.decision_log.log import Log
from wnodes_engine.decision_log.reading import LogReader
from wnodes_engine.language.load import load_text
from wnodes_engine.site import Decisions, Plugin
from wnodes_engine.values import Placement, Request
from wnodes_simulated.backend import SimulatedBackend

POLICY = """
policy shared
share grid 50% borrow none share local 50% borrow any
assign grid when origin == grid
assign local otherwise
quota for each user: core_hours <= 1000 per 1d
nodes "wn1" only when user != "bob"
route job, vmjob, vm, pool to farm
"""
JOB = Request("", "job", "local", "ada", "lab", 0, cores=2, walltime=3600)
NATIVE = SlotRequest("", "native", "eve", 8, 64, held=False)
PATIENCE = 900


class Shared:
    """A daemon's insides on a simulated farm of two nodes of eight cores, and time that can be set."""

    def __init__(self, folder: Path, most: int) -> None:
        (folder / "farm.yaml").write_text("nodes:\n  - {name: 'wn[1-2]', cores: 8, memory: 8GiB}\n")
        self.time = 6000.0
        options = {"farm": str(folder / "farm.yaml")}
        self.farm = SimulatedBackend("farm", options, clock=lambda: self.time)
        self.line = Line(self.farm, patience=PATIENCE)
        self.decisions = DecisionLog(Decisions(folder / "decisions.jsonl"))
        plugin = Plugin("farm", "simulated", {}, shared=True, patience=PATIENCE, max_pending=most)
        self.service = Service(
            policy(),
            (),
            Store(str(folder / "store")),
            ("farm",),
            clock=lambda: self.time,
            log=Log(self.decisions),
            shared={"farm": plugin},
        )
        self.loop = Loop(self.service, {"farm": self.line}, tick=1, settle=300)

    async def look(self, seconds: float = 1) -> None:
        """Time passes, and the loop looks at the farm."""
        self.time += seconds
        await self.loop._watch(self.line)

    async def submit(self, request: Request = JOB, count: int = 1) -> list[tuple[Dispatch, SlotRequest]]:
        """Requests come in, and what is begun for them is carried out."""
        await self.service.submit([request] * count)
        return await self.place()

    async def place(self) -> list[tuple[Dispatch, SlotRequest]]:
        begun = await self.service.place()
        for dispatch, slot in begun:
            self.loop._carry_out(dispatch, slot)
        await asyncio.gather(*self.loop._carrying)
        return begun

    async def full(self, nodes: int = 2) -> list[JobRef]:
        """Users have filled so many nodes."""
        refs = []
        for at in range(nodes):
            ref = await self.farm.submit(msgspec.structs.replace(NATIVE, key=f"stranger{at}"))
            assert isinstance(ref, JobRef)
            refs.append(ref)
        await self.look()
        return refs

    async def entry(self, id_: int) -> Entry:
        found = await self.service.show(id_)
        assert found is not None
        return found

    def used(self, share: str) -> int:
        return next(each.used["cores"] for each in self.service.shares() if each.path == share)


def policy() -> CompiledPolicy:
    checked, findings = check_policy(load_text(POLICY, "p.policy"))
    assert checked is not None, findings
    return compile_policy(checked)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    def play(work: Callable[[Shared], Awaitable[None]], most: int = 2) -> None:
        async def run() -> None:
            shared = Shared(tmp_path, most)
            await shared.service.recover()
            await shared.look()
            await work(shared)
            await shared.service.close()
            await shared.farm.close()
            shared.decisions.close()

        asyncio.run(run())
        log = LogReader(tmp_path / "decisions.jsonl")
        assert confirm(log).difference is None  # whatever was done is done again, to the bit

    return play


def test_what_finds_no_node_waits_in_the_batch_systems_queue_up_to_so_many_of_a_share(
    play: Callable[..., None],
) -> None:
    async def work(shared: Shared) -> None:
        await shared.full()
        begun = await shared.submit(count=4)
        assert [(slot.nodes, slot.allowed) for _, slot in begun] == [((), ())] * 2
        assert [job.state for job in (await shared.farm.snapshot()).jobs] == ["running"] * 2 + ["pending"] * 2
        assert [(await shared.entry(n)).state for n in (1, 2, 3, 4)] == ["starting"] * 2 + ["waiting"] * 2
        assert shared.used("local") == 16 + 4  # it is charged to its share
        assert not await shared.place()

    play(work)


def test_a_free_node_is_decided_on_and_the_job_pinned_to_it(play: Callable[..., None]) -> None:
    async def work(shared: Shared) -> None:
        await shared.full(1)
        ((dispatch, slot),) = await shared.submit()
        assert dispatch.placement == (Placement("wn2", 1),)
        assert slot.nodes == (("wn2", 1),)

    play(work)


def test_a_job_that_starts_is_charged_to_the_node_on_which_it_does(play: Callable[..., None]) -> None:
    async def work(shared: Shared) -> None:
        natives = await shared.full()
        ((dispatch, _),) = await shared.submit()
        await shared.farm.act(Action.CANCEL, natives[1:])
        await shared.look()
        assert shared.service.dispatches[dispatch.key].step is Step.RUNNING
        assert shared.service.dispatches[dispatch.key].placement == (Placement("wn2", 1),)
        entry = await shared.entry(1)
        assert (entry.state, entry.decision and entry.decision.node) == (State.RUNNING, "wn2")
        assert shared.service.state.running["1"].placement == (Placement("wn2", 1),)
        await shared.service.recover()
        assert shared.service.state.running["1"].placement == (Placement("wn2", 1),)

    play(work)


def test_what_waits_there_is_there_after_a_restart_and_counts(play: Callable[..., None]) -> None:
    async def work(shared: Shared) -> None:
        await shared.full()
        await shared.submit(count=3)
        await shared.service.recover()
        state = shared.service.state
        assert [state.running[id_].placement for id_ in ("1", "2")] == [()] * 2
        assert list(state.waiting) == ["3"]
        assert not await shared.place()

    play(work)


def test_what_does_not_start_in_time_is_withdrawn_and_keeps_its_age(play: Callable[..., None]) -> None:
    async def work(shared: Shared) -> None:
        await shared.full()
        ((dispatch, _),) = await shared.submit()
        await shared.look(PATIENCE - 1)
        assert shared.service.dispatches[dispatch.key].step is Step.RELEASED
        await shared.look(2)
        for _ in range(4):
            await shared.look()
        entry = await shared.entry(1)
        assert (entry.state, entry.request.submitted) == (State.WAITING, 6002)
        assert len((await shared.farm.snapshot()).jobs) == 2
        shared.service.state.advance(int(shared.time))
        hours = shared.service.state.meters[0]
        assert hours.held("ada", int(shared.time)) == 0  # no core was used
        ((again, _),) = await shared.place()
        assert again.request == dispatch.request

    play(work)


def test_a_job_that_starts_while_it_is_being_withdrawn_runs(play: Callable[..., None]) -> None:
    async def work(shared: Shared) -> None:
        natives = await shared.full()
        ((dispatch, _),) = await shared.submit()
        await shared.look(PATIENCE + 1)
        assert shared.service.dispatches[dispatch.key].step is Step.WITHDRAWING
        await shared.farm.act(Action.CANCEL, natives)
        for _ in range(3):
            await shared.look()
        assert (await shared.entry(1)).state is State.RUNNING

    play(work)


def test_why_quotes_the_batch_systems_own_reason(play: Callable[..., None]) -> None:
    async def work(shared: Shared) -> None:
        await shared.full()
        await shared.submit()
        await shared.look()
        text = shown.why(request_view(await shared.entry(1)))
        assert text == "request 1 (job of ada, lab) is to start: its job 3 waits in farm: waits for room\n"

    play(work)


def test_a_rule_for_nodes_goes_along(play: Callable[..., None]) -> None:
    async def work(shared: Shared) -> None:
        await shared.full()
        ((_, slot),) = await shared.submit(msgspec.structs.replace(JOB, user="bob"))
        assert slot.allowed == ("wn2",)  # all but Bob may use the other

    play(work)


def test_a_share_that_is_at_its_own_limit_lets_nobody_wait_there(play: Callable[..., None]) -> None:
    async def work(shared: Shared) -> None:
        await shared.submit(msgspec.structs.replace(JOB, origin="grid", cores=4), count=2)
        await shared.look()
        assert shared.used("grid") == 8
        await shared.full(1)
        begun = await shared.submit(msgspec.structs.replace(JOB, origin="grid"))
        assert not begun
        assert len(await shared.submit()) == 1

    play(work)


def test_a_request_that_is_taken_back_leaves_the_batch_systems_queue(play: Callable[..., None]) -> None:
    async def work(shared: Shared) -> None:
        await shared.full()
        await shared.submit()
        await shared.service.cancel(1)
        await shared.look()
        await shared.look()
        assert (await shared.entry(1)).state is State.CANCELLED
        assert {job.state for job in (await shared.farm.snapshot()).jobs} == {JobState.RUNNING}

    play(work)
