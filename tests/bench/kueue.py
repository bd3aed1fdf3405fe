"""The load of Kueue's own performance test, in simulated time: a millisecond of theirs is a second of ours.

Cohorts of equal queues; each queue has a nominal amount, may borrow, takes back what others borrow, and lets
its own work of higher priority push out the lower. Jobs come at even intervals, first after one interval, and
run for a fixed time from their last start. Kueue counts quota only, so the farm is one large node; Kueue
knows no run times, so the jobs ask for no walltime. A job that is pushed out keeps its age.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush, merge
from statistics import fmean
from typing import Final

from bench.scenes import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.values import Node, Outcome, Request

START: Final = 1_767_571_200
"""When the simulated time begins, in seconds since the epoch."""

NOMINAL: Final = 20
BORROWED: Final = 100


@dataclass(frozen=True)
class Class:
    """Jobs of one class in one queue; times in milliseconds."""

    name: str
    count: int
    every: int
    cores: int
    priority: int
    runtime: int


@dataclass(frozen=True)
class Load:
    """One of their two loads.

    `theirs` is the mean time to admission by class that they publish, in seconds; `their_speed` in jobs/s.
    """

    name: str
    cohorts: int
    queues: int
    classes: tuple[Class, ...]
    theirs: dict[str, float] = field(default_factory=dict)
    their_speed: float | None = None

    @property
    def jobs(self) -> int:
        """How many there are."""
        return self.cohorts * self.queues * sum(each.count for each in self.classes)


BASELINE: Final = Load(
    "baseline",
    5,
    6,
    (
        Class("small", 350, 100, 1, 50, 200),
        Class("medium", 100, 500, 5, 100, 500),
        Class("large", 50, 1200, 20, 200, 1000),
    ),
    {"small": 215.5, "medium": 76.8, "large": 16.5},
    42.7,
)
LARGE_SCALE: Final = Load(
    "large-scale",
    10,
    100,
    (
        Class("small", 35, 60, 1, 50, 150),
        Class("medium", 11, 300, 5, 100, 350),
        Class("large", 4, 700, 20, 200, 700),
    ),
)


def policy(load: Load) -> str:
    """Their queues as shares, and their two ways of preemption as rules."""
    lines = [f'policy kueue "{load.cohorts} cohorts of {load.queues} queues"']
    for cohort in range(load.cohorts):
        lines.append(f"share c{cohort} {load.queues * NOMINAL} cores borrow none {{")
        lines += [
            f"    share q{queue} {NOMINAL} cores borrow {BORROWED} cores" for queue in range(load.queues)
        ]
        lines.append("}")
    names = [(cohort, queue) for cohort in range(load.cohorts) for queue in range(load.queues)]
    lines += [f'assign c{cohort}.q{queue} when group == "c{cohort}.q{queue}"' for cohort, queue in names[:-1]]
    lines.append("assign c{}.q{} otherwise".format(*names[-1]))
    lines += [f'priority {each.priority} when "{each.name}" in roles' for each in load.classes]
    lines += [
        "order any by priority, age",
        "reclaim for any by requeue for job",
        "preempt self when victim.priority < priority by requeue for job",
        "route job, vmjob, vm, pool to farm",
    ]
    return "\n".join(lines) + "\n"


def arrivals(load: Load) -> Iterator[tuple[int, Request, Class]]:
    """The jobs by the millisecond in which they come."""
    return merge(*(_of_class(load, each) for each in load.classes), key=lambda arrival: arrival[0])


def _of_class(load: Load, each: Class) -> Iterator[tuple[int, Request, Class]]:
    roles = frozenset({each.name})
    for number in range(each.count):
        moment = (number + 1) * each.every
        for cohort in range(load.cohorts):
            for queue in range(load.queues):
                group = f"c{cohort}.q{queue}"
                request = Request(
                    f"{group}-{each.name}-{number}", "job", "grid", "somebody", group,
                    START + moment, roles=roles, cores=each.cores,
                )  # fmt: skip
                yield moment, request, each


@dataclass
class Account:
    """What became of a load: by class the times from arrival to the last admission, in ms; and what it took.

    `ended` is when the last job ended, in ms; `seconds` are those of the processor.
    """

    admissions: dict[str, list[int]]
    pushed_out: int = 0
    started: int = 0
    ended: int = 0
    passes: int = 0
    seconds: float = 0.0

    @property
    def jobs(self) -> int:
        """How many jobs have ended."""
        return sum(map(len, self.admissions.values()))


def farm(load: Load) -> State:
    """The load's policy on a farm that has what all queues have, on one node."""
    node = Node("farm", cores=load.cohorts * load.queues * NOMINAL, memory=1)
    return State(compile_policy(checked(policy(load))), [node])


