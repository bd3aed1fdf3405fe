"""A machine wins its cores in the batch system, boots there, and gives both back, whenever a daemon ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from wnodes_daemon.baits.driving import WARNED, Machines
from wnodes_daemon.loop import Line, Loop
from wnodes_daemon.natives import natives_in
from wnodes_daemon.records import LIVE, Change, Entry, Filter, State
from wnodes_daemon.service import Service
from wnodes_daemon.slots import BAIT_GRACE
from wnodes_daemon.store import Store, StoreUnavailable
from wnodes_engine.backend import ActionOutcome
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.executor import Machine, MachineSpec, ServerState, Volume
from wnodes_engine.language.load import load_text
from wnodes_engine.payload import NOTHING, MachineForm, Payload, VolumeForm
from wnodes_engine.values import Image, Request
from wnodes_simulated.backend import SimulatedBackend
from wnodes_simulated_cloud.executor import SimulatedExecutor

POLICY = """
policy machines "jobs and machines"
share site 100%
assign site otherwise
route vm, vmjob, pool to cloud through farm
route job to farm
"""
FARM = "nodes:\n  - {name: 'wn[01-02]', cores: 8, memory: 32GiB}\n"
HOSTS = [{"name": f"cn{n}", "node": f"wn0{n}", "vcpus": 8, "memory": 32768} for n in (1, 2)]
FAST = 40
"""Seconds of these tests in one of the wall clock."""

_checked, _findings = check_policy(load_text(POLICY, "machines.policy"))
assert _checked is not None, _findings
COMPILED = compile_policy(_checked)
VM = Request(
    "", "vm", "cloud", "ada", "lab", 0, project="p", cores=2, memory=4096, image=Image("tiny", "tiny")
)


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


class Farm:
    """Both schedulers: they outlive daemons."""

    def __init__(self, folder: Path, **cloud: Any) -> None:
        began = time.monotonic()
        (folder / "farm.yaml").write_text(FARM)
        self.folder = folder

        def clock() -> float:
            return 6000 + (time.monotonic() - began) * FAST

        self.clock = clock
        self.batch = SimulatedBackend("farm", {"farm": str(folder / "farm.yaml")}, clock=clock)
        self.executor = SimulatedExecutor("cloud", {"hosts": HOSTS, **cloud}, clock=clock)
        self.cloud = self.executor.cloud
        self.over: list[str] = []

    def look(self) -> None:
        """Note where more is used than there is."""
        self.cloud.advance(self.clock())
        for name in self.cloud.places:
            node = f"wn0{name[-1]}"
            jobs = sum(
                dict(job.nodes).get(node, 0)
                for job in self.batch._farm.jobs
                if job.slot.user and job.started_at is not None
            )
            used = jobs + self.cloud.running(name).get("VCPU", 0)
            if used > 8:
                self.over.append(f"{used} cores of 8 on {node}")

    @property
    def ballast(self) -> dict[str, int]:
        """The cores that are ours in each host's books."""
        return {name: self.cloud.used(name).get("VCPU", 0) for name in self.cloud.places}


class Daemon:
    """One daemon in this process."""

    def __init__(self, farm: Farm, points: Points) -> None:
        self.farm, self.points = farm, points
        self.store = KilledStore(str(farm.folder / "store"))
        self.store.points = points
        self.line = Line(_Killed(farm.batch, points))
        executor = _Killed(farm.executor, points)
        self.service = Service(
            COMPILED, farm.batch._farm.nodes, self.store, ("farm",), clock=farm.clock, executors=("cloud",)
        )
        lines = {"farm": self.line}
        self.machines = Machines(self.service, lines, {"cloud": executor}, tick=0.01, reaped=10)
        self.loop = Loop(self.service, lines, tick=0.01, settle=12, machines=self.machines)

    async def run(self, scenario: Callable[[Daemon], Awaitable[None]]) -> None:
        """Until the scenario is through, or this daemon is."""
        try:
            look = await self.line.snapshot(self.service.now())
            now = self.service.now()
            await self.service.recover(lambda ours: {"farm": natives_in(look, self.farm.batch, ours, now)})
        except (KilledError, StoreUnavailable):
            await self.end([])
            return
        tasks = [asyncio.ensure_future(self.loop.run()), asyncio.ensure_future(scenario(self))]
        deadline = time.monotonic() + 20
        while not self.points.over and not tasks[1].done():
            assert time.monotonic() < deadline, list(self.service.memory.baits.values())
            self.farm.look()
            await asyncio.sleep(0.005)
        failed = tasks[1].exception() if tasks[1].done() else None
        await self.end(tasks)
        if failed is not None and not self.points.over:
            raise failed

    async def end(self, tasks: list[asyncio.Future[None]]) -> None:
        for task in (*tasks, *self.loop._carrying):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.service._writer.shutdown(wait=True)
        self.service._readers.shutdown(wait=True)
        self.service._estimates.close()
        self.store.close()

    async def until(self, state: State, id_: int = 1) -> Entry:
        while True:
            with suppress(StoreUnavailable):
                entry = await self.service.show(id_)
                if entry is not None and entry.state is state:
                    return entry
            await asyncio.sleep(0.01)


