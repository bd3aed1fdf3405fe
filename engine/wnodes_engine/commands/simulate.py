"""`wnodes-policy simulate`: a log of jobs, replayed under a policy on a farm."""

from __future__ import annotations

import resource
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from time import perf_counter

import msgspec

from wnodes_engine.commands.inputs import complain, read_policy, read_site
from wnodes_engine.core import State
from wnodes_engine.decision_log.files import LogFile
from wnodes_engine.decision_log.log import Lines, Log
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.documents import DocumentError
from wnodes_engine.garbage import seldom_collected
from wnodes_engine.simulate.clock import clock_of
from wnodes_engine.simulate.logged import LoggedTrace, is_decision_log
from wnodes_engine.simulate.replay import Replay, replay
from wnodes_engine.simulate.report import report_on
from wnodes_engine.simulate.show import show
from wnodes_engine.simulate.swf import SwfLog
from wnodes_engine.simulate.trace import read_trace
from wnodes_engine.state_file import load_farm


def add_arguments(parser: ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("policy", metavar="POLICY", help="the policy")
    parser.add_argument(
        "--trace",
        required=True,
        metavar="LOG",
        help="jobs in the Standard Workload Format (.swf, .swf.gz), or a decision log",
    )
    parser.add_argument("--farm", required=True, metavar="FILE", help="the nodes (YAML or JSON)")
    parser.add_argument(
        "--map", metavar="FILE", help="how jobs become requests; if left out, each is a Grid job of its user"
    )
    parser.add_argument("--site", metavar="FILE", help="site.yaml: attributes and time zone of the policy")
    parser.add_argument("--jobs", type=_count, metavar="N", help="only the first N jobs of the log")
    parser.add_argument(
        "--log", metavar="FILE", help="write a decision log (.jsonl, .jsonl.gz): `replay` confirms it"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: Namespace) -> int:
    """0 with a report, 1 for input that cannot be used, 2 for a mapping where there is nothing to map."""
    begun = perf_counter()
    try:
        policy = read_policy(args.policy, read_site(args.site))
        nodes = load_farm(args.farm)
        state = State(policy, nodes)
        if args.map and is_decision_log(args.trace):
            return _misused("--map is for logs of jobs: what is in a decision log are requests already")
        trace = read_trace(args.trace, args.map)
        with seldom_collected(), _progress(trace.log, args.jobs) as watch, _recorded(state, args.log) as book:
            jobs = islice(trace.jobs, args.jobs)
            account = replay(state, jobs, trace.request_of, clock=clock_of(policy), watch=watch, book=book)
    except DocumentError as error:
        return complain(error)
    except OSError as error:
        sys.stderr.write(f"wnodes-policy simulate: cannot write {args.log}: {error.strerror or error}\n")
        return 1
    report = report_on(
        account,
        policy=policy.checked.name,
        digest=policy.digest,
        trace=args.trace,
        nodes=nodes,
        seconds=perf_counter() - begun,
        peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RSS_PER_MIB,
    )
    if args.format == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
    else:
        show(report)
    return 0


_RSS_PER_MIB = 1 << 20 if sys.platform == "darwin" else 1 << 10


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) == int(text[:13]):
        raise ArgumentTypeError(f"'{text[:40]}' is not a number of jobs")
    return int(text)


def _misused(message: str) -> int:
    sys.stderr.write(f"wnodes-policy simulate: {message}\n")
    return 2


@contextmanager
def _recorded(state: State, path: str | None) -> Iterator[State | Recorded]:
    """The state, or a record of it that goes into a file; ended in order whatever happens. Raises OSError."""
    if path is None:
        yield state
        return
    file = LogFile(Path(path))
    try:
        lines = Lines(file)
        yield Recorded(state, Log(lines))
        lines.end()
    finally:
        file.close()


@contextmanager
def _progress(log: SwfLog | LoggedTrace, most: int | None) -> Iterator[Callable[[Replay], None] | None]:
    """A bar on stderr, where that is a terminal: how much of the log has arrived, and what runs and waits."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    words = (
        "{task.fields[jobs]:>9,} jobs  {task.fields[running]:>7,} running  {task.fields[waiting]:>8,} waiting"
    )
    columns = (BarColumn(20), TextColumn("{task.percentage:>3.0f}%"), TextColumn(words), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0, jobs=0, running=0, waiting=0)

        def watch(account: Replay) -> None:
            progress.update(
                task,
                completed=account.jobs / most if most else log.read,
                jobs=account.jobs,
                running=account.running,
                waiting=account.waiting,
            )

        yield watch
