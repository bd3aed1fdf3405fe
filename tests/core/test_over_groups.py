"""`place … over` and `in one of`: parts are laid out over groups of nodes."""

from __future__ import annotations

from typing import Any

import pytest
from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Code, Decision, Node, Outcome, Placement, Request

NOW = 1_700_000_000
GROUPS = 'group A = nodes "a*"\ngroup B = nodes "b*"\ngroup C = nodes "c*"\n'


def job(count: int, cores: int = 1, at_least: int | None = None, **asked: Any) -> Request:
    asked = {"kind": "job", "origin": "local", "user": "ann", "group": "cms", "submitted": NOW} | asked
    return Request(asked.pop("id", "r"), count=count, cores=cores, at_least=at_least, **asked)


def farm(place: str, sizes: dict[str, int], more: str = "") -> State:
    """A farm whose nodes have so many cores, and that places jobs so."""
    text = f"policy p\nshare a 100% assign a otherwise\n{GROUPS}place job {place}\n{more}\n"
    text += "route job, vmjob, vm, pool to simulated\n"
    nodes = [Node(name, cores, 100_000) for name, cores in sizes.items()]
    return State(compile_policy(checked(text)), nodes)


def placed(decision: Decision) -> dict[str, int]:
    return {place.node: place.parts for place in decision.placement}


def per_group(decision: Decision) -> dict[str, int]:
    groups: dict[str, int] = {}
    for place in decision.placement:
        groups[place.node[0]] = groups.get(place.node[0], 0) + place.parts
    return groups


# ----------------------------------------------------------------- spread over


def test_parts_are_spread_evenly_over_the_groups() -> None:
    state = farm("spread over A, B, C", {"a1": 8, "a2": 8, "b1": 8, "b2": 8, "c1": 8, "c2": 8})
    assert per_group(decide(state, job(7), NOW)) == {"a": 3, "b": 2, "c": 2}


def test_a_group_without_room_is_passed_by_and_the_others_share_the_rest() -> None:
    state = farm("spread over A, B, C", {"a1": 8, "b1": 1, "c1": 8})
    assert per_group(decide(state, job(7), NOW)) == {"a": 3, "b": 1, "c": 3}


def test_the_first_named_of_equal_groups_gets_the_next_part() -> None:
    sizes = {"a1": 8, "b1": 8, "c1": 8}
    assert placed(decide(farm("spread over C, A, B", sizes), job(1), NOW)) == {"c1": 1}
    assert placed(decide(farm("spread over C, A, B", sizes), job(2), NOW)) == {"c1": 1, "a1": 1}


def test_inside_a_group_parts_are_spread_over_the_emptiest_nodes() -> None:
    state = farm("spread over A, B", {"a1": 4, "a2": 8, "a3": 2, "b1": 8})
    assert placed(decide(state, job(6), NOW)) == {"a2": 1, "b1": 3, "a1": 1, "a3": 1}


def test_inside_a_group_preferred_nodes_come_first() -> None:
    state = farm("spread over A, B", {"a1": 2, "a2": 8, "b1": 8}, 'nodes "a1" preferred when count > 1')
    assert placed(decide(state, job(6), NOW)) == {"a1": 2, "b1": 3, "a2": 1}


def test_other_nodes_come_when_the_groups_are_full() -> None:
    state = farm("spread over A, B", {"a1": 2, "b1": 1, "z1": 8, "z2": 8})
    assert placed(decide(state, job(5), NOW)) == {"a1": 2, "b1": 1, "z1": 1, "z2": 1}


def test_a_quota_for_nodes_bounds_what_a_group_is_dealt() -> None:
    state = farm("spread over A, B", {"a1": 8, "b1": 8}, 'quota for nodes "a*": cores <= 1')
    assert placed(decide(state, job(5), NOW)) == {"a1": 1, "b1": 4}


# ------------------------------------------------------------------- pack over


def test_all_parts_are_packed_into_the_group_with_the_fewest_free_cores_that_has_room() -> None:
    state = farm("pack over A, B, C", {"a1": 8, "a2": 8, "b1": 4, "b2": 2, "c1": 2})
    assert placed(decide(state, job(5), NOW)) == {"b2": 2, "b1": 3}
    assert placed(decide(state, job(2), NOW)) == {"c1": 2}


def test_the_first_named_of_equally_free_groups_is_taken() -> None:
    sizes = {"a1": 8, "b1": 8}
    assert placed(decide(farm("pack over B, A", sizes), job(3), NOW)) == {"b1": 3}


def test_a_group_whose_free_cores_are_in_scraps_has_no_room() -> None:
    state = farm("pack over A, B", {"a1": 3, "a2": 3, "b1": 8})
    assert placed(decide(state, job(2, cores=4), NOW)) == {"b1": 2}


