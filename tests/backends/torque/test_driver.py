"""The driver before the stub's commands, with a simulated farm behind them: its laws, and fault by fault."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from backends.torque.stub import Stub, lookup
from wnodes_batch.runner import Answer, Command
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BackendUnavailable,
    Capability,
    Endings,
    JobRef,
    JobState,
    NodeAction,
    SlotRequest,
    Verdict,
)
from wnodes_engine.conformance.laws import LAWS, Found, Law, judge, statement
from wnodes_engine.conformance.subject import Settings
from wnodes_simulated.backend import SimulatedBackend
from wnodes_torque.backend import TorqueBackend
from wnodes_torque.options import Dialect

SETTINGS = Settings(user="ada", queue="batch", patience=5, pause=0.01)
FARM = "nodes:\n  - {name: 'n[1-3]', cores: 8, memory: 8GiB}\n"
DIALECTS = pytest.mark.parametrize("dialect", Dialect)
SOURCES = pytest.mark.parametrize("has_log", [True, False], ids=["log", "qstat"])


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


class Lab:
    """A driver, the commands that it runs, and the farm behind them."""

    def __init__(
        self, folder: Path, dialect: Dialect, clock: Any = None, has_log: bool = True, **options: Any
    ) -> None:
        (folder / "farm.yaml").write_text(FARM)
        given = {"farm": str(folder / "farm.yaml"), "speed": 20, **options}
        self.clock, self.log = clock, folder / "accounting"
        self.farm = SimulatedBackend("grid", given, **({"clock": clock} if clock else {}))
        self.stub = Stub(self.farm, dialect, self.log if has_log else None, ZoneInfo("Europe/Rome"))
        self.more = {"accounting": str(self.log)} if has_log else {}
        self.backend = self.driver()

    def driver(self, **options: Any) -> TorqueBackend:
        """A new driver, as after a restart."""
        given = {
            "submit_as": "sudo",
            "service_user": "wnodes",
            "min_uid": 500,
            "manager": True,
            "timezone": "Europe/Rome",
            **self.more,
            **options,
        }
        clock = {"clock": self.clock} if self.clock else {}
        return TorqueBackend("grid", given, runner=self.stub, lookup=lookup, own=0, **clock)

    def submit(self, key: str = "k", **fields: Any) -> JobRef | ActionOutcome:
        given = {"name": "wnodes-1", "user": "ada", "cores": 1, "memory": 64, "walltime": 900} | fields
        return asyncio.run(self.backend.submit(SlotRequest(key=key, script="#!/bin/sh\nsleep 60\n", **given)))

    def taken(self, key: str = "k", **fields: Any) -> JobRef:
        ref = self.submit(key, **fields)
        assert isinstance(ref, JobRef)
        return ref

    def act(self, action: Action, ref: JobRef, **more: Any) -> ActionOutcome:
        return asyncio.run(self.backend.act(action, [ref], **more))[ref]

    def states(self) -> dict[JobRef, JobState]:
        return {job.ref: job.state for job in asyncio.run(self.backend.snapshot()).jobs}

    def finished(self, cursor: str = "", backend: TorqueBackend | None = None) -> Endings:
        self.stub.tick()
        return asyncio.run((backend or self.backend).finished(cursor))

    def programs(self) -> list[str]:
        return [command.argv[0] for command in self.stub.commands]


@pytest.fixture(params=list(Dialect))
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, request.param, Clock())


def judged(law: Law, lab: Lab) -> Found:
    async def goes_on() -> None:
        while True:
            lab.stub.tick()
            await asyncio.sleep(0.01)

    async def tried() -> Found:
        server = asyncio.create_task(goes_on())
        for _ in range(50):
            try:
                await lab.backend.snapshot()
                break
            except BackendUnavailable:
                pass
        try:
            return await judge(law, lab.backend, SETTINGS)
        finally:
            server.cancel()

    return asyncio.run(tried())


@pytest.mark.parametrize("law", LAWS, ids=statement)
@DIALECTS
@SOURCES
def test_the_driver_keeps_every_law(law: Law, dialect: Dialect, has_log: bool, tmp_path: Path) -> None:
    found = judged(law, Lab(tmp_path, dialect, has_log=has_log))
    assert found.holds is True, found.said


@pytest.mark.parametrize("law", LAWS, ids=statement)
@DIALECTS
def test_the_laws_hold_while_submissions_are_turned_away_and_answers_get_lost(
    law: Law, dialect: Dialect, tmp_path: Path
) -> None:
    faults = {"lost": 0.2, "passing": 0.3, "late": 0.2, "late_by": 0.1}
    found = judged(law, Lab(tmp_path, dialect, faults=faults, seed=3))
    assert found.holds is True, found.said


def test_a_snapshot_is_two_commands_however_many_jobs_there_are(lab: Lab) -> None:
    for at in range(20):
        lab.taken(f"k{at}")
    asyncio.run(lab.backend.snapshot())
    lab.stub.commands.clear()
    assert len(asyncio.run(lab.backend.snapshot()).jobs) == 20
    assert sorted(lab.programs()) == ["pbsnodes", "qstat"]


def test_a_submission_is_one_command_as_its_user_and_many_releases_are_two(lab: Lab) -> None:
    asyncio.run(lab.backend.snapshot())
    lab.stub.commands.clear()
    refs = [lab.taken(f"k{at}") for at in range(10)]
    assert [command.argv[:5] for command in lab.stub.commands] == [("sudo", "-n", "-u", "ada", "--")] * 10
    lab.stub.commands.clear()
    outcomes = asyncio.run(lab.backend.act(Action.RELEASE, refs))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.DONE}
    assert lab.programs() == ["qstat", "qrls"]


def test_which_system_it_is_its_version_tells_unless_the_site_says(lab: Lab) -> None:
    asyncio.run(lab.backend.snapshot())
    assert lab.stub.commands[0].argv == ("qstat", "--version")
    assert (Capability.MEMORY in lab.backend.capabilities) is (lab.stub.dialect is Dialect.PBS)
    lab.backend = lab.driver(dialect=lab.stub.dialect.value, memory=True)
    assert lab.taken().id == "1.srv"
    assert Capability.MEMORY in lab.backend.capabilities


def test_a_qstat_of_neither_is_an_error(lab: Lab) -> None:
    async def other(command: Command) -> Answer:
        return Answer(0, b"qstat of another system, 1.0")

    lab.backend._client._run = other
    with pytest.raises(BackendUnavailable, match="neither TORQUE's nor PBS's"):
        asyncio.run(lab.backend.snapshot())


def test_every_command_has_a_limit_and_the_servers_environment(lab: Lab) -> None:
    lab.backend = lab.driver(server="head", bin="/opt/batch/bin", limit=7.0)
    asyncio.run(lab.backend.snapshot())
    lab.taken()
    assert {command.limit for command in lab.stub.commands} == {7.0}
    assert {command.env["PBS_DEFAULT"] for command in lab.stub.commands} == {"head"}
    programs = {
        word for command in lab.stub.commands for word in command.argv if word.startswith("/opt/batch")
    }
    assert programs == {f"/opt/batch/bin/{name}" for name in ("qstat", "pbsnodes", "qsub")}


def test_a_server_that_is_down_is_no_empty_farm(lab: Lab) -> None:
    """PBS's qstat writes valid JSON without jobs then."""
    ref = lab.taken()
    lab.stub.down = True
    for question in (lab.backend.snapshot(), lab.backend.find({"k": "ada"})):
        with pytest.raises(BackendUnavailable, match="cannot connect to server"):
            asyncio.run(question)
    assert lab.act(Action.CANCEL, ref).verdict is Verdict.PASSING
    assert asyncio.run(lab.backend.set_node("n1", NodeAction.DRAIN, "x")).verdict is Verdict.PASSING
    answer = lab.submit("other")
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is Verdict.PASSING


