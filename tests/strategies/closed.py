"""A farm to which nobody comes and on which nothing ends: victims leave when told, and time goes on."""

from __future__ import annotations

from wnodes_engine.core import State
from wnodes_engine.values import Preemption

STEP = 1549
"""Seconds between two looks: less than the shortest window is open; minutes, hours and days come round."""

DAY = 86400 // STEP + 1
"""Looks in a day."""


def carry_out(state: State, now: int) -> list[Preemption]:
    """Let passes follow each other until nothing more happens at `now`; who was told to leave."""
    told: list[Preemption] = []
    while (moves := state.schedule(now)).preemptions:
        told += moves.preemptions
        for order in moves.preemptions:
            leave(state, order, now)
    return told


def leave(state: State, order: Preemption, now: int) -> None:
    """The victim does what it was told, if it has not been let off."""
    allocation = state.running.get(order.victim)
    if allocation is None or allocation.pledge is None:
        return
    if order.action == "suspend":
        state.suspend(order.victim, now)
    elif order.action == "delete":
        state.finish(order.victim, now)
    else:
        state.requeue(order.victim, now)


def close(state: State, begin: int, days: int) -> list[int]:
    """How many are told to leave at each look at the closed farm, day after day."""
    return [len(carry_out(state, begin + STEP * look)) for look in range(DAY * days)]
