"""A state whose every change is written down: the same calls, and a record of each with what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, cast

import msgspec
from msgspec.structs import astuple

from wnodes_engine.core import decide
from wnodes_engine.core.ledger import Allocation
from wnodes_engine.core.state import Start, State
from wnodes_engine.decision_log.digest import Spent, Tally, request_bytes
from wnodes_engine.decision_log.records import (
    MOST_STARTS,
    Begun,
    Cancel,
    Change,
    Finish,
    More,
    NodesChange,
    Pass,
    Question,
    Requeue,
    Submit,
    Take,
    answer,
)
from wnodes_engine.snapshot import NodeRow, RequestRow, encode
from wnodes_engine.values import Decision, Node, Outcome, Placement, Request

_MOST_PLACES = 20_000
"""How many placements the starts of one record may have together."""


class Recorder(Protocol):
    """Where records go."""

    @property
    def policy(self) -> int:
        """The number of the policy in force."""

    @property
    def full(self) -> bool:
        """Whether no record can follow before the state has begun anew."""

    def begin(self, state: State, digest: str, why: str = "") -> None:
        """From here on there is this state, of that digest."""

    def add(self, record: Change) -> None:
        """Something was done to it."""


class Recorded:
    """A state, and a record of everything that is done to it through this; read from `state` itself.

    What is done past this is not in the log, and the log can then not be confirmed.
    """

    def __init__(self, state: State, recorder: Recorder, why: str = "") -> None:
        """Begins the record with the state as it is now."""
        self.state = state
        self._recorder = recorder
        self._tally = Tally(state)
        self._now: int | None = None
        recorder.begin(state, self._tally.digest, why)

    # ---------------------------------------------------------------- the changes

    def advance(self, now: int) -> bool:
        """Move the state's clock; recorded with what is done at that time."""
        self._now = now
        return self.state.advance(now)

    def submit(self, request: Request, now: int) -> Decision:
        """See `State.submit`."""
        recorder = self._ready()
        decision = self.state.submit(request, now)
        encoded = encode(request)
        if decision.outcome is not Outcome.DENY:
            waiter = self.state.waiters[request.id]
            self._tally.queued(request_bytes(encoded, waiter.claim, waiter.serial))
        self._now = now
        recorder.add(Submit(recorder.policy, self._tally.digest, now, _raw(encoded), answer(decision)))
        return decision

    def decide(self, request: Request, now: int) -> Decision:
        """See `core.decide`."""
        recorder = self._ready()
        decision = decide(self.state, request, now)
        self._now = now
        asked = _raw(encode(request))
        recorder.add(Question(recorder.policy, self._tally.digest, now, asked, answer(decision)))
        return decision

    def schedule(self, now: int) -> list[Start]:
        """See `State.schedule`. A pass while nobody waits is not recorded: it changes nothing."""
        recorder, tally = self._ready(), self._tally
        anybody = bool(self.state.waiters)
        starts = self.state.schedule(now)
        for start in starts:
            request = _bytes_of(start.allocation)
            tally.unqueued(request)
            tally.held(request, start.allocation)
        self._now = now
        if anybody or starts:
            chunks = list(_chunks([_begun(start) for start in starts])) or [[]]
            left = len(starts) - len(chunks[0])
            digest = tally.digest
            recorder.add(Pass(recorder.policy, digest, now, tuple(chunks[0]), left))
            for chunk in chunks[1:]:
                left -= len(chunk)
                recorder.add(More(recorder.policy, digest, tuple(chunk), left))
        return starts

    def finish(self, id_: str, now: int) -> None:
        """See `State.finish`."""
        recorder, allocation = self._ready(), self.state.allocations[id_]
        spent = Spent(self.state, allocation, now)
        self.state.finish(id_, now)
        self._released(_bytes_of(allocation), allocation, spent)
        self._now = now
        recorder.add(Finish(recorder.policy, self._tally.digest, now, id_))

    def requeue(self, id_: str, now: int) -> None:
        """See `State.requeue`."""
        recorder, allocation = self._ready(), self.state.allocations[id_]
        spent = Spent(self.state, allocation, now)
        self.state.requeue(id_, now)
        request = _bytes_of(allocation)
        self._released(request, allocation, spent)
        self._tally.queued(request)
        self._now = now
        recorder.add(Requeue(recorder.policy, self._tally.digest, now, id_))

    def cancel(self, id_: str, now: int) -> bool:
        """See `State.cancel`."""
        recorder, waiter = self._ready(), self.state.waiters.get(id_)
        found = self.state.cancel(id_, now)
        if found and waiter is not None:
            self._tally.unqueued(request_bytes(encode(waiter.request), waiter.claim, waiter.serial))
        self._now = now
        recorder.add(Cancel(recorder.policy, self._tally.digest, now, id_, found))
        return found

    def start(self, request: Request, placement: Iterable[Placement], now: int) -> Allocation:
        """See `State.start`."""
        recorder, placement = self._ready(), tuple(placement)
        waiter = self.state.waiters.get(request.id)
        allocation = self.state.start(request, placement, now)
        if waiter is not None:
            self._tally.unqueued(request_bytes(encode(waiter.request), waiter.claim, waiter.serial))
        encoded = encode(request)
        self._tally.held(request_bytes(encoded, allocation.claim, allocation.serial), allocation)
        self._now = now
        digest = self._tally.digest
        recorder.add(Take(recorder.policy, digest, now, _raw(encoded), placement, allocation.share))
        return allocation

    def set_node(self, node: Node) -> None:
        """See `State.set_node`."""
        self.set_nodes((node,))

    def set_nodes(self, nodes: Iterable[Node]) -> None:
        """See `State.set_nodes`."""
        recorder, farm = self._ready(), self.state.farm
        named = {node.name: node for node in nodes}
        before = {name: farm.nodes[farm.index[name]] for name in named if name in farm.index}
        self.state.set_nodes(named.values())
        for name, node in named.items():
            self._tally.node(before.get(name), node)
        rows = tuple(NodeRow(*astuple(node)) for node in named.values())
        recorder.add(NodesChange(recorder.policy, self._tally.digest, rows, self._now))

    # -------------------------------------------------------------------- inside

    def _ready(self) -> Recorder:
        """The recorder, at a place where it can take the next record."""
        if self._recorder.full:
            self._recorder.begin(self.state, self._tally.digest)
        return self._recorder

    def _released(self, request: bytes, allocation: Allocation, spent: Spent) -> None:
        self._tally.released(request, allocation)
        self._tally.used(spent.change())


def _bytes_of(allocation: Allocation) -> bytes:
    return request_bytes(encode(allocation.request), allocation.claim, allocation.serial)


def _raw(encoded: bytes) -> RequestRow:
    """A request that is encoded already: its bytes are those of its row."""
    return cast("RequestRow", msgspec.Raw(encoded))


def _begun(start: Start) -> Begun:
    decision = start.decision
    return Begun(start.request.id, decision.share or "", decision.route, decision.placement)


def _chunks(starts: Sequence[Begun]) -> Iterator[list[Begun]]:
    """The starts in lists that each fit into one record."""
    chunk: list[Begun] = []
    places = 0
    for start in starts:
        places += len(start.placement)
        if chunk and (len(chunk) == MOST_STARTS or places > _MOST_PLACES):
            yield chunk
            chunk, places = [], len(start.placement)
        chunk.append(start)
    if chunk:
        yield chunk
