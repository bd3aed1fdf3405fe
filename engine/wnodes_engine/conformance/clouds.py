"""Laws of clouds: whose a server is, what a host holds, what becomes of it all, and how they are tried."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.conformance.cloud import CloudSettings, CloudSubject
from wnodes_engine.conformance.laws import Found, tried
from wnodes_engine.conformance.subject import expect
from wnodes_engine.executor import BALLASTED, Ability, Executor, Machine, ServerRef, ServerState

CloudLaw = Callable[[CloudSubject], Awaitable[None]]


async def judge_cloud(law: CloudLaw, executor: Executor, settings: CloudSettings) -> Found:
    """Try one law, and undo what it did. A law may take no longer than ten times the patience."""
    return await tried(law, CloudSubject(executor, settings), settings.patience)


# ---------------------------------------------------------------------- servers


async def a_machine_runs_on_its_host_in_the_requesters_project(cloud: CloudSubject) -> None:
    _, host = await cloud.hosts(2)
    machine = await cloud.machine()
    server = await cloud.reach(await cloud.create(machine, host.name), ServerState.ACTIVE)
    expect(server.host == host.name, f"it was to run on {host.name}, and is on {server.host!r}")
    expect(server.ours, "it is not taken for ours")
    expect(server.amounts == machine.amounts, f"prepared as {machine.amounts}, it holds {server.amounts}")
    expect(server.launched_at is not None, "nothing says since when it runs")
    used = (await cloud.host(host.name)).used
    for name in BALLASTED:
        more = used.get(name, 0) - host.used.get(name, 0)
        expect(more == machine.amounts.get(name, 0), f"its host has {more} {name} less for it")


async def a_server_is_found_by_its_key_and_project_alone(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    machine = await cloud.machine()
    ref = await cloud.create(machine, host.name)
    key, project, absent = ref.key, ref.project, secrets.token_hex(12)
    found = await cloud.executor.find({key: project, absent: project})
    expect({key: (ref,)} == {k: tuple(s.ref for s in v) for k, v in found.items()}, f"found {found}")
    strangers = await cloud.executor.find({key: "f" * 32})
    expect(not strangers, "a server is found in a project that it does not belong to")
    expect(not await cloud.executor.find({}), "looked for nothing, and found something")


async def all_views_of_a_server_agree(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    server = await cloud.run(host.name)
    [listed] = [each for each in (await cloud.executor.inventory()).servers if each.ref.id == server.ref.id]
    [found] = (await cloud.executor.find({server.ref.key: server.ref.project}))[server.ref.key]
    expect(listed == server == found, f"listed as {listed}, found as {found}, looked at as {server}")


async def a_server_that_was_deleted_is_gone_by_its_hosts_own_word_and_holds_nothing(
    cloud: CloudSubject,
) -> None:
    [host] = await cloud.hosts()
    server = await cloud.run(host.name)
    await cloud.do(lambda: cloud.executor.delete(server.ref))
    gone = await cloud.gone(server.ref)
    if Ability.CONFIRM in cloud.executor.abilities:
        expect(gone.confirmed, f"its host was up, and has not confirmed that it is gone: {gone.message}")
    await cloud.do(lambda: cloud.executor.delete(server.ref))

    async def free() -> bool | None:
        used = (await cloud.host(host.name)).used
        return not any(used.get(name) for name in BALLASTED) or None

    await cloud.until(free, "what it held is never free again")


async def what_was_done_to_a_server_is_told_after_its_end_too(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    server = await cloud.run(host.name)
    await cloud.do(lambda: cloud.executor.delete(server.ref))
    await cloud.gone(server.ref)
    actions = await cloud.executor.actions(server.ref)
    expect([each.action for each in actions] == ["create", "delete"], f"told of {actions}")
    expect(actions[0].started_at <= actions[1].started_at, "they are not in their order")


async def a_server_that_is_not_ours_is_not_touched(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    server = await cloud.run(host.name)
    other = msgspec.structs.replace(server.ref, project="f" * 32)
    for act in (cloud.executor.delete, cloud.executor.shelve):
        outcome = await cloud.again(lambda act=act: act(other))  # type: ignore[misc]
        expect(outcome.verdict is Verdict.CONFLICT, f"it came to {outcome}")
    await cloud.reach(server.ref, ServerState.ACTIVE)
    missing = ServerRef("00000000-0000-4000-8000-000000000000", "none", server.ref.project)
    outcome = await cloud.again(lambda: cloud.executor.shelve(missing))
    expect(outcome.verdict is Verdict.CONFLICT, f"to shelve what is not there came to {outcome}")
    await cloud.do(lambda: cloud.executor.delete(missing))


async def a_shelved_server_holds_nothing_and_comes_back_to_the_host_that_was_named(
    cloud: CloudSubject,
) -> None:
    cloud.needs(Ability.UNSHELVE)
    first, second = await cloud.hosts(2)
    server = await cloud.run(first.name)
    await cloud.do(lambda: cloud.executor.shelve(server.ref))
    shelved = await cloud.reach(server.ref, ServerState.SHELVED)
    expect(shelved.host == "", f"it is off its host, and shown on {shelved.host}")
    used = (await cloud.host(first.name)).used
    expect(not used.get("VCPU"), f"it is off its host, and holds {used}")
    await cloud.do(lambda: cloud.executor.shelve(server.ref))
    await cloud.do(lambda: cloud.executor.unshelve(server.ref, second.name))
    back = await cloud.reach(server.ref, ServerState.ACTIVE)
    expect(back.host == second.name, f"it was to come back on {second.name}, and is on {back.host}")


async def many_boots_at_once_become_as_many_servers(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    machines = [await cloud.machine() for _ in range(4)]
    refs = await asyncio.gather(*(cloud.create(machine, host.name) for machine in machines))
    expect(len({ref.id for ref in refs}) == len(machines), "two servers have the same id")
    for ref in refs:
        await cloud.reach(ref, ServerState.ACTIVE)


# ---------------------------------------------------------------------- ballast


async def full_ballast_leaves_nothing_to_boot_into(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    await cloud.fill(host.name)
    full = await cloud.host(host.name)
    for name in BALLASTED:
        if name in full.inventory:
            expect(full.ballast.get(name) == full.inventory[name].capacity, f"{name}: {full.ballast}")
    expect(not full.over, f"over its capacity by {full.over}")
    ref = await cloud.create(await cloud.machine(), host.name)
    failed = await cloud.reach(ref, ServerState.ERROR, ServerState.ACTIVE)
    expect(failed.state is ServerState.ERROR, "a machine was booted into full ballast")
    expect(bool(failed.fault), "nothing says why it could not be booted")


async def a_hole_is_exactly_as_large_as_what_was_granted(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    machine = await cloud.machine()
    granted = {name: machine.amounts[name] for name in BALLASTED if name in machine.amounts}
    await cloud.fill(host.name, **granted)
    await cloud.reach(await cloud.create(machine, host.name), ServerState.ACTIVE)
    full = await cloud.host(host.name)
    for name in BALLASTED:
        if name in full.inventory:
            expect(full.used.get(name) == full.inventory[name].capacity, f"{name}: used are {full.used}")
    second = await cloud.create(await cloud.machine(), host.name)
    await cloud.reach(second, ServerState.ERROR)
    outcome = await cloud.ballast(host.name)
    expect(outcome.verdict is Verdict.NO_ROOM, f"a server is there, and full ballast came to {outcome}")
    same = await cloud.host(host.name)
    expect(same.ballast == full.ballast, f"it was refused, and the ballast is {same.ballast}")
    expect(not same.over, f"over its capacity by {same.over}")


async def the_ballast_grows_back_when_the_server_is_gone(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    machine = await cloud.machine()
    granted = {name: machine.amounts[name] for name in BALLASTED if name in machine.amounts}
    await cloud.fill(host.name, **granted)
    server = await cloud.reach(await cloud.create(machine, host.name), ServerState.ACTIVE)
    await cloud.do(lambda: cloud.executor.delete(server.ref))
    await cloud.fill(host.name)
    await cloud.gone(server.ref)


async def ballast_is_set_and_not_added_to(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    for granted in ({"VCPU": 1}, {"VCPU": 1}, {"VCPU": 2}, {}, {"VCPU": 1}):
        await cloud.fill(host.name, **granted)
        seen = await cloud.host(host.name)
        wanted = seen.inventory["VCPU"].capacity - granted.get("VCPU", 0)
        expect(seen.ballast.get("VCPU") == wanted, f"granted {granted}, it is {seen.ballast}")


async def everything_granted_is_no_ballast(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    await cloud.fill(host.name)
    all_of_it = {name: host.inventory[name].capacity for name in BALLASTED if name in host.inventory}
    for _ in range(2):
        await cloud.fill(host.name, **all_of_it)
        seen = await cloud.host(host.name)
        expect(not seen.ballast, f"everything was granted, and the ballast is {seen.ballast}")


async def many_who_set_the_ballast_at_once_leave_it_as_one_of_them_wanted(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    await asyncio.gather(*(cloud.fill(host.name, VCPU=number % 3) for number in range(6)))
    seen = await cloud.host(host.name)
    left = seen.inventory["VCPU"].capacity - seen.ballast.get("VCPU", 0)
    expect(left in {0, 1, 2}, f"0, 1 and 2 cores were granted, and {left} are left")
    expect(not seen.over, f"over its capacity by {seen.over}")


async def ballast_on_what_is_not_there_or_of_more_than_there_is_is_refused(cloud: CloudSubject) -> None:
    [host] = await cloud.hosts()
    cloud.needs(Ability.BALLAST)
    for name, granted in (("no-such-host", {}), (host.name, {"VCPU": 1 << 30})):
        outcome = await cloud.again(lambda n=name, g=granted: cloud.executor.set_ballast(n, g))  # type: ignore[misc]
        expect(outcome.verdict is Verdict.REFUSED, f"ballast on {name}, granted {granted}: {outcome}")
        expect(bool(outcome.message), "nothing says why")


# ---------------------------------------------------------------------- refusal

UNFIT: Final[tuple[dict[str, Any], ...]] = (
    {"key": ""},
    {"key": "../x"},
    {"key": "UPPER"},
    {"name": "a\nb"},
    {"name": ""},
    {"project": "--all"},
    {"flavour": "-x"},
    {"networks": ("a\x00b",)},
    {"cores": 0},
    {"boot_volume": -1},
    {"image": "no-such-image"},
    {"flavour": "no-such-flavour"},
    {"project": "f" * 32},
    {"networks": ("no-such-network",)},
)


async def what_cannot_be_had_is_refused_in_words_before_anything_is_made(cloud: CloudSubject) -> None:
    messages = set()
    for fields in UNFIT:
        answer = await cloud.again(lambda f=fields: cloud.executor.prepare(cloud.spec(**f)))  # type: ignore[misc]
        if isinstance(answer, Machine) and "project" in fields:
            continue  # a cloud may find out about projects only when it boots
        refused = isinstance(answer, ActionOutcome) and answer.verdict is Verdict.REFUSED
        expect(refused, f"{fields} came to {answer}")
        messages.add(answer.message if isinstance(answer, ActionOutcome) else "")
    expect("" not in messages and len(messages) > 5, "reasons are missing, or all the same")


async def a_host_that_is_not_there_is_refused(cloud: CloudSubject) -> None:
    machine = await cloud.machine()
    answer = await cloud.again(lambda: cloud.executor.create(machine, "no-such-host"))
    refused = isinstance(answer, ActionOutcome) and answer.verdict is Verdict.REFUSED
    expect(refused, f"it came to {answer}")
    found = await cloud.executor.find({machine.spec.key: machine.project})
    expect(not found, f"it was refused, and is there: {found}")


# ------------------------------------------------------------------------- rest


async def a_scratch_container_is_made_once_and_goes(cloud: CloudSubject) -> None:
    cloud.needs(Ability.SCRATCH)
    project, key = cloud.settings.project, secrets.token_hex(12)
    cloud.scratched.append(key)
    first = await cloud.again(lambda: cloud.executor.make_scratch(project, key, 1 << 20))
    again = await cloud.again(lambda: cloud.executor.make_scratch(project, key, 1 << 20))
    expect(not isinstance(first, ActionOutcome), f"it came to {first}")
    expect(first == again, f"asked for twice, it is {first} and {again}")
    for _ in range(2):
        await cloud.do(lambda: cloud.executor.drop_scratch(project, key))


async def the_doctor_of_the_cloud_looks_at_something(cloud: CloudSubject) -> None:
    found = await cloud.executor.doctor()
    expect(bool(found), "doctor has looked at nothing")
    expect(all(health.check and health.found for health in found), "doctor does not say what it found")
    expect(all(health.mend for health in found if not health.well), "doctor does not say how to mend it")


CLOUD_LAWS: Final[tuple[CloudLaw, ...]] = (
    a_machine_runs_on_its_host_in_the_requesters_project,
    a_server_is_found_by_its_key_and_project_alone,
    all_views_of_a_server_agree,
    a_server_that_was_deleted_is_gone_by_its_hosts_own_word_and_holds_nothing,
    what_was_done_to_a_server_is_told_after_its_end_too,
    a_server_that_is_not_ours_is_not_touched,
    a_shelved_server_holds_nothing_and_comes_back_to_the_host_that_was_named,
    many_boots_at_once_become_as_many_servers,
    full_ballast_leaves_nothing_to_boot_into,
    a_hole_is_exactly_as_large_as_what_was_granted,
    the_ballast_grows_back_when_the_server_is_gone,
    ballast_is_set_and_not_added_to,
    everything_granted_is_no_ballast,
    many_who_set_the_ballast_at_once_leave_it_as_one_of_them_wanted,
    ballast_on_what_is_not_there_or_of_more_than_there_is_is_refused,
    what_cannot_be_had_is_refused_in_words_before_anything_is_made,
    a_host_that_is_not_there_is_refused,
    a_scratch_container_is_made_once_and_goes,
    the_doctor_of_the_cloud_looks_at_something,
)
