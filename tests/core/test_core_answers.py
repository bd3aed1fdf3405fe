"""Answers of the engine that the oracle found wrong once, each as the smallest case."""

from __future__ import annotations

from typing import Any

from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Code, Node, Outcome, Placement, Request

NOW = 1_700_000_000


def job(request_id: str, user: str = "ann", submitted: int = NOW, **asked: Any) -> Request:
    return Request(request_id, "job", "local", user, "cms", submitted, **asked)


def farm(statements: str, *nodes: Node) -> State:
    text = f"policy p\n{statements}\nroute job, vmjob, vm, pool to simulated\n"
    return State(compile_policy(checked(text)), nodes)


def started(state: State, now: int = NOW) -> list[str]:
    return [start.request.id for start in state.schedule(now).starts]


def test_the_farms_cores_are_those_of_the_nodes_that_are_up() -> None:
    state = farm(
        'share a 100% assign a otherwise deny "large" when farm.cores > 8',
        Node("n1", 8, 8000),
        Node("n2", 8, 8000),
    )
    state.start(job("r1", cores=4), (Placement("n2", 1),), NOW)
    state.set_node(Node("n2", 8, 8000, up=False))
    assert decide(state, job("r2"), NOW).outcome is Outcome.START


def test_what_the_configured_share_could_never_hold_is_denied_even_where_it_fits_now() -> None:
    # The share is 4 cores: 1,500 MiB of the whole farm, but 4,000 MiB of the half that is up.
    state = farm(
        "share a 4 cores borrow none share b weight 1 assign a otherwise",
        Node("n1", 8, 8000),
        Node("n2", 16, 1000, up=False),
    )
    request = job("r1", memory=3000)
    asked, submitted = decide(state, request, NOW), state.submit(request, NOW)
    assert [reason.code for reason in submitted.reasons] == [Code.NEVER_SHARE]
    assert asked == submitted


def test_fairshare_is_measured_by_the_capacity_of_now() -> None:
    state = farm(
        "share a 100% assign a otherwise order a by fairshare of user half-life 10m, size",
        Node("n1", 8, 8000),
        Node("n2", 4, 8000, up=False),
    )
    state.submit(job("r1", cores=7), NOW)
    assert started(state) == ["r1"]
    later = NOW + 5000
    state.submit(job("r2", cores=2), later)
    assert started(state, later) == []
    state.set_node(Node("n2", 4, 8000))
    state.submit(job("r3", cores=1, count=2), later)
    assert started(state, later) == ["r2", "r3"]


def test_nothing_is_reserved_for_what_a_quota_for_nodes_keeps_out() -> None:
    state = farm(
        "share a 50% share b 50% assign a when count > 1 assign b otherwise\n"
        "quota for nodes all: volumes <= 3",
        Node("n1", 8, 8000),
    )
    state.submit(job("r1", cores=3, volumes=1, walltime=1800), NOW)
    assert started(state) == ["r1"]
    state.submit(job("r2", cores=2, volumes=1, count=3), NOW)
    assert decide(state, job("r3", cores=4), NOW).outcome is Outcome.START


def test_nobody_passes_the_head_of_a_strict_leaf_that_a_reservation_holds_back() -> None:
    state = farm(
        'share a 100% share b 0% assign a when user == "ann" assign b otherwise order b by age strict',
        Node("n1", 8, 8000),
    )
    state.submit(job("r1", cores=6, walltime=3600), NOW)
    assert started(state) == ["r1"]
    state.submit(job("r2", cores=8, walltime=3600), NOW)
    state.submit(job("r3", "bob", NOW + 1, walltime=90000), NOW)
    state.submit(job("r4", "bob", NOW + 2, walltime=60), NOW)
    waits = decide(state, job("r4", "bob", NOW + 2, walltime=60), NOW)
    assert [reason.code for reason in waits.reasons] == [Code.BEHIND]
    assert started(state) == []


def test_a_share_that_is_over_full_of_memory_goes_on_starting_what_wants_none() -> None:
    state = farm(
        "share a 50% borrow none share b 50% assign b when count > 1 assign a otherwise", Node("n1", 8, 4000)
    )
    state.start(job("r1", memory=3000), (Placement("n1", 1),), NOW)
    state.submit(job("r2", memory=1000), NOW)
    state.submit(job("r3", submitted=NOW + 1), NOW)
    assert started(state) == ["r3"]


def test_a_quota_for_nodes_that_is_over_full_stops_nobody_elsewhere() -> None:
    state = farm(
        'share a 100% assign a otherwise quota for nodes "n1": cores <= 4',
        Node("n1", 8, 4000),
        Node("n2", 8, 4000),
    )
    state.start(job("r1", cores=6), (Placement("n1", 1),), NOW)
    assert decide(state, job("r2"), NOW).node == "n2"


def test_a_quota_for_nodes_denies_only_what_has_no_other_place() -> None:
    state = farm(
        'share a 100% assign a otherwise deny "not today" when gpus == 0\n'
        'quota for nodes "n1": cores <= 0 else deny',
        Node("n1", 8, 4000),
        Node("n2", 8, 4000),
    )
    assert [reason.code for reason in decide(state, job("r1"), NOW).reasons] == [Code.RULE]


def test_a_promised_node_is_in_the_way_of_nobody_who_has_room_on_another() -> None:
    state = farm(
        'share a 50% share b 50% assign a when user == "ann" assign b otherwise\n'
        'quota for user "bob": running <= 1',
        Node("n1", 6, 8000),
        Node("n2", 8, 1000),
    )
    state.submit(job("r1", cores=2, memory=2000, walltime=3600), NOW)
    state.submit(job("r2", "bob", cores=1, walltime=60), NOW)
    assert set(started(state)) == {"r1", "r2"}
    state.submit(job("r3", cores=6, memory=2000), NOW)
    waits = decide(state, job("r4", "bob", cores=3), NOW)
    assert [reason.code for reason in waits.reasons] == [Code.QUOTA]
    state.finish("r2", NOW)
    assert decide(state, job("r4", "bob", cores=3), NOW).node == "n2"
