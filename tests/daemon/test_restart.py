"""A daemon that is killed loses nothing that it has answered for, and starts nothing twice."""

from __future__ import annotations

import random
import signal
import socket
import threading
from collections import Counter, defaultdict
from typing import Any

import pytest
from sites.running import PATIENCE, Site, form, until
from wnodes_daemon.client import ApiError, Client, Unreachable
from wnodes_daemon.main import main
from wnodes_daemon.records import LIVE, State

FAULTS: dict[str, Any] = {
    "lost": 0.1,
    "late": 0.2,
    "late_by": 4.0,
    "passing": 0.1,
    "slow": 0.2,
    "slow_by": 0.1,
    "unavailable": 0.1,
}


def starts_by_request(site: Site) -> dict[str, Counter[str]]:
    """How often each job of each request was started, by the farm's own record."""
    name_of: dict[str, str] = {}
    starts: dict[str, Counter[str]] = defaultdict(Counter)
    for line in site.record():
        if line["event"] == "submit":
            name_of[line["what"]] = line["slot"]["name"]
        elif line["event"] == "start":
            starts[name_of[line["what"]]][line["what"]] += 1
    return starts


class Load:
    """Somebody who hands requests in without end, and remembers which were answered for."""

    def __init__(self, site: Site) -> None:
        self.answered: list[str] = []
        self._site = site
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        client = self._site.client()
        while not self._done.is_set():
            asked = [form(user=f"u{at}", walltime=30) for at in range(3)]
            try:
                items = client.submit_all(asked)
            except (Unreachable, ApiError):
                pass
            else:
                self.answered += [item.request.id for item in items if item.request is not None]
            self._done.wait(0.03)


def test_nothing_is_lost_and_nothing_started_twice_through_many_kills(site: Site) -> None:
    site.write(daemon={"tick": 0.05, "settle": 1}, speed=300, runs=[0.1, 1.0], faults=FAULTS)
    draw = random.Random(2)
    client = site.start()
    with Load(site) as load:
        for _ in range(8):
            enough = len(load.answered) + 15
            until(lambda enough=enough: len(load.answered) >= enough)  # type: ignore[misc]
            threading.Event().wait(draw.random() * 0.3)
            site.end(signal.SIGKILL)
            client = site.start()
    assert len(load.answered) >= 8 * 15

    until(lambda: _over(client))
    until(lambda: not any(view.state in LIVE for view in client.requests()))  # the store follows the memory
    states = {view.id: view.state for view in client.requests()}
    assert set(load.answered) <= set(states)
    assert set(states.values()) == {State.DONE}
    starts = starts_by_request(site)
    assert {f"wnodes-{id_}" for id_ in states} == set(starts)
    assert {name: jobs for name, jobs in starts.items() if sum(jobs.values()) != 1} == {}
    until(lambda: _keys(site, "submit") == _keys(site, "end"))  # extra copies that appear late are cancelled


def _keys(site: Site, event: str) -> set[str]:
    return {line["what"] for line in site.record() if line["event"] == event}


def _over(client: Client) -> bool:
    try:
        health = client.health()
    except (Unreachable, ApiError):
        return False
    return health.waiting == health.running == 0


def test_what_waits_and_runs_goes_on_after_an_orderly_stop(site: Site) -> None:
    site.write(speed=1)
    client = site.start()
    items = client.submit_all([form(user="ada", cores=6, walltime="unlimited")] * 3)
    ids = [item.request.id for item in items if item.request is not None]
    until(lambda: client.show(ids[1]).state is State.RUNNING)
    before = [client.show(id_) for id_ in ids]
    assert site.end() == 0
    assert not (site.folder / "wnodesd.sock").exists()

    client = site.start()
    after = [client.show(id_) for id_ in ids]
    assert [view.state for view in after] == [State.RUNNING, State.RUNNING, State.WAITING]
    assert [(view.submitted, view.started, view.attempts) for view in after] == [
        (view.submitted, view.started, view.attempts) for view in before
    ]
    assert client.shares()[0].used["cores"] == 12
    assert {len(starts) for starts in starts_by_request(site).values()} == {1}


def test_a_job_that_ended_while_the_daemon_was_away_is_taken_in(site: Site) -> None:
    site.write(speed=60)
    client = site.start()
    view = client.submit(form(walltime=60))
    until(lambda: client.show(view.id).state is State.RUNNING)
    site.end(signal.SIGKILL)
    client = site.start()
    until(lambda: client.show(view.id).state is State.DONE)


def test_a_request_taken_back_before_a_kill_does_not_run_after_it(site: Site) -> None:
    site.write(daemon={"tick": 60}, faults={"lost": 1.0})
    client = site.start()
    view = client.submit(form(walltime=60))
    until(lambda: client.show(view.id).state is State.STARTING)
    assert client.cancel(view.id).cancelling
    site.end(signal.SIGKILL)
    site.write(daemon={"tick": 0.1})
    client = site.start()
    until(lambda: client.show(view.id).state is State.CANCELLED)
    assert starts_by_request(site) == {}