def drive(state: State, load: Load) -> Account:
    """Every job until it has ended: what ends goes first, then comes what comes, then there is a pass."""
    account = Account({each.name: [] for each in load.classes})
    coming = arrivals(load)
    begun = time.process_time()
    arrival = next(coming, None)
    waiting: dict[str, tuple[int, Class]] = {}
    endings: list[tuple[int, int, str]] = []
    runs: dict[str, tuple[int, int, Class]] = {}
    """By job: the number of its start, when it came, and its class."""

    while arrival is not None or endings:
        next_ = [arrival[0]] if arrival is not None else []
        moment = min(next_ + [ending for ending, _, _ in endings[:1]])
        now = START + moment
        while endings and endings[0][0] == moment:
            _, number, key = heappop(endings)
            if key in runs and runs[key][0] == number:
                _, came, each = runs.pop(key)
                account.admissions[each.name].append(moment - each.runtime - came)
                account.ended = moment
                state.finish(key, now)
        while arrival is not None and arrival[0] == moment:
            came, request, each = arrival
            assert state.submit(request, now).outcome is Outcome.WAIT
            waiting[request.id] = came, each
            arrival = next(coming, None)
        again = True
        while again:
            moves = state.schedule(now)
            account.passes += 1
            for start in moves.starts:
                key = start.request.id
                came, each = waiting.pop(key)
                account.started += 1
                runs[key] = account.started, came, each
                heappush(endings, (moment + each.runtime, account.started, key))
            for preemption in moves.preemptions:
                _, came, each = runs.pop(preemption.victim)
                waiting[preemption.victim] = came, each
                account.pushed_out += 1
                state.requeue(preemption.victim, now)
            again = bool(moves.preemptions)  # who room was made for starts in the next pass
    account.seconds = time.process_time() - begun
    return account


def report(load: Load, account: Account) -> Iterator[str]:
    """The account beside what Kueue publishes, as the rows of a table."""
    for each in load.classes:
        ours = f"{fmean(account.admissions[each.name]) / 1000:.2f} s"
        published = f"{load.theirs[each.name]} s" if each.name in load.theirs else ""
        yield f"| {load.name} | mean time to admission, {each.name} | {ours} | {published} |"
    yield f"| {load.name} | until the last of {load.jobs:,} jobs has ended | {account.ended / 1000:.1f} s | |"
    yield f"| {load.name} | pushed out | {account.pushed_out:,} | |"
    speed = f"{account.jobs / account.seconds:,.0f}/s of processor ({account.seconds:.1f} s)"
    theirs = f"{load.their_speed}/s by the clock" if load.their_speed else ""
    yield f"| {load.name} | jobs, through {account.passes:,} passes | {speed} | {theirs} |"


def main() -> int:
    """Both loads, as a table; 0 in any case."""
    sys.stdout.write("| load | what | WNoDeS, simulated time | Kueue, as published |\n|---|---|--:|--:|\n")
    for load in (BASELINE, LARGE_SCALE):
        account = drive(farm(load), load)
        assert account.jobs == load.jobs
        sys.stdout.write("".join(f"{line}\n" for line in report(load, account)))
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
