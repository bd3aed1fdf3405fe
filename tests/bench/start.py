"""How long a daemon takes to start on a store with many requests: `make start-time`.

The store is filled with rows as the daemon writes them; then it is opened, and the memory is made of it, as
at a start. Times are of the wall clock, and of this process alone.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sites.running import POLICY
from wnodes_daemon.records import Change, Dispatch, Entry, NewDispatch, NewEntry, State, Step
from wnodes_daemon.service import Service
from wnodes_daemon.store import Store
from wnodes_engine.backend import JobRef
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Node, Placement, Request

BEGAN = 1_700_000_000


def filling(finished: int, waiting: int, running: int) -> Iterator[Change]:
    """Everything that happened: what is over, what runs a core each, and what waits."""
    for at in range(finished + running + waiting):
        id_ = at + 1
        user, group = f"u{at % 500}", "cms" if at % 2 else "atlas"
        request = Request(str(id_), "job", "grid", user, group, BEGAN + at, cores=1, walltime=3600)
        state = State.DONE if at < finished else State.RUNNING if at < finished + running else State.WAITING
        share = "grid.lhc" if at % 2 else "grid.small"
        if state is State.WAITING:
            yield NewEntry(Entry(id_, request, state, share))
            continue
        node = (at - finished) // 64 if state is State.RUNNING else at % 100
        placement = (Placement(f"wn{node:04}", 1),)
        yield NewEntry(Entry(id_, request, state, share, started=BEGAN + at, ended=BEGAN + at + 60))
        key, step = f"{id_:024}", Step.ENDED if state is State.DONE else Step.RUNNING
        ref = JobRef("farm", str(id_), key, BEGAN)
        yield NewDispatch(Dispatch(key, id_, "farm", placement, BEGAN, step, ref, BEGAN + at, request.user))


def main() -> None:
    """Fill, start, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, default=60_000)
    parser.add_argument("--running", type=int, default=40_000)
    parser.add_argument("--store", help="the URL of an empty PostgreSQL database; else a file")
    args = parser.parse_args()
    checked, _ = check_policy(load_text(POLICY, "little.policy"))
    assert checked is not None
    policy = compile_policy(checked)
    nodes = [Node(f"wn{at:04}", 64, 262_144) for at in range(args.running // 64 + 101)]
    with tempfile.TemporaryDirectory() as folder:
        place = args.store or str(Path(folder) / "store.sqlite")
        store = Store(place)
        changes = filling(args.finished, args.waiting, args.running)
        while some := list(islice(changes, 20_000)):
            store.commit(some)
        store.close()
        begun = time.perf_counter()
        store = Store(place)
        opened = time.perf_counter()
        service = Service(policy, nodes, store, ("farm",))
        asyncio.run(service.recover())
        done = time.perf_counter()
        waiting, running = len(service.state.waiting), len(service.state.running)
        asyncio.run(service.place())
        placed = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        rows = (
            ("start", ""),
            ("---", "--:"),
            ("finished requests in the store", f"{args.finished:,}"),
            ("waiting, running", f"{waiting:,}, {running:,}"),
            ("to open the store", f"{opened - begun:.2f} s"),
            ("to make the memory anew", f"{done - opened:.2f} s"),
            ("the first pass", f"{placed - done:.2f} s"),
            ("memory at its peak", f"{peak:,} MiB"),
        )
        sys.stdout.write("".join(f"| {name} | {value} |\n" for name, value in rows))
        asyncio.run(service.close())


if __name__ == "__main__":
    main()