def test_work_at_a_backend_that_was_taken_away_is_told(site: Site) -> None:
    site.write(speed=1)
    client = site.start()
    view = client.submit(form(walltime="unlimited"))
    until(lambda: client.show(view.id).state is State.RUNNING)
    site.end()
    for file, old in ((site.file, "  farm:"), (site.folder / "little.policy", "to farm")):
        file.write_text(file.read_text().replace(old, old.replace("farm", "other")))
    client = site.start()
    assert client.show(view.id).state is State.RUNNING
    assert [line["backend"] for line in site.log() if "has no more" in line["event"]] == ["farm"]


def test_a_second_daemon_on_the_same_store_refuses_to_start(site: Site) -> None:
    site.start()
    site.write(daemon={"listen": {"socket": "second.sock"}})
    second = site.launch()
    assert second.wait(30) == 1
    assert "another wnodesd" in (site.folder / "log").read_text()


def test_a_policy_is_reloaded_if_it_is_sound_and_else_the_old_one_goes_on(site: Site) -> None:
    site.write(speed=1)
    client = site.start()
    items = client.submit_all([form(user="ada", cores=6, walltime="unlimited")] * 3)
    ids = [item.request.id for item in items if item.request is not None]
    until(lambda: client.show(ids[1]).state is State.RUNNING)
    digest, policy = client.health().policy_digest, site.folder / "little.policy"
    sound = policy.read_text()

    policy.write_text(sound + "\nshare grid 99%\n")
    assert site.process is not None
    site.process.send_signal(signal.SIGHUP)
    until(lambda: any(line["event"] == "the new policy is not taken" for line in site.log()))
    assert client.health().policy_digest == digest

    policy.write_text(sound.replace("cores <= 12", "cores <= 20"))
    site.process.send_signal(signal.SIGHUP)
    until(lambda: client.show(ids[2]).state is State.RUNNING)
    assert client.health().policy_digest != digest
    assert client.shares()[0].used["cores"] == 18


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda site: site.file.write_text("name: x\n"), "timezone"),
        (
            lambda site: (site.folder / "little.policy").write_text("policy little\nshare x 200%\n"),
            "little.policy",
        ),
        (lambda site: (site.folder / "farm.yaml").unlink(), "farm.yaml"),
        (lambda site: (site.folder / "farm.yaml").write_text("nodes: 3\n"), "farm.yaml"),
        (lambda site: site.write(speed=-1), "backends.farm.options.speed"),
        (lambda site: (site.folder / "wnodes.sqlite").write_text("no database"), "restore it from a backup"),
        (lambda site: (site.folder / "wnodes.sqlite").mkdir(), "wnodes.sqlite"),
        (lambda site: (site.folder / "farm.record").write_text("{}\n"), "farm.record:1"),
        (lambda site: (site.folder / "wnodesd.sock").write_text(""), "move it away"),
        (lambda site: site.write(daemon={"listen": {"host": "192.0.2.1"}}), "127.0.0.1"),
        (lambda site: site.write(daemon={"listen": {"socket": "s" * 200}}), "choose another"),
        (lambda site: site.write(daemon={"store": "mysql://x"}), "SQLite"),
        (
            lambda site: site.file.write_text(site.file.read_text().replace("simulated", "slurmy")),
            "simulated",
        ),
        (lambda site: site.file.write_text(site.file.read_text().replace("  farm:", "  other:")), "route"),
    ],
)
def test_a_daemon_that_cannot_run_says_why_and_how_to_mend_it(
    site: Site, capsys: pytest.CaptureFixture[str], spoil: Any, said: str
) -> None:
    spoil(site)
    assert main(["--config", str(site.file)]) == 1
    assert said in capsys.readouterr().err


def test_a_call_under_way_is_answered_before_the_daemon_ends(site: Site) -> None:
    site.start()
    body = b'{"kind":"job","origin":"local","user":"ada","group":"lab"}'
    head = b"POST /v1/requests HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n"
    with socket.socket(socket.AF_UNIX) as call:
        call.settimeout(PATIENCE)
        call.connect(str(site.folder / "wnodesd.sock"))
        call.sendall(head + b"content-length: %d\r\nexpect: 100-continue\r\n\r\n" % len(body))
        assert call.recv(100).startswith(b"HTTP/1.1 100")  # the daemon is reading
        assert site.process is not None
        site.process.send_signal(signal.SIGTERM)
        until(lambda: any(line["event"] == "ending" for line in site.log()))
        call.sendall(body)
        assert call.recv(1000).startswith(b"HTTP/1.1 201")
    assert site.process.wait(PATIENCE) == 0
    assert not (site.folder / "wnodesd.sock").exists()