class _Killed:
    """A plugin whose acting calls are places at which a daemon may end, before and after."""

    ACTS = frozenset({"submit", "act", "set_node", "create", "delete", "set_ballast"})

    def __init__(self, plugin: Any, points: Points) -> None:
        self._plugin, self._points = plugin, points

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._plugin, name)
        if name not in self.ACTS:
            return found

        async def call(*args: Any, **more: Any) -> Any:
            self._points.pass_by()
            answer = await found(*args, **more)
            self._points.pass_by()
            return answer

        return call


def play(folder: Path, scenario: Callable[[Daemon], Awaitable[None]], **cloud: Any) -> Farm:
    async def run() -> Farm:
        farm = Farm(folder, **cloud)
        await Daemon(farm, Points()).run(scenario)
        return farm

    return asyncio.run(run())


async def _boot_and_end(daemon: Daemon) -> None:
    with suppress(StoreUnavailable):
        if not daemon.service.entries and not await daemon.service.page(Filter()):
            await daemon.service.submit([VM])
    while True:
        with suppress(StoreUnavailable):
            entry = await daemon.service.show(1)
            if entry is None:
                return
            if entry.state is State.RUNNING and not entry.cancelling:
                await daemon.service.cancel(1)
            if entry.state not in LIVE:
                assert entry.state is State.CANCELLED
                return
        await asyncio.sleep(0.01)


def test_a_machine_boots_where_its_bait_runs_and_leaves_nothing(tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        await daemon.service.submit([VM])
        entry = await daemon.until(State.RUNNING)
        (server,) = daemon.farm.cloud.servers.values()
        assert entry.message == f"server {server.id} on {server.host}"
        assert (server.state, server.project, server.amounts["VCPU"]) == (ServerState.ACTIVE, "p", 2)
        (bait,) = daemon.service.memory.baits.values()
        assert entry.decision is not None
        assert (bait.node, f"wn0{server.host[-1]}") == (entry.decision.node, entry.decision.node)
        assert daemon.farm.ballast == {"cn1": 8, "cn2": 8}
        assert await daemon.machines.console(1, 1) == f"{server.name} login:\n"
        await daemon.service.cancel(1)
        await daemon.until(State.CANCELLED)
        said = await daemon.machines.console(1, 1)
        assert isinstance(said, ActionOutcome)
        assert said.message == "request 1 has no machine at the moment"

    farm = play(tmp_path, scenario)
    assert farm.over == []
    assert farm.cloud.servers == {}
    assert not list(farm.batch._farm.jobs)
    assert farm.ballast == {"cn1": 8, "cn2": 8}


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"image": Image("nope", "nope")}, "there is no image 'nope'"),
        ({"image": None}, "a machine needs an image"),
        ({"flavour": "c16"}, "the flavour c16 holds 16 cores"),
        ({"project": None}, "a machine needs a project"),
        ({"kind": "pool", "count": 2}, "machines are booted one by one"),
        ({"kind": "vmjob"}, "jobs inside machines are not run yet"),
    ],
)
def test_what_cannot_boot_is_refused_before_cores_are_won(
    tmp_path: Path, asked: Mapping[str, Any], why: str
) -> None:
    async def scenario(daemon: Daemon) -> None:
        await daemon.service.submit([msgspec.structs.replace(VM, **asked)])
        entry = await daemon.until(State.FAILED)
        assert entry.message.startswith(why)

    farm = play(tmp_path, scenario)
    assert not list(farm.batch._farm.jobs)
    assert not farm.cloud.servers


