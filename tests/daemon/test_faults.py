"""Whatever a batch system does to its jobs, each request comes to one end, and strangers are let be."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest
from sites.running import Site, form, until
from wnodes_daemon.client import Client
from wnodes_daemon.records import LIVE, State
from wnodes_engine.backend import Action


class History:
    """What happened on the farm, by its own record."""

    def __init__(self, site: Site) -> None:
        self.ours: dict[str, str] = {}  # names of requests by key
        self.strangers: set[str] = set()  # keys that somebody else has used, too
        self.started: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.acted_on: set[tuple[str, str]] = set()
        for line in site.record():
            if line["event"] == "submit" and line.get("stranger"):
                self.strangers.add(line["what"])
            elif line["event"] == "submit":
                self.ours[line["what"]] = line["slot"]["name"]
            elif line["event"] in set(Action):
                self.acted_on.add((line["what"], line["id"]))
            elif line["event"] == "start":
                self.started[self.ours[line["what"]]][line["what"]] += 1


def done(site: Site, requests: int, **faults: Any) -> tuple[Client, Counter[State], History]:
    """Requests under these faults, all of them over."""
    site.write(daemon={"tick": 0.05, "settle": 1}, speed=300, seed=5, faults=faults)
    client = site.start()
    client.submit_all([form(user=f"u{at % 7}", walltime=60) for at in range(requests)])
    until(lambda: not list(client.requests(state=",".join(LIVE))))
    return client, Counter(view.state for view in client.requests()), History(site)


@pytest.mark.parametrize(
    "faults",
    [
        {"lost_actions": 0.4},
        {"forgotten": 0.3},
        {"passing": 0.3, "slow": 0.3, "slow_by": 0.2},
        {"lost": 0.2, "late": 0.2, "late_by": 3.0, "forgotten": 0.2, "lost_actions": 0.2, "unavailable": 0.1},
    ],
    ids=str,
)
def test_every_request_is_done_and_started_once(site: Site, faults: dict[str, Any]) -> None:
    client, states, history = done(site, 40, **faults)
    assert states == {State.DONE: 40}
    names = {f"wnodes-{view.id}" for view in client.requests()}
    assert {name: sum(jobs.values()) for name, jobs in history.started.items()} == dict.fromkeys(names, 1)


def test_a_request_whose_job_vanished_has_failed_and_is_not_run_again(site: Site) -> None:
    client, states, history = done(site, 40, vanish=0.3)
    assert states[State.FAILED] > 3
    assert states[State.DONE] + states[State.FAILED] == 40
    lost = [view for view in client.requests() if view.state is State.FAILED]
    assert {view.message for view in lost} == {"farm has lost the job while it ran"}
    assert {sum(jobs.values()) for jobs in history.started.values()} == {1}


def test_jobs_that_strangers_have_named_like_ours_are_let_be(site: Site) -> None:
    _, states, history = done(site, 40, strangers=0.5, lost=0.3)
    assert states == {State.DONE: 40}
    assert len(history.strangers) > 10
    ids = Counter(key for key, _ in history.acted_on)
    assert set(ids.values()) == {1}  # of two jobs of one name one was acted on, and that was ours
