"""Measures what is large, each part in a process of its own: `python -m bench.large PART` prints JSON.

Times are seconds of the processor, memory is in MiB.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import msgspec
from bench.growth import crowd, timed
from bench.scenes import CALLS, DAY, GIB, NOW, checked, job, long_policy, policy, refusing_policy, state
from wnodes_engine.check.policy import check_policy
from wnodes_engine.check.redundancy import held_against_each_other
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.decision_log.log import Lines, Log
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.language.load import load_text
from wnodes_engine.snapshot import Clock, Part, encode, parts, restore, snapshot
from wnodes_engine.values import Node, Outcome, Placement, Request

Figures = dict[str, Any]

CROWD: Final = 1_000_000
VICTIMS: Final = """
policy victims
share a 50% borrow any
share b 50% borrow any
assign a when group == "atlas"
assign b otherwise
quota for each user: cores <= 1000000
reclaim for any taking lowest priority, latest start by requeue for job
order a by age best effort
order b by age best effort
route job, vmjob, vm, pool to simulated
"""
_NODES: Final = 10_000
_CORES: Final = 20


def decisions(size: int) -> Figures:
    """A decision that starts on a crowd: what it takes, and how much memory the crowd does."""
    made = crowd(size)
    gc.freeze()
    requests = [job(n, id=f"new{n}", cores=1 + n % 4) for n in range(CALLS)]
    assert {decide(made, request, NOW).outcome for request in requests} == {Outcome.START}
    return {"seconds": timed(lambda _: _each(made, requests)) / CALLS, "memory": _memory()}


def _each(made: State, requests: list[Request]) -> None:
    for request in requests:
        decide(made, request, NOW)


def saved(path: Path, size: int) -> Figures:
    """A crowd, written as a snapshot."""
    made = crowd(size)
    begun = time.process_time()
    taken = snapshot(made)
    with path.open("wb") as file:
        for row in (taken.clock, *parts(taken)):
            file.write(encode(row) + b"\n")
    return {"seconds": time.process_time() - begun, "bytes": path.stat().st_size}


def loaded(path: Path) -> Figures:
    """The crowd, read and put together again."""
    compiled = compile_policy(checked(policy(10)))
    begun = time.process_time()
    with path.open("rb") as file:
        clock = msgspec.json.decode(next(file), type=Clock)
        decoder = msgspec.json.Decoder(Part)
        made = restore(compiled, clock, map(decoder.decode, file))
    seconds = time.process_time() - begun
    return {
        "seconds": seconds,
        "memory": _memory(),
        "waiting": len(made.waiting),
        "running": len(made.running),
    }


def victims(nodes: int = _NODES) -> Figures:
    """Decisions that choose victims among all that runs on a full farm, one by one, by what is asked."""
    farm = [Node(f"wn{n:05}", cores=_CORES, memory=4 * GIB * _CORES) for n in range(nodes)]
    made = State(compile_policy(checked(VICTIMS)), farm)
    for n, (node, cores) in enumerate(pair for one in farm for pair in _filling(one)):
        held = _wish(f"held{n}", cores, group="cms", user=f"user{n % 500}")
        made.start(held, (Placement(node.name, 1),), NOW - DAY + n * 7919 % DAY)
    gc.freeze()
    found: Figures = {"running": len(made.running)}
    asked = {**{f"{cores} cores": (cores, 1) for cores in (1, 2, 4, 8, 16, 20)}, "20 parts of 4": (4, 20)}
    for what, (cores, count) in asked.items():
        taken = []
        for n in range(200):
            request = _wish(f"new{n}", cores, group="atlas", count=count, submitted=NOW - n)
            begun = time.process_time()
            decision = decide(made, request, NOW + n)
            taken.append(time.process_time() - begun)
            assert decision.outcome is Outcome.PREEMPT, decision
        found[what] = {"median": median(taken), "p99": quantiles(taken, n=100)[98]}
    return found


def _filling(node: Node) -> Iterator[tuple[Node, int]]:
    """Jobs of 1, 2 and 4 cores that fill a node, each with the node."""
    left, n = node.cores, int(node.name[2:])
    while left:
        cores = min(left, (1, 2, 1, 4)[n % 4])
        yield node, cores
        left, n = left - cores, n + 1


def _wish(id_: str, cores: int, **fields: Any) -> Request:
    plain = {
        "cores": cores,
        "memory": 2 * GIB * cores,
        "project": None,
        "walltime": 2 * DAY,
        "submitted": NOW,
    }
    return job(0, id=id_, **plain | fields)


def passing(waiting: int = 100_000, starts: int = 10_000, classes: int = 1_000) -> Figures:
    """One pass that starts some of those that wait, of so many classes."""
    nodes = [Node(f"wn{n:05}", cores=8, memory=32 * GIB) for n in range(starts)]
    text = policy(10).replace("cores <= 20000, running <= 9000", "cores <= 2000000")
    made = State(compile_policy(checked(text)), nodes)
    for n in range(waiting):
        kind = n % classes
        made.submit(
            job(n, id=f"r{n}", user=f"user{kind // 4}", cores=8, memory=(16 + kind % 4) * GIB,
                group=("atlas", "students", "cms", "people")[kind % 4], submitted=NOW - n % 600),
            NOW,
        )  # fmt: skip
    gc.freeze()
    begun = time.process_time()
    moves = made.schedule(NOW)
    seconds = time.process_time() - begun
    assert (len(moves.starts), len(made.waiting)) == (starts, waiting - starts)
    return {"seconds": seconds}


def reloading() -> Figures:
    """A policy of 1,000 rules, from its text to the module that decides, as a daemon takes it."""
    text = policy(1000)
    return {"seconds": timed(lambda _: _compiled(text))}


def _compiled(text: str) -> None:
    taken, findings = check_policy(load_text(text, "bench.policy"), hints=False)
    assert taken is not None, findings
    compile_policy(taken)


def checking() -> Figures:
    """A policy of 1,000 lines that is read and checked; and rules that are held against each other."""
    text = long_policy(1000)
    found = {"lines": timed(lambda _: check_policy(load_text(text, "bench.policy")))}
    for rules in (100, 1000):
        rivals = checked(refusing_policy(rules))
        found[str(rules)] = timed(lambda _, rivals=rivals: held_against_each_other(rivals))
    return found


def logging() -> Figures:
    """A decision that is recorded, and the same without a record; a line in memory, compressed by nobody."""
    made, requests = state(policy(10)), [job(n) for n in range(CALLS)]
    lines = Lines(_Memory())
    book = Recorded(made, Log(lines))
    plain = timed(lambda _: _each(made, requests)) / CALLS
    recorded = timed(lambda _: [book.decide(request, NOW) for request in requests]) / CALLS
    return {"plain": plain, "recorded": recorded}


class _Memory:
    """A sink for lines that never is full."""

    full = False

    def __init__(self) -> None:
        self._file = BytesIO()

    def new(self) -> None:
        """There is one file only."""

    def write(self, line: bytes) -> None:
        """One more line."""
        self._file.write(line)


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


PARTS: Final[dict[str, Callable[..., Figures]]] = {
    "decisions": decisions,
    "saved": saved,
    "loaded": loaded,
    "victims": victims,
    "passing": passing,
    "reloading": reloading,
    "checking": checking,
    "logging": logging,
}


def main() -> int:
    """0 when it was measured."""
    parser = ArgumentParser("large.py", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--file", type=Path, help="of saved and loaded")
    parser.add_argument("--size", type=int, default=CROWD, help="how many wait, for decisions and saved")
    args = parser.parse_args()
    arguments = {"decisions": (args.size,), "saved": (args.file, args.size), "loaded": (args.file,)}
    sys.stdout.write(json.dumps(PARTS[args.part](*arguments.get(args.part, ()))) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
