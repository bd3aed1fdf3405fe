"""What the loop makes of how a batch system answers, and of what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from sites.running import POLICY
from wnodes_daemon.loop import Line, Loop
from wnodes_daemon.records import Step
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store
from wnodes_engine.backend import BackendUnavailable, Endings, JobRef, JobState, Snapshot
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Request
from wnodes_simulated.backend import SimulatedBackend


class Shrinking(SimulatedBackend):
    """A farm that loses its last node, and whose accounting may not answer."""

    shrunk = silent = False

    async def snapshot(self) -> Snapshot:
        shown = await super().snapshot()
        return msgspec.structs.replace(shown, nodes=shown.nodes[:-1]) if self.shrunk else shown

    async def finished(self, cursor: str) -> Endings:
        if self.silent:
            raise BackendUnavailable("accounting is away")
        return await super().finished(cursor)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came to be")


@pytest.fixture
def farm(tmp_path: Path) -> Shrinking:
    (tmp_path / "farm.yaml").write_text("nodes:\n  - {name: 'wn[1-3]', cores: 8, memory: 8GiB}\n")
    return Shrinking("farm", {"farm": str(tmp_path / "farm.yaml")})


def test_a_node_that_is_not_shown_any_more_is_down_until_it_is(farm: Shrinking) -> None:
    async def run() -> list[list[bool]]:
        line, seen = Line(farm), []
        for farm.shrunk in (False, True, True, False):
            seen.append([node.up for node in (await line.snapshot(0)).nodes])
        await farm.close()
        return seen

    assert asyncio.run(run()) == [[True] * 3, [True, True, False], [True, True, False], [True] * 3]


def test_accounting_that_does_not_answer_is_told_until_it_does(farm: Shrinking, tmp_path: Path) -> None:
    checked, _ = check_policy(load_text(POLICY, "p.policy"))
    assert checked is not None
    policy = compile_policy(checked)

    async def run() -> None:
        line = Line(farm)
        service = Service(policy, [], Store(str(tmp_path / "s")), ("farm",))
        loop = asyncio.create_task(Loop(service, {"farm": line}, tick=0.01, settle=300).run())
        farm.silent = True
        await until(lambda: line.last_error == "accounting is away")
        farm.silent = False
        await until(lambda: not line.last_error)
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await service.close()
        await farm.close()

    asyncio.run(run())


def begun(
    farm: Shrinking, tmp_path: Path, work: Callable[[Service, Loop, Line, Clock], Awaitable[None]]
) -> None:
    """A service and a loop that does only what it is told."""
    checked, _ = check_policy(load_text(POLICY, "p.policy"))
    assert checked is not None
    policy = compile_policy(checked)

    async def run() -> None:
        clock, line = Clock(), Line(farm)
        nodes = (await line.snapshot(1)).nodes
        service = Service(policy, nodes, Store(str(tmp_path / "s")), ("farm",), clock=clock)
        await work(service, Loop(service, {"farm": line}, tick=1, settle=300), line, clock)
        await service.close()
        await farm.close()

    asyncio.run(run())


class Clock:
    now = 6000.0

    def __call__(self) -> float:
        return self.now


JOB = Request("", "job", "local", "ada", "lab", 0)


def test_what_is_begun_is_not_given_up_however_long_it_takes_to_be_submitted(
    farm: Shrinking, tmp_path: Path
) -> None:
    async def work(service: Service, loop: Loop, line: Line, clock: Clock) -> None:
        await service.submit([JOB])
        [(dispatch, slot)] = await service.place()
        clock.now += 1000  # the process, or its machine, had stood still
        await loop._watch(line)
        assert list(service.dispatches) == [dispatch.key]
        loop._carry_out(dispatch, slot)
        await asyncio.gather(*loop._carrying)
        assert service.dispatches[dispatch.key].step is Step.RELEASED

    begun(farm, tmp_path, work)


def test_what_waits_again_is_neither_submitted_nor_released(farm: Shrinking, tmp_path: Path) -> None:
    async def work(service: Service, loop: Loop, line: Line, clock: Clock) -> None:
        await service.submit([JOB] * 2)
        (one, slot), (two, held) = await service.place()
        await service.give_up(one.key)
        await loop._carry(line, one, slot)
        ref = await farm.submit(held)
        assert isinstance(ref, JobRef)
        await service.give_up(two.key)
        await loop._release(line, two, ref)
        assert [job.state for job in (await farm.snapshot()).jobs] == [JobState.HELD]

    begun(farm, tmp_path, work)
