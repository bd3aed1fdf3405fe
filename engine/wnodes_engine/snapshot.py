"""A whole state as values, and a state out of them that decides the same from then on, to the bit.

A snapshot is a stream of parts of bounded size, in the form of `snapshot_form`: what thousands of requests
have in common is written once. What can be worked out from the rest (what is free, what quotas count, what
shares hold) is not in it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec.structs import astuple, replace

from wnodes_engine.core.accounts import Account
from wnodes_engine.core.averages import TICK
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.claim import Part as OnePart
from wnodes_engine.core.farm import Where
from wnodes_engine.core.history import HOUR
from wnodes_engine.core.ledger import HS23, Allocation
from wnodes_engine.core.meters import Hours
from wnodes_engine.core.pausing import pause
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.core.promises import Pledge, owe, set_aside
from wnodes_engine.core.room import Given
from wnodes_engine.core.state import State
from wnodes_engine.garbage import seldom_collected
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.snapshot_form import (
    ClaimRow,
    Claims,
    Clock,
    Ended,
    Held,
    History,
    NodeRow,
    Nodes,
    Part,
    PartRow,
    Paused,
    Promised,
    RequestRow,
    Requests,
    Running,
    Told,
    Use,
    Waiting,
)
from wnodes_engine.state_form import MOST_NODES
from wnodes_engine.values import Node, Request

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

ROWS: Final = 5_000
"""The most rows of one part."""

encode: Final = msgspec.json.Encoder(order="deterministic").encode
"""A value as JSON: equal values are equal bytes, whatever the order of their sets and maps."""


class SnapshotError(Exception):
    """Parts that make up no state under this policy; the message says which."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state at one moment: rows of the parts of the same names, that begin with (request, claim, serial).

    It shares its values with the state, and does not change as that goes on.
    """

    clock: Clock
    nodes: tuple[Node, ...]
    running: tuple[tuple[Request, Claim, int, int, Where, int, bool], ...]
    paused: tuple[tuple[str, int], ...]
    waiting: tuple[tuple[Request, Claim, int], ...]
    held: tuple[tuple[Claim, int, str | int, int, bool], ...]
    promised: tuple[tuple[Request, Claim, int, int, int, int, Where, tuple[tuple[str, int], ...]], ...]
    history: tuple[tuple[str, int, tuple[str, ...], tuple[str, ...]], ...]
    told: tuple[tuple[int, int, str], ...]
    use: tuple[tuple[int, int, str, int, tuple[int, ...]], ...]
    ended: tuple[tuple[int, str | int, tuple[tuple[int, int], ...]], ...]


def snapshot(state: State) -> Snapshot:
    """The state as it is now. Its parts can be made later, and in another thread."""
    history = state.history
    return Snapshot(
        clock=Clock(
            state.minute,
            state.serial,
            state.preempts,
            state.promised,
            tuple(looked_now(state)),
            tuple(state.let_off),
        ),
        nodes=tuple(state.farm.nodes),
        running=tuple(
            (a.request, a.claim, a.serial, a.started, a.where, a.priority, a.native)
            for a in state.allocations.values()
        ),
        paused=tuple((id_, allocation.stopped) for id_, allocation in state.paused.items()),
        waiting=tuple((w.request, w.claim, w.serial) for w in state.waiters.values()),
        held=tuple(
            (claim, *hold, asleep) for queue in state.queues.values() for claim, hold, asleep in queue.holds()
        ),
        promised=tuple(
            (
                *(p.waiter.request, p.waiter.claim, p.waiter.serial, p.number, p.rule, p.leave_by, p.where),
                tuple((id_, given_hs23(victim)) for id_, victim in p.victims.items()),
            )
            for p in state.pledges.values()
        ),
        history=tuple(
            (
                id_,
                history.left(id_),
                tuple(sorted(history.made_room(id_))),
                tuple(sorted(history.pushed_by(id_))),
            )
            for id_ in sorted(history.everybody())
        ),
        told=tuple(told(state)),
        use=tuple((*name, tick, tuple(average)) for name, tick, average in averages(state)),
        ended=tuple(
            (meter, key, tuple(hours.buckets(key).items())) for meter, hours, key in use_over_time(state)
        ),
    )


AccountName = tuple[int, int, str]
"""(share, number of the fairshare key, name); (share, -1, "") for the share itself."""


def averages(state: State) -> Iterator[tuple[AccountName, int, list[int]]]:
    """(whose, as of which tick, by resource): of each share, and of each account of a leaf."""
    for share in range(len(state.tree.shares)):
        yield (share, -1, ""), *state.averages.known(share)
    for leaf, queue in state.queues.items():
        for i, named in enumerate(queue.accounts):
            for name, account in named.items():
                yield (leaf, i, name), account.tick, account.average


def use_over_time(state: State) -> Iterator[tuple[int, Hours, str | int]]:
    """(meter, its hours, key) of everybody whom a quota on use over time has counted."""
    for meter, hours in enumerate(state.meters):
        if isinstance(hours, Hours):
            for key in hours.names():
                yield meter, hours, key


def given_hs23(victim: Allocation) -> int:
    """What a victim that was told to leave gives of hs23: by the factors that its nodes had then."""
    given = victim.given
    return sum(amount for r, amount in given.charged if r == HS23) if given is not None else 0


def told(state: State) -> Iterator[tuple[int, int, str]]:
    """(rule, when, whom) of those that were told to leave, as far as they still count for a budget."""
    for rule, preempt in enumerate(state.policy.checked.preempts):
        if preempt.taking.per_hour is not None:
            for time, victim in state.history.told_since(rule, expired(state)):
                yield rule, time, victim


def expired(state: State) -> int:
    """The time at and before which who was told to leave counts no longer."""
    return state.minute * TICK - HOUR


def looked_now(state: State) -> Iterator[int]:
    """The leaves in which no room could be made in this minute."""
    return (leaf for leaf, minute in sorted(state.looked.items()) if minute == state.minute)


# ------------------------------------------------------------------- to parts


def parts(taken: Snapshot, rows: int = ROWS) -> Iterator[Part]:
    """The snapshot in parts of at most so many rows; entries of tables come before rows that need them."""
    for nodes in _chunks(taken.nodes, rows):
        yield Nodes(tuple(NodeRow(*astuple(node)) for node in nodes))
    tables = _Tables()
    for held in _chunks(taken.running, rows):
        which = tables.numbers(held)
        yield from tables.fresh()
        where = tuple(_short(row[4]) for row in held)
        yield Running(*which, _column(held, 3), where, _column(held, 5), _column(held, 6))
    for paused in _chunks(taken.paused, rows):
        yield Paused(_column(paused, 0), _column(paused, 1))
    for queued in _chunks(taken.waiting, rows):
        which = tables.numbers(queued)
        yield from tables.fresh()
        yield Waiting(*which)
    for back in _chunks(taken.held, rows):
        numbers = tuple(tables.claim(row[0]) for row in back)
        yield Held(numbers, *(_column(back, at) for at in range(1, 5)))
    for promised in _chunks(taken.promised, rows):
        which = tables.numbers(promised)
        yield from tables.fresh()
        number, rule, leave_by = (_column(promised, at) for at in (3, 4, 5))
        where = tuple(_short(row[6]) for row in promised)
        yield Promised(*which, number, rule, leave_by, where, _column(promised, 7))
    for history in _chunks(taken.history, rows):
        yield History(*(_column(history, at) for at in range(4)))
    for orders in _chunks(taken.told, rows):
        yield Told(*(_column(orders, at) for at in range(3)))
    for use in _chunks(taken.use, rows):
        yield Use(*(_column(use, at) for at in range(5)))
    for ended in _chunks(taken.ended, max(1, rows // 100)):
        yield Ended(*(_column(ended, at) for at in range(3)))


class _Table(Generic[K, T]):
    """Numbers for values, in the order in which they first come."""

    def __init__(self) -> None:
        self._numbers: dict[K, int] = {}
        self._fresh: list[T] = []

    def number(self, key: K, value: T) -> int:
        """The number of the value that goes by this key."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._numbers)
            self._fresh.append(value)
        return number

    def fresh(self) -> tuple[T, ...]:
        """The values that have come since this was last asked."""
        fresh = tuple(self._fresh)
        self._fresh.clear()
        return fresh


