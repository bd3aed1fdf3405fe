"""What a blocked head of a best-effort leaf is promised, and who would break the promise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

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

    @property
    def held(self) -> Held:
        """The reservation as if the request ran already."""
        return Held(self.waiting.asked, self.waiting.leaf, self.placement, self.time)


def expected_end(held: Held, now: int) -> int:
    """When an allocation should be over: by its walltime, and not before the next second."""
    return max(held.expected_end, now + 1)


def reserve(
    state: State, head: Waiting, others: Iterable[Reservation], now: int, fitting: Place
) -> Reservation | None:
    """The earliest expected end at which the head fits, with what it would get; None if it never does."""
    kept = [other.held for other in others]
    for time in sorted({expected_end(held, now) for held in state.held.values() if held.ends}):
        placement = fitting(state.later(time, now, kept), head.asked)
        if placement is not None:
            return Reservation(head, time, placement)
    return None


def delays(
    state: State, candidate: Held, reservation: Reservation, others: Iterable[Reservation], now: int
) -> bool:
    """Whether starting a candidate now keeps a reserved request from its nodes, or its share, at its time."""
    if candidate.ends and candidate.expected_end <= reservation.time:
        return False
    kept = [other.held for other in others if other is not reservation]
    later = state.later(reservation.time, now, [*kept, candidate])
    head = reservation.waiting.asked
    tree, ask = later.tree(), later.charge(head, reservation.placement)
    room = {p.node: (later.room(later.nodes[p.node]), p.parts) for p in reservation.placement}
    no_share = any(ask[r] > tree.free(reservation.waiting.leaf, r) for r in later.resources if ask[r] > 0)
    no_room = any(
        part > 0 and part * parts > free[r] for free, parts in room.values() for r, part in head.part.items()
    )
    return no_share or no_room
