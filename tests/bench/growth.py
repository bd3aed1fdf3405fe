"""Measures how times grow: of decisions with what waits and runs, of simulations with their jobs.

It writes what it finds into .benchmarks/growth.json, from which `pictures.py` draws, and prints a table.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final

from bench.scenes import CALLS, GIB, NODES, NOW, checked, job, policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.simulate.mapping import PLAIN
from wnodes_engine.simulate.replay import replay
from wnodes_engine.simulate.workload import Workload, jobs, rate_for
from wnodes_engine.values import Node, Outcome, Placement

RESULTS: Final = Path(__file__).parents[2] / ".benchmarks" / "growth.json"
CROWDS: Final = (1_000, 10_000, 100_000, 1_000_000)
LOGS: Final = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
ROUNDS: Final = 5
ENOUGH: Final = 5.0
"""After so many seconds there are no more rounds of one thing."""

STILL: Final = "a decision"
CHANGED: Final = "a decision right after the queue has changed"
PASS: Final = "a pass after one allocation has ended"
SIMULATION: Final = "a simulation"

_CORES: Final = 4
_MODEL: Final = Workload(widest=256)


@dataclass(frozen=True)
class Point:
    """What took how long: `seconds` of the processor, with `size` requests waiting or jobs simulated."""

    what: str
    size: int
    seconds: float


def crowd(size: int) -> State:
    """So many requests wait, half as many allocations run, on a tenth as many nodes.

    On each node five jobs leave 4 cores of 24, and those who wait want whole nodes. A hundred requests come
    from one user.
    """
    nodes = [Node(f"wn{n:06}", cores=24, memory=96 * GIB) for n in range(size // 10)]
    state = State(compile_policy(checked(policy(10))), nodes)
    users = size // 100
    user, project = ([f"{what}{n}" for n in range(users)] for what in ("user", "project"))
    for n in range(size // 2):
        held = job(
            n, id=f"held{n}", user=user[n % users], group="students", project=project[n % users],
            cores=_CORES, memory=_CORES * 2 * GIB, walltime=3600 * (2 + n % 96),
        )  # fmt: skip
        state.start(held, (Placement(nodes[n % len(nodes)].name, 1),), NOW - n % 3600)
    for n in range(size):
        whole = job(
            n, id=f"wait{n}", user=user[n % users], group=("atlas", "cms", "students")[n % 3],
            project=project[n % users], cores=24, memory=(32 + n % 32) * GIB, walltime=3600 * (1 + n % 96),
        )  # fmt: skip
        state.submit(whole, NOW)
    assert (len(state.waiting), len(state.running)) == (size, size // 2)
    return state


def decisions(size: int) -> Iterator[Point]:
    """Decisions on a crowd, as it is and after changes, and passes over it."""
    state = crowd(size)
    gc.freeze()  # what is there for good need not be looked at again while we measure
    requests = [job(n, id=f"new{n}", cores=1 + n % _CORES) for n in range(CALLS)]
    outcomes = {decide(state, request, NOW).outcome for request in requests}
    assert outcomes == {Outcome.START}

    def still(_: int) -> None:
        for request in requests:
            decide(state, request, NOW)

    def changed(n: int) -> None:
        decide(state, requests[n], NOW)

    def one_pass(n: int) -> None:
        state.schedule(NOW + 1 + n)

    yield Point(STILL, size, timed(still) / CALLS)
    yield Point(CHANGED, size, timed(changed, lambda n: state.submit(job(n, id=f"late{n}", cores=24), NOW)))
    yield Point(PASS, size, timed(one_pass, lambda n: state.finish(f"held{n}", NOW + 1 + n)))
    gc.unfreeze()


def timed(function: Callable[[int], object], before: Callable[[int], object] | None = None) -> float:
    """Seconds of the processor, the median of a few rounds, fewer where they are long.

    `before` each of them something is done that is not timed.
    """
    taken: list[float] = []
    for n in range(ROUNDS):
        if sum(taken) > ENOUGH:
            break
        if before is not None:
            before(n)
        begun = time.process_time()
        function(n)
        taken.append(time.process_time() - begun)
    return median(taken)


def simulations(limit: float) -> Iterator[Point]:
    """Longer and longer logs of the workload model on 24,000 cores, as far as they take less than `limit`."""
    compiled = compile_policy(checked(policy(10)))
    model = replace(_MODEL, rate=rate_for(0.9, sum(node.cores for node in NODES), _MODEL))
    each = 0.0
    for size in LOGS:
        if each * size > limit:
            return
        log = list(islice(jobs(1, model), size))
        state = State(compiled, NODES)
        begun = time.process_time()
        account = replay(state, log, PLAIN.reader(0))
        seconds = time.process_time() - begun
        assert account.finished + account.killed == size
        each = seconds / size
        yield Point(SIMULATION, size, seconds)


def spoken(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            return f"{seconds * factor:,.3g} {unit}"
    raise AssertionError


def rows(points: list[Point]) -> Iterator[str]:
    """The points as a table in Markdown: a row for each size, a column for each thing."""
    yield "| waiting (and running, nodes) | " + " | ".join((STILL, CHANGED, PASS)) + " |"
    yield "|--:|--:|--:|--:|"
    found = {(point.what, point.size): point.seconds for point in points}
    for size in sorted({size for what, size in found if what == STILL}):
        times = " | ".join(spoken(found[what, size]) for what in (STILL, CHANGED, PASS))
        yield f"| {size:,} ({size // 2:,}, {size // 10:,}) | {times} |"
    yield ""
    yield "| jobs simulated | processor | for one job |"
    yield "|--:|--:|--:|"
    for point in points:
        if point.what == SIMULATION:
            each = spoken(point.seconds / point.size)
            yield f"| {point.size:,} | {spoken(point.seconds)} | {each} |"


def main() -> int:
    """0 when all of it was measured."""
    parser = ArgumentParser("growth.py", description=__doc__)
    parser.add_argument(
        "--waiting", type=int, default=CROWDS[-1], metavar="N", help="at most so many wait (1,000,000)"
    )
    parser.add_argument(
        "--limit", type=float, default=60, metavar="S", help="seconds that one simulation may take (60)"
    )
    args = parser.parse_args()
    points = [point for size in CROWDS if size <= args.waiting for point in decisions(size)]
    gc.collect()
    points += simulations(args.limit)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(point) for point in points], indent=1))
    sys.stdout.write("".join(f"{row}\n" for row in rows(points)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
