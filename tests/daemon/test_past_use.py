"""What was used in the past is known after a restart, and under a new policy that has the same names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from wnodes_daemon import past_use
from wnodes_daemon.records import Step
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store
from wnodes_engine.backend import Ending, JobRef, JobState
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Node, Outcome, Request

POLICY = """
policy hours "use over time"
share grid  50%
share local 50% borrow any
assign grid  when origin == grid
assign local otherwise
default walltime 1h when kind == job
order local by fairshare of user half-life 1d, age
quota for each user in local: core_hours <= 28 per 7d
route job, vmjob, vm, pool to farm
"""
NODES = [Node(f"n{at}", 8, 32768) for at in range(4)]


def policy(text: str = POLICY) -> CompiledPolicy:
    checked, found = check_policy(load_text(text, "hours.policy"))
    assert checked is not None, found
    return compile_policy(checked)


class Clock:
    now = 600_000.0

    def __call__(self) -> float:
        return self.now


async def used(service: Service, clock: Clock) -> None:
    """Ada has used 16 core hours, and uses 8 more now."""
    for at in range(3):
        await service.submit([Request("", "job", "local", "ada", "lab", 0, cores=8, walltime=3600)])
        [(dispatch, _)] = await service.place()
        ref = JobRef("farm", str(at), dispatch.key, int(clock.now))
        await service.step(dispatch.key, Step.RUNNING, ref=ref, started=int(clock.now))
        if at == 2:
            break
        clock.now += 3600
        await service.end(Ending(ref, JobState.DONE, None, int(clock.now), 0))
    clock.now += 600
    await service.place()


def everything(service: Service) -> set[tuple[str, str, bytes]]:
    return {(use.kind, use.name, use.value) for use in past_use.everything(service.state)}


@pytest.mark.parametrize("orderly", [True, False])
def test_averages_and_core_hours_are_the_same_after_a_restart(tmp_path: Path, orderly: bool) -> None:
    clock = Clock()

    async def run() -> None:
        service = Service(policy(), NODES, Store(str(tmp_path / "s")), ("farm",), clock=clock)
        await service.recover()
        await used(service, clock)
        before, shares = everything(service), service.shares()
        assert {kind for kind, _, _ in before} == {past_use.AVERAGE, past_use.HOURS, past_use.LASTING}
        if orderly:
            await service.close()
        else:
            service._store.close()
        service = Service(policy(), NODES, Store(str(tmp_path / "s")), ("farm",), clock=clock)
        await service.recover()
        assert everything(service) == before
        assert service.shares() == shares
        decision = service.decide(Request("x", "job", "local", "ada", "lab", int(clock.now), cores=8))
        assert (decision.outcome, decision.reasons[0].code) == (Outcome.WAIT, "quota")
        await service.close()

    asyncio.run(run())


def test_a_new_policy_goes_on_with_what_its_shares_accounts_and_quotas_have_used(tmp_path: Path) -> None:
    clock = Clock()

    async def run() -> None:
        service = Service(policy(), NODES, Store(str(tmp_path / "s")), ("farm",), clock=clock)
        await service.recover()
        await used(service, clock)
        before = {use for use in everything(service) if "local" in use[1]}
        more = POLICY.replace("share grid  50%", "share other 10%\nshare grid 40%").replace("<= 28", "<= 30")
        await service.reload(
            policy(more.replace("assign grid", 'assign other when user == "x"\nassign grid', 1))
        )
        assert before <= everything(service)
        ada = Request("x", "job", "local", "ada", "lab", int(clock.now), cores=8)
        assert service.decide(ada).outcome is Outcome.WAIT
        await service.reload(policy(more.replace("<= 30", "<= 40")))
        assert service.decide(ada).outcome is Outcome.START
        await service.close()

    asyncio.run(run())


def test_what_was_admitted_stays_admitted_whatever_the_rules_at_the_door_say_now(tmp_path: Path) -> None:
    text = POLICY + '\ndeny "enough of yours wait" when user.waiting >= 2\n'

    async def run() -> None:
        service = Service(policy(text), [], Store(str(tmp_path / "s")), ("farm",))
        await service.recover()
        service.see_nodes(NODES)
        big = Request("", "job", "local", "ada", "lab", 0, cores=8)
        assert [entry.id for entry in await service.submit([big] * 3)] == [1, 2, 0]
        await service.close()
        service = Service(policy(text), NODES, Store(str(tmp_path / "s")), ("farm",))
        await service.recover()
        assert list(service.state.waiting) == ["1", "2"]
        await service.close()

    asyncio.run(run())
