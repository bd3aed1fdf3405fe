"""The command `wnodes`: what people type, and what they read."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from sites.running import Site, until
from wnodes_daemon import shown
from wnodes_daemon.client import Client
from wnodes_daemon.people import main
from wnodes_daemon.records import State


@pytest.fixture(scope="module")
def client(shared_site: Site) -> Client:
    shared_site.write(speed=60)
    return shared_site.start()


class Said:
    """What a command said, and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


Wnodes = Callable[[str], Said]


@pytest.fixture
def wnodes(client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Wnodes:
    monkeypatch.setenv("WNODES_DAEMON", client.address)

    def run(line: str) -> Said:
        if line.startswith("request"):  # whoever the daemon runs as may ask for others
            line += "" if "--user" in line else " --user ada"
            line += "" if "--group" in line else " --group lab"
        try:
            status = main(shlex.split(line))
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return Said(status, out, err)

    return run


def test_a_job_is_asked_for_shown_listed_and_taken_back(client: Client, wnodes: Wnodes) -> None:
    said = wnodes("request job --cores 2 --memory 2GiB --walltime unlimited --name mine --group lab")
    assert (said.status, said.err) == (0, "")
    id_ = said.out.split()[1]
    assert said.out == f"request {id_} was taken in; it waits in local\n"
    until(lambda: client.show(id_).state is State.RUNNING)
    shown = wnodes(f"show {id_}").out
    assert "ends:" not in shown
    for part in ("a job of ada (lab), from local", "memory 2048", "walltime unlimited", "running", "on wn01"):
        assert part in shown
    listed = wnodes("list --user ada").out.splitlines()
    assert listed[0].split() == [
        "ID",
        "STATE",
        "KIND",
        "USER",
        "GROUP",
        "SHARE",
        "CORES",
        "NODES",
        "SUBMITTED",
    ]
    assert any(line.split()[:3] == [id_, "running", "job"] for line in listed)
    assert wnodes(f"why {id_}").out == f"request {id_} (job of ada, lab) does not wait: it is running\n"
    assert wnodes(f"cancel {id_}").out == f"request {id_} is being ended\n"
    until(lambda: client.show(id_).state is State.CANCELLED)
    assert id_ not in wnodes("list").out.split()
    assert id_ in wnodes("list --all").out.split()


def test_why_names_the_rule_that_a_request_waits_for(client: Client, wnodes: Wnodes) -> None:
    ids = [wnodes("request job --user hedy --cores 8 --walltime unlimited").out.split()[1] for _ in range(2)]
    until(lambda: client.show(ids[0]).state is State.RUNNING)
    said = wnodes(f"why {ids[1]}").out
    assert f"request {ids[1]} (job of hedy" in said
    assert "user hedy has 8 of 12 cores" in said
    assert "little.policy:" in said
    assert "quota for each user: cores <= 12" in said
    wnodes(f"cancel {' '.join(ids)}")


def test_a_dry_request_tells_what_would_become_of_it(wnodes: Wnodes) -> None:
    assert wnodes("request vm --dry --cores 1").out.startswith("it would start now, in local on wn0")
    assert wnodes("request job --dry --cores 1 --user mallory").out.startswith("it would be denied")
    said = wnodes("request pool --dry --user grace --cores 8 --count 9 --at-least 1").out
    assert said.startswith("it would start now, in local on wn0")


def test_a_denied_request_says_why_and_fails(wnodes: Wnodes) -> None:
    said = wnodes("request job --user mallory")
    assert said.status == 1
    assert said.out == ""
    assert "nothing for mallory" in said.err


def test_shares_show_the_tree(wnodes: Wnodes) -> None:
    lines = wnodes("shares").out.splitlines()
    assert [line.split()[0] for line in lines] == ["SHARE", "farm", "grid", "lhc", "small", "local"]
    assert lines[1].split()[1] == "32"
    assert wnodes("shares --resource memory").out.splitlines()[1].split()[1] == "131072"


@pytest.mark.parametrize("line", ["list --all", "shares", "request job --walltime 60", "show 1", "why 1"])
def test_programs_get_json(wnodes: Wnodes, line: str) -> None:
    said = wnodes(f"{line} --json")
    assert said.status == 0
    json.loads(said.out)


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("show 999999", 1, ["no request 999999"]),
        ("cancel 999999 x", 1, ["no request 999999", "ids are numbers"]),
        ("request job --cores four", 1, ["--cores", "whole number"]),
        ("request job --count 2 --at-least 3", 1, ["$.at_least", "cannot begin with 3"]),
        ("request job --walltime soon", 1, ["--walltime", "12h"]),
        ("request job --attribute x=1", 1, ["$.attributes.x", "declares no attribute"]),
        ("request job --attribute x", 2, ["NAME=VALUE"]),
        ("list --state lost", 1, ["?state", "waiting"]),
        ("show 1/", 1, ["there is nothing at /v1/requests/1/"]),
        ("show 1?x=1", 1, ["no request '1?x=1'"]),
        ("cancel ../health", 1, ["there is nothing at /v1/requests/../health"]),
        ("show ''", 1, ["there is nothing at /v1/requests/"]),
        ("request job --user ''", 1, ["--user", "a text of 1 to 256 characters"]),
        ("request job --user \udcff", 2, ["use UTF-8"]),
        ("list --user ''", 1, ["?user"]),
        ("shares --resource money", 2, ["cores, memory"]),
        ("list --daemon unix:/nowhere.sock", 1, ["no daemon answers at unix:/nowhere.sock"]),
        ("list --daemon ftp://x", 2, ["http://127.0.0.1"]),
        ("request yacht", 2, ["yacht"]),
        ("", 2, ["COMMAND"]),
    ],
)
def test_what_cannot_be_done_is_said_in_the_words_of_who_asked(
    wnodes: Wnodes, line: str, status: int, words: list[str]
) -> None:
    said = wnodes(line)
    assert said.status == status
    assert said.out == ""
    for word in words:
        assert word in said.err