def test_a_machine_ends_with_its_walltime_and_its_bait_after_it(tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        await daemon.service.submit([msgspec.structs.replace(VM, walltime=20)])
        await daemon.until(State.RUNNING)
        (job,) = daemon.farm.batch._farm.jobs
        assert job.slot.walltime == 20 + BAIT_GRACE
        await daemon.until(State.DONE)

    farm = play(tmp_path, scenario)
    assert not farm.cloud.servers
    assert not list(farm.batch._farm.jobs)


def test_a_machine_says_when_it_ends_some_time_before(tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        await daemon.service.submit([msgspec.structs.replace(VM, walltime=WARNED + 60)])
        entry = await daemon.until(State.RUNNING)
        assert "ends" not in entry.message
        ends = daemon.service.ends(daemon.service.entries[1])
        assert ends is not None
        said = f"; it ends at {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M:%S} UTC"
        while not daemon.service.entries[1].message.endswith(said):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        assert ends - WARNED <= daemon.service.now() < ends
        await daemon.service.cancel(1)
        await daemon.until(State.CANCELLED)

    play(tmp_path, scenario)


def test_an_owner_who_deletes_a_machine_ends_its_request(tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        await daemon.service.submit([VM])
        await daemon.until(State.RUNNING)
        (server,) = daemon.farm.cloud.servers.values()
        daemon.farm.cloud.delete(server.id, daemon.farm.clock())
        await daemon.until(State.DONE)

    farm = play(tmp_path, scenario)
    assert not list(farm.batch._farm.jobs)
    assert farm.ballast == {"cn1": 8, "cn2": 8}


def test_boots_that_fail_are_tried_again_and_at_last_the_request_fails(tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        await daemon.service.submit([VM])
        entry = await daemon.until(State.FAILED)
        assert entry.message.startswith("5 attempts, the last: ")

    farm = play(tmp_path, scenario, faults={"failed_boot": 1.0})
    assert not farm.cloud.servers
    assert not list(farm.batch._farm.jobs)


def test_jobs_and_machines_with_strangers_about_overcommit_nothing(tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        job = Request("", "job", "local", "ada", "lab", 0, cores=2, memory=1024, walltime=20)
        await daemon.service.submit([VM, job, VM, job, VM, job, VM, job])
        cancelled: set[int] = set()
        while daemon.service.entries:
            for entry in list(daemon.service.entries.values()):
                if entry.request.kind == "vm" and entry.state is State.RUNNING and entry.id not in cancelled:
                    cancelled.add(entry.id)
                    await daemon.service.cancel(entry.id)
            await asyncio.sleep(0.01)

    faults = {"intruders": 6.0, "intruder_lives": 4.0, "generation": 0.2, "lost": 0.1, "passing": 0.1}
    farm = play(tmp_path, scenario, faults=faults, seed=3)
    assert farm.over == []
    assert not [box for box in farm.cloud.servers.values() if box.user == "wnodes"]


@pytest.mark.parametrize("part", range(2))
def test_a_machine_is_booted_and_ended_once_wherever_a_daemon_ends(tmp_path: Path, part: int) -> None:
    async def once(folder: Path, last: int | None) -> tuple[int, Farm]:
        folder.mkdir()  # noqa: ASYNC240
        farm, points = Farm(folder), Points(last)
        await Daemon(farm, points).run(_boot_and_end)
        if points.over:
            await Daemon(farm, Points()).run(_boot_and_end)
        return points.count, farm

    async def run() -> None:
        count, _ = await once(tmp_path / "whole", None)
        assert count > 30
        for last in range(1 + part, count + 1, 2):
            _, farm = await once(tmp_path / f"{last}", last)
            assert farm.over == [], last
            assert not farm.cloud.servers, last
            assert not list(farm.batch._farm.jobs), last
            assert farm.ballast == {"cn1": 8, "cn2": 8}, last

    asyncio.run(run())


def test_a_machine_is_equipped_as_was_asked(tmp_path: Path) -> None:
    equipped = MachineForm(
        user_data="#!/bin/sh\nhello\n",
        ssh_keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHFq ada",),
        key_pair="mine",
        networks=("private",),
        security_groups=("web",),
        boot_volume=20,
        volumes=(VolumeForm(5, "fast", kept=True),),
    )
    asked: list[MachineSpec] = []

    async def scenario(daemon: Daemon) -> None:
        prepare = daemon.farm.executor.prepare

        async def noted(spec: MachineSpec) -> Machine | ActionOutcome:
            asked.append(spec)
            return await prepare(spec)

        daemon.farm.executor.prepare = noted  # type: ignore[method-assign]
        await daemon.service.submit([VM], payloads=[Payload(machine=equipped)])
        await daemon.until(State.RUNNING)
        await daemon.service.cancel(1)
        await daemon.until(State.CANCELLED)
        assert await daemon.service.payload(1) == NOTHING  # nobody needs it any more

    play(tmp_path, scenario)
    spec = asked[0]
    assert (spec.user_data, spec.ssh_keys) == (equipped.user_data, equipped.ssh_keys)
    assert (spec.owner, spec.key_pair) == ("ada", "mine")
    assert (spec.networks, spec.security_groups) == (("private",), ("web",))
    assert (spec.boot_volume, spec.volumes) == (20, (Volume(5, "fast", kept=True),))
