"""The driver before LSF's commands, fault by fault."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from backends.lsf.driving import Clock, Lab, lookup
from backends.lsf.stub import Job, Lsf
from wnodes_batch.runner import Answer, Command
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BackendUnavailable,
    Capability,
    JobRef,
    JobState,
    NodeAction,
    SlotRequest,
    Verdict,
)
from wnodes_engine.conformance.laws import LAWS, Law, judge, statement
from wnodes_engine.conformance.subject import Settings
from wnodes_engine.drivers import BACKENDS, installed
from wnodes_lsf.backend import LsfBackend

PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable  # any user may run it
PROGRAMS = "bhosts bjobs bkill bparams bqueues bresume bstop bsub lsclusters lshosts lsid"


def shown(lab: Lab) -> dict[JobRef, JobState]:
    return {job.ref: job.state for job in asyncio.run(lab.backend.snapshot()).jobs}


# --------------------------------------------------------------------------- looking


@pytest.mark.parametrize(
    ("dialect", "commands"),
    [
        ("ibm", ["bhosts", "bjobs", "lshosts"]),
        ("volclava", ["bhosts", "bjobs", "bjobs", "lshosts"]),
        ("old", ["bhosts", "bjobs", "bjobs", "lshosts"]),
    ],
)
def test_a_snapshot_is_a_few_commands_however_many_jobs_there_are(
    dialect: Any, commands: list[str], tmp_path: Path
) -> None:
    lab = Lab(tmp_path, dialect, Clock())
    for at in range(30):
        lab.taken(f"k{at}")
    asyncio.run(lab.backend.snapshot())
    lab.lsf.ran.clear()
    assert len(asyncio.run(lab.backend.snapshot()).jobs) == 30
    assert sorted(lab.ran()) == commands


def test_a_farm_without_jobs_is_no_error(lab: Lab) -> None:
    snapshot = asyncio.run(lab.backend.snapshot())
    assert (len(snapshot.nodes), snapshot.jobs) == (3, ())
    assert asyncio.run(lab.backend.find({"k": "ada"})) == {}
    assert lab.finished().records == ()


@pytest.mark.parametrize("down", ["lim", "mbatchd", "hung"])
def test_daemons_that_do_not_answer_are_no_empty_farm(lab: Lab, down: str) -> None:
    """The recorded system prints an empty listing in JSON while its daemon is away."""
    ref = lab.taken()
    lab.lsf.down = down
    for question in (lab.backend.snapshot(), lab.backend.find({"k": "ada"}), lab.backend.finished("")):
        with pytest.raises(BackendUnavailable):
            asyncio.run(question)
    assert lab.act(Action.CANCEL, ref) is Verdict.PASSING
    answer = lab.submit("other")
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is (Verdict.UNKNOWN if down == "hung" else Verdict.PASSING)
    outcome = asyncio.run(lab.backend.set_node("vn1", NodeAction.DRAIN, "x"))
    assert outcome.verdict is Verdict.PASSING


def test_every_command_has_a_limit_and_tries_once_to_reach_a_daemon(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "ibm", Clock())
    lab.backend = lab.driver(limit=7.0, serverdir="/opt/lsf/etc", bindir="/opt/lsf/bin")
    asyncio.run(lab.backend.snapshot())
    lab.taken()
    assert {command.limit for command in lab.commands} == {7.0}
    for command in lab.commands:
        assert command.env["LSB_NTRIES"] == "1"
        assert command.env["LSF_SERVERDIR"] == "/opt/lsf/etc"
        assert [word for word in command.argv if word.startswith("/opt/lsf/bin/")]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0, b"half a list"),
        Answer(0, b'{"COMMAND":"bjobs","JOBS":2,"RECORDS":[]}'),
        Answer(0, b'{"COMMAND":"bjobs","JOBS":1,"RECORDS":[{"JOBID":"1"}]}'),
        Answer(255, b'{"COMMAND":"bjobs","JOBS":1,"RECORDS":[{"JOBID":"1","ERROR":"Connection refused"}]}'),
        Answer(1, b"", ""),
        Answer(None, b"", "bjobs did not end within 60 s"),
        Answer(None, b"", "bjobs cannot be run", began=False),
        Answer(-11, b"", ""),
    ],
)
def test_whatever_is_wrong_with_a_listing_it_is_an_error(recorded_lab: Lab, answer: Answer) -> None:
    lab = recorded_lab

    async def broken(command: Command) -> Answer:
        return answer if command.argv[0] == "bjobs" else await lab.run(command)

    lab.backend._client._run = broken
    for question in (lab.backend.snapshot(), lab.backend.find({"k": "ada"})):
        with pytest.raises(BackendUnavailable):
            asyncio.run(question)


def test_native_jobs_and_arrays_are_shown_with_whose_they_are(lab: Lab) -> None:
    now = lab.clock.now
    lab.lsf.jobs += [
        Job(7, "eve", now, f"arr[{index}]", index, "rich", slots=2, ptile=2, runs_for=99) for index in (1, 2)
    ]
    lab.lsf.last_id = 7
    lab.clock.now += 1
    asyncio.run(lab.backend.snapshot())
    jobs = asyncio.run(lab.backend.snapshot()).jobs
    assert [(job.ref.id, job.ref.key, job.user, job.account, job.cores) for job in jobs] == [
        ("7[1]", "", "eve", "rich", 2),
        ("7[2]", "", "eve", "rich", 2),
    ]
    assert {job.ref.submitted_at for job in jobs} == {int(now) - int(now) % 60}
    assert lab.act(Action.CANCEL, jobs[0].ref) is Verdict.DONE
    lab.clock.now += 1
    assert list(shown(lab)) == [jobs[1].ref]


def test_a_key_in_a_strangers_name_is_not_found_as_ours(lab: Lab) -> None:
    lab.lsf.jobs.append(Job(1, "eve", lab.clock.now, name="wn-k1-65f0"))
    lab.lsf.last_id = 1
    assert asyncio.run(lab.backend.find({"k1": "ada"})) == {}
    ref = lab.taken("k1")
    assert asyncio.run(lab.backend.find({"k1": "ada"})) == {"k1": ref}


def test_a_line_break_in_a_name_hides_nobodys_job(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "old", Clock())
    ref = lab.taken("k1")
    lab.lsf.jobs.append(Job(2, "eve", lab.clock.now, name=f"x\n{ref.id}^0^-^-^wn-k1-1"))
    assert asyncio.run(lab.backend.find({"k1": "ada"})) == {"k1": ref}
    assert {job.ref.id: job.ref.key for job in asyncio.run(lab.backend.snapshot()).jobs} == {
        "1": "k1",
        "2": "",
    }


def test_a_form_that_is_configured_is_not_looked_for(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "old", Clock())
    lab.backend = lab.driver(form="delimited")
    asyncio.run(lab.backend.snapshot())
    assert not any("-json" in argv for argv in lab.lsf.ran)
    lab.backend = lab.driver(form="json")
    with pytest.raises(BackendUnavailable, match="invalid option"):
        asyncio.run(lab.backend.snapshot())


# --------------------------------------------------------------------------- submitting


def test_a_submission_is_one_command_in_the_users_name_and_many_releases_are_two(lab: Lab) -> None:
    lab.taken()
    asyncio.run(lab.backend.snapshot())
    lab.lsf.ran.clear()
    lab.commands.clear()
    refs = [lab.taken(f"k{at}") for at in range(10)]
    assert lab.ran() == ["bsub"] * 10
    first = lab.commands[0].argv
    assert first[:5] == ("env", "-u", "TZ", "-u", "LC_ALL")
    assert first[5:9] == ("sudo", "-n", "-u", "ada")
    lab.lsf.ran.clear()
    outcomes = asyncio.run(lab.backend.act(Action.RELEASE, refs))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.DONE}
    assert lab.ran() == (["bjobs"] * (2 if lab.lsf.dialect == "old" else 1)) + ["bresume"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"user": "root"}, "below min_uid"),
        ({"user": "somebody"}, "no user 'somebody'"),
        ({"nodes": (("all", 1),)}, "no node 'all'"),
        ({"allowed": ("others",)}, "no node 'others'"),
        ({"excluded": ("n1+2",)}, "no node 'n1+2'"),
        ({"nodes": (("n1!", 1),)}, "no node 'n1!'"),
        ({"script": "a\0b"}, "NUL"),
        ({"queue": "nosuch"}, "nosuch: No such queue"),
        ({"queue": "owners"}, "owners: User cannot use the queue"),
        ({"cores": 500}, "Too many processors requested"),
        ({"nodes": (("nosuch", 1),)}, "nosuch: Bad host name"),
    ],
)
def test_what_can_never_be_submitted_is_refused_in_words(
    recorded_lab: Lab, fields: dict[str, Any], said: str
) -> None:
    answer = recorded_lab.submit(**fields)
    assert isinstance(answer, ActionOutcome)
    assert (answer.verdict, said in answer.message) == (Verdict.REFUSED, True), answer.message
    assert recorded_lab.lsf.jobs == []


def test_nothing_is_submitted_as_root(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not submitted as root"):
        LsfBackend("grid", {"submit_as": "runuser"}, lookup=lookup, own=0)
    with pytest.raises(ValueError, match="no means to submit"):
        LsfBackend("grid", {"submit_as": "uid"}, lookup=lookup, own=990)


def test_a_submission_whose_answer_was_lost_is_found_once(lab: Lab) -> None:
    lab.lsf.lost = 1.0
    answer = lab.submit("k1")
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is Verdict.UNKNOWN
    [ref] = asyncio.run(lab.backend.find({"k1": "ada"})).values()
    assert shown(lab) == {ref: JobState.HELD}


# --------------------------------------------------------------------------- acting


def test_an_id_that_is_used_again_is_not_the_old_job(lab: Lab) -> None:
    old = lab.taken("old")
    assert lab.act(Action.CANCEL, old) is Verdict.DONE
    lab.lsf.jobs.clear()
    lab.lsf.last_id = 0
    lab.clock.now += 10
    new = lab.taken("new")
    assert new.id == old.id
    for action in Action:
        assert (
            lab.act(action, old, **({"walltime": 1000} if action is Action.EXTEND else {}))
            is Verdict.CONFLICT
        )
    assert list(shown(lab)) == [new]


def test_who_is_no_administrator_acts_as_the_jobs_owners(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "volclava", Clock())
    lab.lsf.administrators.remove("wnodes")
    refs = [lab.taken("k1"), lab.taken("k2", user="bob")]
    lab.commands.clear()
    outcomes = asyncio.run(lab.backend.act(Action.CANCEL, refs))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.DONE}
    killed = [command.argv[:4] for command in lab.commands if "bkill" in command.argv]
    assert sorted(killed) == [("sudo", "-n", "-u", "ada"), ("sudo", "-n", "-u", "bob")]
    assert Capability.DRAIN not in lab.backend.capabilities


def test_what_lsf_would_do_in_silence_is_refused_before(lab: Lab) -> None:
    ref = lab.taken(held=False)
    lab.clock.now += 1
    assert shown(lab) == {ref: JobState.RUNNING}
    assert lab.act(Action.HOLD, ref) is Verdict.REFUSED  # bstop would suspend it
    assert lab.act(Action.RESUME, ref) is Verdict.DONE
    assert lab.act(Action.EXTEND, ref) is Verdict.REFUSED
    held = lab.taken("held")
    assert lab.act(Action.SUSPEND, held) is Verdict.REFUSED
    assert lab.act(Action.REQUEUE, held) is Verdict.REFUSED
    assert lab.act(Action.RESUME, held) is Verdict.REFUSED  # bresume would release it


def test_a_cluster_that_extends_nothing_says_so(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "volclava", Clock(), extends=False)
    (tmp_path / "lsf.conf").write_text("LSB_MOD_ALL_JOBS=N\n")
    ref = lab.taken(held=False)
    lab.clock.now += 1
    assert lab.act(Action.EXTEND, ref, walltime=3600) is Verdict.REFUSED
    assert Capability.EXTEND not in lab.backend.capabilities
    (tmp_path / "lsf.conf").write_text("LSB_MOD_ALL_JOBS=Y\n")
    lab.backend = lab.driver()
    assert lab.act(Action.EXTEND, ref, walltime=3600) is Verdict.REFUSED  # in LSF's own words


# --------------------------------------------------------------------------- hosts


def test_what_others_have_closed_is_not_opened_and_what_we_have_says_so(lab: Lab) -> None:
    lab.lsf.hosts["vn1"].is_closed, lab.lsf.hosts["vn1"].comment = True, "disk swap, ticket 42"

    async def both(node: str) -> list[ActionOutcome]:
        return [await lab.backend.set_node(node, action, "a\nvm") for action in NodeAction]

    drained, undrained = asyncio.run(both("vn1"))
    assert (drained.verdict, undrained.verdict) == (Verdict.DONE, Verdict.CONFLICT)
    assert "closed by somebody else: disk swap" in undrained.message
    asyncio.run(lab.backend.set_node("vn2", NodeAction.DRAIN, "a\nvm"))
    assert lab.lsf.hosts["vn2"].comment == "wnodes: a vm"
    asyncio.run(lab.backend.set_node("vn2", NodeAction.UNDRAIN, ""))
    assert not lab.lsf.hosts["vn2"].is_closed


def test_a_host_that_is_away_is_drained_and_taken_back_all_the_same(lab: Lab) -> None:
    lab.lsf.hosts["vn1"].status = "unreach"
    assert asyncio.run(lab.backend.set_node("vn1", NodeAction.UNDRAIN, "")).verdict is Verdict.DONE
    assert asyncio.run(lab.backend.set_node("vn1", NodeAction.DRAIN, "lost")).verdict is Verdict.DONE
    assert lab.lsf.hosts["vn1"].is_closed
    assert asyncio.run(lab.backend.set_node("vn1", NodeAction.UNDRAIN, "")).verdict is Verdict.DONE
    assert not lab.lsf.hosts["vn1"].is_closed


def test_who_may_not_close_hosts_is_told_so(recorded_lab: Lab) -> None:
    recorded_lab.lsf.administrators.remove("wnodes")
    outcome = asyncio.run(recorded_lab.backend.set_node("vn1", NodeAction.DRAIN, "x"))
    assert outcome.verdict is Verdict.REFUSED
    assert "User permission denied" in outcome.message


# --------------------------------------------------------------------------- doctor


def test_the_doctor_of_a_cluster_that_is_down_says_so(lab: Lab) -> None:
    lab.lsf.down = "lim"
    [found] = asyncio.run(lab.backend.doctor())
    assert (found.check, found.well) == ("daemons", False)
    assert "LIM is down" in found.found


def test_the_doctor_finds_what_is_not_well(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "volclava", Clock(), acct=True)
    well = {health.check: health.well for health in asyncio.run(lab.backend.doctor())}
    assert well == {
        "version": True, "rights": True, "submission": True, "sight": True, "listing": True,
        "accounting": True, "memory": True, "limits": True, "extending": True,
        "reruns": False, "post-exec": False,
    }  # fmt: skip
    lab.lsf.administrators.remove("wnodes")
    (tmp_path / "lsf.conf").unlink()
    (tmp_path / "lsb.acct").unlink()
    ill = {health.check for health in asyncio.run(lab.driver().doctor()) if not health.well}
    assert ill == {"rights", "accounting", "extending", "reruns", "post-exec"}


def test_the_driver_is_installed_under_its_name() -> None:
    assert installed(BACKENDS)["lsf"].made_by is LsfBackend


# --------------------------------------------------------------------------- as programs


def programs(folder: Path) -> LsfBackend:
    """The driver with the stub's commands as programs; as root, it submits as somebody else."""
    folder.chmod(0o777)
    with (folder / "state").open("wb") as file:
        pickle.dump(Lsf("volclava"), file)
    (folder / "state").chmod(0o666)
    stub = shutil.copytree(Path(__file__).parent, folder / "backends" / "lsf") / "stub.py"
    for name in PROGRAMS.split():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {PYTHON} {stub} {folder}/state {name} "$@"\n')
        program.chmod(0o755)
    as_root = {"submit_as": "runuser", "service_user": "nobody"} if os.geteuid() == 0 else {}
    return LsfBackend("grid", {"bindir": str(folder), "envdir": str(folder), **as_root})


@pytest.mark.parametrize(
    "law", [law for law in LAWS if "held" in statement(law) or "fails" in statement(law)], ids=statement
)
def test_laws_hold_when_the_commands_are_programs(law: Law) -> None:
    """Through the real runner: argv, standard input, environment and exit codes."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(judge(law, programs(Path(folder)), Settings(patience=60, pause=0.05)))
    assert found.holds is True, found.said


def test_a_slot_is_never_more_than_data(recorded_lab: Lab) -> None:
    slot = SlotRequest("k", "x", "ada", 1, 64, script="#!/bin/sh\n#BSUB -P other\n# BSUB -q x \\\n:\n")
    assert isinstance(asyncio.run(recorded_lab.backend.submit(slot)), JobRef)
    [job] = recorded_lab.lsf.jobs
    assert (job.project, job.queue) == ("default", "normal")
