"""`at_least`: a request begins with as many of its parts as there is room for, if those are enough."""

from __future__ import annotations

from typing import Any

import pytest
from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Code, Decision, Node, Outcome, Placement, Request

NOW = 1_700_000_000
FOUR = tuple(Node(f"n{i}", 8, 8000) for i in range(4))


def pool(request_id: str, count: int, at_least: int | None = None, **asked: Any) -> Request:
    asked = {"kind": "pool", "origin": "cloud", "user": "ann", "group": "cms", "submitted": NOW} | asked
    return Request(request_id, count=count, at_least=at_least, **asked)


def farm(statements: str, *nodes: Node) -> State:
    text = f"policy p\n{statements}\nroute job, vmjob, vm, pool to simulated\n"
    return State(compile_policy(checked(text)), nodes or FOUR)


def plain(*nodes: Node) -> State:
    return farm("share a 100% assign a otherwise", *nodes)


def started(state: State, now: int = NOW) -> dict[str, int]:
    """The parts that each start of a pass got, by request."""
    return {s.request.id: sum(p.parts for p in s.decision.placement) for s in state.schedule(now).starts}


def parts(decision: Decision) -> int:
    assert decision.outcome is Outcome.START
    return sum(place.parts for place in decision.placement)


def said(decision: Decision) -> list[tuple[Code, int | None, int | None]]:
    return [(reason.code, reason.current, reason.short) for reason in decision.reasons]


# ------------------------------------------------------------------ how many


def test_without_at_least_all_parts_start_together_or_none() -> None:
    state = plain()
    state.submit(pool("r1", 5, cores=8), NOW - 1)
    assert started(state) == {}


def test_it_starts_with_as_many_parts_as_the_nodes_have_room_for() -> None:
    assert parts(decide(plain(), pool("r1", 100, 2, cores=3), NOW)) == 8


def test_it_starts_with_all_parts_where_there_is_room() -> None:
    assert parts(decide(plain(), pool("r1", 8, 2, cores=3, memory=1), NOW)) == 8


def test_it_starts_with_as_many_parts_as_its_share_has_left() -> None:
    state = farm("share a 50% borrow none share b 50% assign a otherwise")
    assert parts(decide(state, pool("r1", 100, 2, cores=3), NOW)) == 5


@pytest.mark.parametrize(
    ("limit", "begins_with"),
    [("machines <= 7", 7), ("cores <= 20", 6), ("memory <= 5GiB", 5), ("core_hours <= 24 per 1d", 4)],
)
def test_it_starts_with_as_many_parts_as_a_quota_leaves(limit: str, begins_with: int) -> None:
    state = farm(f"share a 100% assign a otherwise quota for each user: {limit}")
    assert parts(decide(state, pool("r1", 10, 2, cores=3, memory=1024, walltime=7200), NOW)) == begins_with


def test_it_starts_with_as_many_parts_as_delay_nobody() -> None:
    state = plain()
    state.start(pool("r0", 3, cores=8, walltime=3600), [Placement(f"n{i}", 1) for i in range(3)], NOW)
    state.submit(pool("r1", 2, cores=8, walltime=3600), NOW)  # promised n0 and n1 in an hour
    state.submit(pool("r2", 12, 3, cores=2), NOW + 1)
    assert started(state, NOW + 1) == {"r2": 4}


def test_it_waits_while_there_is_room_for_fewer() -> None:
    state = plain()
    state.submit(pool("r1", 10, 5, cores=8), NOW - 1)
    assert started(state) == {}


def test_asking_and_starting_come_to_the_same() -> None:
    state = farm("share a 100% assign a otherwise quota for each user: machines <= 7")
    answer = decide(state, pool("r1", 10, 2, cores=3), NOW)
    state.submit(pool("r1", 10, 2, cores=3), NOW)
    (start,) = state.schedule(NOW).starts
    assert start.decision == answer


def test_at_least_is_never_more_than_the_count() -> None:
    state = farm("share a 100% assign a otherwise default count 3")
    request = Request("r1", "pool", "cloud", "ann", "cms", NOW, at_least=5)
    assert parts(decide(state, request, NOW)) == 3


# --------------------------------------------------------------- what it holds


def test_it_is_charged_for_the_parts_that_it_got() -> None:
    state = farm(
        "share a 100% assign a otherwise\n"
        "quota for each user: machines <= 7, volumes <= 100, running <= 1, core_hours <= 1000 per 1d"
    )
    state.submit(pool("r1", 10, 2, cores=3, memory=100, volumes=2, walltime=3600), NOW)
    assert started(state) == {"r1": 7}
    share = state.shares(NOW)[1]
    assert (share.used["cores"], share.used["memory"]) == (21, 700)
    machines, volumes, running, hours = state.meters
    assert (machines, volumes, running) == ({"ann": 7}, {"ann": 14}, {"ann": 1})
    assert hours.held("ann", NOW) == 21 * 3600
    state.finish("r1", NOW + 600)
    assert (machines, volumes, running) == ({}, {}, {})
    assert hours.held("ann", NOW + 600) == 21 * 600


