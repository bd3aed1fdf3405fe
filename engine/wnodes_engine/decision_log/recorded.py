"""A state whose every change is written down: the same calls, and a record of each with what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, cast

import msgspec
from msgspec.structs import astuple

from wnodes_engine.core import decide
from wnodes_engine.core.averages import TICK
from wnodes_engine.core.ledger import Allocation
from wnodes_engine.core.state import Moves, Start, State
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
    Suspend,
    Take,
    answer,
)
from wnodes_engine.decision_log.tally import Tally
from wnodes_engine.snapshot import encode
from wnodes_engine.snapshot_form import NodeRow, RequestRow
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
        recorder.begin(state, self._tally.digest, why)

    # ---------------------------------------------------------------- the changes

    def advance(self, now: int) -> bool:
        """Move the state's clock; recorded with what is done at that time."""
        return self.state.advance(now)

    def submit(self, request: Request, now: int) -> Decision:
        """See `State.submit`."""
        recorder, tally = self._ready(), self._tally
        decision = self.state.submit(request, now)
        encoded = encode(request)
        if decision.outcome is not Outcome.DENY:
            tally.queued(encoded, request.id)
        recorder.add(Submit(recorder.policy, tally.digest, now, _raw(encoded), answer(decision)))
        return decision

    def decide(self, request: Request, now: int) -> Decision:
        """See `core.decide`."""
        recorder = self._ready()
        decision = decide(self.state, request, now)
        asked = _raw(encode(request))
        recorder.add(Question(recorder.policy, self._tally.digest, now, asked, answer(decision)))
        return decision

    def schedule(self, now: int) -> Moves:
        """See `State.schedule`. A pass while nobody waits is not recorded: it changes nothing."""
        recorder, state = self._ready(), self.state
        anything = bool(state.waiting or state.paused or state.let_off)
        moves = state.schedule(now)
        self._tally.passed(moves, now)
        if anything:
            digest = self._tally.digest
            chunks = list(_chunks([_begun(start) for start in moves.starts])) or [[]]
            left = len(moves.starts) - len(chunks[0])
            others = (moves.resumed, moves.preemptions, moves.reprieves)
            recorder.add(Pass(recorder.policy, digest, now, tuple(chunks[0]), left, *others))
            for chunk in chunks[1:]:
                left -= len(chunk)
                recorder.add(More(recorder.policy, digest, tuple(chunk), left))
        return moves

    def finish(self, id_: str, now: int) -> None:
        """See `State.finish`."""
        recorder = self._ready()
        self._tally.around(id_, now, lambda: self.state.finish(id_, now))
        recorder.add(Finish(recorder.policy, self._tally.digest, now, id_))

    def requeue(self, id_: str, now: int) -> None:
        """See `State.requeue`."""
        recorder = self._ready()
        self._tally.around(id_, now, lambda: self.state.requeue(id_, now))
        recorder.add(Requeue(recorder.policy, self._tally.digest, now, id_))

    def suspend(self, id_: str, now: int) -> None:
        """See `State.suspend`."""
        recorder = self._ready()
        self._tally.around(id_, now, lambda: self.state.suspend(id_, now))
        recorder.add(Suspend(recorder.policy, self._tally.digest, now, id_))

    def cancel(self, id_: str, now: int) -> bool:
        """See `State.cancel`."""
        recorder = self._ready()
        found = self._tally.around(id_, now, lambda: self.state.cancel(id_, now))
        recorder.add(Cancel(recorder.policy, self._tally.digest, now, id_, found))
        return found

    def start(
        self, request: Request, placement: Iterable[Placement], now: int, *, native: bool = False
    ) -> Allocation:
        """See `State.start`."""
        recorder, state, placement = self._ready(), self.state, tuple(placement)
        allocation = self._tally.around(
            request.id, now, lambda: state.start(request, placement, now, native=native)
        )
        asked, digest = _raw(encode(request)), self._tally.digest
        recorder.add(Take(recorder.policy, digest, now, asked, placement, allocation.share, native))
        return allocation

    def set_node(self, node: Node) -> None:
        """See `State.set_node`."""
        self.set_nodes((node,))

    def set_nodes(self, nodes: Iterable[Node]) -> None:
        """See `State.set_nodes`."""
        recorder, state = self._ready(), self.state
        named = {node.name: node for node in nodes}
        index = state.farm.index
        before = [state.farm.nodes[index[name]] for name in named if name in index]
        state.set_nodes(named.values())
        self._tally.nodes(before, named.values())
        rows = tuple(NodeRow(*astuple(node)) for node in named.values())
        now = state.minute * TICK if state.minute >= 0 else None
        recorder.add(NodesChange(recorder.policy, self._tally.digest, rows, now))

    def _ready(self) -> Recorder:
        """The recorder, at a place where it can take the next record."""
        if self._recorder.full:
            self._recorder.begin(self.state, self._tally.digest)
        return self._recorder


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
