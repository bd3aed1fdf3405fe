"""What is run: argv in which no value of a request is anything but a value, and scripts that ask nothing."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from wnodes_batch.identity import Account, Identities, Means, Unknown
from wnodes_batch.runner import Command, run
from wnodes_engine.backend import SlotRequest, unfit
from wnodes_slurm import commands
from wnodes_slurm.options import Options, read_options
from wnodes_slurm.script import script_of

ADA = Account("ada", 1001, 1001, "/home/ada")
PLAIN = Options()
USERS = {"ada": ADA, "root": Account("root", 0, 0, "/root"), "bin": Account("bin", 2, 2, "/bin")} | {
    "wnodes": Account("wnodes", 990, 990, "/var/lib/wnodes")
}


def slot(**fields: Any) -> SlotRequest:
    given: dict[str, Any] = {"key": "k1", "name": "wnodes-1", "user": "ada", "cores": 2, "memory": 100}
    return SlotRequest(**given | fields)


def said(slot: SlotRequest, options: Options = PLAIN, **more: Any) -> dict[str, str]:
    """The options of sbatch by name."""
    argv = commands.submit(slot, 16, ADA, options, **more)
    assert argv[0] == "sbatch"
    assert all(word.startswith("--") for word in argv[1:])
    return dict(word[2:].partition("=")[::2] for word in argv[1:])


OPTIONS = {
    "parsable",
    "ignore-pbs",
    "requeue",
    "no-requeue",
    "hold",
    "job-name",
    "comment",
    "uid",
    "gid",
    "time",
}
OPTIONS |= {"partition", "account", "qos", "reservation", "chdir", "output", "export", "exclude", "ntasks"}
OPTIONS |= {"cpus-per-task", "tmp", "nodes", "nodelist", "ntasks-per-node", "mem", "gres", "mem-per-cpu"}
OPTIONS |= {"gpus-per-task"}


@given(
    name=st.text(max_size=20),
    queue=st.text(max_size=20) | st.none(),
    account=st.text(max_size=20) | st.none(),
    node=st.text(max_size=20),
    cores=st.integers(1, 99),
    gpus=st.integers(0, 3),
)
def test_no_value_becomes_an_option(
    name: str, queue: str | None, account: str | None, node: str, cores: int, gpus: int
) -> None:
    asked = slot(name=name, queue=queue, account=account, nodes=((node, 1),), cores=cores, gpus=gpus)
    assume(not unfit(asked))
    found = said(asked)
    assert set(found) <= OPTIONS
    assert found["cpus-per-task"] == str(cores)
    assert (found.get("partition"), found.get("account")) == (queue or None, account or None)
    assert not any("\n" in value or "\0" in value for value in found.values())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"nodes": "1", "ntasks": "1", "cpus-per-task": "2", "mem": "100M", "time": "UNLIMITED"}),
        ({"walltime": 61, "script": "x"}, {"time": "2"}),
        ({"walltime": 60, "script": ""}, {"time": "2"}),
        ({"nodes": (("g1", 1),)}, {"nodes": "1", "nodelist": "g1", "ntasks-per-node": "1"}),
        (
            {"count": 4, "nodes": (("g1", 2), ("g3", 2))},
            {"nodes": "2", "nodelist": "g[1,3]", "ntasks": "4", "ntasks-per-node": "2", "mem-per-cpu": "50M"},
        ),
        ({"count": 3, "nodes": (("g1", 1), ("g2", 2))}, {"nodes": "2", "nodelist": "g[1-2]", "ntasks": "3"}),
        ({"gpus": 2}, {"gres": "gpu:2"}),
        ({"gpus": 2, "count": 2}, {"gpus-per-task": "2"}),
        ({"memory": 0}, {}),
        ({"excluded": ("g1", "g2")}, {"exclude": "g[1-2]"}),
        ({"rerun": True}, {"requeue": ""}),
        ({"rerun": False}, {"no-requeue": ""}),
        ({"user": ""}, {"output": "/dev/null", "chdir": "/", "export": "NIL"}),
        ({"disk": 7}, {"tmp": "7M"}),
    ],
)
def test_a_slot_is_asked_for(fields: dict[str, Any], expected: dict[str, str]) -> None:
    found = said(slot(**fields))
    assert {name: found.get(name) for name in expected} == expected
    assert ("mem" in found) is (fields.get("memory", 100) > 0 and fields.get("count", 1) == 1)


def test_the_nodes_that_are_allowed_are_all_but_those_that_are_excluded() -> None:
    found = said(slot(allowed=("g2", "g3")), known=["g1", "g2", "g3", "g4"])
    assert found["exclude"] == "g[1,4]"
    assert "nodelist" not in found


def test_only_slurms_own_means_name_the_user_to_sbatch() -> None:
    assert "uid" not in said(slot(), Options(submit_as=Means.SUDO))
    found = said(slot(), Options(submit_as=Means.UID))
    assert (found["uid"], found["gid"]) == ("ada", "1001")


@pytest.mark.parametrize(
    ("means", "argv"),
    [
        (Means.UID, ("sbatch", "x")),
        (Means.RUNUSER, ("runuser", "-u", "ada", "--", "sbatch", "x")),
        (Means.SUDO, ("sudo", "-n", "-u", "ada", "--preserve-env=SLURM_CONF", "--", "sbatch", "x")),
    ],
)
def test_by_which_means_a_job_is_submitted(means: Means, argv: tuple[str, ...]) -> None:
    who = Identities(means, "wnodes", 1000, USERS.get, own=0)
    assert who.command(("sbatch", "x"), who.resolve("ada"), {"SLURM_CONF": "/c"}) == argv
    assert (who.runs_as(""), who.runs_as("ada")) == ("wnodes", "ada")


@pytest.mark.parametrize("user", ["root", "bin", "nosuch", "-u", "ada\n", "0", "../ada", "a" * 300])
def test_nobody_else_is_submitted_for(user: str) -> None:
    with pytest.raises(Unknown):
        Identities(Means.SUDO, "wnodes", 1000, USERS.get, own=990).resolve(user)


@pytest.mark.parametrize(
    ("means", "service", "own", "said"),
    [
        (Means.UID, None, 0, "not submitted as root"),
        (Means.UID, "root", 0, "not submitted as root"),
        (Means.UID, "nosuch", 0, "no user 'nosuch'"),
        (Means.SELF, "wnodes", 0, "cannot become wnodes"),
    ],
)
def test_a_service_that_cannot_be_is_named(means: Means, service: str | None, own: int, said: str) -> None:
    lookup = {**USERS, 0: USERS["root"]}.get
    with pytest.raises(ValueError, match=said):
        Identities(means, service, 1000, lookup, own=own)


def test_whoever_submits_as_himself_submits_for_nobody_else() -> None:
    own = Identities(Means.SELF, None, 1000, {**USERS, 990: USERS["wnodes"]}.get, own=990)
    assert own.resolve("").name == "wnodes"
    with pytest.raises(Unknown, match="submit_as is self"):
        own.resolve("ada")


@pytest.mark.parametrize(
    ("script", "given"),
    [
        ("#!/bin/sh\n#SBATCH -n9\nrun\n#SBATCH -n9\n", "#!/bin/sh\n# SBATCH -n9\nrun\n#SBATCH -n9\n"),
        ("#!/bin/sh\n\n# hi\n  #SBATCH -n9\n#PBS -l x\n", "#!/bin/sh\n\n# hi\n# SBATCH -n9\n# PBS -l x\n"),
        ("run\n", "#!/bin/sh\nrun\n"),
        ("#SBATCH -n9\nrun", "#!/bin/sh\n# SBATCH -n9\nrun"),
    ],
)
def test_options_in_comments_are_made_plain_comments(script: str, given: str) -> None:
    assert script_of(slot(script=script)).decode() == given


@given(st.text(st.sampled_from("#SBATCH PBS\n\t x-"), max_size=80))
def test_no_script_has_an_option_where_sbatch_looks_for_one(script: str) -> None:
    lines = script_of(slot(script=f"#!/bin/sh\n{script}")).decode().split("\n")
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            break
        assert not re.match(r"\s*#(SBATCH|PBS|BSUB)", line)


def test_without_a_script_the_cores_are_held() -> None:
    assert script_of(slot(walltime=90)).decode() == "#!/bin/sh\nexec sleep 90\n"
    assert script_of(slot()).decode() == "#!/bin/sh\nexec sleep infinity\n"


@pytest.mark.parametrize("script", ["#!/bin/sh\nx\0", "#!/bin/sh\r\nx", "#!/bin/sh\n" + "x" * (4 << 20)])
def test_a_script_that_slurm_would_not_take_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match="its script"):
        script_of(slot(script=script))


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"submit_as": "magic"}, "options.submit_as"),
        ({"conf": "slurm.conf"}, "options.conf"),
        ({"qos": "--x"}, "options.qos"),
        ({"limit": 0}, "options.limit"),
        ({"min_uid": 0}, "options.min_uid"),
        ({"colour": 1}, "options: "),
    ],
)
def test_options_that_cannot_be_used_are_named(options: dict[str, Any], path: str) -> None:
    with pytest.raises(ValueError, match=r"backends\.grid") as caught:
        read_options("grid", options)
    assert path in str(caught.value)


def python(code: str, **more: Any) -> Any:
    return asyncio.run(run(Command((sys.executable, "-c", code), **more)))


def test_a_command_sees_a_clean_environment_and_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    answer = python("import os,sys; print(sorted(os.environ), sys.stdin.read())", stdin=b"in", env={"A": "1"})
    assert answer.status == 0
    assert answer.out.decode().split(" in")[0] in {
        "['A', 'HOME', 'LC_ALL', 'PATH', 'TZ']",
        "['A', 'HOME', 'LC_ALL', 'LC_CTYPE', 'PATH', 'TZ']",
    }


def test_a_command_that_does_not_end_is_ended_with_all_that_it_started() -> None:
    code = "import subprocess,time; subprocess.Popen(['sleep', '61']); time.sleep(61)"
    answer = python(code, limit=0.5)
    assert (answer.status, answer.began) == (None, True)
    assert "did not end within 0.5 s" in answer.said


def test_a_command_that_writes_without_end_is_ended() -> None:
    answer = python("while True: print('x' * 1000)", most=100_000)
    assert answer.status is None
    assert "more than 100000 bytes" in answer.said


def test_what_is_said_on_standard_error_is_bounded() -> None:
    answer = python("import sys; sys.stderr.write('x' * 5_000_000); print('done')")
    assert (answer.status, answer.out) == (0, b"done\n")
    assert len(answer.said) <= 64 << 10


def test_a_command_that_is_not_there_has_not_begun() -> None:
    answer = asyncio.run(run(Command(("/nowhere/sbatch",))))
    assert (answer.status, answer.began) == (None, False)
    assert "cannot be run" in answer.said


def test_an_argument_with_a_nul_is_not_run() -> None:
    assert not asyncio.run(run(Command(("echo", "a\0b")))).began
