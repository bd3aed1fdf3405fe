"""The simulated farm keeps the promises of a batch backend, with its faults switched on too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BackendUnavailable,
    Ending,
    JobRef,
    JobState,
    NodeAction,
    SlotRequest,
    Verdict,
)
from wnodes_simulated.backend import SimulatedBackend
from wnodes_simulated.farm import Accounting

NODES = (
    "nodes:\n  - {name: 'n[1-2]', cores: 4, memory: 8GiB}\n  - {name: gpu, cores: 4, memory: 8GiB, gpus: 2}\n"
)


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Made = Callable[..., SimulatedBackend]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def farm(tmp_path: Path, clock: Clock) -> Made:
    (tmp_path / "farm.yaml").write_text(NODES)

    def make(**options: Any) -> SimulatedBackend:
        return SimulatedBackend("sim", {"farm": str(tmp_path / "farm.yaml"), **options}, clock=clock)

    return make


def slot(key: str = "k", **fields: Any) -> SlotRequest:
    given = {"cores": 1, "memory": 0, "walltime": 100, "held": False} | fields
    return SlotRequest(key=key, name=key, user="ada", **given)


def submit(farm: SimulatedBackend, key: str = "k", **fields: Any) -> JobRef:
    ref = asyncio.run(farm.submit(slot(key, **fields)))
    assert isinstance(ref, JobRef)
    return ref


def act(farm: SimulatedBackend, action: Action, ref: JobRef, **more: Any) -> Verdict:
    return asyncio.run(farm.act(action, [ref], **more))[ref].verdict


def states(farm: SimulatedBackend) -> dict[str, JobState]:
    return {job.ref.key: job.state for job in asyncio.run(farm.snapshot()).jobs}


def endings(farm: SimulatedBackend) -> dict[str, tuple[JobState, int, int | None]]:
    found = asyncio.run(farm.finished("")).records
    return {ending.ref.key: (ending.state, ending.ended_at, ending.exit_status) for ending in found}


def test_a_held_job_starts_only_after_its_release(farm: Made, clock: Clock) -> None:
    made = farm()
    ref = submit(made, held=True)
    clock.now += 500
    assert states(made) == {"k": JobState.HELD}
    assert act(made, Action.RELEASE, ref) is Verdict.DONE
    assert act(made, Action.RELEASE, ref) is Verdict.DONE
    assert states(made) == {"k": JobState.RUNNING}


def test_a_job_ends_after_its_walltime_and_is_found_in_accounting_only(farm: Made, clock: Clock) -> None:
    made = farm(speed=2)
    submit(made)
    clock.now += 50
    assert states(made) == {}
    assert endings(made) == {"k": (JobState.DONE, 1050, 0)}


def test_accounting_is_read_incrementally(farm: Made, clock: Clock) -> None:
    made = farm()
    submit(made, "a")
    clock.now += 100
    first = asyncio.run(made.finished(""))
    submit(made, "b")
    clock.now += 100
    second = asyncio.run(made.finished(first.cursor))
    assert [[ending.ref.key for ending in part.records] for part in (first, second)] == [["a"], ["b"]]


def test_a_job_that_sleeps_past_its_walltime_is_killed(farm: Made, clock: Clock) -> None:
    made = farm()
    submit(made, "short", script="#!/bin/sh\nsleep 30\n")
    submit(made, "long", script="sleep 300")
    clock.now += 1000
    assert endings(made) == {"short": (JobState.DONE, 1030, 0), "long": (JobState.FAILED, 1100, 271)}


def test_a_pinned_job_waits_for_its_node_while_others_are_free(farm: Made, clock: Clock) -> None:
    made = farm()
    submit(made, "first", cores=4, nodes=(("n1", 1),))
    submit(made, "second", cores=1, nodes=(("n1", 1),))
    submit(made, "third", cores=1, excluded=("n1",))
    assert states(made) == {"first": JobState.RUNNING, "second": JobState.PENDING, "third": JobState.RUNNING}
    clock.now += 100
    assert states(made)["second"] is JobState.RUNNING


@pytest.mark.parametrize(
    "fields",
    [
        {"cores": 5},
        {"memory": 9000},
        {"gpus": 3},
        {"nodes": (("n9", 1),)},
        {"nodes": (("n1", 2),)},
        {"count": 13},
    ],
)
def test_a_job_that_can_never_run_is_refused(farm: Made, fields: dict[str, Any]) -> None:
    answer = asyncio.run(farm().submit(slot(**fields)))
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is Verdict.REFUSED


def test_a_key_in_use_is_not_taken_a_second_time(farm: Made) -> None:
    made = farm()
    submit(made)
    answer = asyncio.run(made.submit(slot()))
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is Verdict.CONFLICT


def test_an_id_that_was_used_again_is_not_mistaken_for_the_old_job(farm: Made, clock: Clock) -> None:
    made = farm(ids=1)
    old = submit(made, "old")
    clock.now += 100
    new = submit(made, "new")
    assert old.id == new.id
    assert act(made, Action.CANCEL, old) is Verdict.CONFLICT
    assert states(made) == {"new": JobState.RUNNING}


def test_requeued_work_begins_anew_and_suspended_work_goes_on(farm: Made, clock: Clock) -> None:
    made = farm()
    again, later = submit(made, "again"), submit(made, "later")
    clock.now += 60
    assert act(made, Action.REQUEUE, again) is Verdict.DONE
    assert act(made, Action.SUSPEND, later) is Verdict.DONE
    clock.now += 1000
    assert act(made, Action.RESUME, later) is Verdict.DONE
    clock.now += 40
    assert endings(made) == {"again": (JobState.DONE, 1160, 0), "later": (JobState.DONE, 2100, 0)}


def test_a_suspended_job_lends_its_cores_and_resumes_only_where_there_is_room(farm: Made) -> None:
    made = farm()
    first = submit(made, "first", cores=4, nodes=(("n1", 1),))
    act(made, Action.SUSPEND, first)
    submit(made, "second", cores=4, nodes=(("n1", 1),))
    assert states(made) == {"first": JobState.SUSPENDED, "second": JobState.RUNNING}
    assert act(made, Action.RESUME, first) is Verdict.NO_ROOM


def test_an_extended_job_runs_longer(farm: Made, clock: Clock) -> None:
    made = farm()
    ref = submit(made, script="sleep 150")
    clock.now += 90
    assert act(made, Action.EXTEND, ref, walltime=200) is Verdict.DONE
    clock.now += 100
    assert endings(made) == {"k": (JobState.DONE, 1150, 0)}


def test_a_drained_node_keeps_its_jobs_and_takes_no_new_ones(farm: Made) -> None:
    made = farm()
    submit(made, "old", nodes=(("n1", 1),))
    asyncio.run(made.set_node("n1", NodeAction.DRAIN, "disk"))
    submit(made, "new", nodes=(("n1", 1),))
    assert states(made) == {"old": JobState.RUNNING, "new": JobState.PENDING}
    assert [node.name for node in asyncio.run(made.snapshot()).nodes if not node.up] == ["n1"]
    asyncio.run(made.set_node("n1", NodeAction.UNDRAIN, ""))
    assert states(made)["new"] is JobState.RUNNING


def test_the_jobs_of_a_failed_node_fail_and_the_node_comes_back(farm: Made, clock: Clock) -> None:
    made = farm(faults={"node_failure": 100, "repair": 20})
    submit(made, walltime=None, nodes=(("n1", 1),))
    seen = ""
    for _ in range(100):
        clock.now += 10
        seen += "+" if {node.name: node.up for node in asyncio.run(made.snapshot()).nodes}["n1"] else "-"
    assert "+-" in seen
    assert "-+" in seen
    assert endings(made)["k"][0] is JobState.FAILED


def test_jobs_fail_as_often_as_they_are_told_to(farm: Made, clock: Clock) -> None:
    made = farm(faults={"job_failure": 1.0})
    submit(made)
    clock.now += 50
    assert endings(made) == {"k": (JobState.FAILED, 1050, 1)}


def test_a_lost_answer_leaves_a_job_and_a_late_one_appears_afterwards(farm: Made, clock: Clock) -> None:
    lost, late = farm(faults={"lost": 1.0}), farm(faults={"late": 1.0, "late_by": 30})
    for made in (lost, late):
        answer = asyncio.run(made.submit(slot(held=True)))
        assert isinstance(answer, ActionOutcome)
        assert answer.verdict is Verdict.UNKNOWN
    ours = {"k": "ada"}
    assert set(asyncio.run(lost.find(ours))) == {"k"}
    assert set(asyncio.run(late.find(ours))) == set()
    clock.now += 30
    assert set(asyncio.run(late.find(ours))) == {"k"}


def test_a_query_that_fails_is_an_error_and_never_an_empty_farm(farm: Made) -> None:
    made = farm(faults={"unavailable": 1.0})
    with pytest.raises(BackendUnavailable):
        asyncio.run(made.snapshot())
    with pytest.raises(BackendUnavailable):
        asyncio.run(made.finished(""))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"speed": 0}, "options.speed"),
        ({"faults": {"lost": 2}}, "options.faults.lost"),
        ({"fault": {}}, "unknown field 'fault'"),
        ({"runs": [0.9, 0.1]}, "options.runs"),
        ({"farm": "nowhere.yaml"}, "nowhere.yaml"),
        ({"record": "/nowhere/record"}, "/nowhere/record"),
    ],
)
def test_options_that_cannot_be_used_are_named(farm: Made, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"backends\.sim") as caught:
        farm(**options)
    assert said in str(caught.value)


def test_a_record_that_is_not_one_is_refused_with_its_line(farm: Made, tmp_path: Path) -> None:
    record = tmp_path / "record"
    record.write_text("nonsense\n")
    with pytest.raises(ValueError, match="record:1"):
        farm(record=str(record))


def test_a_line_that_broke_off_when_the_machine_went_down_is_left_out(farm: Made, tmp_path: Path) -> None:
    record = tmp_path / "record"
    submit(farm(record=str(record)))
    whole = record.read_bytes()
    record.write_bytes(whole + b'{"event":"sub')
    assert states(farm(record=str(record))) == {"k": JobState.RUNNING}
    assert record.read_bytes() == whole


commands = st.lists(
    st.tuples(
        st.sampled_from(["submit", "wait", *Action]),
        st.integers(0, 5),
        st.integers(1, 4),
        st.sampled_from([(), (("n1", 1),), (("gpu", 1),)]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(commands=commands, cut=st.integers(0, 25))
def test_a_farm_that_was_killed_and_started_again_has_the_same_history(
    tmp_path_factory: pytest.TempPathFactory, commands: list[Any], cut: int
) -> None:
    """Invariants on the way: no node is over-committed, and no job starts again unless it was requeued."""
    folder = tmp_path_factory.mktemp("farm")
    (folder / "farm.yaml").write_text(NODES)
    clock, histories = Clock(), []
    for name, restarts in (("whole", set()), ("cut", {cut})):
        clock.now = 1000.0
        options = {
            "farm": str(folder / "farm.yaml"),
            "record": str(folder / name),
            "runs": [0.1, 1.0],
            "faults": {"job_failure": 0.3, "node_failure": 400, "repair": 50},
        }
        made = SimulatedBackend("sim", options, clock=clock)
        refs: dict[int, JobRef] = {}
        for at, (command, which, cores, nodes) in enumerate(commands):
            if at in restarts:
                made = SimulatedBackend("sim", options, clock=clock)
            if command == "submit":
                answer = asyncio.run(
                    made.submit(slot(f"k{which}", cores=cores, nodes=nodes, held=cores == 1))
                )
                if isinstance(answer, JobRef):
                    refs[which] = answer
            elif command == "wait":
                clock.now += 37.5 * which
            elif which in refs:
                act(made, Action(command), refs[which], walltime=50 * cores)
            used: dict[str, int] = {}
            for job in asyncio.run(made.snapshot()).jobs:
                for node, held in job.nodes if job.state is JobState.RUNNING else ():
                    used[node] = used.get(node, 0) + held
            assert all(held <= 4 for held in used.values())
        asyncio.run(made.snapshot())
        lines = [msgspec.json.decode(line) for line in (folder / name).read_bytes().splitlines()]
        histories.append((lines, asyncio.run(made.finished(""))))
    assert histories[0] == histories[1]


def test_what_was_read_long_ago_is_dropped_and_the_rest_keeps_its_number() -> None:
    kept = Accounting()
    endings = [Ending(JobRef("farm", str(at), "k", 0), JobState.DONE, 0, at, 0) for at in range(25_000)]
    for ending in endings:
        kept.add(ending)
    read: list[Ending] = []
    while more := kept.since(len(read), 1000):
        read += more
    assert read == endings
    assert kept.count == len(endings)
    assert list(kept) == endings[-10_000:]
