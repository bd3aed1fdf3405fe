"""Room is made in one group of nodes for those whose parts all have to be in one."""

from __future__ import annotations

from typing import Any

import pytest
from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Node, Outcome, Placement, Request

NOW = 1_700_000_000
POLICY = """
policy p
share a 50% share b 50%
assign a when user == "ann"
assign b otherwise
group A = nodes "a*"
group B = nodes "b*"
place job {how} in one of A, B when user == "ann"
reclaim for any by requeue
route job, vmjob, vm, pool to simulated
"""
A_AND_B = ("a1", "a2", "b1", "b2")


def farm(nodes: tuple[str, ...] = A_AND_B, how: str = "pack") -> State:
    text = POLICY.format(how=how)
    return State(compile_policy(checked(text)), [Node(name, 4, 32_000) for name in nodes])


def job(request_id: str, user: str, cores: int = 4, **asked: Any) -> Request:
    return Request(request_id, "job", "local", user, "cms", NOW, cores=cores, **asked)


def filled(state: State, *nodes: str) -> State:
    """Every node is taken by somebody of `b`; the later a node is named, the later that has started."""
    for later, node in enumerate(nodes):
        state.start(job(f"on-{node}", "bob"), (Placement(node, 1),), NOW + later)
    return state


def told(state: State, request: Request) -> set[str]:
    now = NOW + 60
    answer = decide(state, request, now)
    state.submit(request, now)
    moves = state.schedule(now)
    victims = {order.victim for order in moves.preemptions}
    assert set(answer.victims) == victims
    return victims


@pytest.mark.parametrize("how", ["pack", "spread"])
def test_the_group_is_cleared_whose_last_victim_comes_first_in_the_order(how: str) -> None:
    # Node by node it would be a2 and b1 first: both groups would be half empty, and b at its amount.
    state = filled(farm(how=how), "a1", "b2", "b1", "a2")
    request = job("r", "ann", count=2)
    assert told(state, request) == {"on-b1", "on-b2"}
    for victim in ("on-b1", "on-b2"):
        state.requeue(victim, NOW + 60)
    (start,) = state.schedule(NOW + 60).starts
    assert {place.node for place in start.decision.placement} == {"b1", "b2"}


def test_of_equals_the_group_that_is_named_first_is_cleared() -> None:
    state = farm()
    state.start(job("wide", "bob", count=4), tuple(Placement(node, 1) for node in A_AND_B), NOW)
    state.submit(job("r", "ann", count=2), NOW + 60)
    state.schedule(NOW + 60)
    assert [place.node for place in decide(state, job("r", "ann", count=2), NOW + 60).placement] == [
        "a1",
        "a2",
    ]


def test_free_nodes_of_the_group_are_used() -> None:
    state = filled(farm(), "b2", "a1", "a2")
    assert told(state, job("r", "ann", count=2)) == {"on-b2"}


def test_a_group_is_too_small_and_others_are_no_help() -> None:
    state = filled(farm(("a1", "b1", "b2", "z1")), "b2", "b1", "a1", "z1")
    assert told(state, job("r", "ann", count=2)) == {"on-b1", "on-b2"}


def test_no_group_is_cleared_for_a_request_above_its_amount() -> None:
    state = filled(farm(), *A_AND_B)
    request = job("r", "ann", count=2)
    state.start(job("x", "ann", 1), (Placement("a1", 1),), NOW)  # 9 of the 8 cores of a
    assert decide(state, request, NOW + 60).outcome is Outcome.WAIT
    assert told(state, request) == set()
