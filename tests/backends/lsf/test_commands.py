"""The commands that are run: whole words, in the units of the cluster, and never a user's options."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_batch.identity import Account
from wnodes_engine.backend import Action, SlotRequest
from wnodes_lsf import commands, config
from wnodes_lsf.commands import Unplaceable
from wnodes_lsf.options import Options, read_options
from wnodes_lsf.script import script_of

ADA = Account("ada", 1000, 1000, "/home/ada")
IBM = config.read("IBM Spectrum LSF Standard 10.1.0.13\n", "", "", "LSF_UNIT_FOR_LIMITS=GB\n")
PER_TASK = config.read("IBM Spectrum LSF Standard 10.1.0.13\n", " RESOURCE_RESERVE_PER_TASK = Y\n", "", "")
OTHER = config.read("volclava project 2.2", "", "", "")
OLD = config.read("IBM Platform LSF Standard 9.1.3.0", "", "", "LSF_UNIT_FOR_LIMITS=KB\n")
KNOWN = ("n1", "n2", "n3")


def slot(**fields: Any) -> SlotRequest:
    given = {"key": "k1", "name": "x", "user": "ada", "cores": 2, "memory": 100, "script": "#!/bin/sh\n:\n"}
    return SlotRequest(**given | fields)


def said(cluster: config.Config = OTHER, options: Options | None = None, **fields: Any) -> dict[str, str]:
    """The options of a submission; those without a value have none."""
    argv = list(commands.submit(slot(**fields), 16, ADA, options or Options(), cluster, KNOWN))
    assert argv.pop(0) == "bsub"
    found: dict[str, str] = {}
    while argv:
        option = argv.pop(0)
        assert option.startswith("-")
        found[option] = argv.pop(0) if argv and not argv[0].startswith("-") else ""
    return found


def test_a_submission_is_held_under_its_key_and_writes_into_the_users_home() -> None:
    assert said(queue="short", account="lab", walltime=3601) == {
        "-H": "",
        "-J": "wn-k1-10",
        "-q": "short",
        "-P": "lab",
        "-n": "2",
        "-W": "61",
        "-R": "rusage[mem=100] span[hosts=1]",
        "-o": "/home/ada/lsf-%J.out",
    }


def test_lsf_itself_is_told_where_to_run_and_that_nothing_runs_twice() -> None:
    found = said(IBM, held=False)
    assert (found["-cwd"], found["-rn"], "-H" in found) == ("/home/ada", "", False)
    assert said(IBM, rerun=True)["-r"] == ""
    assert "-rn" not in said(OTHER)


def test_a_bait_writes_nothing_and_holds_slots_for_a_minute_more() -> None:
    found = said(user="", script="", walltime=600)
    assert (found["-o"], found["-W"]) == ("/dev/null", "11")
    assert "-W" not in said(user="", script="", walltime=None)


@pytest.mark.parametrize(
    ("cluster", "options", "asked"),
    [
        (IBM, Options(), "rusage[mem=100MB:tmp=7MB]"),
        (IBM, Options(memory_unit="GB"), "rusage[mem=1:tmp=1]"),
        (PER_TASK, Options(), "rusage[mem=50MB:tmp=4MB]"),
        (OTHER, Options(), "rusage[mem=100:tmp=7]"),
        (OLD, Options(), "rusage[mem=102400:tmp=7168]"),
    ],
)
def test_memory_is_asked_for_in_the_unit_that_is_understood(
    cluster: config.Config, options: Options, asked: str
) -> None:
    options = read_options("grid", {"memory_unit": options.memory_unit} if options.memory_unit else {})
    assert said(cluster, options, disk=7)["-R"] == f"{asked} span[hosts=1]"


@pytest.mark.parametrize(
    ("cluster", "fields", "hosts", "asked"),
    [
        (OTHER, {"nodes": (("n2", 1),)}, "n2", "rusage[mem=100] span[hosts=1]"),
        (IBM, {"nodes": (("n2", 1),)}, "n2", "rusage[mem=100MB] span[hosts=1]"),
        (OTHER, {"nodes": (("n2", 2),), "count": 2}, "n2", "rusage[mem=200] span[hosts=1]"),
        (OTHER, {"nodes": (("n1", 2), ("n2", 2)), "count": 4}, "n1 n2", "rusage[mem=200] span[ptile=4]"),
        (IBM, {"nodes": (("n1", 2), ("n2", 2)), "count": 4}, "n1! n2", "rusage[mem=200MB] span[ptile=4]"),
        (OTHER, {"nodes": (("n1", 1), ("n2", 2)), "count": 3}, "n1 n2", "rusage[mem=200] span[ptile=4]"),
        (OTHER, {"allowed": ("n1", "n3")}, "n1 n3", "rusage[mem=100] span[hosts=1]"),
        (OTHER, {"allowed": ("n1", "n3"), "excluded": ("n3",)}, "n1", "rusage[mem=100] span[hosts=1]"),
        (OTHER, {"excluded": ("n2",)}, "n1 n3", "rusage[mem=100] span[hosts=1]"),
        (
            IBM,
            {"excluded": ("n2", "n3")},
            None,
            "select[hname!='n2' && hname!='n3'] rusage[mem=100MB] span[hosts=1]",
        ),
        (OTHER, {"count": 3}, None, "rusage[mem=100] span[ptile=2]"),
        (OTHER, {"count": 3, "cores": 1, "memory": 0}, None, None),
    ],
)
def test_a_slot_is_placed(
    cluster: config.Config, fields: dict[str, Any], hosts: str | None, asked: str | None
) -> None:
    found = said(cluster, **fields)
    assert found.get("-m") == hosts
    assert found.get("-R") == asked


def test_parts_in_different_numbers_are_a_compound_requirement_of_lsf() -> None:
    found = said(IBM, nodes=(("n1", 1), ("n2", 3)), count=4)
    assert found["-R"] == (
        "2*{select[hname=='n1'] rusage[mem=100MB] span[hosts=1]} + "
        "6*{select[hname=='n2'] rusage[mem=300MB] span[hosts=1]}"
    )
    assert found["-n"] == "8"
    assert "-m" not in found


@pytest.mark.parametrize(
    ("cluster", "fields", "why"),
    [
        (OTHER, {"nodes": (("n1", 1), ("n2", 1), ("n3", 4)), "count": 6}, "cannot be spread"),
        (OTHER, {"gpus": 1}, "no GPUs"),
        (IBM, {"gpus": 1, "nodes": (("n1", 1), ("n2", 3)), "count": 4}, "different numbers"),
        (OTHER, {"excluded": KNOWN}, "no host is left"),
        (OTHER, {"allowed": ("n1",), "excluded": ("n1",)}, "all hosts that are allowed are excluded"),
        (IBM, {"excluded": tuple(f"m{at}" for at in range(513))}, "LSF takes 512"),
        (IBM, {"nodes": tuple((f"m{at}", 1) for at in range(513)), "count": 513}, "LSF takes 512"),
    ],
)
def test_what_cannot_be_said_is_refused_in_words(
    cluster: config.Config, fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(Unplaceable, match=why):
        said(cluster, **fields)


def test_gpus_are_asked_for_by_host() -> None:
    assert said(IBM, gpus=2)["-gpu"] == "num=2"
    assert said(IBM, gpus=2, nodes=(("n1", 2), ("n2", 2)), count=4)["-gpu"] == "num=4"


def test_more_hosts_than_a_job_may_name_are_allowed_by_excluding_the_others() -> None:
    names = tuple(f"m{at}" for at in range(600))
    argv = commands.submit(slot(allowed=names), 16, ADA, Options(), IBM, (*names, "x1", "x2"))
    assert "select[hname!='x1' && hname!='x2']" in argv[argv.index("-R") + 1]


def test_where_neither_can_be_said_a_job_may_run_on_some_of_those_that_are_allowed() -> None:
    names, others = (tuple(f"{letter}{at}" for at in range(600)) for letter in "nx")
    named = [
        commands.submit(slot(key=key, allowed=names), 16, ADA, Options(), IBM, (*names, *others))
        for key in ("k1", "k2")
    ]
    chosen = [set(argv[argv.index("-m") + 1].split()) for argv in named]
    assert all(len(each) == commands.MOST_HOSTS and each < set(names) for each in chosen)
    assert chosen[0] != chosen[1]


def test_what_is_done_to_jobs() -> None:
    assert commands.act(Action.CANCEL, ["1", "2[3]"]) == ("bkill", "1", "2[3]")
    assert commands.act(Action.HOLD, ["1"]) == commands.act(Action.SUSPEND, ["1"]) == ("bstop", "1")
    assert commands.act(Action.RELEASE, ["1"]) == commands.act(Action.RESUME, ["1"]) == ("bresume", "1")
    assert commands.act(Action.REQUEUE, ["1"]) == ("brequeue", "1")
    assert commands.extend("1", 90) == ("bmod", "-W", "90", "1")
    assert commands.close_host("n1", "wnodes: a b") == ("badmin", "hclose", "-C", "wnodes: a b", "n1")


def test_times_are_asked_for_in_utc() -> None:
    assert commands.accounted(1_795_400_000, 1_795_400_060)[-1] == "2026/11/23/02:13,2026/11/23/02:14"


# --------------------------------------------------------------------------- scripts


@pytest.mark.parametrize(
    "line",
    ["#BSUB -q fast", "# BSUB -P other", "  #BSUB -J x", "#\tBSUB -m n1", "x" * 5000 + "#BSUB -q fast"],
)
def test_no_line_of_a_script_is_an_option(line: str) -> None:
    for at in (0, 40):
        script = "#!/bin/sh\n" + ":\n" * at + f"{line}\n:\n"
        assert "BSUB" not in script_of(slot(script=script)).decode()


def test_what_is_no_comment_stays_as_it_is() -> None:
    script = "#!/bin/bash\necho '#BSUB'\n# a \\\ntrue\n"
    assert script_of(slot(script=script)).decode() == script
    assert script_of(slot(script="true")) == b"#!/bin/sh\ntrue\n"


@given(st.text(max_size=300).map(lambda text: text.replace("\0", "")))
def test_every_script_is_one_script_without_options(text: str) -> None:
    made = script_of(slot(script=f"#!/bin/sh\n{text}"), "/home/ada").decode()
    assert made.startswith("#!/bin/sh")
    assert all("BSUB" not in line for line in made.split("\n") if line.lstrip().startswith("#"))


@pytest.mark.parametrize(
    ("first", "changes"),
    [
        ("#!/bin/bash", True),
        ("#! /bin/sh -e", True),
        ("#!/usr/bin/env tcsh", True),
        ("#!/usr/bin/python3", False),
    ],
)
def test_a_shell_begins_in_the_directory_of_its_user_where_bsub_cannot_be_told(
    first: str, changes: bool
) -> None:
    made = script_of(slot(script=f"{first}\n:\n"), "/home/a da").decode()
    assert ("\ncd '/home/a da' || exit 1\n" in made) is changes


def test_scripts_that_lsf_does_not_take_are_refused() -> None:
    for script in ("a\0b", "x" * (5 << 20)):
        with pytest.raises(ValueError, match="its script has"):
            script_of(slot(script=script))


def test_what_only_holds_slots_is_our_own() -> None:
    assert script_of(slot(script="", walltime=60)) == b"#!/bin/sh\nexec sleep 60\n"
    assert script_of(slot(script="", walltime=None)).endswith(b"sleep infinity\n")


# --------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "said_of_it"),
    [
        ({"submit_as": "uid"}, "options.submit_as: bsub has no means"),
        ({"form": "xml"}, "options.form"),
        ({"accounting": "lsb.acct"}, "options.accounting"),
        ({"queue": "x"}, "unknown field"),
        ({"application": "-x"}, "options.application"),
        ({"output": "a b"}, "options.output"),
    ],
)
def test_options_that_cannot_be_used_are_named(options: dict[str, Any], said_of_it: str) -> None:
    with pytest.raises(ValueError, match=said_of_it):
        read_options("grid", options)
