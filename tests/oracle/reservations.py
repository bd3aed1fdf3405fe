"""What a blocked head of a best-effort leaf is promised, and who would break the promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from oracle.placing import parts_in
from oracle.request import Asked
from oracle.state import Held, State, Waiting
from wnodes_engine.values import Placement

Place = Callable[[State, Asked], tuple[Placement, ...] | None]
"""Where a request would go on a farm, if its share and the nodes have room for it."""


@dataclass(frozen=True)
class Reservation:
    """From `time` on, these nodes are kept for that request."""

    waiting: Waiting
    time: int
    placement: tuple[Placement, ...]

    def concerns(self, candidate: Asked, now: int) -> bool:
        """Whether a request that starts now would still run when the promise falls due."""
        return bool(now + candidate.facts["walltime"] > self.time)

    @property
    def nodes(self) -> frozenset[str]:
        """The names of the nodes that are kept."""
        return frozenset(p.node for p in self.placement)


def reserve(state: State, head: Waiting, now: int, fitting: Place) -> Reservation | None:
    """The earliest expected end at which the head fits, with what it would get; None if it never does."""
    for time in sorted({held.ends_after(now) for held in state.held.values() if held.ends}):
        placement = fitting(state.later(time, now), head.asked)
        if placement is not None:
            return Reservation(head, time, placement)
    return None


def delays(
    state: State, candidate: Asked, placement: tuple[Placement, ...], promise: Reservation, now: int
) -> bool:
    """Whether a request that starts there now would not fit beside the reserved one when that is due."""
    if not promise.concerns(candidate, now):
        return False
    waiting = promise.waiting
    head = Held(waiting.asked, waiting.leaf, promise.placement, promise.time, waiting.sequence)
    then = state.later(promise.time, now, head)
    assert candidate.leaf is not None
    tree, ask = then.tree(), then.ask_on(candidate, placement)
    share_is_full = any(amount > tree.free(candidate.leaf, r) for r, amount in ask.items() if amount > 0)
    return share_is_full or any(
        parts_in(then.room(then.nodes[p.node]), candidate.part) < p.parts
        for p in placement
        if p.node in promise.nodes
    )