def test_a_server_that_hangs_leaves_what_was_begun_unknown(lab: Lab) -> None:
    asyncio.run(lab.backend.snapshot())
    lab.stub.hung = True
    answer = lab.submit()
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is Verdict.UNKNOWN
    with pytest.raises(BackendUnavailable, match="did not end within 30 s"):
        asyncio.run(lab.backend.snapshot())


@pytest.mark.parametrize(("program", "action"), [("qsig", Action.SUSPEND), ("qrerun", Action.REQUEUE)])
def test_an_action_that_takes_longer_than_its_limit_may_have_been_done(
    lab: Lab, program: str, action: Action
) -> None:
    ref = lab.taken(held=False)
    lab.stub.delays[program] = 31.0
    assert lab.act(action, ref).verdict is Verdict.UNKNOWN
    assert lab.act(Action.CANCEL, ref).verdict is Verdict.DONE


def test_what_goes_to_the_node_is_a_command_for_each_job(lab: Lab) -> None:
    refs = [lab.taken(f"k{at}", held=False) for at in range(5)]
    lab.stub.commands.clear()
    outcomes = asyncio.run(lab.backend.act(Action.SUSPEND, refs))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.DONE}
    assert lab.programs().count("qsig") == 5


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0, b"", "qstat: Error (15010 - Access from host not allowed, or unknown host)"),
        Answer(0, b"half a"),
        Answer(0, b"<Data><Job><Job_Id>1.srv</Job_Id></Job>"),
        Answer(0, b'{"Jobs": {'),
        Answer(1, b"", ""),
        Answer(None, b"", "qstat did not end within 30 s"),
        Answer(None, b"", "qstat cannot be run", began=False),
        Answer(-11, b"", ""),
    ],
)
def test_whatever_is_wrong_with_a_listing_it_is_an_error(lab: Lab, answer: Answer) -> None:
    async def broken(command: Command) -> Answer:
        return answer if "-t" in command.argv else await lab.stub(command)

    lab.backend._client._run = broken
    with pytest.raises(BackendUnavailable):
        asyncio.run(lab.backend.snapshot())
    with pytest.raises(BackendUnavailable):
        asyncio.run(lab.backend.find({"k": "ada"}))


