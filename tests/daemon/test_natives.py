"""What users run past us is charged to its share, by the same rules, for as long as it holds cores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sites.running import Site, form, until
from wnodes_daemon.natives import Native, changed, native_of, natives_in
from wnodes_daemon.records import Dispatch, State, Step
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store
from wnodes_engine.backend import Job, JobRef, JobState, SlotRequest, Snapshot
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Node, Placement, Request
from wnodes_simulated.backend import SimulatedBackend

POLICY = """
policy shared "users submit natively, too"
share lab 50%
share rest 50%
assign lab when group == "lab" or (has account and account == "lab") or (has project and project == "lab")
assign rest otherwise
route job, vmjob, vm, pool to farm
"""
NODES = [Node(f"n{at}", 8, 32768) for at in range(4)]


def policy(text: str = POLICY) -> CompiledPolicy:
    checked, _ = check_policy(load_text(text, "shared.policy"))
    assert checked is not None
    return compile_policy(checked)


def job(id_: str = "7", **fields: Any) -> Job:
    given: dict[str, Any] = {"cores": 4, "memory": 400, "group": "lab", "nodes": (("n1", 4),)} | fields
    return Job(JobRef("farm", id_, "", 900), JobState.RUNNING, "RUNNING", "eve", **given)


def native(id_: str = "7", **fields: Any) -> Native:
    made = native_of("farm", job(id_, **fields), 1000)
    assert made is not None
    return made


def held(service: Service) -> dict[str, int]:
    return {share.path: share.used["cores"] for share in service.shares()[1:]}


@pytest.fixture
def served(tmp_path: Path) -> Callable[[Callable[[Service], Awaitable[None]]], None]:
    def run(work: Callable[[Service], Awaitable[None]]) -> None:
        async def in_loop() -> None:
            service = Service(policy(), NODES, Store(str(tmp_path / "s")), ("farm",), clock=lambda: 1000.0)
            await service.recover()
            await work(service)
            await service.close()

        asyncio.run(in_loop())

    return run


def test_a_job_on_one_node_is_one_part_and_on_several_as_many_as_it_has_cores() -> None:
    alone = native(gpus=2, account="x", queue="q", started_at=950, walltime=60)
    assert alone.placement == (Placement("n1", 1),)
    asked = alone.request
    assert (asked.cores, asked.memory, asked.gpus, asked.count, alone.since) == (4, 400, 2, 1, 950)
    assert (asked.user, asked.group, asked.account, asked.queue, asked.walltime) == (
        "eve",
        "lab",
        "x",
        "q",
        60,
    )
    wide = native(nodes=(("n1", 3), ("n2", 1)))
    assert wide.placement == (Placement("n1", 3), Placement("n2", 1))
    assert (wide.request.cores, wide.request.memory, wide.request.count) == (1, 100, 4)


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.HELD])
def test_what_holds_no_cores_is_not_charged(state: JobState) -> None:
    waiting = Job(JobRef("farm", "7", "", 900), state, "x", "eve", 4, 400, nodes=(("n1", 4),))
    assert native_of("farm", waiting, 1000) is None
    assert native_of("farm", job(nodes=()), 1000) is None


def test_a_native_job_is_charged_to_its_share_until_it_is_gone(served: Any) -> None:
    async def work(service: Service) -> None:
        other = native("8", group="rest", cores=2, nodes=(("n2", 2),))
        assert await service.see_natives("farm", [native(), other]) == []
        assert held(service) == {"lab": 4, "rest": 2}
        await service.see_natives("farm", [native()])
        assert held(service) == {"lab": 4, "rest": 0}
        await service.see_natives("farm", [])
        assert held(service) == {"lab": 0, "rest": 0}

    served(work)


def test_a_native_job_that_somebody_has_suspended_is_not_charged(served: Any) -> None:
    async def work(service: Service) -> None:
        await service.see_natives("farm", [native()])
        shown = msgspec.structs.replace(job(), state=JobState.SUSPENDED)
        suspended = native_of("farm", shown, 1000)
        assert suspended is not None
        await service.see_natives("farm", [suspended])
        assert held(service) == {"lab": 0, "rest": 0}
        await service.see_natives("farm", [native()])
        assert held(service) == {"lab": 4, "rest": 0}

    served(work)


@pytest.mark.parametrize("fields", [{"account": "lab"}, {"project": "lab"}])
def test_rules_see_the_account_and_the_project_of_a_native_job(served: Any, fields: dict[str, str]) -> None:
    async def work(service: Service) -> None:
        await service.see_natives("farm", [native(group="other", **fields)])
        assert held(service) == {"lab": 4, "rest": 0}

    served(work)


def test_a_native_job_that_moved_is_charged_where_it_is(served: Any) -> None:
    async def work(service: Service) -> None:
        await service.see_natives("farm", [native()])
        await service.see_natives("farm", [native(nodes=(("n2", 4),))])
        places = [allocation.where for allocation in service.state.running.values()]
        assert len(places) == 1
        assert held(service) == {"lab": 4, "rest": 0}

    served(work)


def test_a_job_that_cannot_be_charged_is_told_and_told_once(served: Any) -> None:
    async def work(service: Service) -> None:
        odd = native(nodes=(("nobody-knows", 4),))
        assert await service.see_natives("farm", [odd]) == [odd.request.id]
        assert await service.see_natives("farm", [odd]) == []
        assert await service.see_natives("farm", []) == []

    served(work)


def test_nothing_of_ours_is_put_where_native_jobs_are(served: Any) -> None:
    async def work(service: Service) -> None:
        wide = [native(str(at), cores=8, nodes=((f"n{at}", 8),)) for at in range(3)]
        await service.see_natives("farm", wide)
        await service.submit([Request("", "job", "local", "ada", "rest", 0, cores=8)])
        [(dispatch, slot)] = await service.place()
        assert slot.nodes == (("n3", 1),)
        assert dispatch.step is Step.SUBMITTING

    served(work)


def test_native_jobs_stay_charged_through_a_reload_by_the_new_rules(served: Any) -> None:
    async def work(service: Service) -> None:
        await service.see_natives("farm", [native()])
        await service.reload(
            policy(POLICY.replace("assign lab when", 'assign rest when user == "eve"\nassign lab when'))
        )
        assert held(service) == {"lab": 0, "rest": 4}
        await service.see_natives("farm", [])
        assert held(service) == {"lab": 0, "rest": 0}

    served(work)


@pytest.mark.parametrize(
    ("key", "user", "state", "is_native"),
    [
        ("", "ada", JobState.RUNNING, True),
        ("k", "ada", JobState.RUNNING, False),
        ("k", "eve", JobState.RUNNING, True),
        ("other", "ada", JobState.RUNNING, True),
        ("other", "ada", JobState.ENDING, False),
        ("", "ada", JobState.ENDING, True),
    ],
)
def test_what_is_native_goes_by_key_and_user(
    key: str, user: str, state: JobState, is_native: bool, tmp_path: Path
) -> None:
    (tmp_path / "farm.yaml").write_text("nodes:\n  - {name: n1, cores: 8, memory: 8GiB}\n")
    farm = SimulatedBackend("farm", {"farm": str(tmp_path / "farm.yaml")})
    shown = Job(JobRef("farm", "7", key, 900), state, "x", user, 4, 400, nodes=(("n1", 4),))
    ours = {"k": Dispatch("k", 1, "farm", (), 900, user="ada")}
    assert bool(natives_in(Snapshot((), (shown,), 1000), farm, ours, 1000)) is is_native


def test_a_daemon_charges_what_ran_before_it_came_from_the_first_moment_on(site: Site) -> None:
    options = {"farm": str(site.folder / "farm.yaml"), "record": str(site.folder / "farm.record")}
    farm = SimulatedBackend("farm", options)
    slot = SlotRequest("past", "mine", "eve", cores=8, memory=0, nodes=(("wn01", 1),), held=False)

    async def submitted() -> None:
        assert isinstance(await farm.submit(slot), JobRef)
        await farm.close()

    asyncio.run(submitted())
    client = site.start()
    assert {share.path: share.used["cores"] for share in client.shares()}["local"] == 8
    view = client.submit(form(user="ada", cores=8, walltime="unlimited"))
    until(lambda: client.show(view.id).state is State.RUNNING)
    assert client.show(view.id).attempts[0].nodes[0].node != "wn01"
    assert {node.name: node.used_cores for node in client.nodes()}["wn01"] == 8


def test_only_what_has_changed_is_looked_at() -> None:
    same, gone, moved = native("1"), native("2"), native("3")
    known = {each.request.id: each for each in (same, gone, moved)}
    again = native("3", nodes=(("n3", 4),))
    assert changed(known, [same, again]) == ([gone.request.id, moved.request.id], [again])
