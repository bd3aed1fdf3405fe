"""What the tests of the lab do with its cloud: an executor of ours, and plain users beside it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import openstack
from labs.openstack.cloud import Cloud
from openstack.connection import Connection
from wnodes_engine.backend import ActionOutcome
from wnodes_engine.executor import Gone, Machine, MachineSpec, Server, ServerRef, ServerState
from wnodes_openstack.executor import OpenStackExecutor

R = TypeVar("R")
PROJECT = "share-a"


def executor(cloud: Cloud, /, **options: Any) -> OpenStackExecutor:
    """WNoDeS' own executor for this cloud."""
    return OpenStackExecutor("cloud", {"cloud": "wnodes", "clouds": str(cloud.clouds), **options})


def user(cloud: Cloud, name: str) -> Connection:
    """Somebody who knows nothing of WNoDeS."""
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(cloud.clouds)
    return openstack.connect(cloud=name)


def driven(cloud: Cloud, drive: Callable[[OpenStackExecutor], Awaitable[R]], /, **options: Any) -> R:
    """What comes of driving an executor, for five minutes at most."""

    async def run() -> R:
        ours = executor(cloud, **options)
        try:
            async with asyncio.timeout(300):
                return await drive(ours)
        finally:
            await ours.close()

    return asyncio.run(run())


def spec(**fields: Any) -> MachineSpec:
    """A machine of one core."""
    given: dict[str, Any] = {"key": os.urandom(12).hex(), "name": "vm", "project": PROJECT, "image": "tiny"}
    return MachineSpec(**given | fields)


async def booted(ours: OpenStackExecutor, host: str, **fields: Any) -> Server:
    """A machine that runs."""
    machine = await ours.prepare(spec(**fields))
    assert isinstance(machine, Machine), machine
    ref = await ours.create(machine, host)
    assert isinstance(ref, ServerRef), ref
    return await reached(ours, ref, ServerState.ACTIVE)


async def reached(ours: OpenStackExecutor, ref: ServerRef, *states: ServerState) -> Server:
    """The server, once it is in one of these states."""
    deadline = time.monotonic() + 90
    while True:
        seen = await ours.look(ref)
        if isinstance(seen, Server) and seen.state in states:
            return seen
        assert time.monotonic() < deadline, f"wanted {states}, seen {seen}"
        await asyncio.sleep(0.2)


async def ended(ours: OpenStackExecutor, ref: ServerRef) -> Gone:
    """Delete a server, and wait until it is gone."""
    outcome = await ours.delete(ref)
    assert outcome.verdict == "done", outcome
    deadline = time.monotonic() + 90
    while not isinstance(seen := await ours.look(ref), Gone):
        assert time.monotonic() < deadline, seen
        await asyncio.sleep(0.2)
    return seen


def refusal(answer: object) -> str:
    """Why there is none."""
    assert isinstance(answer, ActionOutcome), answer
    return f"{answer.verdict}: {answer.message}"


def leftovers(cloud: Cloud) -> dict[str, list[str]]:
    """What is in the cloud that nobody needs any more, as the administrator sees it."""
    admin = user(cloud, "admin")
    providers = admin.placement.get("/resource_providers", microversion="1.38").json()["resource_providers"]
    consumers: list[str] = []
    for each in providers:
        held = admin.placement.get(f"/resource_providers/{each['uuid']}/allocations", microversion="1.38")
        consumers += held.json()["allocations"]
    return {
        "servers": [each.id for each in admin.compute.servers(all_projects=True)],
        "volumes": [each.id for each in admin.block_storage.volumes(all_projects=True)],
        "ports": [each.id for each in admin.network.ports()],
        "allocations": consumers,
    }