def test_the_rest_does_not_follow() -> None:
    state = plain()
    state.start(pool("r0", 3, cores=8), [Placement(f"n{i}", 1) for i in range(3)], NOW)
    state.submit(pool("r1", 4, 1, cores=8), NOW)
    assert started(state) == {"r1": 1}
    state.finish("r0", NOW + 60)
    assert started(state, NOW + 60) == {}
    assert sum(place.parts for place in state.running["r1"].placement) == 1


def test_who_has_to_wait_again_wants_all_parts_again() -> None:
    state = plain()
    state.start(pool("r0", 3, cores=8), [Placement(f"n{i}", 1) for i in range(3)], NOW)
    state.submit(pool("r1", 4, 1, cores=8), NOW)
    assert started(state) == {"r1": 1}
    state.requeue("r1", NOW + 60)
    state.finish("r0", NOW + 60)
    assert started(state, NOW + 60) == {"r1": 4}


def test_what_runs_already_may_have_any_number_of_parts_from_at_least_to_the_count() -> None:
    state = plain()
    state.start(pool("r1", 4, 2, cores=1), [Placement("n0", 3)], NOW)
    assert state.shares(NOW)[0].used["cores"] == 3
    for wrong in (1, 5):
        with pytest.raises(ValueError, match="parts"):
            state.start(pool("r2", 4, 2, cores=1), [Placement("n0", wrong)], NOW)


# ------------------------------------------------------- what denies, and why


def test_what_can_begin_within_a_quota_is_not_denied_by_it() -> None:
    state = farm("share a 100% assign a otherwise quota for each user: machines <= 3")
    assert parts(decide(state, pool("r1", 100, 2), NOW)) == 3
    denied = state.submit(pool("r2", 100, 4), NOW)
    assert said(denied) == [(Code.QUOTA, 4, 1)]
    assert "asks at least 4 machines by itself" in denied.reasons[0].message


def test_what_can_begin_on_the_farm_and_in_its_share_could_run() -> None:
    state = farm("share a 50% borrow none share b 50% assign a otherwise")
    assert state.submit(pool("r1", 100, 2, cores=8), NOW).outcome is Outcome.WAIT
    assert said(state.submit(pool("r2", 100, 5, cores=8), NOW)) == [
        (Code.NEVER_SHARE, 40, 24),
        (Code.NEVER_NODE, 5, 1),
    ]


def test_a_cap_and_a_rule_read_what_is_asked() -> None:
    state = farm(
        "share a 100% assign a otherwise cap count 10\n"
        'deny "all or nothing" when kind == pool and at_least < count'
    )
    codes = [reason.code for reason in state.submit(pool("r1", 11, 2), NOW).reasons]
    assert codes == [Code.CAP, Code.RULE]
    assert state.submit(pool("r2", 10), NOW).outcome is Outcome.WAIT


def test_the_reasons_say_what_is_short_of_at_least() -> None:
    state = farm("share a 100% assign a otherwise quota for each user: cores <= 26")
    state.start(pool("r0", 3, cores=8), [Placement(f"n{i}", 1) for i in range(3)], NOW)
    answer = decide(state, pool("r1", 100, 2, cores=6), NOW)
    assert said(answer) == [(Code.QUOTA, 24, 10), (Code.SHARE, 24, 4), (Code.NODE, 2, 1)]
    assert "this asks at least 12 cores" in answer.reasons[1].message
    assert "room for 1 of at least 2 × (6 cores)" in answer.reasons[2].message


# ------------------------------------------------------------------- its turn


def test_it_stands_among_siblings_with_all_that_it_asks_for() -> None:
    state = farm('share a 50% share b 50% assign a when user == "ann" assign b otherwise')
    state.submit(pool("r1", 100, 1), NOW)
    state.submit(pool("r2", 16, user="bob"), NOW + 1)
    assert list(started(state, NOW + 1).items()) == [("r2", 16), ("r1", 16)]


def test_it_stands_in_an_order_by_size_with_all_that_it_asks_for() -> None:
    state = farm("share a 100% assign a otherwise order a by size")
    state.submit(pool("r1", 100, 1), NOW)
    state.submit(pool("r2", 30), NOW + 1)
    assert list(started(state, NOW + 1).items()) == [("r2", 30), ("r1", 2)]


def test_a_blocked_head_is_promised_at_least_parts() -> None:
    state = plain()
    state.start(pool("r0", 2, cores=8, walltime=600), [Placement("n0", 1), Placement("n1", 1)], NOW)
    state.start(pool("r1", 2, cores=7, walltime=7200), [Placement("n2", 1), Placement("n3", 1)], NOW)
    state.submit(pool("r2", 4, 2, cores=8), NOW)
    (reservation,) = state.reservations(NOW)
    assert reservation.start == NOW + 600
    assert state.placement(reservation.where) == (Placement("n0", 1), Placement("n1", 1))


def test_a_class_that_sleeps_on_a_quota_wakes_when_at_least_has_room() -> None:
    state = farm("share a 100% assign a otherwise quota for each user: cores <= 10")
    state.start(pool("r0", 1, cores=6), [Placement("n0", 1)], NOW)
    state.start(pool("r1", 1, cores=3), [Placement("n1", 1)], NOW)
    state.submit(pool("r2", 9, 2), NOW)
    assert started(state) == {}
    state.finish("r1", NOW)
    assert started(state) == {"r2": 4}
