"""A log that can be replayed: jobs of a workload archive, or the requests of a decision log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from wnodes_engine.simulate.logged import LoggedTrace, is_decision_log
from wnodes_engine.simulate.mapping import PLAIN, load_mapping
from wnodes_engine.simulate.swf import SwfLog
from wnodes_engine.values import Request


@dataclass(frozen=True, slots=True)
class Trace:
    """The log, its jobs in the order of their arrival, and how each becomes a request."""

    log: SwfLog | LoggedTrace
    jobs: Iterator[Any]
    request_of: Callable[[Any], Request]


def read_trace(path: str, mapping: str | None) -> Trace:
    """The log at `path`; `mapping` is the file that says how jobs become requests. Raises DocumentError."""
    if is_decision_log(path):
        logged = LoggedTrace(path)
        return Trace(logged, iter(logged), logged.request_of)
    rules = load_mapping(mapping) if mapping else PLAIN
    log = SwfLog(path)
    jobs = iter(log)
    first = list(islice(jobs, 1))  # from here on the log's header is known
    return Trace(log, chain(first, jobs), rules.reader(log.start_time))
