"""The digest of a state kept up change by change, by whoever changes the state."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from wnodes_engine.core.claim import Claim, with_parts
from wnodes_engine.core.ledger import Allocation
from wnodes_engine.core.meters import Hours
from wnodes_engine.core.promises import Pledge
from wnodes_engine.core.state import Moves, State
from wnodes_engine.decision_log.digest import (
    account_factor,
    allocation_bytes,
    allocation_number,
    buckets_number,
    counters,
    encoded_bytes,
    hours_factor,
    left_number,
    node_number,
    pledge_number,
    push_number,
    request_bytes,
    room_number,
    shown,
    sum_of,
    told_number,
    use_number,
    waiting_number,
)
from wnodes_engine.snapshot import AccountName, averages, expired, told
from wnodes_engine.values import Node, Preemption

R = TypeVar("R")


class Tally:
    """The sum of one state: each method is told of one sort of change."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._total = sum_of(state)
        self._averages: dict[AccountName, tuple[int, int, int]] = {}
        """By account: its factor, the tick as of which it is in the sum, and what it is there."""
        for name, tick, average in averages(state):
            factor = account_factor(*name)
            self._averages[name] = (factor, tick, factor * use_number(tick, average))
        self._paused = {id_: self._held(allocation) for id_, allocation in state.paused.items()}
        """By request: what suspended allocations are in the sum."""
        self._promises = _Promises(state)

    @property
    def digest(self) -> str:
        """The digest of the state as it is now."""
        return shown(self._total + self._promises.told() + counters(self._state))

    # ---------------------------------------------------------------- what changes

    def queued(self, encoded: bytes, id_: str) -> None:
        """A request has come in, that is encoded so, and waits."""
        waiter = self._state.waiters[id_]
        self._total += waiting_number(encoded_bytes(encoded, waiter.claim, waiter.serial))

    def around(self, id_: str, now: int, do: Callable[[], R]) -> R:
        """Do something at `now` that changes what becomes of one request; what it returns."""
        state = self._state
        allocation = state.allocations.get(id_)
        before = self._of(id_)
        spent = _Spent(state, allocation, now) if allocation is not None else None
        with_others = self._promises.before(id_, allocation) if state.rules_for else None
        result = do()
        self._total += self._of(id_) - before
        if allocation is not None:
            self._averaged(allocation.claim)
        after = state.allocations.get(id_)
        if after is not None and after is not allocation:
            self._averaged(after.claim)
        if spent is not None:
            self._total += spent.change()
        if id_ in state.paused:
            self._paused[id_] = self._held(state.paused[id_])
        else:
            self._paused.pop(id_, None)
        if with_others is not None:
            self._total += self._promises.after(with_others)
        return result

    def passed(self, moves: Moves, now: int) -> None:
        """There was a pass."""
        state = self._state
        for start in moves.starts:
            allocation = start.allocation
            request = allocation_bytes(allocation)
            if not self._promises.waited_for(start.request.id):
                claim = with_parts(allocation.claim, allocation.claim.least, state.policy.meters)
                waited = request
                if claim is not allocation.claim:  # it waited for fewer parts than it got
                    waited = request_bytes(allocation.request, claim, allocation.serial)
                self._total -= waiting_number(waited)
            self._total += allocation_number(request, allocation)
            self._averaged(allocation.claim)
        for id_ in moves.resumed:
            allocation = state.allocations[id_]
            self._total += self._held(allocation) - self._paused.pop(id_)
            self._averaged(allocation.claim)
        if state.rules_for:
            started = [start.request.id for start in moves.starts]
            self._total += self._promises.passed(started, moves.preemptions, now)

    def nodes(self, before: Iterable[Node], after: Iterable[Node]) -> None:
        """Nodes have changed, or are new."""
        self._total += sum(map(node_number, after)) - sum(map(node_number, before))
        if self._state.rules_for:
            self._total += self._promises.settle()

    # -------------------------------------------------------------------- inside

    def _of(self, id_: str) -> int:
        """What the request is in the sum, in line or running."""
        waiter = self._state.waiters.get(id_)
        if waiter is not None:
            return waiting_number(request_bytes(waiter.request, waiter.claim, waiter.serial))
        allocation = self._state.allocations.get(id_)
        return self._held(allocation) if allocation is not None else 0

    @staticmethod
    def _held(allocation: Allocation) -> int:
        return allocation_number(allocation_bytes(allocation), allocation)

    def _averaged(self, claim: Claim) -> None:
        """The averages of the claim's shares and accounts may have been brought to another tick."""
        state, leaf = self._state, claim.leaf
        for share in state.tree.paths[leaf]:
            self._average((share, -1, ""), *state.averages.known(share))
        for fairshare, name in enumerate(claim.accounts):
            account = state.queues[leaf].accounts[fairshare][name]
            self._average((leaf, fairshare, name), account.tick, account.average)

    def _average(self, name: AccountName, tick: int, average: list[int]) -> None:
        factor, known, before = self._averages.get(name) or (account_factor(*name), -1, 0)
        if tick != known:
            number = factor * use_number(tick, average)
            self._averages[name] = (factor, tick, number)
            self._total += number - before


