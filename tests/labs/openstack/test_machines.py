"""The daemon's baits on a real control plane: jobs and machines on the same hosts."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import sqlalchemy as sa
from labs.openstack.cloud import Cloud
from labs.openstack.driving import PROJECT, driven, leftovers, user
from labs.openstack.settings import HOSTS
from wnodes_daemon import rows, tables
from wnodes_daemon.baits.driving import Machines
from wnodes_daemon.baits.records import Bait, Stage
from wnodes_daemon.loop import Line, Loop
from wnodes_daemon.records import Filter, State
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.executor import Executor
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Image, Request
from wnodes_openstack.executor import OpenStackExecutor
from wnodes_simulated.backend import SimulatedBackend

ALL = {"VCPU": 16, "MEMORY_MB": 32768}
POLICY = """
policy mixed "jobs and machines"
share site 100%
assign site otherwise
route vm, vmjob, pool to cloud through farm
route job to farm
"""
VM = Request(
    "", "vm", "cloud", "ada", "lab", 0, project=PROJECT, cores=1, memory=1024, image=Image("tiny", "tiny")
)
JOB = Request("", "job", "local", "ada", "lab", 0, cores=4, memory=1024, walltime=20)


def test_machines_live_within_their_baits_and_no_host_is_overcommitted(cloud: Cloud, tmp_path: Path) -> None:
    checked, findings = check_policy(load_text(POLICY, "mixed.policy"))
    assert checked is not None, findings
    nodes = "".join(f"  - {{name: {host}, cores: 16, memory: 32GiB}}\n" for host in HOSTS)
    (tmp_path / "farm.yaml").write_text(f"nodes:\n{nodes}")
    policy, before = compile_policy(checked), leftovers(cloud)

    async def drive(ours: OpenStackExecutor) -> None:
        farm = SimulatedBackend("farm", {"farm": str(tmp_path / "farm.yaml")})
        store = Store(str(tmp_path / "store"))
        service = Service(policy, farm._farm.nodes, store, ("farm",), executors=("cloud",))
        line = Line(farm)
        await service.recover()
        machines = Machines(service, {"farm": line}, {"cloud": ours}, tick=0.5)
        loop = Loop(service, {"farm": line}, tick=0.5, settle=30, machines=machines)
        working = asyncio.create_task(loop.run())
        try:
            await until_full(ours)
            stranger = await asyncio.to_thread(plain, cloud)
            assert stranger == "ERROR", "an idle farm has to carry full ballast"
            await service.submit([JOB, VM] * 6)
            over: list[str] = []
            while len(running := [e for e in service.entries.values() if e.request.kind == "vm"]) and any(
                entry.state is not State.RUNNING for entry in running
            ):
                over += await overcommitted(ours, farm)
                await asyncio.sleep(0.5)
            assert len(running) == 6
            for entry in running:
                assert entry.message.startswith("server ")
                await service.cancel(entry.id)
            while service.entries:
                over += await overcommitted(ours, farm)
                await asyncio.sleep(0.5)
            assert over == []
            ended = await service.page(Filter())
            assert {e.state for e in ended if e.request.kind == "vm"} == {State.CANCELLED}
            await until_full(ours)
            await within(ours, store)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            await loop.close()
            await service.close()
            for host in HOSTS:
                await ours.set_ballast(host, ALL)

    driven(cloud, drive)
    assert leftovers(cloud) == before


def plain(cloud: Cloud) -> str:
    """What becomes of a boot by somebody who knows nothing of us."""
    ada = user(cloud, "ada")
    server = ada.compute.create_server(
        name="plain", image_id=ada.image.find_image("tiny").id, flavor_id="c1", networks="none"
    )
    while (status := ada.compute.get_server(server.id).status) == "BUILD":
        time.sleep(0.2)
    ada.compute.delete_server(server.id)
    ada.compute.wait_for_delete(server, interval=0.2, wait=60)
    return str(status)


async def until_full(ours: Executor) -> None:
    """Wait until all of every host is ours."""
    while True:
        view = await ours.inventory()
        if all({k: v for k, v in host.ballast.items() if k in ALL} == ALL for host in view.hosts):
            return
        await asyncio.sleep(0.5)


async def overcommitted(ours: OpenStackExecutor, farm: SimulatedBackend) -> list[str]:
    """Where jobs and servers use more cores than there are, now."""
    used = dict.fromkeys(HOSTS, 0)
    for job in farm._farm.jobs:
        if job.slot.user and job.started_at is not None:
            for node, cores in job.nodes:
                used[node] += cores
    for server in (await ours.inventory()).servers:
        if server.host:
            used[server.host.split(".")[0]] += server.amounts.get("VCPU", 0)
    return [f"{cores} of 16 cores on {node}" for node, cores in used.items() if cores > 16]


async def within(ours: OpenStackExecutor, store: Store) -> None:
    """By Nova's own instance actions each server was made after its bait began, and gone before it ended."""
    baits = baits_of(store)
    assert len(baits) == 6
    for bait in baits:
        assert bait.stage is Stage.BAIT_ENDED
        assert bait.server is not None
        assert bait.ending is not None
        made, *_, deleted = await ours.actions(bait.server)
        finished = [event.finished_at for event in deleted.events]
        assert (made.action, deleted.action) == ("create", "delete")
        assert bait.started is not None
        assert bait.started is not None
        assert bait.started <= made.started_at
        assert all(at is not None and at <= bait.ending.ended_at for at in finished), (deleted, bait.ending)


def baits_of(store: Store) -> list[Bait]:
    """All baits that there were."""
    with store._reader.connect() as connection:
        return [rows.bait_of(row) for row in connection.execute(sa.select(tables.baits))]
