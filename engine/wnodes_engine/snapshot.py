"""A whole state as values, and a state out of them that decides the same from then on, to the bit.

A snapshot is a stream of parts of bounded size: columns of rows, and tables that the rows point into, so that
what thousands of requests have in common is written once. What can be worked out from the rest (what is
free, what quotas count, what shares hold) is not in it. Times in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import astuple, replace

from wnodes_engine.core.accounts import Account
from wnodes_engine.core.averages import TICK
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Where
from wnodes_engine.core.ledger import Allocation
from wnodes_engine.core.meters import Hours
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.core.state import State
from wnodes_engine.state_form import MOST_NODES
from wnodes_engine.values import Image, Kind, Node, Origin, Request

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

ROWS: Final = 5_000
"""The most rows of one part."""

encode: Final = msgspec.json.Encoder(order="deterministic").encode
"""A value as JSON: equal values are equal bytes, whatever the order of their sets and maps."""

_WIDEST: Final = 1 << 24

Text = Annotated[str, Meta(max_length=4096)]
Several = Annotated[int, Meta(ge=1, le=_WIDEST)]
Count = Annotated[int, Meta(ge=0, le=_WIDEST)]
Size = Annotated[int, Meta(ge=0, le=1 << 60)]
Seconds = Annotated[int, Meta(ge=0, le=1 << 62)]
Moment = Annotated[int, Meta(ge=0, le=253_370_764_800)]
Index = Annotated[int, Meta(ge=0, le=1 << 32)]
Texts = Annotated[frozenset[Text], Meta(max_length=1000)]


class SnapshotError(Exception):
    """Parts that make up no state under this policy; the message says which."""


class NodeRow(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """`Node`, within bounds."""

    name: Text
    cores: Annotated[int, Meta(ge=0, le=1_000_000)]
    memory: Size
    gpus: Annotated[int, Meta(ge=0, le=10_000)]
    disk: Size
    factor: Annotated[int, Meta(ge=0, le=1 << 40)]
    properties: Texts
    up: bool


class RequestRow(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """`Request`, within bounds."""

    id: Text
    kind: Kind
    origin: Origin
    user: Text
    group: Text
    submitted: Moment
    project: Text | None
    roles: Texts
    cores: Several | None
    memory: Size | None
    gpus: Count | None
    disk: Size | None
    volumes: Count | None
    count: Several | None
    walltime: Seconds | None
    queue: Text | None
    account: Text | None
    flavour: Text | None
    image: Image | None
    name: Text | None
    tags: Texts
    attributes: Annotated[dict[Text, Text | int | bool], Meta(max_length=1000)]


class Nodes(Struct, frozen=True, tag="nodes", tag_field="of", forbid_unknown_fields=True):
    """Nodes, in the order of their names; rows point to them by their number."""

    nodes: tuple[NodeRow, ...]


class Claims(Struct, frozen=True, tag="claims", tag_field="of", forbid_unknown_fields=True):
    """More entries of the table of claims; rows point to them by their number."""

    claims: tuple[Claim, ...]


class Requests(Struct, frozen=True, tag="requests", tag_field="of", forbid_unknown_fields=True):
    """More entries of the table of requests: each without its id and its time of submission."""

    requests: tuple[RequestRow, ...]


class Running(Struct, frozen=True, tag="running", tag_field="of", forbid_unknown_fields=True):
    """Allocations. `where` is a node's number for one part on one node, else (node, parts)."""

    id: tuple[Text, ...]
    submitted: tuple[Moment, ...]
    request: tuple[Index, ...]
    claim: tuple[Index, ...]
    serial: tuple[Index, ...]
    started: tuple[Moment, ...]
    where: tuple[Index | tuple[tuple[Index, Several], ...], ...]


class Waiting(Struct, frozen=True, tag="waiting", tag_field="of", forbid_unknown_fields=True):
    """Requests that wait."""

    id: tuple[Text, ...]
    submitted: tuple[Moment, ...]
    request: tuple[Index, ...]
    claim: tuple[Index, ...]
    serial: tuple[Index, ...]


class Use(Struct, frozen=True, tag="use", tag_field="of", forbid_unknown_fields=True):
    """Averages of past use, in 2^-20 of each resource's unit, as of a tick (a minute since the epoch).

    Of a whole share where `fairshare` is below 0, else of the account of that name in a leaf, under the
    fairshare key of that number.
    """

    share: tuple[Index, ...]
    fairshare: tuple[Annotated[int, Meta(ge=-1, le=100)], ...]
    name: tuple[Text, ...]
    tick: tuple[Index, ...]
    average: tuple[tuple[int, ...], ...]


