"""Services that are killed, hang, or are away: what is said is safe to act on, and nothing is left behind."""

from __future__ import annotations

import asyncio
import time

import pytest
from labs.openstack.cloud import Cloud
from labs.openstack.driving import booted, driven, ended, executor, leftovers, reached, refusal, spec, user
from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.executor import ExecutorUnavailable, Gone, Machine, ServerRef, ServerState
from wnodes_openstack.executor import OpenStackExecutor


@pytest.fixture(autouse=True)
def lab_of_our_own(cloud: Cloud) -> None:
    if not cloud.processes:
        pytest.skip("this cloud was started by somebody else: its processes cannot be killed from here")


@pytest.mark.parametrize(("service", "threads"), [("placement", 2), ("nova", 8), ("glance", 4)])
def test_an_api_that_is_away_is_passing_or_an_error_and_comes_back(
    service: str, threads: int, cloud: Cloud
) -> None:
    async def drive(ours: OpenStackExecutor) -> None:
        machine = await ours.prepare(spec())
        assert isinstance(machine, Machine)
        cloud.kill(service)
        try:
            if service == "glance":
                answer = await ours.prepare(spec(image="large", flavour="c16"))
                assert refusal(answer).startswith("passing")
            else:
                with pytest.raises(ExecutorUnavailable):
                    await ours.inventory()
                outcome = await ours.set_ballast("alpha-1", {})
                assert outcome.verdict is Verdict.PASSING, outcome
            if service == "nova":
                assert refusal(await ours.create(machine, "alpha-1")).startswith("passing")
        finally:
            cloud.start_api(service, threads)
            cloud.wait_for(service)
        assert len((await ours.inventory()).hosts) == 4
        assert isinstance(await ours.prepare(spec()), Machine)

    driven(cloud, drive)


def test_an_api_that_hangs_leaves_a_boot_unknown_and_the_server_is_found(cloud: Cloud) -> None:
    async def drive(ours: OpenStackExecutor) -> None:
        machine = await ours.prepare(spec())
        assert isinstance(machine, Machine)
        began = time.monotonic()
        with cloud.hung("nova"):
            answer = await ours.create(machine, "alpha-1")
        assert isinstance(answer, ActionOutcome)
        assert answer.verdict is Verdict.UNKNOWN, answer
        assert time.monotonic() - began < 20
        key, project = machine.spec.key, machine.spec.project
        for _ in range(100):
            if found := (await ours.find({key: project})).get(key, ()):
                break
            await asyncio.sleep(0.3)
        assert len(found) == 1
        await reached(ours, found[0].ref, ServerState.ACTIVE)
        assert (await ended(ours, found[0].ref)).confirmed

    driven(cloud, drive, timeout=5)


def test_a_server_whose_host_was_not_told_is_gone_and_not_confirmed(cloud: Cloud) -> None:
    async def drive(ours: OpenStackExecutor) -> None:
        server = await booted(ours, "beta-2")
        cloud.kill("compute-beta-2")
        try:
            for _ in range(200):
                host = await ours.host("beta-2")
                assert host is not None
                if not host.up:
                    break
                await asyncio.sleep(0.5)
            assert not host.up
            assert (await ours.delete(server.ref)).verdict is Verdict.DONE
            seen = await ours.look(server.ref)
            assert isinstance(seen, Gone)
            assert not seen.confirmed, "the host was down, and is said to have ended the machine"
        finally:
            cloud.start_compute("beta-2")
        for _ in range(200):
            host = await ours.host("beta-2")
            if host is not None and host.up:
                break
            await asyncio.sleep(0.5)
        assert host is not None
        assert host.up

    driven(cloud, drive)


