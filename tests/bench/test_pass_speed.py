"""One pass of the scheduler over a long queue."""

from __future__ import annotations

from bench.conftest import Measure
from bench.scenes import CALLS, GIB, NOW, checked, job, policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.core.state import Start
from wnodes_engine.values import Node

WAITING = 10 * CALLS


def test_a_start_in_a_pass_over_10000_waiting(measure: Measure, quick: bool) -> None:
    """One of the 1,000 that a pass starts; 9,000 stay."""
    compiled = compile_policy(checked(policy(10)))
    share = 10 if quick else 1
    nodes = [Node(f"wn{n:04}", cores=8, memory=32 * GIB) for n in range(CALLS // share)]
    waiting = [
        job(n, user=f"user{n % 200}", group="atlas" if n % 20 else "students", cores=8, memory=16 * GIB)
        for n in range(WAITING // share)
    ]

    def full_queue() -> State:
        state = State(compiled, nodes)
        for request in waiting:
            state.submit(request, NOW)
        assert len(state.waiting) == len(waiting)
        return state

    def start(state: State) -> tuple[State, tuple[Start, ...]]:
        return state, state.schedule(NOW).starts

    state, starts = measure(start, rounds=10, prepare=full_queue)
    assert len(starts) == len(nodes)
    assert len({allocation.placement[0].node for allocation in state.running.values()}) == len(nodes)
    assert len(state.waiting) == len(waiting) - len(nodes)
