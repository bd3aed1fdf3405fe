"""Real Slurm and a real OpenStack on the same nodes: jobs and machines, and neither has the other's cores."""

from __future__ import annotations

import asyncio
from pathlib import Path

from labs.openstack.cloud import Cloud
from labs.openstack.driving import PROJECT, driven, leftovers
from labs.openstack.settings import HOSTS
from labs.openstack.test_machines import ALL, baits_of, until_full
from labs.slurm.cluster import Cluster
from labs.slurm.driving import driver
from wnodes_daemon.baits.driving import Machines
from wnodes_daemon.baits.records import Stage
from wnodes_daemon.loop import Line, Loop
from wnodes_daemon.records import Filter, State
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.executor import Executor
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Image, Request
from wnodes_slurm.backend import SlurmBackend

NODES = dict(zip(HOSTS, ("g1", "g2", "g3", "g4"), strict=True))
POLICY = """
policy mixed "jobs and machines"
share site 100%
assign site otherwise
route vm, vmjob, pool to cloud through grid queue "grid" account "cloud"
route job to grid queue "grid" account "cloud"
"""
VM = Request(
    "",
    "vm",
    "cloud",
    "games",
    "games",
    0,
    project=PROJECT,
    cores=1,
    memory=1024,
    walltime=300,
    image=Image("tiny", "tiny"),
)
JOB = Request("", "job", "local", "games", "games", 0, cores=4, memory=64, walltime=30)


async def overcommitted(ours: Executor, batch: SlurmBackend) -> list[str]:
    """Where jobs and servers use more cores than there are, now, as both schedulers tell."""
    used = dict.fromkeys(NODES.values(), 0)
    for job in (await batch.snapshot()).jobs:
        if job.user != batch.runs_as(""):
            for node, cores in job.nodes:
                used[node] += cores
    for server in (await ours.inventory()).servers:
        if server.host:
            used[NODES[server.host.split(".")[0]]] += server.amounts.get("VCPU", 0)
    return [f"{cores} cores on {node}" for node, cores in used.items() if cores > 16]


def test_servers_live_within_their_baits_by_both_schedulers_own_records(
    cloud: Cloud, cluster: Cluster, tmp_path: Path
) -> None:
    checked, findings = check_policy(load_text(POLICY, "mixed.policy"))
    assert checked is not None, findings
    policy, before = compile_policy(checked), leftovers(cloud)

    async def drive(ours: Executor) -> None:
        batch = driver(cluster)
        store = Store(str(tmp_path / "store"))
        look = await batch.snapshot()
        service = Service(policy, look.nodes, store, ("grid",), executors=("cloud",))
        line = Line(batch)
        await service.recover()
        machines = Machines(service, {"grid": line}, {"cloud": ours}, tick=1)
        loop = Loop(service, {"grid": line}, tick=1, settle=60, machines=machines)
        working, over = asyncio.create_task(loop.run()), list[str]()
        try:
            await until_full(ours)
            await service.submit([JOB, VM] * 6)
            while not all(
                e.state is State.RUNNING for e in service.entries.values() if e.request.kind == "vm"
            ):
                over += await overcommitted(ours, batch)
                await asyncio.sleep(1)
            machines_running = [e for e in service.entries.values() if e.request.kind == "vm"]
            assert len(machines_running) == 6, [e.message for e in await service.page(Filter())]
            for entry in machines_running:
                await service.cancel(entry.id)
            while service.entries:
                over += await overcommitted(ours, batch)
                await asyncio.sleep(1)
            assert over == []
            baits = baits_of(store)
            assert len(baits) == 6
            for bait in baits:
                assert bait.stage is Stage.BAIT_ENDED
                assert bait.server is not None
                assert bait.ending is not None, "Slurm's accounting has told its end"
                made, *_, deleted = await ours.actions(bait.server)
                assert NODES[made.events[-1].host] == bait.node
                assert bait.started is not None
                assert bait.started <= made.started_at
                gone = [event.finished_at for event in deleted.events]
                assert gone
                assert all(at is not None and at <= bait.ending.ended_at for at in gone)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            await loop.close()
            await service.close()
            await batch.close()
            for host in HOSTS:
                await ours.set_ballast(host, ALL)

    driven(cloud, drive, nodes=NODES)
    assert leftovers(cloud) == before
