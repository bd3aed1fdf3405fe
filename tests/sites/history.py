"""What happened on a simulated farm, by its own record, and what must never be in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any


class History:
    """Jobs by the name of their request: how often one was started, and which are on the farm still."""

    def __init__(self, record: Iterable[Mapping[str, Any]]) -> None:
        self.starts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By request: how often each of its jobs was started."""
        self.twice: list[str] = []
        """Requests of which a job was started while another one ran, or a second time."""
        self.there: set[str] = set()
        """Keys of jobs that have not ended."""
        name_of: dict[str, str] = {}
        runs: defaultdict[str, set[str]] = defaultdict(set)
        for line in record:
            key = line.get("what", "")
            if line["event"] == "submit":
                name_of[key] = line["slot"]["name"]
                self.there.add(key)
            elif line["event"] == "start":
                name = name_of[key]
                if runs[name] or self.starts[name][key]:
                    self.twice.append(name)
                runs[name].add(key)
                self.starts[name][key] += 1
            elif line["event"] == "end":
                self.there.discard(key)
                runs[name_of[key]].discard(key)

    def started(self, request: str) -> int:
        """How often any job of a request was started."""
        return sum(self.starts[f"wnodes-{request}"].values())


def faults_of(history: History, answered: set[str], views: Mapping[str, Any]) -> list[str]:
    """What is wrong with how requests were carried out, once all of them are over; empty if nothing is.

    Whoever had to make room may be started once more each time; everybody else is started once.
    """
    wrong = [f"request {id_} was answered for, and is not there" for id_ in sorted(answered - views.keys())]
    wrong += [f"{name} ran twice at one time" for name in history.twice]
    wrong += [f"the job {key} is on the farm still" for key in sorted(history.there)]
    for id_, view in views.items():
        if view.ended is None:
            wrong.append(f"request {id_} is not over: it is {view.state}")
            continue
        times, told = history.started(id_), len(view.told_to_leave)
        if view.state == "done" and not 1 <= times <= 1 + told:
            wrong.append(
                f"request {id_} is done and was started {times} times; it was told to leave {told} times"
            )
        if view.state == "failed":
            wrong.append(f"request {id_} has failed: {view.message}")
    known = {f"wnodes-{id_}" for id_ in views}
    wrong += [f"{name} ran, and nobody knows of it" for name in history.starts if name not in known]
    return wrong
