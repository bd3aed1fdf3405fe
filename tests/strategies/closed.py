"""A farm that nobody comes to and nothing ends on: victims leave when told, and time goes on."""

from __future__ import annotations

from wnodes_engine.core import State

STEP = 613
"""Seconds between two looks: now and then in another minute, hour, day and window."""


def carry_out(state: State, now: int) -> int:
    """Let passes follow each other until nothing more happens at `now`; how many were told to leave."""
    told = 0
    while True:
        moves = state.schedule(now)
        told += len(moves.preemptions)
        for order in moves.preemptions:
            allocation = state.running.get(order.victim)
            if allocation is None or allocation.pledge is None:
                continue  # let off, or gone already
            if order.action == "suspend":
                state.suspend(order.victim, now)
            elif order.action == "delete":
                state.finish(order.victim, now)
            else:
                state.requeue(order.victim, now)
        if not moves.preemptions:
            return told


def close(state: State, begin: int, looks: int) -> list[int]:
    """How many are told to leave at each of so many looks at the closed farm."""
    return [carry_out(state, begin + STEP * look) for look in range(looks)]