class Ended(Struct, frozen=True, tag="ended", tag_field="of", forbid_unknown_fields=True):
    """Core-seconds of ended work inside the windows of quotas on use: by meter and key, (bucket, amount)."""

    meter: tuple[Index, ...]
    key: tuple[Text | int, ...]
    buckets: tuple[tuple[tuple[int, int], ...], ...]


Part = Nodes | Claims | Requests | Running | Waiting | Use | Ended


class Clock(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a state stands in time: the minute that it has reached (below 0: none), the last serial."""

    minute: Annotated[int, Meta(ge=-1, le=1 << 32)]
    serial: Index


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state at one moment. It shares its values with the state, and does not change as that goes on."""

    clock: Clock
    nodes: tuple[Node, ...]
    running: tuple[tuple[Request, Claim, int, int, Where], ...]
    """(request, claim, serial, started, where)"""
    waiting: tuple[tuple[Request, Claim, int], ...]
    use: tuple[tuple[int, int, str, int, tuple[int, ...]], ...]
    ended: tuple[tuple[int, str | int, tuple[tuple[int, int], ...]], ...]


def snapshot(state: State) -> Snapshot:
    """The state as it is now. Its parts can be made later, and in another thread."""
    return Snapshot(
        Clock(state.minute, state.serial),
        tuple(state.farm.nodes),
        tuple((a.request, a.claim, a.serial, a.started, a.where) for a in state.allocations.values()),
        tuple((w.request, w.claim, w.serial) for w in state.waiters.values()),
        tuple((*name, account.tick, tuple(account.average)) for name, account in accounts(state)),
        tuple((meter, key, tuple(hours.buckets(key).items())) for meter, hours, key in use_over_time(state)),
    )


AccountName = tuple[int, int, str]
"""(share, number of the fairshare key, name); (share, -1, "") for the share itself."""


def accounts(state: State) -> Iterator[tuple[AccountName, Account]]:
    """Every average of a state: of each share, and of each account of a leaf's fairshare keys."""
    for share, account in enumerate(state.share_use):
        yield (share, -1, ""), account
    for leaf, queue in state.queues.items():
        for i, named in enumerate(queue.accounts):
            for name, account in named.items():
                yield (leaf, i, name), account


def use_over_time(state: State) -> Iterator[tuple[int, Hours, str | int]]:
    """(meter, its hours, key) of everybody whom a quota on use over time has counted."""
    for meter, hours in enumerate(state.meters):
        if isinstance(hours, Hours):
            for key in hours.names():
                yield meter, hours, key


# ------------------------------------------------------------------- to parts


def parts(taken: Snapshot, rows: int = ROWS) -> Iterator[Part]:
    """The snapshot in parts of at most so many rows; entries of tables come before rows that need them."""
    for nodes in _chunks(taken.nodes, rows):
        yield Nodes(tuple(NodeRow(*astuple(node)) for node in nodes))
    claims: _Table[Claim, Claim] = _Table()
    requests: _Table[bytes, RequestRow] = _Table()
    for held in _chunks(taken.running, rows):
        which = _numbers(held, claims, requests)
        yield from _fresh(claims, requests)
        yield Running(*which, _column(held, 3), tuple(_short(row[4]) for row in held))
    for queued in _chunks(taken.waiting, rows):
        which = _numbers(queued, claims, requests)
        yield from _fresh(claims, requests)
        yield Waiting(*which)
    for use in _chunks(taken.use, rows):
        yield Use(*(_column(use, at) for at in range(5)))
    for ended in _chunks(taken.ended, max(1, rows // 100)):
        yield Ended(_column(ended, 0), _column(ended, 1), _column(ended, 2))


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


def _numbers(
    rows: Sequence[tuple[Any, ...]], claims: _Table[Claim, Claim], requests: _Table[bytes, RequestRow]
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The columns that all requests have: id, submitted, request, claim, serial."""
    which = []
    for row in rows:
        plain = RequestRow(*astuple(replace(row[0], id="", submitted=0)))
        which.append(requests.number(encode(plain), plain))
    return (
        tuple(row[0].id for row in rows),
        tuple(row[0].submitted for row in rows),
        tuple(which),
        tuple(claims.number(row[1], row[1]) for row in rows),
        _column(rows, 2),
    )


def _fresh(claims: _Table[Claim, Claim], requests: _Table[bytes, RequestRow]) -> Iterator[Part]:
    if more := claims.fresh():
        yield Claims(more)
    if others := requests.fresh():
        yield Requests(others)


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
        return _Restoring(policy, clock).take_in(stream)
    except SnapshotError:
        raise
    except Exception as error:  # rows that point nowhere, amounts that cannot be: whatever it was
        raise SnapshotError(f"these parts are not a state: {type(error).__name__}: {error}") from error


class _Restoring:
    """A state that is being put together, and the tables that rows point into."""

    def __init__(self, policy: CompiledPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._nodes: list[Node] = []
        self._claims: list[Claim] = []
        self._requests: list[Request] = []
        self._state: State | None = None

    def take_in(self, stream: Iterable[Part]) -> State:
        for part in stream:
            match part:
                case Nodes():
                    if self._state is not None:
                        raise SnapshotError("nodes come first")
                    self._nodes += [Node(*astuple(row)) for row in part.nodes]
                    if len(self._nodes) > MOST_NODES:
                        raise SnapshotError(f"there are more than {MOST_NODES:,} nodes")
                case Claims():
                    self._claims += [self._sound(claim) for claim in part.claims]
                case Requests():
                    self._requests += [Request(*astuple(row)) for row in part.requests]
                case Running():
                    self._run(part)
                case Waiting():
                    self._wait(part)
                case Use():
                    self._use(part)
                case Ended():
                    self._end(part)
        state = self.state
        # Only now: what is held on a node that is down has a share's worth worked out anew each time.
        down = [node for node in self._nodes if not node.up]
        if down:
            state.set_nodes(down)
        state.serial = self._clock.serial
        return state

    @property
    def state(self) -> State:
        """The state, with every node up for the time being."""
        if self._state is None:
            self._state = State(self._policy, [replace(node, up=True) for node in self._nodes])
            if self._clock.minute >= 0:
                self._state.advance(self._clock.minute * TICK)
        return self._state

    def _sound(self, claim: Claim) -> Claim:
        """Raises SnapshotError for a claim that no request of this policy can have."""
        policy, part = self._policy, claim.part
        meters = [entry[0] for entry in (*claim.meters, *claim.placed)]
        meters += [entry[0] for entry in (*claim.waits, *claim.hours)]
        if (
            claim.leaf not in policy.checked.orders
            or not 1 <= claim.parts <= _WIDEST
            or min(part) < 0
            or not all(0 <= meter < len(policy.meters) for meter in meters)
        ):
            raise SnapshotError("a claim that does not go together with the policy")
        return claim

    def _run(self, rows: Running) -> None:
        state, now = self.state, max(0, self._clock.minute) * TICK
        for id_, submitted, which, claim, serial, started, where in zip(*astuple(rows), strict=True):
            request = replace(self._requests[which], id=id_, submitted=submitted)
            if id_ in state.allocations:
                raise SnapshotError(f"{id_} runs twice")
            at = ((where, 1),) if isinstance(where, int) else where
            state.hold(Allocation(request, self._claims[claim], at, started, serial, state), now)

    def _wait(self, rows: Waiting) -> None:
        state = self.state
        for id_, submitted, which, claim, serial in zip(*astuple(rows), strict=True):
            if id_ in state.waiters or id_ in state.allocations:
                raise SnapshotError(f"{id_} is there twice")
            request = replace(self._requests[which], id=id_, submitted=submitted)
            state.enqueue(request, self._claims[claim], serial)

    def _use(self, rows: Use) -> None:
        for share, fairshare, name, tick, average in zip(*astuple(rows), strict=True):
            if fairshare < 0:
                account = self.state.share_use[share]
            else:
                accounts = self.state.queues[share].accounts[fairshare]
                # What runs has opened accounts already, in another order.
                account = accounts[name] = accounts.pop(name, None) or Account()
            if len(average) != len(account.average):
                raise SnapshotError("an average is not there for every resource")
            account.tick = tick
            account.average = list(average)

    def _end(self, rows: Ended) -> None:
        for meter, key, buckets in zip(rows.meter, rows.key, rows.buckets, strict=True):
            self.state.meters[meter].restore(key, dict(buckets))
