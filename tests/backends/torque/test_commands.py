"""What is run: argv alone, each value a word of its own, in the words of each dialect."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_batch.identity import Account
from wnodes_engine.backend import Action, JobRef, NodeAction, SlotRequest, unfit
from wnodes_engine.values import Node
from wnodes_torque import commands
from wnodes_torque.backend import TorqueBackend
from wnodes_torque.nodes import Seen, placed
from wnodes_torque.options import Dialect, Options, read_options
from wnodes_torque.script import script_of

ADA = Account("ada", 1000, 1000, "/home/ada")
TORQUE, PBS = Dialect.TORQUE, Dialect.PBS


def slot(**fields: Any) -> SlotRequest:
    given = {"key": "k1", "name": "wnodes-1", "user": "ada", "cores": 2, "memory": 100, "walltime": 900}
    return SlotRequest(**given | {"script": "#!/bin/sh\ntrue\n"} | fields)


def argv(dialect: Dialect, options: Options | None = None, **fields: Any) -> tuple[str, ...]:
    made = slot(**fields)
    return commands.submit(dialect, made, 0x69260001, ADA, options or Options(), made.nodes)


def resources(dialect: Dialect, **fields: Any) -> list[str]:
    words = argv(dialect, **fields)
    return [words[at + 1] for at, word in enumerate(words) if word == "-l"]


def test_a_whole_submission_to_torque() -> None:
    words = argv(TORQUE, queue="short", account="lab", nodes=(("n1", 1),))
    assert words == (
        *("qsub", "-h", "-N", "wn-k1-69260001", "-C", "wn-k1-69260001", "-r", "n", "-m", "n"),
        *("-S", "/bin/sh", "-j", "oe", "-o", "/home/ada/wn-k1-69260001.out"),
        *("-l", "nodes=n1:ppn=2", "-l", "mem=100mb", "-l", "walltime=900", "-q", "short", "-A", "lab"),
    )


def test_a_whole_submission_to_pbs() -> None:
    words = argv(PBS, queue="short", account="lab", held=False, rerun=True, nodes=(("n1", 1),))
    assert words == (
        *("qsub", "-N", "wn-k1-69260001", "-C", "wn-k1-69260001", "-r", "y", "-m", "n"),
        *("-S", "/bin/sh", "-j", "oe", "-o", "/home/ada/wn-k1-69260001.out"),
        *("-l", "select=1:ncpus=2:mem=100mb:vnode=n1", "-l", "place=free", "-l", "walltime=900"),
        *("-q", "short", "-A", "lab"),
    )


@pytest.mark.parametrize(
    ("fields", "torque", "pbs"),
    [
        ({}, "nodes=1:ppn=2", "select=1:ncpus=2"),
        ({"count": 4}, "nodes=4:ppn=2", "select=4:ncpus=2"),
        ({"gpus": 1, "count": 2}, "nodes=2:ppn=2:gpus=1", "select=2:ncpus=2:ngpus=1"),
        (
            {"count": 3, "nodes": (("a", 1), ("b", 2))},
            "nodes=a:ppn=2+b:ppn=4",
            "select=1:ncpus=2:vnode=a+2:ncpus=2:vnode=b",
        ),
        (
            {"count": 2, "gpus": 1, "nodes": (("a", 2),)},
            "nodes=a:ppn=4:gpus=2",
            "select=2:ncpus=2:ngpus=1:vnode=a",
        ),
    ],
)
def test_parts_go_where_they_are_put(fields: dict[str, Any], torque: str, pbs: str) -> None:
    assert resources(TORQUE, memory=0, walltime=None, **fields) == [torque]
    assert resources(PBS, memory=0, walltime=None, **fields) == [pbs, "place=free"]


def test_memory_is_the_whole_jobs_to_torque_and_a_parts_to_pbs() -> None:
    assert "mem=300mb" in resources(TORQUE, count=3)
    assert "select=3:ncpus=2:mem=100mb" in resources(PBS, count=3)


def test_a_bait_writes_nothing_and_ends_by_itself_before_it_is_killed() -> None:
    words = argv(TORQUE, user="", script="")
    assert words[words.index("-o") : words.index("-o") + 2] == ("-o", "/dev/null")
    assert "walltime=960" in words
    assert script_of(slot(script="")) == b"#!/bin/sh\nexec sleep 900\n"
    assert script_of(slot(script="", walltime=None)) == b"#!/bin/sh\nexec sleep infinity\n"


def test_lines_with_options_in_a_script_are_comments() -> None:
    """Of several ways to hide one from a filter each would do: so none begins with what qsub looks for."""
    script = "#!/bin/sh\n:\n" + "#" * 5000 + "\n#PBS -q other\n#PBS -u root\n"
    assert script_of(slot(script=script)) == script.encode()
    assert argv(TORQUE)[argv(TORQUE).index("-C") + 1].encode() not in script_of(slot(script=script))


@pytest.mark.parametrize("script", ["#!/bin/sh\nwn-k1-0 -q x\n", "a\r\nb", "a\0b", "x" * (5 << 20)])
def test_a_script_that_qsub_would_not_take_as_it_is_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match="its script has"):
        script_of(slot(script=script))


@pytest.mark.parametrize(
    "fields",
    [
        {"nodes": (("a:ppn=64", 1),)},
        {"nodes": (("a+b", 1),)},
        {"nodes": (("a,walltime=9", 1),)},
        {"nodes": (("a/0", 1),)},
        {"allowed": ("a#shared",)},
        {"excluded": ("a|b",)},
        {"queue": "short@elsewhere"},
        {"queue": "@elsewhere"},
        {"queue": "1"},
        {"account": "a;b"},
        {"account": "$(id)"},
        {"account": "`id`"},
        {"account": "a|b"},
        {"account": "~root"},
        {"account": "#a"},
    ],
)
def test_a_name_is_never_more_than_a_name(fields: dict[str, Any]) -> None:
    assert "there is no" in TorqueBackend._unfit(slot(**fields))


@given(
    name=st.text(max_size=20),
    queue=st.text(max_size=20),
    account=st.text(max_size=20),
    node=st.text(max_size=20),
    dialect=st.sampled_from(Dialect),
)
def test_no_value_becomes_an_option_or_two_words(
    name: str, queue: str, account: str, node: str, dialect: Dialect
) -> None:
    made = slot(name=name, queue=queue, account=account, nodes=((node, 1),))
    if unfit(made) or TorqueBackend._unfit(made):
        return
    words = commands.submit(dialect, made, 1, ADA, Options(), made.nodes)
    plain = commands.submit(
        dialect, slot(queue="q", account="a", nodes=(("n", 1),)), 1, ADA, Options(), (("n", 1),)
    )
    assert len(words) <= len(plain)
    options = [word for word in words if word.startswith("-")]
    assert options == [word for word in plain if word.startswith("-")][: len(options)]
    if dialect is TORQUE:  # which puts them into a shell's line where there is a submit filter
        assert shlex.split(" ".join(words), comments=True) == list(words)
        assert not set("".join(words)) & set("\n\x00$`;&|<>()*?[]{}~!\\\"'")


def test_listings_are_whole_and_in_forms_that_nobody_can_forge() -> None:
    assert commands.jobs(TORQUE) == ("qstat", "-t", "-x")
    assert commands.jobs(PBS) == ("qstat", "-t", "-f", "-F", "json")
    assert commands.nodes(TORQUE) == ("pbsnodes", "-x")
    assert commands.nodes(PBS) == ("pbsnodes", "-a", "-F", "json")
    assert commands.nodes(PBS, "n1") == ("pbsnodes", "-F", "json", "n1")
    assert commands.some_jobs(TORQUE, ["1.srv"]) == ("qstat", "-x", "1.srv")
    assert commands.some_jobs(PBS, ["1.srv"]) == ("qstat", "-x", "-f", "-F", "json", "1.srv")


def test_what_pbs_remembers_is_asked_for_by_time_in_the_zone_of_our_commands() -> None:
    assert commands.ended(1_795_401_330) == ("qselect", "-x", "-s", "FX", "-tm.ge.202611230235.30")


def test_what_is_done_to_jobs() -> None:
    refs = [JobRef("grid", id_, "k", 1) for id_ in ("1.srv", "2[3].srv")]
    done = {action: commands.act(action, refs, 3600) for action in Action}
    assert done == {
        Action.CANCEL: ("qdel", "1.srv", "2[3].srv"),
        Action.REQUEUE: ("qrerun", "1.srv", "2[3].srv"),
        Action.SUSPEND: ("qsig", "-s", "suspend", "1.srv", "2[3].srv"),
        Action.RESUME: ("qsig", "-s", "resume", "1.srv", "2[3].srv"),
        Action.HOLD: ("qhold", "-h", "u", "1.srv", "2[3].srv"),
        Action.RELEASE: ("qrls", "-h", "u", "1.srv", "2[3].srv"),
        Action.EXTEND: ("qalter", "-l", "walltime=3600", "1.srv", "2[3].srv"),
    }


def test_what_is_done_to_nodes() -> None:
    drain, undrain = NodeAction.DRAIN, NodeAction.UNDRAIN
    assert commands.set_node(TORQUE, "n1", drain, "wnodes: x y") == (
        "pbsnodes",
        "-o",
        "-N",
        "wnodes: x y",
        "n1",
    )
    assert commands.set_node(TORQUE, "n1", undrain, "x") == ("pbsnodes", "-c", "-N", "", "n1")
    assert commands.set_node(PBS, "n1", drain, "wnodes: x y") == ("pbsnodes", "-o", "-C", "wnodes: x y", "n1")
    assert commands.set_node(PBS, "n1", undrain, "x") == ("pbsnodes", "-r", "-C", "", "n1")


@pytest.mark.parametrize(
    "id_", ["", "1", "all", "-1", "1.srv 2.srv", "1.srv,2.srv", "1.-x", "x.srv", "1.srv\n"]
)
def test_what_is_no_id_of_a_job_is_none(id_: str) -> None:
    assert not commands.JOB.fullmatch(id_)


@pytest.mark.parametrize("id_", ["51.vm", "41[].vm", "41[3].pbs-server.site.org"])
def test_what_is_an_id_of_a_job_is_one(id_: str) -> None:
    assert commands.JOB.fullmatch(id_)


def seen(**taken: int) -> Seen:
    nodes = tuple(Node(name, 8, 1000, up=name != "n3") for name in ("n1", "n2", "n3"))
    return Seen(nodes, taken, frozenset(), {})


@pytest.mark.parametrize(
    ("fields", "taken", "places"),
    [
        ({"allowed": ("n2",)}, {}, (("n2", 1),)),
        ({"excluded": ("n1",)}, {}, (("n2", 1),)),
        ({"excluded": ("n9",)}, {"n1": 4}, (("n2", 1),)),
        ({"allowed": ("n1", "n2"), "count": 6}, {}, (("n1", 4), ("n2", 2))),
        ({"allowed": ("n1", "n2")}, {"n1": 8, "n2": 8}, (("n1", 1),)),  # it waits for the node
        ({"allowed": ("n3",)}, {}, (("n3", 1),)),  # which may come back
        ({"allowed": ("n9",)}, {}, ()),
        ({"allowed": ("n1",), "cores": 9}, {}, ()),
    ],
)
def test_a_slot_that_is_kept_to_some_nodes_is_put_where_there_is_room(
    fields: dict[str, Any], taken: dict[str, int], places: tuple[tuple[str, int], ...]
) -> None:
    assert placed(slot(**fields), seen(**taken)) == places


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dialect": "lsf"}, r"options\.dialect: "),
        ({"server": "-s"}, r"options\.server: "),
        ({"bin": "bin"}, r"options\.bin: "),
        ({"output": "/a b"}, r"options\.output: "),
        ({"timezone": "Mars/Olympus"}, r"options\.timezone: there is no time zone"),
        ({"timezone": "../etc"}, r"options\.timezone: there is no time zone"),
        ({"limit": 0}, r"options\.limit: "),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_options("grid", options)
