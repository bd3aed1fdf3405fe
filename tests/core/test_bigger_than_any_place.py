"""What asks for more than any place could give is refused at the door, with the reason."""

from __future__ import annotations

from typing import Any

import pytest
from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Code, Node, Outcome, Placement, Reason, Request

NOW = 1_700_000_000
PLAIN = "share a 100% assign a otherwise\n"
NODES = (
    Node("n1", 8, 8_000, properties=frozenset({"ib"})),
    Node("n2", 8, 16_000),
    Node("gpu1", 16, 32_000, gpus=4),
)


def farm(statements: str = "", *nodes: Node) -> State:
    policy = checked(f"policy p\n{PLAIN}{statements}\nroute job, vmjob, vm, pool to simulated\n")
    return State(compile_policy(policy), nodes or NODES)


def pool(count: int = 1, **asked: Any) -> Request:
    asked = {"kind": "pool", "origin": "cloud", "user": "ann", "group": "cms", "submitted": NOW} | asked
    return Request(asked.pop("id", "r"), count=count, **asked)


def refused(state: State, request: Request) -> list[Reason]:
    answer = state.submit(request, NOW)
    assert answer.outcome is Outcome.DENY
    return list(answer.reasons)


def numbers(reasons: list[Reason]) -> list[tuple[Code, int | None, int | None, int | None]]:
    return [(reason.code, reason.limit, reason.current, reason.short) for reason in reasons]


# ------------------------------------------------------------------------- nodes


@pytest.mark.parametrize("asked", [{"cores": 17}, {"memory": 32_001}, {"gpus": 5}, {"disk": 1}])
def test_a_part_larger_than_any_node_is_refused(asked: dict[str, int]) -> None:
    reason = refused(farm(), pool(**asked))[-1]
    assert reason.code == Code.NEVER_NODE
    assert reason.message.startswith("no node that may take it is large enough for")


def test_cores_memory_and_gpus_have_to_be_on_one_node() -> None:
    assert numbers(refused(farm(), pool(cores=8, memory=12_000, gpus=1, count=4)))[-1] == (
        Code.NEVER_NODE,
        2,
        4,
        2,
    )


def test_only_the_nodes_that_the_rules_leave_count() -> None:
    rules = 'nodes "gpu*" only when gpus > 0\nnodes with "ib" only when count > 1'
    assert numbers(refused(farm(rules), pool(cores=9))) == [(Code.NEVER_NODE, 0, 1, 1)]
    assert farm(rules).submit(pool(cores=9, gpus=1), NOW).outcome is Outcome.WAIT
    assert farm(rules).submit(pool(cores=8, count=2), NOW).outcome is Outcome.WAIT
    assert numbers(refused(farm(rules), pool(cores=8, count=3))) == [(Code.NEVER_NODE, 2, 3, 1)]


def test_nodes_that_are_down_count() -> None:
    nodes = (Node("n1", 8, 8_000), Node("n2", 16, 8_000, up=False))
    assert farm("", *nodes).submit(pool(cores=16), NOW).outcome is Outcome.WAIT


def test_a_downtime_refuses_nobody() -> None:
    state = farm('downtime "2023-01-01" to "2030-01-01" on nodes all')
    assert state.submit(pool(cores=16), NOW).outcome is Outcome.WAIT


def test_so_many_parts_as_it_would_begin_with_have_to_fit() -> None:
    assert farm().submit(pool(count=100, at_least=4, cores=8), NOW).outcome is Outcome.WAIT
    assert numbers(refused(farm(), pool(count=100, at_least=5, cores=8)))[-1] == (Code.NEVER_NODE, 4, 5, 1)


@pytest.mark.parametrize(("how", "most"), [("in one of", 16), ("over", 32)])
def test_one_group_has_to_hold_all_parts_where_the_rule_insists(how: str, most: int) -> None:
    groups = f'group A = nodes "n*"\ngroup B = nodes "gpu*"\nplace pool pack {how} A, B'
    assert farm(groups).submit(pool(count=most), NOW).outcome is Outcome.WAIT
    assert (Code.NEVER_NODE, most, most + 1, 1) in numbers(refused(farm(groups), pool(count=most + 1)))


# -------------------------------------------------------------- quotas for nodes


def test_what_a_quota_for_all_its_nodes_could_never_admit_is_refused() -> None:
    state = farm("quota for nodes all: cores <= 12")
    assert state.submit(pool(cores=4, count=3), NOW).outcome is Outcome.WAIT
    (reason,) = refused(state, pool(cores=4, count=4, id="r2"))
    assert numbers([reason]) == [(Code.QUOTA, 12, 16, 4)]
    assert reason.message == "asks 16 cores of its group of nodes by itself, which may have 12 cores"


def test_what_has_other_places_is_not_refused() -> None:
    state = farm('quota for nodes "n*": cores <= 4')
    assert state.submit(pool(cores=4, count=5), NOW).outcome is Outcome.WAIT
    assert numbers(refused(state, pool(cores=4, count=6, id="r2"))) == [(Code.QUOTA, 4, 8, 4)]


def test_every_quota_that_keeps_parts_out_is_named_with_what_it_could_take_more() -> None:
    state = farm('quota for nodes "n1": machines <= 1\nquota for nodes "n2", "gpu1": machines <= 2')
    assert state.submit(pool(cores=8, count=3), NOW).outcome is Outcome.WAIT
    assert numbers(refused(state, pool(cores=8, count=4, id="r2"))) == [(Code.QUOTA, 2, 3, 1)]


def test_quotas_that_cross_refuse_nobody_who_could_stand_beside_them() -> None:
    # Both quotas count n1. Who fills it first wastes a place; nobody is refused for that.
    crossing = 'quota for nodes "n1", "n2": machines <= 1\nquota for nodes "n1", "gpu1": machines <= 1'
    assert farm(crossing).submit(pool(cores=8, count=2), NOW).outcome is Outcome.WAIT


def test_in_one_group_it_is_the_one_that_lacks_the_fewest() -> None:
    groups = 'group A = nodes "n*"\ngroup B = nodes "gpu*"\nplace pool pack in one of A, B\n'
    state = farm(groups + 'quota for nodes "n1": cores <= 0\nquota for nodes "gpu1": cores <= 12')
    assert numbers(refused(state, pool(cores=4, count=4))) == [(Code.QUOTA, 12, 16, 4)]


def test_at_least_parts_have_to_find_a_place() -> None:
    state = farm("quota for nodes all: machines <= 3")
    assert state.submit(pool(count=10, at_least=3), NOW).outcome is Outcome.WAIT
    (reason,) = refused(state, pool(count=10, at_least=4, id="r2"))
    assert reason.message.startswith("asks at least 4 machines of its group of nodes by itself")


def test_what_only_others_keep_out_waits() -> None:
    state = farm("quota for nodes all: machines <= 3")
    state.start(pool(2, id="r0"), (Placement("n1", 2),), NOW)
    assert state.submit(pool(count=2), NOW).outcome is Outcome.WAIT
    assert numbers(list(decide(state, pool(count=2, id="r2"), NOW).reasons)) == [
        (Code.NODE, 1, 2, 1),
    ]


def test_a_quota_in_a_window_refuses_nobody_for_good() -> None:
    state = farm('window w = "00:00-24:00" during w { quota for nodes all: machines <= 3 }')
    assert state.submit(pool(count=4), NOW).outcome is Outcome.WAIT