def test_a_plain_boot_that_takes_the_hole_is_seen_and_keeps_the_ballast_out(cloud: Cloud) -> None:
    async def drive(ours: OpenStackExecutor) -> None:
        hosts = [host.name for host in (await ours.inventory()).hosts]
        for name in hosts:
            granted = {"VCPU": 1, "MEMORY_MB": 1024} if name == "alpha-2" else {}
            assert (await ours.set_ballast(name, granted)).verdict is Verdict.DONE
        bob = user(cloud, "bob")
        image = bob.image.find_image("tiny").id
        intruder = bob.compute.create_server(name="mine", image_id=image, flavor_id="c1", networks="none")
        bob.compute.wait_for_server(intruder, wait=60)
        try:
            [seen] = [each for each in (await ours.inventory()).servers if each.ref.id == intruder.id]
            assert (seen.host, seen.ours, seen.amounts["VCPU"]) == ("alpha-2", False, 1)
            machine = await ours.prepare(spec())
            assert isinstance(machine, Machine)
            late = await ours.create(machine, "alpha-2")
            assert isinstance(late, ServerRef)
            failed = await reached(ours, late, ServerState.ERROR)
            assert "No valid host" in failed.fault
            await ended(ours, late)
            assert (await ours.set_ballast("alpha-2", {})).verdict is Verdict.NO_ROOM
        finally:
            bob.compute.delete_server(intruder)
            bob.compute.wait_for_delete(intruder, wait=60)
        for _ in range(50):
            outcome = await ours.set_ballast("alpha-2", {})
            if outcome.verdict is Verdict.DONE:
                break
            await asyncio.sleep(0.2)
        assert outcome.verdict is Verdict.DONE
        for name in hosts:
            assert (await ours.set_ballast(name, {"VCPU": 16, "MEMORY_MB": 32768})).verdict is Verdict.DONE

    driven(cloud, drive)


def test_nothing_is_over_committed_while_plain_boots_race_for_every_hole(cloud: Cloud) -> None:
    """Holes are opened and closed on every host, and others boot into them as fast as they can."""

    async def drive(ours: OpenStackExecutor) -> None:
        hosts = [host.name for host in (await ours.inventory()).hosts]
        for name in hosts:
            await ours.set_ballast(name, {})
        bob = user(cloud, "bob")
        image = bob.image.find_image("tiny").id
        stop = asyncio.Event()
        taken = 0

        def intrude() -> None:
            server = bob.compute.create_server(name="racer", image_id=image, flavor_id="c1", networks="none")
            time.sleep(1.5)
            bob.compute.delete_server(server)

        async def race() -> None:
            while not stop.is_set():
                await asyncio.to_thread(intrude)

        racing = [asyncio.create_task(race()) for _ in range(2)]
        try:
            for turn in range(8):
                hole = {"VCPU": 1 + turn % 2, "MEMORY_MB": 1024 * (1 + turn % 2)}
                await asyncio.gather(*(ours.set_ballast(name, hole) for name in hosts))
                await asyncio.sleep(0.5)
                closed = await asyncio.gather(*(ours.set_ballast(name, {}) for name in hosts))
                assert {each.verdict for each in closed} <= {Verdict.DONE, Verdict.NO_ROOM, Verdict.CONFLICT}
                taken += sum(each.verdict is Verdict.NO_ROOM for each in closed)
                for host in (await ours.inventory()).hosts:
                    assert host.over == {}, f"{host.name} is over by {host.over}"
        finally:
            stop.set()
            await asyncio.gather(*racing)
        for server in bob.compute.servers():
            bob.compute.delete_server(server)
            bob.compute.wait_for_delete(server, wait=60)
        for name in hosts:
            assert (await ours.set_ballast(name, {"VCPU": 16, "MEMORY_MB": 32768})).verdict is Verdict.DONE
        assert taken, "nobody took a hole: the race was none"

    driven(cloud, drive)


def test_nothing_is_left_when_all_is_done(cloud: Cloud) -> None:
    cloud.wait(60, "an empty cloud", lambda: not any(leftovers(cloud).values()))


def test_a_keystone_that_is_away_is_an_error_at_the_first_call(cloud: Cloud) -> None:
    async def drive() -> None:
        ours = executor(cloud)
        cloud.kill("keystone")
        try:
            with pytest.raises(ExecutorUnavailable):
                await ours.inventory()
        finally:
            cloud.start_api("keystone")
            cloud.wait_for("keystone")
        assert len((await ours.inventory()).hosts) == 4
        await ours.close()

    asyncio.run(asyncio.wait_for(drive(), 120))