def test_a_request_that_names_nobody_is_of_whoever_runs_the_command(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["request", "job", "--json", "--daemon", client.address]) == 0
    asked = json.loads(capsys.readouterr().out)["request"]
    own = pwd.getpwuid(os.geteuid())
    assert (asked["user"], asked["group"]) == (own.pw_name, grp.getgrgid(own.pw_gid).gr_name)


def test_a_watch_ends_with_its_request_and_says_whether_it_succeeded(client: Client, wnodes: Wnodes) -> None:
    id_ = wnodes("request job --walltime 60").out.split()[1]
    said = wnodes(f"watch {id_}")
    assert said.status == 0
    states = [line.split()[2] for line in said.out.splitlines()]
    assert states.index("running") < states.index("done") == len(states) - 1


def test_a_job_runs_its_script_and_nobody_is_shown_it(
    client: Client, wnodes: Wnodes, tmp_path: Path, shared_site: Site
) -> None:
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh -secret\nsleep 5\nexit 3\n")
    id_ = wnodes(f"request job --walltime 1h --script {script}").out.split()[1]
    until(lambda: client.show(id_).state is State.FAILED)
    assert client.show(id_).exit_status == 3
    assert "secret" not in wnodes(f"show --json {id_}").out
    assert "secret" not in (shared_site.folder / "log").read_text()


def test_a_script_that_cannot_be_read_or_run_is_refused(wnodes: Wnodes, tmp_path: Path) -> None:
    said = wnodes(f"request job --script {tmp_path}/none")
    assert (said.status, said.err.count("No such file")) == (2, 1)
    (tmp_path / "run").write_text("run")
    said = wnodes(f"request vm --script {tmp_path}/run")
    assert said.status == 1
    assert "a vm runs no script" in said.err
    said = wnodes("request vm --boot-volume big")
    assert said.err.startswith("wnodes: --machine.boot-volume: ")


def test_whoever_runs_is_told_when_the_walltime_is_over(client: Client, wnodes: Wnodes) -> None:
    id_ = wnodes("request job --walltime 2h").out.split()[1]
    until(lambda: client.show(id_).state is State.RUNNING)
    view = client.show(id_)
    assert view.ends is not None
    assert view.started is not None
    assert abs((view.ends - view.started).total_seconds() - 7200) <= 60  # a second here is a minute there
    assert f"ends:        {view.ends.astimezone():%Y-%m-%d %H:%M:%S}" in wnodes(f"show {id_}").out
    wnodes(f"cancel {id_}")


def test_the_console_of_a_machine_is_asked_for_by_its_request(client: Client, wnodes: Wnodes) -> None:
    id_ = wnodes("request job").out.split()[1]
    said = wnodes(f"console {id_}")  # no machine, and so the daemon's own words
    assert (said.status, said.out) == (1, "")
    assert f"request {id_} has no machine at the moment" in said.err
    assert "from 1 to 1000" in wnodes(f"console {id_} --lines 0").err
    assert "there is no request 999999 of yours" in wnodes("console 999999").err
    wnodes(f"cancel {id_}")


def test_a_console_cannot_play_with_the_terminal() -> None:
    assert shown.console("boot\x1b[2J ok\r\n\tlogin: ü") == "boot�[2J ok\n\tlogin: ü\n"