def test_an_id_that_is_used_again_is_not_the_old_job(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Dialect.TORQUE, Clock(), ids=1)
    old = lab.taken("old")
    assert lab.act(Action.CANCEL, old).verdict is Verdict.DONE
    lab.stub.keep = 0
    lab.clock.now += 10
    new = lab.taken("new")
    assert new.id == old.id
    for action in Action:
        assert lab.act(action, old, walltime=1000).verdict is Verdict.CONFLICT
    assert set(lab.states()) == {new}


def test_a_job_that_is_named_like_ours_by_somebody_else_is_not_ours(lab: Lab) -> None:
    ref = lab.taken(user="bob")
    assert asyncio.run(lab.backend.find({"k": "ada"})) == {}
    assert asyncio.run(lab.backend.find({"k": "bob"})) == {"k": ref}


def test_what_fails_without_a_word_is_looked_at_again(lab: Lab) -> None:
    """TORQUE's qrls says nothing of a job that is gone, and exits with 153: the others are released."""
    refs = [lab.taken(f"k{at}") for at in range(3)]

    async def late(command: Command) -> Answer:
        if command.argv[0] == "qrls":  # somebody deletes it between the look and the command
            job = next(job for job in lab.farm._farm.jobs if job.ref.id == "2")
            await lab.farm.act(Action.CANCEL, [job.ref])
        return await lab.stub(command)

    lab.backend._client._run = late
    outcomes = asyncio.run(lab.backend.act(Action.RELEASE, refs))
    assert [outcomes[ref].verdict for ref in refs] == [Verdict.DONE, Verdict.CONFLICT, Verdict.DONE]


def test_a_hold_of_the_system_is_not_ours_to_undo(lab: Lab) -> None:
    ref = lab.taken()
    [key] = lab.stub.holds
    lab.stub.holds[key] = "s"
    outcome = lab.act(Action.RELEASE, ref)
    assert outcome.verdict is Verdict.REFUSED
    assert "held by somebody else" in outcome.message
    lab.stub.holds[key] = "us"  # ours is undone, and it stays held
    assert lab.act(Action.RELEASE, ref).verdict is Verdict.DONE
    assert lab.states()[ref] is JobState.HELD


