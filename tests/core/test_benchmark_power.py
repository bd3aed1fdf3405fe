"""hs23: where a share or a quota is short of benchmark power, slower nodes are looked for."""

from __future__ import annotations

from typing import Any

import pytest
from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Code, Decision, Node, Outcome, Placement, Request

NOW = 1_700_000_000
FAST_AND_SLOW = (Node("fast", 4, 64_000, factor=2000), Node("slow", 8, 64_000, factor=1000))
SHARE = "share a 100%, 8 hs23 borrow none share b 0% assign a otherwise\n"
QUOTA = "share a 100% assign a otherwise quota for each user: hs23 <= 8\n"


def farm(statements: str, *nodes: Node) -> State:
    policy = checked(f"policy p\n{statements}\nroute job, vmjob, vm, pool to simulated\n")
    return State(compile_policy(policy), nodes or FAST_AND_SLOW)


def job(request_id: str, cores: int = 1, **asked: Any) -> Request:
    asked = {"kind": "job", "origin": "local", "user": "ann", "group": "cms", "submitted": NOW} | asked
    return Request(request_id, cores=cores, **asked)


def placed(decision: Decision) -> dict[str, int]:
    return {place.node: place.parts for place in decision.placement}


def said(decision: Decision) -> list[tuple[Code, str, int | None]]:
    return [(reason.code, reason.resource, reason.short) for reason in decision.reasons]


@pytest.mark.parametrize("limit", [SHARE, QUOTA])
def test_the_node_is_chosen_as_ever_where_there_is_power_enough(limit: str) -> None:
    assert placed(decide(farm(limit), job("r", 4), NOW)) == {"fast": 1}


@pytest.mark.parametrize("limit", [SHARE, QUOTA])
def test_a_slower_node_is_taken_where_the_chosen_one_would_be_too_much(limit: str) -> None:
    state = farm(limit)
    state.start(job("r0", 2), (Placement("slow", 1),), NOW)
    assert placed(decide(state, job("r", 4), NOW)) == {"slow": 1}
    state.submit(job("r", 4), NOW)
    (start,) = state.schedule(NOW).starts
    assert placed(start.decision) == {"slow": 1}


@pytest.mark.parametrize(("limit", "code"), [(SHARE, Code.SHARE), (QUOTA, Code.QUOTA)])
def test_what_is_short_is_short_on_the_slowest_nodes_that_have_room(limit: str, code: Code) -> None:
    state = farm(limit)
    state.start(job("r0", 5), (Placement("slow", 1),), NOW)
    assert said(decide(state, job("r", 4), NOW)) == [(code, "hs23", 5000)]  # "slow" has 3 cores left
    assert said(decide(state, job("r", 3, count=1), NOW)) == []
    state.start(job("r1", 1), (Placement("slow", 1),), NOW)
    assert said(decide(state, job("r", 2, count=2), NOW)) == [(code, "hs23", 4000)]


def test_parts_fill_the_slowest_nodes_first_whatever_is_preferred() -> None:
    state = farm(SHARE + 'nodes "fast" preferred when count > 1 nodes "slow" preferred when count > 9')
    assert placed(decide(state, job("r", 1, count=3), NOW)) == {"fast": 3}
    state.start(job("r0", 1), (Placement("slow", 1),), NOW)
    assert placed(decide(state, job("r", 1, count=6), NOW)) == {"slow": 6}


def test_one_whom_a_quota_lets_onto_slow_nodes_alone_blocks_nobody_while_these_are_full() -> None:
    state = farm('share a 100% order a by age strict assign a otherwise quota for group "cms": hs23 <= 4\n')
    state.start(job("r0", 8, group="atlas"), (Placement("slow", 1),), NOW)
    state.submit(job("r1", 4), NOW)
    state.submit(job("r2", 1, group="atlas", submitted=NOW + 1), NOW)
    assert [start.request.id for start in state.schedule(NOW + 1).starts] == ["r2"]


def test_at_least_begins_with_as_many_parts_as_there_is_power_for_on_the_slowest_nodes() -> None:
    assert placed(decide(farm(QUOTA), job("r", 1, count=20, at_least=2), NOW)) == {"slow": 8}


def test_in_one_group_the_slowest_nodes_of_it_are_taken() -> None:
    groups = 'group A = nodes "a*" group B = nodes "b*" place job pack in one of A, B\n'
    nodes = (
        Node("a1", 2, 64_000, factor=3000),
        Node("b1", 2, 64_000, factor=2000),
        Node("b2", 4, 64_000, factor=1000),
        Node("z", 8, 64_000, factor=1000),
    )
    state = farm(QUOTA + groups, *nodes)
    asked = job("r", 1, count=2)
    assert placed(decide(state, asked, NOW)) == {"a1": 2}
    state.start(job("r0", 3), (Placement("z", 1),), NOW)
    assert placed(decide(state, asked, NOW)) == {"b1": 2}
    state.start(job("r1", 2), (Placement("z", 1),), NOW)
    assert placed(decide(state, asked, NOW)) == {"b2": 2}


def test_a_blocked_head_is_promised_slower_nodes_where_it_needs_them() -> None:
    state = farm(SHARE)
    state.start(job("r0", 8, walltime=600), (Placement("slow", 1),), NOW)
    state.submit(job("head", 5, walltime=600), NOW)
    assert state.schedule(NOW).starts == ()
    (reservation,) = state.reservations(NOW)
    assert state.placement(reservation.where) == (Placement("slow", 1),)


def test_what_no_node_is_slow_enough_for_is_denied() -> None:
    assert state_denies(farm(QUOTA), job("r", 3, count=3)) == [(Code.QUOTA, "hs23", 1000)]
    assert state_denies(farm(SHARE), job("r", 3, count=3)) == [(Code.NEVER_SHARE, "hs23", 1000)]


def state_denies(state: State, request: Request) -> list[tuple[Code, str, int | None]]:
    answer = state.submit(request, NOW)
    assert answer.outcome is Outcome.DENY
    return said(answer)