class _Spent:
    """The buckets that change as an allocation ends: made before that, it tells afterwards by how much."""

    def __init__(self, state: State, allocation: Allocation, now: int) -> None:
        end = now if allocation.rest is None else allocation.stopped
        self._parts: list[tuple[Hours, str | int, int, list[int]]] = []
        for meter, key in dict.fromkeys(allocation.claim.hours):
            hours: Hours = state.meters[meter]
            begin = max(allocation.started // hours.length, hours.first(end))
            touched = [*hours.leaving(key, end), *range(begin, end // hours.length + 1)]
            self._parts.append((hours, key, hours_factor(meter, key), touched))
        self._before = self._sum()

    def change(self) -> int:
        """By how much the state's sum has changed."""
        return self._sum() - self._before

    def _sum(self) -> int:
        return sum(factor * buckets_number(hours, key, some) for hours, key, factor, some in self._parts)


class _Others:
    """What a change may concern beside the request: as it was before."""

    __slots__ = ("ids", "known", "pledge")

    def __init__(self, ids: tuple[str, ...], known: int, pledge: Pledge | None) -> None:
        self.ids = ids
        self.known = known
        self.pledge = pledge


class _Known:
    """A promise as it is in the sum."""

    __slots__ = ("number", "pledge", "request", "victims")

    def __init__(self, state: State, pledge: Pledge) -> None:
        waiter = pledge.waiter
        self.pledge = pledge
        self.request = request_bytes(waiter.request, waiter.claim, waiter.serial)
        self.number = pledge_number(state, pledge)
        self.victims = tuple(pledge.victims)


class _Promises:
    """What there is in the sum of promises, of victims, and of what is known of them."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known = {id_: _Known(state, pledge) for id_, pledge in state.pledges.items()}
        rooms = ((id_, room_number(state, id_)) for id_ in state.history.everybody())
        self._rooms = {id_: number for id_, number in rooms if number}
        """By request: those that have left for it, in the sum."""
        self._budgeted = [rule.taking.per_hour is not None for rule in state.policy.checked.preempts]
        self._orders: deque[_Order] = deque()
        self._orders_to: dict[tuple[int, str], list[_Order]] = {}
        self._expired = 0
        """What orders that count no longer were in the sum."""
        for rule, time, victim in sorted(told(state), key=lambda order: order[1]):
            self._tell(rule, time, victim)

    def told(self) -> int:
        """What is to be added to the sum, since orders count for an hour only."""
        orders, last = self._orders, expired(self._state)
        while orders and orders[0].time <= last:
            order = orders.popleft()
            if order.counts:
                self._forget(order)
                self._expired -= order.number
        return self._expired

    def waited_for(self, id_: str) -> bool:
        """Whether room was promised to the request, as far as the sum knows."""
        return id_ in self._known

    def before(self, id_: str, allocation: Allocation | None) -> _Others:
        """What a change of the request may concern, before it."""
        pledge = allocation.pledge if allocation is not None else None
        ids = (id_,) if pledge is None else (id_, pledge.waiter.request.id)
        return _Others(ids, self._relations(id_) + self._rooms_of(ids), pledge)

    def after(self, others: _Others) -> int:
        """By how much the sum has changed, after it."""
        state = self._state
        change = self._relations(others.ids[0]) - others.known
        for id_ in others.ids:
            self._rooms[id_] = number = room_number(state, id_)
            change += number
            if not number:
                del self._rooms[id_]
        pledge = others.pledge
        if pledge is not None and state.pledges.get(others.ids[1]) is pledge:
            fresh = _Known(state, pledge)
            change += fresh.number - self._known[others.ids[1]].number
            self._known[others.ids[1]] = fresh
        return change + self.settle() if others.ids[0] in self._known else change

    def passed(self, started: Iterable[str], preemptions: Iterable[Preemption], now: int) -> int:
        """By how much the sum has changed in a pass."""
        change = -sum(self._rooms.pop(id_, 0) for id_ in started)
        change += self.settle()
        for order in preemptions:
            change += self._tell(order.rule, now, order.victim)
        return change

    def settle(self) -> int:
        """By how much the sum has changed as promises came and went."""
        state, change = self._state, 0
        for id_, known in list(self._known.items()):
            if state.pledges.get(id_) is not known.pledge:
                del self._known[id_]
                change -= known.number
                change += sum(self._let_off(known.pledge.rule, victim) for victim in known.victims)
                if id_ in state.waiters or id_ in state.pledges:
                    change += waiting_number(known.request)
        if len(self._known) < len(state.pledges):
            for id_, pledge in state.pledges.items():
                if id_ not in self._known:
                    known = self._known[id_] = _Known(state, pledge)
                    change += known.number - waiting_number(known.request)
        return change

    def _relations(self, id_: str) -> int:
        history = self._state.history
        total = left_number(self._state, id_)
        total += sum(push_number(id_, by) for by in history.pushed_by(id_))
        return total + sum(push_number(victim, id_) for victim in history.pushed(id_))

    def _rooms_of(self, ids: Iterable[str]) -> int:
        return sum(self._rooms.get(id_, 0) for id_ in ids)

    def _tell(self, rule: int, time: int, victim: str) -> int:
        if not self._budgeted[rule]:
            return 0
        order = _Order(time, told_number(rule, time, victim), (rule, victim))
        self._orders.append(order)
        self._orders_to.setdefault((rule, victim), []).append(order)
        return order.number

    def _let_off(self, rule: int, victim: str) -> int:
        orders = self._orders_to.get((rule, victim))
        if not orders:
            return 0
        order = orders[-1]
        self._forget(order)
        return -order.number

    def _forget(self, order: _Order) -> None:
        order.counts = False
        orders = self._orders_to[order.to]
        orders.remove(order)
        if not orders:
            del self._orders_to[order.to]


class _Order:
    """That somebody was told to leave, and whether it still counts."""

    __slots__ = ("counts", "number", "time", "to")

    def __init__(self, time: int, number: int, to: tuple[int, str]) -> None:
        """`to` is the rule, and whom it told."""
        self.time = time
        self.number = number
        self.to = to
        self.counts = True
