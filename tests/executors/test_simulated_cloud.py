"""The simulated cloud has the faults of a real one, each when it is asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.executor import (
    ExecutorUnavailable,
    Gone,
    Machine,
    MachineSpec,
    Server,
    ServerRef,
    ServerState,
)
from wnodes_simulated_cloud.executor import SimulatedExecutor


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(clock: Clock, **options: Any) -> SimulatedExecutor:
    hosts = [{"name": f"h{number}", "vcpus": 4, "memory": 16384} for number in (1, 2)]
    return SimulatedExecutor("cloud", {"hosts": hosts, **options}, clock=clock)


def machine(cloud: SimulatedExecutor, **fields: Any) -> Machine:
    given = {"key": "k1", "name": "vm", "project": "p", "image": "tiny"} | fields
    answer = asyncio.run(cloud.prepare(MachineSpec(**given)))
    assert isinstance(answer, Machine), answer
    return answer


def boot(cloud: SimulatedExecutor, host: str = "h1", **fields: Any) -> ServerRef:
    answer = asyncio.run(cloud.create(machine(cloud, **fields), host))
    assert isinstance(answer, ServerRef), answer
    return answer


def look(cloud: SimulatedExecutor, ref: ServerRef) -> Server | Gone:
    return asyncio.run(cloud.look(ref))


def run(cloud: SimulatedExecutor, clock: Clock, **fields: Any) -> ServerRef:
    ref = boot(cloud, **fields)
    clock.now += 2
    seen = look(cloud, ref)
    assert isinstance(seen, Server)
    assert seen.state is ServerState.ACTIVE
    return ref


def test_a_server_that_is_deleted_holds_its_allocation_a_little_longer(clock: Clock) -> None:
    cloud = made(clock)
    ref = run(cloud, clock)
    asyncio.run(cloud.delete(ref))
    clock.now += 0.7
    assert isinstance(look(cloud, ref), Server)
    assert asyncio.run(cloud.set_ballast("h1", {})).verdict is Verdict.NO_ROOM
    clock.now += 0.2
    assert look(cloud, ref) == Gone(True, "h1: Success")
    assert asyncio.run(cloud.set_ballast("h1", {})).verdict is Verdict.DONE


def test_with_its_compute_service_down_a_server_is_gone_at_once_and_still_runs(clock: Clock) -> None:
    cloud = made(clock)
    ref = run(cloud, clock)
    cloud.cloud.fail("h1", clock.now)
    clock.now += 30
    assert asyncio.run(cloud.delete(ref)).verdict is Verdict.DONE
    assert look(cloud, ref) == Gone(False, "h1: was not told")
    assert cloud.cloud.used("h1") == {}
    assert cloud.cloud.running("h1")["VCPU"] == 1
    cloud.cloud.repair("h1")
    assert cloud.cloud.running("h1") == {}


def test_a_compute_service_that_has_just_died_is_shown_as_up_for_a_while(clock: Clock) -> None:
    cloud = made(clock)
    cloud.cloud.fail("h1", clock.now)
    clock.now += 19
    assert [host.up for host in asyncio.run(cloud.inventory()).hosts] == [True, True]
    clock.now += 2
    assert [host.up for host in asyncio.run(cloud.inventory()).hosts] == [False, True]


def test_intruders_take_every_hole(clock: Clock) -> None:
    cloud = made(clock, faults={"intruders": 1.0, "intruder_lives": 1e6}, seed=3)
    for host in ("h1", "h2"):
        asyncio.run(cloud.set_ballast(host, {"VCPU": 1, "MEMORY_MB": 2048} if host == "h1" else {}))
    clock.now += 60
    servers = asyncio.run(cloud.inventory()).servers
    assert [(server.host, server.ours) for server in servers] == [("h1", False)]
    assert asyncio.run(cloud.set_ballast("h1", {})).verdict is Verdict.NO_ROOM


def test_owners_delete_shelve_resize_and_take_keys_off(clock: Clock) -> None:
    cloud = made(clock, faults={"owner_acts": 5.0}, seed=1)
    seen = set()
    for number in range(40):
        ref = boot(cloud, host=f"h{number % 2 + 1}", key=f"k{number}")
        clock.now += 20
        now = look(cloud, ref)
        if isinstance(now, Gone):
            seen.add("deleted")
        elif now.state is ServerState.SHELVED:
            seen.add("shelved")
        else:
            seen |= {"untagged"} if now.ref.key == "" else set()
            seen |= {"resized"} if now.amounts["VCPU"] > 1 else set()
        asyncio.run(cloud.delete(ref))
        clock.now += 2
    assert seen == {"deleted", "shelved", "untagged", "resized"}


def test_over_commit_lets_in_what_does_not_fit(clock: Clock) -> None:
    cloud = made(clock, faults={"overcommit": 1.0})
    for number in range(6):
        boot(cloud, key=f"k{number}")
    host = asyncio.run(cloud.host("h1"))
    assert host is not None
    assert host.over == {"VCPU": 2}


def test_a_lost_answer_is_unknown_and_the_server_is_there(clock: Clock) -> None:
    cloud = made(clock, faults={"lost": 1.0})
    answer = asyncio.run(cloud.create(machine(cloud), "h1"))
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is Verdict.UNKNOWN
    assert len(asyncio.run(cloud.find({"k1": "p"}))["k1"]) == 1


def test_a_generation_that_passes_every_time_is_a_conflict(clock: Clock) -> None:
    cloud = made(clock, faults={"generation": 1.0})
    assert asyncio.run(cloud.set_ballast("h1", {})).verdict is Verdict.CONFLICT


def test_a_query_that_fails_is_an_error(clock: Clock) -> None:
    cloud = made(clock, faults={"unavailable": 1.0})
    with pytest.raises(ExecutorUnavailable, match="did not answer"):
        asyncio.run(cloud.inventory())


def test_a_lost_host_takes_with_it_what_ran_there(clock: Clock) -> None:
    cloud = made(clock)
    ref = run(cloud, clock)
    cloud.cloud.fail("h1", clock.now, lost=True)
    seen = look(cloud, ref)
    assert isinstance(seen, Server)
    assert seen.state is ServerState.STOPPED
    assert cloud.cloud.running("h1") == {}


def test_a_ratio_that_is_not_1_carries_no_ballast(clock: Clock) -> None:
    cloud = SimulatedExecutor(
        "cloud", {"hosts": [{"name": "h1", "vcpus": 4, "memory": 1024, "ratio": 4.0}]}, clock=clock
    )
    outcome = asyncio.run(cloud.set_ballast("h1", {}))
    assert (outcome.verdict, "not 1" in outcome.message) == (Verdict.REFUSED, True)


def test_a_quota_that_is_used_up_is_no_room(clock: Clock) -> None:
    cloud = made(clock, quota=1)
    boot(cloud)
    answer = asyncio.run(cloud.create(machine(cloud, key="k2"), "h2"))
    assert isinstance(answer, ActionOutcome)
    assert (answer.verdict, "Quota exceeded" in answer.message) == (Verdict.NO_ROOM, True)


def test_the_same_seed_makes_the_same_history(clock: Clock) -> None:
    def history() -> list[str]:
        clock.now = 1000.0
        cloud = made(clock, faults={"intruders": 2.0, "compute_failure": 20.0, "owner_acts": 3.0}, seed=9)
        boot(cloud)
        clock.now += 200
        return [f"{server}" for server in asyncio.run(cloud.inventory()).servers]

    assert history() == history()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hosts": []}, "executors.cloud.options.hosts: expected `array` of length >= 1"),
        ({"speed": 1}, "object contains unknown field 'speed'"),
        ({"hosts": [{"name": "h", "vcpus": 1, "memory": 1}] * 2}, "'h' is there twice"),
    ],
)
def test_options_that_are_wrong_are_named(options: dict[str, Any], said: str, clock: Clock) -> None:
    with pytest.raises(ValueError, match=said.replace("`", "'").replace("[", r"\[")):
        made(clock, **options)
