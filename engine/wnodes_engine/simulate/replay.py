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

from wnodes_engine.core import Allocation, State
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.simulate.book import Book
from wnodes_engine.simulate.leaving import Leaving, Left
from wnodes_engine.simulate.swf import SwfJob
from wnodes_engine.values import Outcome, Reason, Request

_PASSES_UNWATCHED: Final = 500
_CORES: Final = RESOURCES.index("cores")


@dataclass(slots=True)
class Tally:
    """What became of the jobs of one group in one share; times in seconds.

    A wait is all the time until its end in which a job did not run. `held` is cores times run time, `lost`
    what of it was in vain, `stayed` cores times the time from submission to the end. `preempted` counts how
    often one had to leave.
    """

    waits: array[int] = field(default_factory=lambda: array("q"))
    killed: int = 0
    preempted: int = 0
    held: int = 0
    lost: int = 0
    stayed: int = 0


@dataclass(slots=True)
class Replay:
    """The account of one replay: every job of the log is counted once.

    `jobs` = `unusable` + `denied` + `finished` + `killed` + `deleted` + `stranded`, the last being those that
    nothing would ever start. Deleted are victims of a rule that ends its victims' requests. Unusable are jobs
    without run time or processors: cancelled before they started.
    Times are seconds since the epoch. `nominal` is what each share was promised, in core-seconds from
    `begin` to `now`: by path, the farm first, then in the policy's order. `tallies` go by (share, group),
    `refusals` by the rule that denied (the first reason counts), with one decision's reason as an example.
    """

    jobs: int = 0
    unusable: int = 0
    denied: int = 0
    finished: int = 0
    killed: int = 0
    deleted: int = 0
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
    book: Book | None = None,
) -> Replay:
    """Run the jobs, by submit time, through the scheduler until nothing is left that could start.

    `clock` is for policies under which a request may start because time has passed: look again after so
    many seconds without an event, and give up after so many. `watch` is called now and then. `book` is what
    changes go through, where they are recorded.
    """
    book = book if book is not None else state
    account = Replay()
    tallies = account.tallies
    waiting, running = state.waiting, state.running
    endings: list[tuple[int, str, int, int, bool]] = []
    """(time, request, how often it had been stopped before, cores, whether it is killed)."""
    runtimes: dict[str, int] = {}
    leaving = Leaving()
    runs, orders = leaving.runs, leaving.orders
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
            if orders and orders[0][0] < then:
                then = orders[0][0]
        elif endings:
            then = endings[0][0]
            if orders and orders[0][0] < then:
                then = orders[0][0]
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
            _, key, run, cores, killed = heappop(endings)
            if runs and runs.get(key, 0) != run:
                continue
            allocation = running[key]
            submitted, started = allocation.request.submitted, allocation.started
            tally, ran = _tally(tallies, allocation), 0
            if run:
                started, ran = leaving.since[key], leaving.ran[key]
                leaving.forget(key)
            tally.waits.append(started - submitted - ran)
            tally.held += cores * (now - started)
            tally.stayed += cores * (now - submitted)
            tally.killed += killed
            account.killed += killed
            account.finished += not killed
            account.cores -= cores
            account.end = now
            del runtimes[key]
            book.finish(key, now)

        while leaving.due(now):
            _leave(leaving.next(book, running, now), account, runtimes)

        while request is not None and request.submitted == now:
            decision = book.submit(request, now)
            if decision.outcome is Outcome.DENY:
                account.denied += 1
                _refused(account, decision.reasons)
            else:
                runtimes[request.id] = runtime
            request, runtime = next(arrivals, (None, 0))

        while waiting or state.paused:
            moves = book.schedule(now)
            begun = [start.allocation for start in moves.starts]
            begun += [running[key] for key in moves.resumed]
            for allocation in begun:
                key, claim = allocation.request.id, allocation.claim
                lasts, run = runtimes[key], 0
                longest = claim.walltime
                if runs and (run := runs.get(key, 0)):
                    leaving.since[key] = now
                    lasts -= leaving.done.get(key, 0)
                    longest -= now - allocation.started  # it was suspended, and its walltime stood still
                if killed := lasts > longest:
                    lasts = longest
                cores = claim.part.cores * claim.parts
                account.cores += cores
                heappush(endings, (now + lasts, key, run, cores, killed))
            for preemption in moves.preemptions:
                leaving.tell(preemption)
            if account.cores > account.peak_cores:
                account.peak_cores = account.cores
            if len(waiting) > account.peak_waiting:
                account.peak_waiting = len(waiting)
                account.peak_waiting_at = now
            if not leaving.due(now):
                break
            while leaving.due(now):
                _leave(leaving.next(book, running, now), account, runtimes)
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


def _leave(left: Left | None, account: Replay, runtimes: dict[str, int]) -> None:
    """A victim has left: count what it held, and what of that was in vain."""
    if left is None:
        return
    claim = left.allocation.claim
    cores, tally = claim.part.cores * claim.parts, _tally(account.tallies, left.allocation)
    tally.preempted += 1
    tally.held += cores * left.ran
    tally.lost += cores * left.ran * left.lost
    account.cores -= cores
    if left.action == "delete":
        account.deleted += 1
        del runtimes[left.allocation.request.id]


def _tally(tallies: dict[tuple[str, str], Tally], allocation: Allocation) -> Tally:
    pair = (allocation.share, allocation.request.group)
    if (tally := tallies.get(pair)) is None:
        tally = tallies[pair] = Tally()
    return tally


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