class _Tables:
    """The claims and the requests that rows point to."""

    def __init__(self) -> None:
        self._claims: _Table[Claim, Claim] = _Table()
        self._requests: _Table[bytes, RequestRow] = _Table()

    def numbers(
        self, rows: Sequence[tuple[Any, ...]]
    ) -> tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The columns that all requests have: id, submitted, request, claim, serial."""
        which = []
        for row in rows:
            plain = RequestRow(*astuple(replace(row[0], id="", submitted=0)))
            which.append(self._requests.number(encode(plain), plain))
        return (
            tuple(row[0].id for row in rows),
            tuple(row[0].submitted for row in rows),
            tuple(which),
            tuple(self.claim(row[1]) for row in rows),
            _column(rows, 2),
        )

    def claim(self, claim: Claim) -> int:
        """The number of a claim."""
        return self._claims.number(claim, claim)

    def fresh(self) -> Iterator[Part]:
        """The entries that have come since this was last asked."""
        if claims := self._claims.fresh():
            yield Claims(tuple(map(_claim_row, claims)))
        if requests := self._requests.fresh():
            yield Requests(requests)


def _claim_row(claim: Claim) -> ClaimRow:
    leaf, part, *others = astuple(claim)
    return ClaimRow(leaf, PartRow(*astuple(part)), *others)


def _short(where: Where) -> int | Where:
    return where[0][0] if len(where) == 1 and where[0][1] == 1 else where


def _column(rows: Sequence[tuple[Any, ...]], at: int) -> tuple[Any, ...]:
    return tuple(map(itemgetter(at), rows))


def _chunks(rows: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    for at in range(0, len(rows), most):
        yield rows[at : at + most]


# ----------------------------------------------------------------- from parts


def restore(policy: CompiledPolicy, clock: Clock, stream: Iterable[Part]) -> State:
    """The state that was taken apart, under the same policy. Raises SnapshotError for what is no state."""
    try:
        with seldom_collected():
            restoring = _Restoring(policy, clock)
            for part in stream:
                restoring.take_in(part)
            return restoring.done()
    except SnapshotError:
        raise
    except Exception as error:  # rows that point nowhere, amounts that cannot be: whatever it was
        raise SnapshotError(f"these parts are not a state: {type(error).__name__}: {error}") from error


class _Restoring:
    """A state that is being put together, and the tables that rows point into."""

    def __init__(self, policy: CompiledPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._now = max(0, clock.minute) * TICK
        self._nodes: list[Node] = []
        self._claims: list[Claim] = []
        self._requests: list[Request] = []
        self._state: State | None = None

    def take_in(self, part: Part) -> None:
        """One more part."""
        match part:
            case Nodes():
                if self._state is not None:
                    raise SnapshotError("nodes come first")
                self._nodes += [Node(*astuple(row)) for row in part.nodes]
                if len(self._nodes) > MOST_NODES:
                    raise SnapshotError(f"there are more than {MOST_NODES:,} nodes")
            case Claims():
                self._claims += [self._claim(row) for row in part.claims]
            case Requests():
                self._requests += [Request(*astuple(row)) for row in part.requests]
            case Running():
                self._run(part)
            case Paused():
                for id_, stopped in zip(part.id, part.stopped, strict=True):
                    allocation = self.state.allocations[id_]
                    pause(self.state, allocation, self._now)
                    allocation.stopped = stopped
            case Waiting():
                for row in zip(*astuple(part), strict=True):
                    self._wait(*row)
            case Held():
                for number, meter, key, asked, asleep in zip(*astuple(part), strict=True):
                    claim = self._claims[number]
                    self.state.queues[claim.leaf].restore_hold(claim, (meter, key, asked), asleep)
            case Promised():
                self._promise(part)
            case History():
                for id_, left, made_room, pushed_by in zip(*astuple(part), strict=True):
                    self.state.history.restore(id_, left, made_room, pushed_by)
            case Told():
                for rule, time, victim in zip(*astuple(part), strict=True):
                    self.state.history.tell(rule, victim, time)
            case Use():
                self._use(part)
            case Ended():
                for meter, key, buckets in zip(part.meter, part.key, part.buckets, strict=True):
                    self.state.meters[meter].restore(key, dict(buckets))

    def done(self) -> State:
        """The state, complete."""
        state, clock = self.state, self._clock
        state.serial, state.promised = clock.serial, clock.promised
        state.looked = dict.fromkeys(clock.looked, clock.minute)
        state.let_off = list(clock.let_off)
        self._let_down()
        return state

    @property
    def state(self) -> State:
        """The state, with every node up for the time being."""
        if self._state is None:
            nodes = [replace(node, up=True) for node in self._nodes]
            self._state = State(self._policy, nodes, preempts=self._clock.preempts)
            self._state.farm.close()
            if self._clock.minute >= 0:
                self._state.advance(self._now)
        return self._state

    def _let_down(self) -> None:
        """Let nodes be down that are: late, since what is held there has all shares worked out each time."""
        self.state.farm.open()
        down = [node for node in self._nodes if not node.up]
        self._nodes = []
        if down:
            self.state.set_nodes(down)

    def _claim(self, row: ClaimRow) -> Claim:
        """Raises SnapshotError for a claim that no request of this policy can have."""
        policy = self._policy
        meters = [entry[0] for entry in (*row.meters, *row.placed)]
        meters += [entry[0] for entry in (*row.waits, *row.hours)]
        if (
            row.leaf not in policy.checked.orders
            or not row.least <= row.parts <= row.most
            or row.over >= len(policy.checked.places)
            or any(meter >= len(policy.meters) for meter in meters)
        ):
            raise SnapshotError("a claim that does not go together with the policy")
        leaf, part, *others = astuple(row)
        return Claim(leaf, OnePart(*astuple(part)), *others)

    def _run(self, rows: Running) -> None:
        state = self.state
        for row in zip(*astuple(rows), strict=True):
            id_, submitted, which, claim, serial, started, where, priority, native = row
            if id_ in state.allocations:
                raise SnapshotError(f"{id_} runs twice")
            request = replace(self._requests[which], id=id_, submitted=submitted)
            allocation = Allocation(
                request, self._claims[claim], _long(where), started, serial, state, native
            )
            allocation.priority = priority
            state.hold(allocation, self._now)

    def _wait(self, id_: str, submitted: int, which: int, claim: int, serial: int) -> None:
        state = self.state
        if id_ in state.waiting or id_ in state.allocations:
            raise SnapshotError(f"{id_} is there twice")
        request = replace(self._requests[which], id=id_, submitted=submitted)
        state.enqueue(request, self._claims[claim], serial)

    def _promise(self, rows: Promised) -> None:
        state = self.state
        self._let_down()
        for row in zip(*astuple(rows), strict=True):
            id_, submitted, which, claim, serial, number, rule, leave_by, where, victims = row
            self._wait(id_, submitted, which, claim, serial)
            pledge = Pledge(number, state.waiters[id_], rule, _long(where), leave_by)
            set_aside(state, pledge)
            actions = self._policy.checked.preempts[rule].taking.actions
            for victim, hs23 in victims:
                allocation = state.allocations[victim]
                given = Given(state, allocation, actions[allocation.request.kind])
                if self._policy.tracks_hs23:
                    given.charged = (*given.asks, (HS23, hs23))
                owe(state, pledge, allocation, given)

    def _use(self, rows: Use) -> None:
        for share, fairshare, name, tick, average in zip(*astuple(rows), strict=True):
            if len(average) != len(RESOURCES):
                raise SnapshotError("an average is not there for every resource")
            if fairshare < 0:
                for resource, amount in enumerate(average):
                    self.state.averages.restore(share, resource, amount, tick)
                continue
            named = self.state.queues[share].accounts[fairshare]
            # What runs has opened accounts already, in another order.
            account = named[name] = named.pop(name, None) or Account()
            account.tick = tick
            account.average = list(average)


def _long(where: int | Where) -> Where:
    return ((where, 1),) if isinstance(where, int) else where
