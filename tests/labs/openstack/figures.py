"""From request to ACTIVE: what `openstack server create` does, and the executor, in one cloud.

`make openstack-figures` brings the lab up, measures, and prints tables. What is compared was measured side by
side, turn by turn; the machine is whatever runs it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

from labs.openstack.cloud import Cloud, missing, running
from labs.openstack.driving import ended, executor, spec, user
from openstack.connection import Connection
from wnodes_engine.executor import Machine, Server, ServerRef, ServerState
from wnodes_openstack.executor import OpenStackExecutor

TURNS: Final = 12
MANY: Final = 40
_HOST: Final = "alpha-1"
_POLL: Final = 0.1
HOLE: Final = {"VCPU": 1, "MEMORY_MB": 1024}
ALL: Final = {"VCPU": 16, "MEMORY_MB": 32768}


async def _active(ours: OpenStackExecutor, ref: ServerRef) -> None:
    while True:
        seen = await ours.look(ref)
        if isinstance(seen, Server) and seen.state is ServerState.ACTIVE:
            return
        assert isinstance(seen, Server), seen
        assert seen.state is not ServerState.ERROR, seen.fault
        await asyncio.sleep(_POLL)


async def _timed(parts: dict[str, list[float]], name: str, call: Awaitable[object]) -> object:
    began = time.monotonic()
    answer = await call
    parts.setdefault(name, []).append(time.monotonic() - began)
    return answer


def _plain(admin: Connection, image: str, network: str) -> float:
    """What `openstack server create --wait` does: boot on a host, and look until it is ACTIVE."""
    began = time.monotonic()
    server = admin.compute.create_server(
        name="plain", image_id=image, flavor_id="c1", networks=[{"uuid": network}], host=_HOST
    )
    while (status := admin.compute.get_server(server.id).status) != "ACTIVE":
        assert status != "ERROR", "a plain boot has failed"
        time.sleep(_POLL)
    took = time.monotonic() - began
    admin.compute.delete_server(server.id)
    admin.compute.wait_for_delete(server, interval=0.2, wait=60)
    return took


async def measure(cloud: Cloud) -> str:
    """Tables in Markdown."""
    ours, admin = executor(cloud, networks=("private",)), user(cloud, "admin")
    image, network = admin.image.find_image("tiny").id, admin.network.find_network("private").id
    await ours.inventory()
    assert isinstance(await ours.prepare(spec()), Machine)
    plain: list[float] = []
    whole: list[float] = []
    parts: dict[str, list[float]] = {}
    calls: list[int] = []
    for _ in range(TURNS):
        await ours.set_ballast(_HOST, ALL)  # a plain boot finds nothing where the ballast is full
        plain.append(await asyncio.to_thread(_plain, admin, image, network))
        await ours.set_ballast(_HOST, {})
        before, began = dict(ours.calls), time.monotonic()
        machine = await _timed(parts, "prepare: image, flavour, networks, quota", ours.prepare(spec()))
        assert isinstance(machine, Machine), machine
        await _timed(parts, "open the hole in the ballast", ours.set_ballast(_HOST, HOLE))
        ref = await _timed(parts, "POST /servers", ours.create(machine, _HOST))
        assert isinstance(ref, ServerRef), ref
        calls.append(sum(ours.calls.values()) - sum(before.values()))
        await _timed(parts, "from then to ACTIVE", _active(ours, ref))
        whole.append(time.monotonic() - began)
        await _timed(parts, "delete, until the host has confirmed", ended(ours, ref))
        await _closed(parts, ours)
    rate, each = await _many(ours)
    await ours.set_ballast(_HOST, ALL)
    await ours.close()
    text = "| from request to ACTIVE, seconds | median | shortest | longest |\n|---|---:|---:|---:|\n"
    for name, values in (
        ("plain, pinned to the same host", plain),
        ("through the executor", whole),
        *parts.items(),
    ):
        indent = "— " if name in parts else ""
        text += (
            f"| {indent}{name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |\n"
        )
    ratio = statistics.median(whole) / statistics.median(plain)
    text += f"\nThe executor takes {ratio:.2f} times as long as a plain boot ({TURNS} turns of each)."
    text += "\n"
    text += "\n| what | figure |\n|---|---:|\n"
    text += f"| API calls from prepare to POST, without looking | {statistics.median(calls):.0f} |\n"
    text += f"| API calls for a server from prepare to its end, {MANY} at one time | {each:.1f} |\n"
    text += f"| servers per minute, {MANY} at one time on four hosts | {rate:.0f} |\n"
    return text


async def _closed(parts: dict[str, list[float]], ours: OpenStackExecutor) -> None:
    began = time.monotonic()
    while (await ours.set_ballast(_HOST, {})).verdict != "done":
        await asyncio.sleep(_POLL)
    parts.setdefault("until the ballast is whole again", []).append(time.monotonic() - began)


async def _many(ours: OpenStackExecutor) -> tuple[float, float]:
    """Servers per minute and calls for each, by one look at all of them every second."""
    hosts = [host.name for host in (await ours.inventory()).hosts]
    for name in hosts:
        await ours.set_ballast(name, ALL)
    before, began = sum(ours.calls.values()), time.monotonic()
    machines = await asyncio.gather(*(ours.prepare(spec()) for _ in range(MANY)))
    refs = await asyncio.gather(
        *(ours.create(each, hosts[at % 4]) for at, each in enumerate(machines) if isinstance(each, Machine))
    )
    assert all(isinstance(ref, ServerRef) for ref in refs), refs
    await _all_active(ours, {ref.id for ref in refs if isinstance(ref, ServerRef)})
    took = time.monotonic() - began
    await asyncio.gather(*(_ended(ours, ref) for ref in refs if isinstance(ref, ServerRef)))
    return 60 * MANY / took, (sum(ours.calls.values()) - before) / MANY


async def _all_active(ours: OpenStackExecutor, ids: set[str]) -> None:
    while True:
        view = await ours.inventory()
        states = [each.state for each in view.servers if each.ref.id in ids]
        assert ServerState.ERROR not in states
        if len(states) == len(ids) and set(states) == {ServerState.ACTIVE}:
            return
        await asyncio.sleep(1)


async def _ended(ours: OpenStackExecutor, ref: ServerRef) -> None:
    await ours.delete(ref)
    while isinstance(await ours.look(ref), Server):
        await asyncio.sleep(1)


def main() -> int:
    """0 if it was measured, 1 if there can be no cloud here."""
    if given := os.environ.get("WNODES_OPENSTACK"):
        sys.stdout.write(asyncio.run(measure(Cloud(Path(given)))))
        return 0
    if reason := missing():
        sys.stderr.write(f"{reason}\n")
        return 1
    with running() as cloud:
        sys.stdout.write(asyncio.run(measure(cloud)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