def test_where_no_group_has_room_for_all_they_are_filled_the_roomiest_first_then_other_nodes() -> None:
    state = farm("pack over A, B, C", {"a1": 2, "b1": 4, "c1": 3, "z1": 8})
    assert placed(decide(state, job(8), NOW)) == {"b1": 4, "c1": 3, "a1": 1}
    assert placed(decide(state, job(10), NOW)) == {"b1": 4, "c1": 3, "a1": 2, "z1": 1}


# ------------------------------------------------------------------- in one of


@pytest.mark.parametrize(("how", "where"), [("pack", {"b1": 2, "b2": 1}), ("spread", {"b2": 2, "b1": 1})])
def test_all_parts_go_into_one_group(how: str, where: dict[str, int]) -> None:
    state = farm(f"{how} in one of A, B", {"a1": 2, "b1": 2, "b2": 3, "z1": 8})
    assert placed(decide(state, job(3), NOW)) == where


def test_it_waits_while_no_group_has_room_for_all_though_the_farm_has() -> None:
    state = farm("pack in one of A, B", {"a1": 4, "b1": 4, "z1": 8})
    state.start(job(2, id="r0"), [Placement("a1", 1), Placement("b1", 1)], NOW)
    answer = decide(state, job(4), NOW)
    assert answer.outcome is Outcome.WAIT
    (reason,) = answer.reasons
    assert (reason.code, reason.limit, reason.current, reason.short) == (Code.NODE, 3, 4, 1)
    assert reason.message == "none of A, B has room for more than 3 of 4 × (1 core) now"


def test_what_no_group_could_hold_even_when_empty_is_denied() -> None:
    state = farm("pack in one of A, B", {"a1": 4, "b1": 3, "b2": 2, "z1": 8})
    (reason,) = state.submit(job(6), NOW).reasons
    assert (reason.code, reason.limit, reason.current, reason.short) == (Code.NEVER_NODE, 5, 6, 1)
    assert reason.message == "none of A, B holds more than 5 of 6 × (1 core), even when empty"


def test_at_least_begins_with_as_many_as_one_group_has_room_for() -> None:
    state = farm("pack in one of A, B", {"a1": 4, "b1": 3, "b2": 2})
    assert placed(decide(state, job(20, at_least=3), NOW)) == {"b2": 2, "b1": 3}
    assert state.submit(job(20, at_least=6), NOW).outcome is Outcome.DENY


def test_at_least_is_spread_over_groups_as_far_as_there_is_room() -> None:
    state = farm("spread over A, B", {"a1": 4, "b1": 1})
    assert placed(decide(state, job(20, at_least=2), NOW)) == {"a1": 4, "b1": 1}


def test_a_head_that_waits_for_one_group_is_promised_one_and_others_run_beside() -> None:
    state = farm("pack in one of A, B", {"a1": 4, "b1": 4})
    state.start(job(1, cores=3, id="r0", walltime=600), [Placement("a1", 1)], NOW)
    state.start(job(1, cores=3, id="r1", walltime=1200), [Placement("b1", 1)], NOW)
    state.submit(job(4, id="r2"), NOW)
    (reservation,) = state.reservations(NOW)
    assert (reservation.start, state.placement(reservation.where)) == (NOW + 600, (Placement("a1", 4),))
    assert placed(decide(state, job(1), NOW)) == {"b1": 1}


def test_a_group_goes_down_with_its_nodes() -> None:
    downtime = 'downtime "2023-11-14 22:30" to "2023-11-15 22:30" on nodes "a*"'
    state = farm("pack in one of A, B", {"a1": 4, "b1": 8}, downtime)
    assert placed(decide(state, job(3, walltime=86400), NOW)) == {"b1": 3}
    state.set_node(Node("b1", 8, 100_000, up=False))
    assert decide(state, job(3, walltime=86400), NOW).outcome is Outcome.WAIT


# -------------------------------------------------------------- who is in which


def test_a_node_that_two_groups_by_properties_have_in_common_belongs_to_the_first() -> None:
    text = """policy p
        share a 100% assign a otherwise
        group S = nodes with "ssd"
        group I = nodes with "ib"
        place job spread over S, I
        route job, vmjob, vm, pool to simulated
    """
    both = Node("n1", 8, 100, properties=frozenset({"ssd", "ib"}))
    nodes = [both, Node("n2", 8, 100, properties=frozenset({"ib"}))]
    state = State(compile_policy(checked(text)), nodes)
    assert placed(decide(state, job(4), NOW)) == {"n1": 2, "n2": 2}
