"""The replay: arrivals and endings in the order of time, and one pass of the scheduler at each moment.

A job runs as long as it did in the log, but is killed at its walltime. What ends at a moment gives its room
back before what arrives at the same moment is looked at.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from wnodes_engine.core import State
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.simulate.swf import SwfJob
from wnodes_engine.values import Outcome, Reason, Request

_PASSES_UNWATCHED: Final = 500
_CORES: Final = RESOURCES.index("cores")


@dataclass(slots=True)
class Tally:
    """What became of the jobs of one group in one share; times in seconds.

    `held` is cores times run time, `stayed` cores times the time from submission to the end.
    """

    waits: array[int] = field(default_factory=lambda: array("q"))
    killed: int = 0
    held: int = 0
    stayed: int = 0


@dataclass(slots=True)
class Replay:
    """The account of one replay: every job of the log is counted once.

    `jobs` = `unusable` + `denied` + `finished` + `killed` + `stranded`, the last being those that nothing
    would ever start. Unusable are jobs without run time or processors: cancelled before they started.
    Times are seconds since the epoch. `nominal` is what each share was promised, in core-seconds from
    `begin` to `now`: by path, the farm first, then in the policy's order. `tallies` go by (share, group),
    `refusals` by the rule that denied (the first reason counts), with one decision's reason as an example.
    """

    jobs: int = 0
    unusable: int = 0
    denied: int = 0
    finished: int = 0
    killed: int = 0
    stranded: int = 0
    begin: int = 0
    now: int = 0
    end: int = 0
    waiting: int = 0
    running: int = 0
    cores: int = 0
    peak_cores: int = 0
    peak_waiting: int = 0
    peak_waiting_at: int = 0
    nominal: dict[str, int] = field(default_factory=dict)
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    refusals: Counter[tuple[str, str, int, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str, int, str], Reason] = field(default_factory=dict)


def replay(
    state: State,
    jobs: Iterable[SwfJob],
    request_of: Callable[[SwfJob], Request],
    *,
    clock: tuple[int, int] | None = None,
    watch: Callable[[Replay], None] | None = None,
) -> Replay:
    """Run the jobs, by submit time, through the scheduler until nothing is left that could start.

    `clock` is for policies under which a request may start because time has passed: look again after so
    many seconds without an event, and give up after so many. `watch` is called now and then.
    """
    account = Replay()
    tallies = account.tallies
    waiting, running = state.waiting, state.running
    endings: list[tuple[int, str, int, int, bool]] = []
    runtimes: dict[str, int] = {}
    step, patience = clock or (0, 0)
    arrivals = _usable(jobs, request_of, account)
    request, runtime = next(arrivals, (None, 0))
    now = account.begin = account.now = request.submitted if request else 0
    quiet = 0
    passes = 0
    promised = _Promised(state, now)

    while True:
        if request is not None:
            then = request.submitted
            if endings and endings[0][0] < then:
                then = endings[0][0]
        elif endings:
            then = endings[0][0]
        elif waiting and quiet < patience:
            then = now + step
        else:
            break
        if step and waiting and then - now >= step:
            then = now + step
            quiet += step
        else:
            quiet = 0
        now = then

        while endings and endings[0][0] == now:
            _, key, started, cores, killed = heappop(endings)
            allocation = running[key]
            submitted = allocation.request.submitted
            pair = (allocation.share, allocation.request.group)
            if (tally := tallies.get(pair)) is None:
                tally = tallies[pair] = Tally()
            tally.waits.append(started - submitted)
            tally.held += cores * (now - started)
            tally.stayed += cores * (now - submitted)
            tally.killed += killed
            account.killed += killed
            account.finished += not killed
            account.cores -= cores
            account.end = now
            state.finish(key, now)

        while request is not None and request.submitted == now:
            decision = state.submit(request, now)
            if decision.outcome is Outcome.DENY:
                account.denied += 1
                _refused(account, decision.reasons)
            else:
                runtimes[request.id] = runtime
            request, runtime = next(arrivals, (None, 0))

        if waiting:
            for start in state.schedule(now):
                key = start.request.id
                claim = start.allocation.claim
                lasts = runtimes.pop(key)
                if killed := lasts > claim.walltime:
                    lasts = claim.walltime
                cores = claim.part.cores * claim.parts
                account.cores += cores
                heappush(endings, (now + lasts, key, now, cores, killed))
            if account.cores > account.peak_cores:
                account.peak_cores = account.cores
            if len(waiting) > account.peak_waiting:
                account.peak_waiting = len(waiting)
                account.peak_waiting_at = now
        if state.time.open != promised.windows:
            promised.change(now)

        passes += 1
        if watch is not None and passes % _PASSES_UNWATCHED == 0:
            account.now, account.waiting, account.running = now, len(waiting), len(running)
            watch(account)

    promised.change(now)
    account.nominal = promised.amounts
    account.now = now
    account.stranded = account.waiting = len(waiting)
    account.running = len(running)
    return account


class _Promised:
    """What the shares are promised, summed over time: it changes as windows open and close."""

    def __init__(self, state: State, now: int) -> None:
        self._state = state
        self._since = now
        self.amounts = {share.path: 0 for share in state.tree.shares}
        self._read()

    def change(self, now: int) -> None:
        """Other windows are open from `now` on."""
        for path, cores in self._cores.items():
            self.amounts[path] += cores * (now - self._since)
        self._since = now
        self._read()

    def _read(self) -> None:
        self.windows = self._state.time.open
        self._cores = {
            share.path: self._state.nominal(share.index)[_CORES] for share in self._state.tree.shares
        }


def _usable(
    jobs: Iterable[SwfJob], request_of: Callable[[SwfJob], Request], account: Replay
) -> Iterator[tuple[Request, int]]:
    """The requests of the jobs that ran, with their run times; under a second counts as one."""
    for job in jobs:
        account.jobs += 1
        if job.runtime < 0 or job.processors <= 0:
            account.unusable += 1
        else:
            yield request_of(job), job.runtime or 1


def _refused(account: Replay, reasons: tuple[Reason, ...]) -> None:
    first = reasons[0]
    rule = (first.code.value, first.file, first.line, first.rule)
    account.refusals[rule] += 1
    account.examples.setdefault(rule, first)
