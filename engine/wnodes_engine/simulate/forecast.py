"""When those that wait are likely to start: the queue played on, upon a copy of the state, with nothing new.

It is played three times: as if all ended with its walltime, as the middle one of its leaf's did so far, and
as the earliest tenth did.
"""

from __future__ import annotations

from collections.abc import Collection
from heapq import heappop, heappush
from typing import Final

from msgspec import Struct

from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.core import Allocation, State
from wnodes_engine.core.lasting import Lasting
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.simulate.clock import clock_of
from wnodes_engine.simulate.leaving import Leaving
from wnodes_engine.snapshot import Snapshot, parts, restore, snapshot
from wnodes_engine.values import Preemption

MOST_STARTS: Final = 20_000
"""Who has not started after so many others is given no estimate."""

_EARLY: Final = 10
_MIDDLE: Final = 50
_HORIZON: Final = 90 * 86_400


class Estimate(Struct, frozen=True, omit_defaults=True):
    """When a request starts if nothing else comes, in seconds since the epoch.

    `latest` is None where work without a time limit would have to end first, more than `MOST_STARTS` others
    would have to start, or 90 days to go by; the others are where, besides, too little work has ended yet to
    tell how long it lasts.
    """

    soonest: int | None = None
    likely: int | None = None
    latest: int | None = None


def forecast(
    state: State, requests: Collection[str], now: int, most: int = MOST_STARTS
) -> dict[str, Estimate]:
    """Estimates for these requests, which wait. The state stays as it is.

    It takes as long as making a copy of the state three times, and up to `most` starts in each.
    """
    return played_on(state.policy, snapshot(state), state.lasting, requests, now, most)


def played_on(
    policy: CompiledPolicy,
    taken: Snapshot,
    lasting: Lasting,
    requests: Collection[str],
    now: int,
    most: int = MOST_STARTS,
) -> dict[str, Estimate]:
    """The same from a snapshot, for another thread than the one in which the state goes on."""
    found: list[dict[str, int]] = []
    for part in (_EARLY, _MIDDLE, None):
        if part is not None and not lasting.known:
            found.append({})
            continue
        twin = restore(policy, taken.clock, parts(taken))
        found.append(_Run(twin, lasting, part, now).until(requests, most))
    return {id_: _estimate(*(starts.get(id_) for starts in found)) for id_ in requests}


def _estimate(early: int | None, middle: int | None, latest: int | None) -> Estimate:
    """What ends sooner may let something pass that is in the way later: the outer ones are the bounds."""
    if early is None or middle is None:
        return Estimate(latest=latest)
    if latest is None:
        return Estimate(min(early, middle), max(early, middle))
    return Estimate(*sorted((early, middle, latest)))


class _Run:
    """One copy of the state that is played on."""

    def __init__(self, state: State, lasting: Lasting, part: int | None, now: int) -> None:
        """All ends when `part` percent of its leaf's would have ended; None: with its walltime.

        With a part, what too little is known of never ends.
        """
        self._state = state
        self._lasting = lasting
        self._part = part
        self._now = now
        self._endings: list[tuple[int, str, int]] = []
        """(time, request, how often it had been stopped before)."""
        self._leaving = Leaving()

    def until(self, requests: Collection[str], most: int) -> dict[str, int]:
        """When these start, as far as they do within so many starts."""
        state, leaving, now = self._state, self._leaving, self._now
        missing, found, starts = set(requests), dict[str, int](), 0
        step, patience = clock_of(state.policy) or (0, 0)
        quiet = 0
        for allocation in state.running.values():
            if allocation.request.id not in state.paused:
                self._will_end(allocation, now)
        for pledge in state.pledges.values():
            actions = state.policy.checked.preempts[pledge.rule].taking.actions
            for id_, victim in pledge.victims.items():
                action = actions[victim.request.kind]
                beneficiary = pledge.waiter.request.id
                leaving.tell(Preemption(id_, beneficiary, action, max(now, pledge.leave_by), pledge.rule))
        while missing and starts < most and now < self._now + _HORIZON:
            moves = state.schedule(now)
            for start in moves.starts:
                id_ = start.request.id
                if id_ in missing:
                    missing.discard(id_)
                    found[id_] = now
                self._will_end(start.allocation, now)
            starts += len(moves.starts)
            for id_ in moves.resumed:
                self._will_end(state.running[id_], now)
            for preemption in moves.preemptions:
                leaving.tell(preemption)
            if not leaving.due(now):
                then = self._next(now)
                if step and (then is None or then - now > step):
                    then = now + step
                    quiet += step
                else:
                    quiet = 0
                if then is None or quiet > patience:
                    break
                now = then
            self._end(now)
            while leaving.due(now):
                leaving.next(state, state.running, now)
        return found

    def _next(self, now: int) -> int | None:
        """The next moment at which something ends or leaves; None if nothing does."""
        times = [ahead[0][0] for ahead in (self._endings, self._leaving.orders) if ahead]
        return max(now, min(times)) if times else None

    def _end(self, now: int) -> None:
        endings, runs = self._endings, self._leaving.runs
        while endings and endings[0][0] <= now:
            _, id_, run = heappop(endings)
            if id_ in self._state.running and runs.get(id_, 0) == run:
                self._state.finish(id_, now)

    def _will_end(self, allocation: Allocation, now: int) -> None:
        """Work begins, or goes on, at this moment; work without a limit never ends."""
        walltime, id_ = allocation.claim.walltime, allocation.request.id
        if not 0 < walltime < UNLIMITED:
            return
        lasts = walltime
        if self._part is not None:
            used = min(100, 100 * (now - allocation.started) // walltime)
            percent = self._lasting.percent(allocation.claim.leaf, self._part, used)
            if percent is None:
                return
            lasts = walltime * percent // 100
        end = max(now + 1, allocation.started + lasts)
        heappush(self._endings, (end, id_, self._leaving.runs.get(id_, 0)))