def test_a_drain_that_torque_fails_with_exit_code_0_is_none(lab: Lab) -> None:
    lab.stub.is_manager = False
    outcome = asyncio.run(lab.backend.set_node("n1", NodeAction.DRAIN, "x"))
    assert outcome.verdict is Verdict.REFUSED
    assert "Unauthorized Request" in outcome.message


def test_others_drains_are_not_undone_and_ours_say_so(lab: Lab) -> None:
    lab.stub.offline.add("n2")
    lab.stub.notes["n2"] = "disk swap, ticket 42"

    async def both(node: str) -> list[ActionOutcome]:
        return [await lab.backend.set_node(node, action, "a\nvm") for action in NodeAction]

    drained, undrained = asyncio.run(both("n2"))
    assert (drained.verdict, undrained.verdict) == (Verdict.DONE, Verdict.CONFLICT)
    assert "closed by somebody else: disk swap, ticket 42" in undrained.message
    asyncio.run(lab.backend.set_node("n1", NodeAction.DRAIN, "a\nvm"))
    assert lab.stub.notes["n1"] == "wnodes: a vm"
    asyncio.run(lab.backend.set_node("n1", NodeAction.UNDRAIN, ""))
    assert lab.stub.notes == {"n2": "disk swap, ticket 42"}


def test_root_submits_for_nobody_and_nobody_is_root(lab: Lab) -> None:
    for options, message in (
        ({"submit_as": "self", "service_user": None}, "service_user: .*(root|no user)"),
        ({"service_user": "root"}, "not submitted as root"),
        ({"dialect": "pbs", "submit_as": "uid"}, "PBS cannot submit for others"),
    ):
        with pytest.raises(ValueError, match=message):
            lab.driver(**options)
    answer = lab.submit(user="root")
    assert isinstance(answer, ActionOutcome)
    assert (answer.verdict, lab.programs()) == (Verdict.REFUSED, [])


def test_a_home_that_a_shell_would_read_more_into_is_refused(lab: Lab) -> None:
    lab.backend = lab.driver(output="/data/$(id)")
    answer = lab.submit()
    assert isinstance(answer, ActionOutcome)
    assert (answer.verdict, "cannot be told to write to" in answer.message) == (Verdict.REFUSED, True)
    assert "qsub" not in str(lab.programs())


def test_torque_may_submit_for_others_by_itself_and_pbs_not(lab: Lab) -> None:
    lab.backend = lab.driver(submit_as="uid")
    answer = lab.submit()
    if lab.stub.dialect is Dialect.TORQUE:
        assert isinstance(answer, JobRef)
        assert lab.stub.commands[-1].argv[-2:] == ("-P", "ada")
        assert asyncio.run(lab.backend.find({"k": "ada"})) == {"k": answer}
    else:
        assert isinstance(answer, ActionOutcome)
        assert answer.verdict is Verdict.REFUSED


def test_what_needs_rights_that_we_do_not_have_is_refused(lab: Lab) -> None:
    lab.backend = lab.driver(manager=False)
    ref = lab.taken(held=False)
    assert lab.act(Action.SUSPEND, ref).verdict is Verdict.REFUSED
    assert lab.act(Action.EXTEND, ref, walltime=3600).verdict is Verdict.REFUSED
    assert lab.act(Action.REQUEUE, ref).verdict is Verdict.REFUSED
    ill = {health.check: health for health in asyncio.run(lab.backend.doctor()) if not health.well}
    assert "set server managers += " in ill["rights"].mend


def test_the_doctor_of_a_server_that_is_down_says_so(lab: Lab) -> None:
    lab.stub.down = True
    [found] = asyncio.run(lab.backend.doctor())
    assert (found.check, found.well) == ("server", False)


def test_the_doctor_of_a_well_server_finds_nothing_but_the_daemons_rights_here(lab: Lab) -> None:
    lab.taken()
    lab.backend = lab.driver(memory=True)
    ill = {health.check: health.found for health in asyncio.run(lab.backend.doctor()) if not health.well}
    assert ill == {}
