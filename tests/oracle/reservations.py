"""What a blocked head of a best-effort leaf is promised, and who would break the promise."""

from __future__ import annotations

from dataclasses import dataclass

from oracle.fitting import fitting, placement, share_is_full
from oracle.placing import parts_in
from oracle.records import Held, Waiting
from oracle.request import Asked
from oracle.state import State
from wnodes_engine.values import Placement


@dataclass(frozen=True)
class Reservation:
    """From `time` on, these nodes are kept for that request."""

    waiting: Waiting
    time: int
    placement: tuple[Placement, ...]

    def concerns(self, candidate: Asked, start: int) -> bool:
        """Whether a request that starts then would still run when the promise falls due."""
        return bool(start + candidate.facts["walltime"] > self.time)

    @property
    def nodes(self) -> frozenset[str]:
        """The names of the nodes that are kept."""
        return frozenset(p.node for p in self.placement)

    def then(self, state: State, now: int) -> State:
        """The farm as it will be when the promise falls due, with what was promised."""
        waiting = self.waiting
        head = Held(waiting.asked, waiting.leaf, self.placement, self.time, waiting.sequence)
        return state.later(self.time, now, head)


def reserve(state: State, head: Waiting, now: int) -> Reservation | None:
    """The earliest expected end at which the head fits, with what it would get; None if it never does.

    What ends is running work, or a downtime.
    """
    ends = {held.ends_after(now) for held in state.held.values() if held.ends}
    for time in sorted(ends | {downtime.end for downtime in state.policy.downtimes if downtime.end > now}):
        there = fitting(state.later(time, now), head.asked)
        if there is not None:
            return Reservation(head, time, there)
    return None


def delays(
    state: State, candidate: Asked, placement: tuple[Placement, ...], promise: Reservation, now: int
) -> bool:
    """Whether a request that starts there would not fit beside the reserved one when that is due.

    It starts at the state's `latest`.
    """
    if not promise.concerns(candidate, state.latest):
        return False
    then = promise.then(state, now)
    return share_is_full(then, candidate, placement) or any(
        parts_in(then.room(then.nodes[p.node]), candidate.part) < p.parts
        for p in placement
        if p.node in promise.nodes
    )


def kept(candidate: Asked, promises: list[Reservation], start: int) -> frozenset[str]:
    """The nodes that are promised to others while a request that starts then would still run."""
    return frozenset().union(*(promise.nodes for promise in promises if promise.concerns(candidate, start)))


def broken(
    state: State,
    candidate: Asked,
    found: tuple[Placement, ...],
    promises: list[Reservation],
    now: int,
) -> list[Reservation]:
    """The promises that a request would break on the nodes that it would get, if it would on others too."""
    assert candidate.leaf is not None
    elsewhere = placement(state, candidate, avoided=kept(candidate, promises, now))
    if elsewhere is not None and not any(delays(state, candidate, elsewhere, p, now) for p in promises):
        power = state.ask_on(candidate, elsewhere).get("hs23", 0)
        if power == 0 or power <= state.tree().free(candidate.leaf, "hs23"):
            return []
    return [promise for promise in promises if delays(state, candidate, found, promise, now)]
