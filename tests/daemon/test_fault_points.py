"""A daemon that ends at any one write, or any one command, before it or just after it: nothing lost or twice.

The scenario is run once to count the points; then once for each, with everything standing still from that
point on, as after a kill. The store and the farm's record are all that is left; another daemon goes on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sites.history import History, faults_of
from sites.running import FARM
from wnodes_daemon.answering import Call
from wnodes_daemon.grouping import Busy
from wnodes_daemon.loop import Line, Loop
from wnodes_daemon.natives import natives_in
from wnodes_daemon.records import LIVE, Change, Filter
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store, StoreUnavailable
from wnodes_daemon.views import request_view
from wnodes_engine.backend import Action, ActionOutcome, JobRef, SlotRequest
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Request
from wnodes_simulated.backend import SimulatedBackend

POLICY = """
policy faults "grid takes back what local borrows"
share grid 50%
share local 50% borrow any
default walltime 1m when kind == job
assign grid  when origin == grid
assign local otherwise
reclaim for grid by requeue for job after 5s
route job, vmjob, vm, pool to farm
"""
FAST = 40
"""Seconds of these tests in one of the wall clock."""

_checked, _ = check_policy(load_text(POLICY, "faults.policy"))
assert _checked is not None
COMPILED = compile_policy(_checked)


class KilledError(Exception):
    """Nothing happens any more."""


class Points:
    """Counts the places at which a daemon may end; from `last` on it has ended."""

    def __init__(self, last: int | None = None) -> None:
        self.count = 0
        self.last = last

    @property
    def over(self) -> bool:
        return self.last is not None and self.count >= self.last

    def pass_by(self) -> None:
        self.count += not self.over
        if self.over:
            raise KilledError


class KilledStore(Store):
    points: Points

    def commit(self, changes: Sequence[Change]) -> None:
        self.points.pass_by()
        super().commit(changes)
        self.points.pass_by()


class KilledFarm(SimulatedBackend):
    points: Points

    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        self.points.pass_by()
        answer = await super().submit(slot)
        self.points.pass_by()
        return answer

    async def act(
        self, action: Action, refs: Sequence[JobRef], *, walltime: int | None = None
    ) -> Mapping[JobRef, ActionOutcome]:
        self.points.pass_by()
        outcomes = await super().act(action, refs, walltime=walltime)
        self.points.pass_by()
        return outcomes


class Daemon:
    """One daemon in this process; the folder is what outlives it."""

    def __init__(self, folder: Path, points: Points, began: float) -> None:
        (folder / "farm.yaml").write_text(FARM)
        self.points = points
        self.store = KilledStore(str(folder / "store"))
        self.store.points = points
        options: dict[str, Any] = {"farm": str(folder / "farm.yaml"), "record": str(folder / "record")}

        def clock() -> float:
            return 6000 + (time.monotonic() - began) * FAST

        self.farm = KilledFarm("farm", options | {"runs": [0.3, 0.9]}, clock=clock)
        self.farm.points = points
        self.line = Line(self.farm)
        self.service = Service(COMPILED, self.farm._farm.nodes, self.store, ("farm",), clock=clock)

    async def run(self, done: set[str]) -> None:
        """Run until all that is asked is over, or this daemon is. `done` are the calls that were answered."""
        try:
            look = await self.line.snapshot(self.service.now())
            now = self.service.now()
            await self.service.recover(lambda ours: {"farm": natives_in(look, self.farm, ours, now)})
        except (KilledError, StoreUnavailable):
            return
        loop = Loop(self.service, {"farm": self.line}, tick=0.01, settle=12)
        tasks = [asyncio.create_task(loop.run()), asyncio.create_task(self._ask(done))]
        while not self.points.over:
            await asyncio.sleep(0.01)
            if tasks[1].done() and not self.service.entries and not list(self.farm._farm.jobs):
                break
        with suppress(StoreUnavailable):
            await self.service.settled()  # the store follows the memory
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for carried in loop._carrying:
            carried.cancel()

    async def _ask(self, done: set[str]) -> None:
        """The users: what is not answered is asked again under its key."""
        calls: list[tuple[str, str, int]] = [("borrow", "local", 4), ("own", "grid", 2), ("more", "local", 1)]
        for key, origin, count in calls:
            asked = Request("", "job", origin, "ada", "lab", 0, cores=8)  # type: ignore[arg-type]
            while key not in done:
                try:
                    await self.service.submit([asked] * count, Call("ada", key, key))
                    done.add(key)
                except (StoreUnavailable, Busy):
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.08)
        while "cancel" not in done:
            try:
                await self.service.cancel(7)
                done.add("cancel")
            except (StoreUnavailable, Busy):
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        """What a kill leaves: nothing is finished, and nothing kept open."""
        self.service._writer.shutdown(wait=True)
        self.service._readers.shutdown(wait=True)
        self.service._estimates.close()
        self.store.close()
        await self.farm.close()


async def play(folder: Path, last: int | None) -> tuple[int, list[str]]:
    """The scenario with a kill at this point; how many points there were, and what is wrong in the end."""
    began, done = time.monotonic(), set[str]()
    points = Points(last)
    first = Daemon(folder, points, began)
    await asyncio.wait_for(first.run(done), 30)
    daemon = first
    if points.over:
        await first.end()
        daemon = Daemon(folder, Points(), began)
        await asyncio.wait_for(daemon.run(done), 30)
    entries = await daemon.service.page(Filter())
    views = {str(e.id): request_view(e, [], await daemon.service.orders_of(e.id)) for e in entries}
    live = [e for e in entries if e.state in LIVE]
    await daemon.end()
    history = History(json.loads(line) for line in (folder / "record").read_text().splitlines())
    wrong = faults_of(history, {str(id_) for id_ in range(1, 8)}, views)
    wrong += ["a call made again was taken in twice"] * (len(entries) != 7)
    wrong += [f"request {entry.id} is {entry.state} in the end" for entry in live]
    return points.count, wrong


@pytest.mark.parametrize("part", range(2))
def test_nothing_is_lost_and_nothing_twice_wherever_a_daemon_ends(tmp_path: Path, part: int) -> None:
    (tmp_path / "whole").mkdir()
    count, wrong = asyncio.run(play(tmp_path / "whole", None))
    assert wrong == []
    assert count > 40
    points = range(1 + part, count + 1, 2)
    found = asyncio.run(side_by_side(tmp_path, points))
    assert {point: wrong for point, wrong in found.items() if wrong} == {}, f"of {count} points"


async def side_by_side(folder: Path, points: Sequence[int]) -> dict[int, list[str]]:
    """What is wrong after a kill at each of these points: mostly they wait, so several do at one time."""
    room = asyncio.Semaphore(6)

    async def one(point: int) -> list[str]:
        async with room:
            (folder / str(point)).mkdir()
            return (await play(folder / str(point), point))[1]

    return dict(zip(points, await asyncio.gather(*map(one, points)), strict=True))
