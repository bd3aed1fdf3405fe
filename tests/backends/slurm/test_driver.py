"""The driver before Slurm's commands, with a simulated farm behind them: its laws, and fault by fault."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from backends.slurm.fake import FakeSlurm, lookup
from wnodes_batch.runner import Answer, Command
from wnodes_batch.tags import tag
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BackendUnavailable,
    Ending,
    Endings,
    Fate,
    JobRef,
    JobState,
    NodeAction,
    SlotRequest,
    Verdict,
)
from wnodes_engine.conformance.laws import LAWS, Found, Law, judge, statement
from wnodes_engine.conformance.subject import Settings
from wnodes_simulated.backend import SimulatedBackend
from wnodes_slurm import accounting
from wnodes_slurm.backend import SlurmBackend

SETTINGS = Settings(user="ada", patience=5, pause=0.01)
FARM = "nodes:\n  - {name: 'n[1-3]', cores: 8, memory: 8GiB}\n"


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


class Lab:
    """A driver, the commands that it runs, and the farm behind them."""

    def __init__(self, folder: Path, clock: Any = None, has_accounting: bool = True, **options: Any) -> None:
        (folder / "farm.yaml").write_text(FARM)
        given = {"farm": str(folder / "farm.yaml"), "speed": 20, **options}
        self.clock = clock
        self.farm = SimulatedBackend("grid", given, **({"clock": clock} if clock else {}))
        self.slurm = FakeSlurm(self.farm, has_accounting)
        self.backend = self.driver()

    def driver(self, own: int = 0, **options: Any) -> SlurmBackend:
        """A new driver, as after a restart, of a daemon with this uid."""
        given = {"submit_as": "uid", "service_user": "wnodes", "min_uid": 500, **options}
        clock = {"clock": self.clock} if self.clock else {}
        return SlurmBackend("grid", given, runner=self.slurm, lookup=lookup, own=own, **clock)

    def submit(self, key: str = "k", **fields: Any) -> JobRef | ActionOutcome:
        given = {"name": "wnodes-1", "user": "ada", "cores": 1, "memory": 64, "walltime": 900} | fields
        return asyncio.run(self.backend.submit(SlotRequest(key=key, script="#!/bin/sh\nsleep 60\n", **given)))

    def taken(self, key: str = "k", **fields: Any) -> JobRef:
        ref = self.submit(key, **fields)
        assert isinstance(ref, JobRef)
        return ref

    def act(self, action: Action, ref: JobRef, **more: Any) -> Verdict:
        return asyncio.run(self.backend.act(action, [ref], **more))[ref].verdict

    def finished(self, cursor: str = "", backend: SlurmBackend | None = None) -> Endings:
        return asyncio.run((backend or self.backend).finished(cursor))

    def programs(self) -> list[str]:
        return [command.argv[0] for command in self.slurm.commands]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, Clock())


def judged(law: Law, lab: Lab) -> Found:
    async def tried() -> Found:
        for _ in range(50):
            try:
                await lab.backend.snapshot()
                break
            except BackendUnavailable:
                pass
        return await judge(law, lab.backend, SETTINGS)

    return asyncio.run(tried())


@pytest.mark.parametrize("law", LAWS, ids=statement)
@pytest.mark.parametrize("has_accounting", [True, False], ids=["slurmdbd", "no slurmdbd"])
def test_the_driver_keeps_every_law(law: Law, has_accounting: bool, tmp_path: Path) -> None:
    found = judged(law, Lab(tmp_path, has_accounting=has_accounting))
    assert found.holds is (None if "a queue" in found.law else True), found.said


@pytest.mark.parametrize("law", LAWS, ids=statement)
def test_the_laws_hold_while_submissions_are_turned_away_and_answers_get_lost(
    law: Law, tmp_path: Path
) -> None:
    faults = {"lost": 0.2, "passing": 0.3, "late": 0.2, "late_by": 0.1}
    found = judged(law, Lab(tmp_path, faults=faults, seed=3))
    assert found.holds is (None if "a queue" in found.law else True), found.said


def test_a_snapshot_is_two_commands_however_many_jobs_there_are(lab: Lab) -> None:
    for at in range(20):
        lab.taken(f"k{at}")
    asyncio.run(lab.backend.snapshot())
    lab.slurm.commands.clear()
    assert len(asyncio.run(lab.backend.snapshot()).jobs) == 20
    assert sorted(lab.programs()) == ["scontrol", "squeue"]


def test_a_submission_is_one_command_and_many_releases_are_two(lab: Lab) -> None:
    asyncio.run(lab.backend.snapshot())
    lab.slurm.commands.clear()
    refs = [lab.taken(f"k{at}") for at in range(10)]
    assert lab.programs() == ["sbatch"] * 10
    lab.slurm.commands.clear()
    outcomes = asyncio.run(lab.backend.act(Action.RELEASE, refs))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.DONE}
    assert lab.programs() == ["squeue", "scontrol"]


def test_every_command_has_a_limit_and_the_clusters_own_configuration(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Clock())
    lab.backend = lab.driver(conf="/etc/slurm/other.conf", limit=7.0)
    asyncio.run(lab.backend.snapshot())
    lab.taken()
    assert {command.limit for command in lab.slurm.commands} == {7.0}
    assert {command.env.get("SLURM_CONF") for command in lab.slurm.commands} == {"/etc/slurm/other.conf"}


def test_an_empty_answer_of_a_controller_that_is_down_is_no_empty_farm(lab: Lab) -> None:
    ref = lab.taken()
    lab.slurm.down = True
    for question in (lab.backend.snapshot(), lab.backend.find({"k": "ada"}), lab.backend.finished("")):
        with pytest.raises(BackendUnavailable, match="connect failure"):
            asyncio.run(question)
    assert lab.act(Action.CANCEL, ref) is Verdict.PASSING
    answer = lab.submit("other")
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is Verdict.PASSING


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0, b"", "squeue: error: Invalid user: x"),
        Answer(0, b"half a row"),
        Answer(0, b"\n"),
        Answer(1, b"", ""),
        Answer(None, b"", "squeue did not end within 30 s"),
        Answer(None, b"", "squeue cannot be run", began=False),
        Answer(-11, b"", ""),
    ],
)
def test_whatever_is_wrong_with_a_listing_it_is_an_error(lab: Lab, answer: Answer) -> None:
    async def broken(command: Command) -> Answer:
        return answer if command.argv[0] == "squeue" else await lab.slurm(command)

    lab.backend._client._run = broken
    with pytest.raises(BackendUnavailable):
        asyncio.run(lab.backend.snapshot())
    with pytest.raises(BackendUnavailable):
        asyncio.run(lab.backend.find({"k": "ada"}))


def test_a_cluster_that_shows_no_nodes_is_an_error(lab: Lab) -> None:
    async def empty(command: Command) -> Answer:
        return Answer(0) if "node" in command.argv else await lab.slurm(command)

    lab.backend._client._run = empty
    with pytest.raises(BackendUnavailable, match="no nodes"):
        asyncio.run(lab.backend.snapshot())


def test_an_id_that_is_used_again_is_not_the_old_job(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Clock(), ids=1)
    old = lab.taken("old")
    assert lab.act(Action.CANCEL, old) is Verdict.DONE
    lab.clock.now += 10
    new = lab.taken("new")
    assert new.id == old.id
    for action in Action:
        assert lab.act(action, old, walltime=1000) is Verdict.CONFLICT
    assert [job.ref for job in asyncio.run(lab.backend.snapshot()).jobs] == [new]
    assert {ending.ref for ending in lab.finished().records} == {old}


def test_others_drains_are_not_undone_and_ours_say_so(lab: Lab) -> None:
    async def both(node: str) -> list[ActionOutcome]:
        return [await lab.backend.set_node(node, action, "a\nvm") for action in NodeAction]

    lab.slurm.reasons["n2"] = "disk"
    drained, undrained = asyncio.run(both("n2"))
    assert (drained.verdict, undrained.verdict) == (Verdict.DONE, Verdict.CONFLICT)
    assert "closed by somebody else: disk" in undrained.message
    asyncio.run(lab.backend.set_node("n1", NodeAction.DRAIN, "a\nvm"))
    assert lab.slurm.reasons["n1"] == "wnodes: a vm"


def test_endings_that_were_heard_of_late_are_told_and_none_twice(tmp_path: Path) -> None:
    """Accounting was away for an hour, and takes in what happened meanwhile only bit by bit."""
    clock = Clock()
    lab = Lab(tmp_path, clock, speed=1000)
    cursor = lab.finished().cursor
    refs = [lab.taken(f"k{at}", held=False) for at in range(3)]
    clock.now += 10
    lab.farm._advance()
    assert lab.farm._farm.endings.count == 3
    told: list[JobRef] = []
    lab.slurm.down = True
    for _ in range(60):
        clock.now += 60
        with pytest.raises(BackendUnavailable):
            lab.finished(cursor)
    lab.slurm.down = False
    for known in (0, 1, 1, 2, 3, 3):
        lab.slurm.heard = known
        clock.now += 100
        page = lab.finished(cursor)
        cursor = page.cursor
        told += [ending.ref for ending in page.records]
    assert sorted(told, key=str) == sorted(refs, key=str)
    clock.now += 7000
    for _ in range(30):
        clock.now += 60
        page = lab.finished(cursor)
        cursor = page.cursor
        assert page.records == ()


def test_a_driver_that_was_made_anew_goes_on_from_the_cursor(tmp_path: Path) -> None:
    clock = Clock()
    lab = Lab(tmp_path, clock, speed=1000)
    lab.taken(held=False)
    clock.now += 10
    first = lab.finished()
    assert len(first.records) == 1
    again = lab.finished(first.cursor, lab.driver())
    assert {each.ref for each in again.records} <= {each.ref for each in first.records}
    assert lab.finished("nonsense:x:y").records == first.records


def test_history_is_read_a_day_at_a_time(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Clock())
    lab.backend = lab.driver(history=5 * 86400)
    cursor, pages = "", 0
    while True:
        page = lab.finished(cursor)
        cursor, pages = page.cursor, pages + 1
        if not page.more:
            break
    assert pages == 5
    starts = [word for command in lab.slurm.commands for word in command.argv if "starttime" in word]
    assert len(set(starts)) == 5


@pytest.mark.parametrize(
    ("record", "fate"),
    [
        (None, Fate.NEVER_STARTED),
        ({"Start": "Unknown", "NodeList": "None assigned"}, Fate.NEVER_STARTED),
        ({}, Fate.VANISHED),
        ({"JobName": "allocation"}, Fate.VANISHED),
        ({"JobName": "allocation", "Submit": 1_795_000_900}, Fate.NEVER_STARTED),
        ({"JobName": "a strangers"}, Fate.NEVER_STARTED),
        ({"State": "CANCELLED by 0", "End": 1_795_000_050}, Fate.UNKNOWN),
    ],
)
def test_what_became_of_a_job_that_the_controller_has_lost(
    tmp_path: Path, record: dict[str, object] | None, fate: Fate
) -> None:
    lab = Lab(tmp_path, Clock(), faults={"forgotten": 1.0})
    ref = lab.taken()
    if record is not None:
        known = {"JobName": tag(ref.key, ref.submitted_at), "JobID": ref.id, "State": "PENDING"}
        times = {"ExitCode": "0:0", "Submit": ref.submitted_at, "Start": 1_795_000_001, "End": "Unknown"}
        lab.slurm.untold = [
            dict.fromkeys(accounting.COLUMNS.names, "") | known | times | {"NodeList": "n1"} | record
        ]
    assert asyncio.run(lab.backend.look_again([ref])) == {ref: fate}


def test_an_ending_whose_name_the_controller_took_with_it_is_found_by_id_and_time(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Clock(), faults={"forgotten": 1.0})
    ref = lab.taken()
    cells = {"JobName": "allocation", "JobID": ref.id, "State": "FAILED", "ExitCode": "3:0", "NodeList": "n1"}
    times = {"Submit": ref.submitted_at + 2, "Start": 1_795_000_003, "End": 1_795_000_009}
    record = dict.fromkeys(accounting.COLUMNS.names, "") | cells | times
    lab.slurm.untold = [record]
    found = asyncio.run(lab.backend.look_again([ref]))[ref]
    assert isinstance(found, Ending)
    assert (found.ref, found.state, found.exit_status) == (ref, JobState.FAILED, 3)
    lab.slurm.untold = [record, record | {"End": 1_795_000_019}]
    assert asyncio.run(lab.backend.look_again([ref])) == {ref: Fate.UNKNOWN}


def test_a_preempted_job_that_was_cancelled_while_it_was_queued_again_has_not_failed(tmp_path: Path) -> None:
    clock = Clock()
    lab = Lab(tmp_path, clock)
    ref = lab.taken()
    cells = {"JobName": tag(ref.key, ref.submitted_at), "JobID": ref.id, "State": "PREEMPTED"}
    times = {"Submit": ref.submitted_at, "Start": ref.submitted_at + 1, "End": ref.submitted_at + 5}
    rest = {"ExitCode": "0:15", "NodeList": "n1"}
    lab.slurm.untold = [dict.fromkeys(accounting.COLUMNS.names, "") | cells | times | rest]
    clock.now += 10
    assert lab.finished().records == ()  # it is queued
    assert lab.act(Action.CANCEL, ref) is Verdict.DONE
    lab.slurm.lags = True
    clock.now += 3
    first = lab.finished()
    assert first.records == ()
    lab.slurm.lags, lab.slurm.untold = False, []
    assert [each.state for each in lab.finished(first.cursor).records] == [JobState.CANCELLED]


def test_two_lost_jobs_of_one_id_are_told_apart_by_when_they_were_submitted(tmp_path: Path) -> None:
    clock = Clock()
    lab = Lab(tmp_path, clock, faults={"forgotten": 1.0})
    first = lab.taken("first")
    clock.now += 25
    second = lab.taken("second")
    assert first.id == second.id
    cells = {"JobName": "allocation", "JobID": first.id, "ExitCode": "0:0", "NodeList": "n1"}
    early = {"Submit": first.submitted_at + 3, "Start": 1_795_000_004, "End": 1_795_000_006}
    late = {"Submit": second.submitted_at, "Start": 1_795_000_026, "End": 1_795_000_028}
    blank = dict.fromkeys(accounting.COLUMNS.names, "") | cells
    lab.slurm.untold = [
        blank | early | {"State": "COMPLETED"},
        blank | late | {"State": "FAILED", "ExitCode": "1:0"},
    ]
    found = asyncio.run(lab.backend.look_again([first, second]))
    ends = {ref: each.ended_at for ref, each in found.items() if isinstance(each, Ending)}
    assert ends == {first: 1_795_000_006, second: 1_795_000_028}


def test_a_job_that_is_there_or_has_ended_was_not_lost(lab: Lab) -> None:
    there, ended = lab.taken("there"), lab.taken("ended")
    lab.act(Action.CANCEL, ended)
    fates = asyncio.run(lab.backend.look_again([there, ended]))
    assert fates == {there: Fate.UNKNOWN, ended: Fate.UNKNOWN}


def test_without_accounting_nobody_knows_whether_a_lost_job_has_run(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Clock(), has_accounting=False, faults={"forgotten": 1.0})
    ref = lab.taken()
    assert asyncio.run(lab.backend.look_again([ref])) == {ref: Fate.UNKNOWN}


def test_a_user_who_is_not_here_has_no_jobs_to_be_found(lab: Lab) -> None:
    lab.taken()
    assert asyncio.run(lab.backend.find({"k": "somebody"})) == {}


def test_what_slurm_would_do_in_silence_is_refused_before(lab: Lab) -> None:
    ref = lab.taken(held=False)
    assert lab.act(Action.HOLD, ref) is Verdict.REFUSED  # it would be held after its next requeue
    assert lab.act(Action.RESUME, ref) is Verdict.DONE
    assert lab.act(Action.EXTEND, ref) is Verdict.REFUSED
    held = lab.taken("held")
    assert lab.act(Action.REQUEUE, held) is Verdict.REFUSED
    [states] = [{job.ref: job.state for job in asyncio.run(lab.backend.snapshot()).jobs}]
    assert states == {ref: JobState.RUNNING, held: JobState.HELD}


def test_nobody_is_let_do_what_needs_rights_that_we_do_not_have(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    lab.backend = lab.driver(own=12345)
    ref = lab.taken(held=False)
    assert lab.act(Action.SUSPEND, ref) is Verdict.REFUSED
    assert lab.act(Action.EXTEND, ref, walltime=3600) is Verdict.REFUSED
    ill = {health.check for health in asyncio.run(lab.backend.doctor()) if not health.well}
    assert {"rights", "submission"} <= ill


def test_the_doctor_of_a_cluster_that_is_down_says_so(lab: Lab) -> None:
    lab.slurm.down = True
    [found] = asyncio.run(lab.backend.doctor())
    assert (found.check, found.well) == ("controller", False)
