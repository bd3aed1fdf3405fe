"""The daemon's decision log: what it wrote is confirmed, and what it cannot write stops nothing."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sites.running import POLICY, Site, form, until
from wnodes_daemon.client import Client
from wnodes_daemon.decision_log import DecisionLog
from wnodes_daemon.main import main
from wnodes_daemon.records import State
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store, StoreUnavailable
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.decision_log.confirm import Confirmation, confirm
from wnodes_engine.decision_log.files import LogFile
from wnodes_engine.decision_log.log import Log
from wnodes_engine.decision_log.reading import LogReader
from wnodes_engine.language.load import load_text
from wnodes_engine.site import Decisions
from wnodes_engine.values import Node, Request

NODES = [Node(f"n{at}", 8, 32768) for at in range(4)]


def compiled(text: str = POLICY) -> CompiledPolicy:
    policy, _ = check_policy(load_text(text, "little.policy"))
    assert policy is not None
    return compile_policy(policy)


def job(**fields: Any) -> Request:
    return Request("", "job", "local", "ada", "lab", 0, **fields)


def told(path: Path) -> Confirmation:
    """What comes of a log, which has to be confirmed."""
    confirmed = confirm(LogReader(path))
    assert confirmed.difference is None
    return confirmed


def over(client: Client) -> bool:
    health = client.health()
    return health.waiting == health.running == 0


# --------------------------------------------------------------- as a process


@pytest.mark.parametrize("name", ["decisions.jsonl", "decisions.jsonl.gz"])
def test_what_a_daemon_has_done_is_confirmed(site: Site, name: str) -> None:
    site.write(daemon={"decisions": {"file": name, "questions": True}}, speed=600, runs=[0.2, 1.0])
    client = site.start()
    client.submit_all([form(user=f"u{at}", cores=4, walltime=60) for at in range(12)])
    client.submit_all([form(user="mallory")])
    client.decide(form(cores=14))
    policy = site.folder / "little.policy"
    policy.write_text(policy.read_text().replace("cores <= 12", "cores <= 16"))
    assert site.process is not None
    site.process.send_signal(signal.SIGHUP)
    until(lambda: any(line["event"] == "the policy was reloaded" for line in site.log()))
    client.submit_all([form(user=f"u{at}", cores=4, walltime=60) for at in range(12)])
    until(lambda: over(client))
    assert site.end() == 0
    confirmed = told(site.folder / name)
    assert confirmed.ended
    assert confirmed.states == 2
    assert confirmed.by_kind["finish"] == 24
    assert confirmed.by_kind["submit"] >= 25
    assert confirmed.by_kind["decide"] >= 1
    assert (site.folder / name).stat().st_mode & 0o777 == 0o640


def test_after_a_kill_the_log_is_confirmed_up_to_there_and_a_new_one_begins(site: Site) -> None:
    site.write(daemon={"decisions": {"file": "decisions.jsonl"}}, speed=1)
    client = site.start()
    ids = [client.submit(form(user=f"u{at}", cores=4, walltime="unlimited")).id for at in range(10)]
    until(lambda: client.show(ids[0]).state is State.RUNNING)
    time.sleep(0.5)  # a moment, after which the system has what was written
    site.end(signal.SIGKILL)
    first = told(site.folder / "decisions.jsonl")
    assert first.by_kind["submit"] == 10
    assert not first.ended
    client = site.start()
    client.submit(form(cores=1))
    assert site.end() == 0
    (old,) = site.folder.glob("decisions-*.jsonl")
    assert told(old).records == first.records
    second = told(site.folder / "decisions.jsonl")
    assert (second.states, second.by_kind["submit"]) == (
        1,
        1,
    )  # what was there is in the state it begins with
    assert second.ended


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"file": "nowhere/decisions.jsonl"}, "daemon.decisions.file: cannot write to"),
        ({"file": "."}, "'.' is not of the right form"),
        ({"file": "farm.yaml/x"}, "daemon.decisions.file: cannot write to"),
        ({"file": "/dev/null"}, "is no file"),
        ({"file": "d.jsonl", "size": "1TB"}, "not of the right form"),
        ({"file": "d.jsonl", "keep": 0}, "at least 1"),
        ({}, "'file' is missing"),
    ],
)
def test_a_log_that_cannot_be_is_refused_at_the_start(
    site: Site, capsys: pytest.CaptureFixture[str], spec: dict[str, Any], said: str
) -> None:
    site.write(daemon={"decisions": spec})
    assert main(["--config", str(site.file)]) == 1
    assert said in capsys.readouterr().err


# ---------------------------------------------------------------- as a service


def run(folder: Path, use: Callable[[Service, DecisionLog], Awaitable[None]], **spec: Any) -> DecisionLog:
    """Use a service that writes its log into the folder, to its end."""

    async def using() -> DecisionLog:
        decisions = DecisionLog(Decisions(folder / "d.jsonl", **spec), retry=0.0)
        service = Service(compiled(), NODES, Store(str(folder / "s")), ("farm",), log=Log(decisions))
        await service.recover()
        await use(service, decisions)
        await service.close()
        await asyncio.to_thread(decisions.close)
        return decisions

    return asyncio.run(using())


async def written(decisions: DecisionLog) -> None:
    """Wait until all that was taken is written, or could not be."""
    done = threading.Event()
    decisions._take(done.set)
    await asyncio.to_thread(until, lambda: done.is_set() or bool(decisions.problem))


def test_a_new_file_begins_when_one_is_full_and_each_carries_on_the_one_before(tmp_path: Path) -> None:
    async def use(service: Service, decisions: DecisionLog) -> None:
        for _ in range(30):
            await service.submit([job()] * 10)
            await service.place()
            await written(decisions)

    assert run(tmp_path, use, size=20_000).problem == ""
    files = sorted(tmp_path.glob("d-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    confirmed = [told(path) for path in (*files, tmp_path / "d.jsonl")]
    assert len(confirmed) > 3
    assert sum(one.by_kind.get("submit", 0) for one in confirmed) == 300
    assert [one.follows for one in confirmed] == [None, *(one.sum for one in confirmed[:-1])]


def test_only_so_many_old_files_are_kept(tmp_path: Path) -> None:
    async def use(service: Service, decisions: DecisionLog) -> None:
        for _ in range(30):
            await service.submit([job()] * 10)
            await written(decisions)

    (tmp_path / "d-notes.jsonl").write_text("not ours")
    run(tmp_path, use, size=20_000, keep=2)
    assert len(list(tmp_path.glob("d-2*.jsonl"))) == 2
    assert (tmp_path / "d-notes.jsonl").exists()


def test_a_full_disk_stops_no_decision_and_is_told_until_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = False
    write = LogFile.write

    def write_unless_full(file: LogFile, line: bytes) -> None:
        if full:
            write(file, line[:20])  # as much as there is room for
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, line)

    monkeypatch.setattr(LogFile, "write", write_unless_full)

    async def use(service: Service, decisions: DecisionLog) -> None:
        nonlocal full
        await service.submit([job()])
        await written(decisions)
        decisions._retry = 3600.0
        full = True
        await service.submit([job()] * 3)
        await written(decisions)
        assert decisions.problem == "No space left on device"
        assert len(service.state.waiting) == 4
        assert len(await service.place()) == 4
        full = False
        decisions._again = 0.0  # time has passed
        await service.submit([job()])
        await written(decisions)
        assert decisions.problem == ""

    run(tmp_path, use)
    (broken,) = tmp_path.glob("d-*.jsonl")
    before, after = told(broken), told(tmp_path / "d.jsonl")
    assert (before.by_kind, before.cut) == ({"submit": 1}, True)
    assert (after.by_kind, after.follows, after.ended) == ({"submit": 1}, None, True)
    assert [record.message for record in caplog.records].count("the decision log cannot be written") == 1


def test_a_disk_that_is_too_slow_leaves_a_gap_that_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wnodes_daemon.decision_log._MOST_PENDING", 0)

    async def use(service: Service, decisions: DecisionLog) -> None:
        await written(decisions)
        monkeypatch.setattr("wnodes_daemon.decision_log._MOST_PENDING", -1)
        await service.submit([job()])
        assert "too slow" in decisions.problem
        monkeypatch.setattr("wnodes_daemon.decision_log._MOST_PENDING", 1000)
        await service.submit([job()])
        assert decisions.problem == ""

    monkeypatch.setattr("wnodes_daemon.decision_log._MOST_PENDING", 1000)
    run(tmp_path, use)
    (first,) = tmp_path.glob("d-*.jsonl")
    assert not told(first).ended
    assert told(tmp_path / "d.jsonl").follows is None


def test_what_was_not_committed_has_not_happened_in_the_log_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(store: Store, changes: object) -> None:
        raise StoreUnavailable("the disk is full")

    async def use(service: Service, decisions: DecisionLog) -> None:
        await service.submit([job(cores=4)] * 3)
        await service.place()
        with monkeypatch.context() as patch:
            patch.setattr(Store, "commit", refuse)
            with pytest.raises(StoreUnavailable):
                await service.submit([job()])
        await service.recover()
        await service.submit([job()])

    run(tmp_path, use)
    confirmed = told(tmp_path / "d.jsonl")
    assert confirmed.states == 2
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_bytes().splitlines()]
    assert [line["why"] for line in lines if line["do"] == "state"] == ["taken up from the store"] * 2
    again = lines[[line["do"] for line in lines].index("state", 6) :]
    assert Counter(line["do"] for line in again)["submit"] == 1
    parts = [line["part"] for line in again if line["do"] == "part"]
    assert [row for part in parts if part["of"] == "running" for row in part["id"]] == ["1", "2", "3"]


def test_nodes_that_change_and_work_that_is_given_up_are_recorded(tmp_path: Path) -> None:
    async def use(service: Service, decisions: DecisionLog) -> None:
        service.see_nodes([Node("n9", 8, 32768), Node("n0", 8, 32768, up=False)])
        await service.submit([job(cores=6)] * 2)
        (one, _), (other, _) = await service.place()
        await service.give_up(one.key)
        await service.cancel(other.request)
        await service.give_up(other.key)
        await service.cancel(one.request)

    run(tmp_path, use)
    assert told(tmp_path / "d.jsonl").by_kind == {
        "nodes": 1,
        "submit": 2,
        "pass": 1,
        "requeue": 1,
        "cancel": 2,
        "finish": 1,
    }


def test_questions_are_recorded_only_where_the_site_says_so(tmp_path: Path) -> None:
    async def use(service: Service, decisions: DecisionLog) -> None:
        service.decide(job())

    run(tmp_path, use)
    assert told(tmp_path / "d.jsonl").records == 0


def test_a_compressed_log_is_whole_at_every_moment(tmp_path: Path) -> None:
    async def using() -> None:
        decisions = DecisionLog(Decisions(tmp_path / "d.jsonl.gz"))
        service = Service(compiled(), NODES, Store(str(tmp_path / "s")), ("farm",), log=Log(decisions))
        await service.recover()
        await service.submit([job()] * 5)
        await asyncio.sleep(0.5)
        (tmp_path / "copy.gz").write_bytes((tmp_path / "d.jsonl.gz").read_bytes())
        await service.close()
        await asyncio.to_thread(decisions.close)

    asyncio.run(using())
    assert told(tmp_path / "copy.gz").by_kind == {"submit": 5}
    assert gzip.decompress((tmp_path / "d.jsonl.gz").read_bytes()).endswith(b'"}\n')
