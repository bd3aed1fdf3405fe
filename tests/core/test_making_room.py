"""Who makes room: victims under each kind of rule, promises and their ends, budgets, and the actions."""

from __future__ import annotations

from typing import Any

import pytest
from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.core.state import Moves
from wnodes_engine.values import Code, Node, Outcome, Placement, Request

NOW = 1_700_000_000
TWO_HALVES = """
share a 50% share b 50%
assign a when user startswith "a"
assign b otherwise
"""


def farm(statements: str, nodes: int = 1, cores: int = 8) -> State:
    text = f"policy p\n{statements}\nroute job, vmjob, vm, pool to simulated\n"
    made = [Node(f"n{i + 1}", cores, 8000 * cores) for i in range(nodes)]
    return State(compile_policy(checked(text)), made)


def job(request_id: str, user: str, submitted: int = NOW, **asked: Any) -> Request:
    asked.setdefault("cores", 1)
    return Request(request_id, asked.pop("kind", "job"), "local", user, "cms", submitted, **asked)


def run(state: State, *requests: Request, now: int = NOW) -> Moves:
    for request in requests:
        assert state.submit(request, now).outcome is not Outcome.DENY
    return state.schedule(now)


def started(moves: Moves) -> list[str]:
    return [start.request.id for start in moves.starts]


def told(moves: Moves) -> list[tuple[str, str]]:
    return [(order.victim, order.beneficiary) for order in moves.preemptions]


def leave(state: State, moves: Moves, now: int = NOW) -> None:
    for order in moves.preemptions:
        state.requeue(order.victim, now)


def test_nobody_is_preempted_unless_a_rule_says_so() -> None:
    state = farm(TWO_HALVES)
    run(state, *[job(f"b{i}", "bob") for i in range(8)])
    assert told(run(state, job("a1", "ann"))) == []


def test_a_share_takes_back_what_others_borrow_and_no_more_than_it_needs() -> None:
    state = farm(TWO_HALVES + "reclaim for any by requeue")
    run(state, *[job(f"b{i}", "bob", cores=2) for i in range(4)])
    moves = run(state, job("a1", "ann", cores=3))
    assert len(moves.preemptions) == 2
    assert started(moves) == []
    leave(state, moves)
    assert started(state.schedule(NOW)) == ["a1"]
    assert {"b0", "b1", "b2", "b3"} - set(state.running) == {order.victim for order in moves.preemptions}


def test_a_share_at_its_amount_reclaims_nothing() -> None:
    state = farm(TWO_HALVES + "reclaim for any by requeue")
    run(state, *[job(f"b{i}", "bob") for i in range(4)], *[job(f"a{i}", "ann") for i in range(4)])
    assert told(run(state, job("a9", "ann"))) == []


def test_what_is_reclaimed_comes_from_those_over_their_amount_alone() -> None:
    state = farm(
        "share a 50% share b 25% share c 25% reclaim for any by requeue\n"
        'assign a when user == "ann" assign b when user == "bob" assign c otherwise'
    )
    run(state, *[job(f"c{i}", "cid") for i in range(2)], *[job(f"b{i}", "bob") for i in range(6)])
    moves = run(state, *[job(f"a{i}", "ann") for i in range(4)])
    assert {victim[0] for victim, _ in told(moves)} == {"b"}
    assert len(told(moves)) == 4


def test_the_victims_are_the_last_to_have_started_of_the_lowest_priority() -> None:
    state = farm(TWO_HALVES + 'priority +5 when "ops" in roles\nreclaim for any by requeue')
    run(state, job("b1", "bob", cores=2, roles=frozenset({"ops"})))
    for i in range(2, 5):
        run(state, job(f"b{i}", "bob", NOW + i, cores=2), now=NOW + i)
    assert told(run(state, job("a1", "ann", NOW + 9), now=NOW + 9)) == [("b4", "a1")]


@pytest.mark.parametrize(
    ("taking", "victim"),
    [
        ("taking earliest start", "b1"),
        ("taking longest runtime", "b1"),
        ("taking largest size", "b2"),
        ("taking smallest size, latest start", "b3"),
        ("taking highest priority", "b2"),
    ],
)
def test_the_policy_says_who_is_taken_first(taking: str, victim: str) -> None:
    state = farm(TWO_HALVES + f"priority +5 when cores > 2\nreclaim for any {taking} by requeue")
    for i, cores in enumerate((2, 4, 2), 1):
        run(state, job(f"b{i}", "bob", NOW + i, cores=cores), now=NOW + i)
    moves = run(state, job("a1", "ann", NOW + 9), now=NOW + 9)
    assert told(moves) == [(victim, "a1")]


def test_a_minimum_run_is_kept_and_the_wait_is_long_enough() -> None:
    state = farm(TWO_HALVES + "reclaim for any when waited >= 10m sparing runtime < 1h by requeue")
    run(state, *[job(f"b{i}", "bob") for i in range(8)])
    late = NOW + 3540
    assert told(run(state, job("a1", "ann", late), now=late)) == []
    assert told(state.schedule(late + 540)) == []
    assert told(state.schedule(late + 600)) == [("b0", "a1")]


def test_room_is_made_on_one_node_for_what_has_to_stand_on_one() -> None:
    state = farm(TWO_HALVES + "reclaim for any by requeue", nodes=4, cores=4)
    run(state, *[job(f"b{i:02}", "bob", NOW, cores=1) for i in range(16)])
    moves = run(state, job("a1", "ann", cores=4))
    nodes = {state.running[victim].placement[0].node for victim, _ in told(moves)}
    assert (len(moves.preemptions), len(nodes)) == (4, 1)


def test_all_parts_of_a_wide_request_get_their_room_at_once() -> None:
    state = farm(TWO_HALVES + "reclaim for any by requeue", nodes=4, cores=4)
    run(state, *[job(f"b{i}", "bob", cores=4) for i in range(4)])
    moves = run(state, job("a1", "ann", cores=4, count=2))
    assert len(moves.preemptions) == 2
    leave(state, moves)
    assert started(state.schedule(NOW)) == ["a1"]


def test_victims_have_their_warning_time_and_nobody_takes_the_room_meanwhile() -> None:
    state = farm(TWO_HALVES + "reclaim for any by requeue after 5m")
    run(state, *[job(f"b{i}", "bob", cores=4) for i in range(2)])
    moves = run(state, job("a1", "ann", cores=2))
    (order,) = moves.preemptions
    assert order.leave_by == NOW + 300
    answer = decide(state, state.waiting["a1"], NOW + 10)
    assert (answer.outcome, answer.victims) == (Outcome.PREEMPT, (order.victim,))
    assert [reason.code for reason in answer.reasons] == [Code.LEAVING]
    state.requeue(order.victim, NOW + 300)
    assert started(run(state, job("a2", "ann", NOW - 9000, cores=3), now=NOW + 300)) == ["a1"]


def test_a_victim_waits_again_with_its_age() -> None:
    state = farm(TWO_HALVES + "reclaim for any by requeue")
    run(state, job("b1", "bob", NOW - 500, cores=8))
    leave(state, run(state, job("a1", "ann", cores=4)))
    moves = run(state, job("b2", "bob", NOW - 100, cores=4))
    assert started(moves) == ["a1", "b2"]
    assert state.waiting["b1"].submitted == NOW - 500


def test_the_promise_is_off_when_the_request_is_taken_back_and_its_victim_is_let_off() -> None:
    state = farm(TWO_HALVES + "reclaim for any by requeue after 5m")
    run(state, *[job(f"b{i}", "bob", cores=4) for i in range(2)])
    ((victim, _),) = told(run(state, job("a1", "ann", cores=2)))
    assert state.cancel("a1", NOW + 1)
    moves = state.schedule(NOW + 1)
    assert moves.reprieves == (victim,)
    assert [share.used["cores"] for share in state.shares(NOW + 1)] == [8, 0, 8]


def test_who_gets_room_otherwise_starts_and_lets_its_victim_off() -> None:
    state = farm(TWO_HALVES + "reclaim for any by requeue after 5m")
    run(state, *[job(f"b{i}", "bob", cores=4) for i in range(2)])
    ((victim, _),) = told(run(state, job("a1", "ann", cores=2)))
    (other,) = {"b0", "b1"} - {victim}
    node = state.running[victim].placement
    state.finish(other, NOW + 5)
    moves = state.schedule(NOW + 5)
    assert (started(moves), moves.reprieves) == (["a1"], (victim,))
    assert state.running["a1"].placement[0].node == node[0].node


def test_a_node_that_goes_down_takes_the_promise_with_it() -> None:
    state = farm(TWO_HALVES + "reclaim for any by requeue after 5m")
    run(state, *[job(f"b{i}", "bob", cores=4) for i in range(2)])
    ((victim, _),) = told(run(state, job("a1", "ann", cores=2)))
    state.set_node(Node("n1", 8, 64000, up=False))
    moves = state.schedule(NOW + 60)
    assert moves.reprieves == (victim,)
    assert decide(state, state.waiting["a1"], NOW + 60).outcome is Outcome.WAIT


def test_budgets_bound_the_hour_and_the_victim() -> None:
    state = farm(TWO_HALVES + "reclaim for any at most 1 per victim, 2 per hour by requeue")
    run(state, *[job(f"b{i}", "bob") for i in range(8)])
    moves = run(state, *[job(f"a{i}", "ann") for i in range(4)])
    assert len(moves.preemptions) == 2
    leave(state, moves)
    assert started(state.schedule(NOW)) == ["a0", "a1"]
    assert told(state.schedule(NOW + 3540)) == []
    assert len(told(state.schedule(NOW + 3600))) == 2


def test_the_same_victim_does_not_have_to_leave_more_often_than_it_may() -> None:
    state = farm(TWO_HALVES + "reclaim for any at most 1 per victim by requeue")
    run(state, job("b1", "bob", cores=8))
    leave(state, run(state, job("a1", "ann", cores=4)))
    assert started(state.schedule(NOW)) == ["a1"]
    state.finish("a1", NOW + 10)
    assert started(state.schedule(NOW + 10)) == ["b1"]
    assert told(run(state, job("a2", "ann", NOW + 60, cores=4), now=NOW + 60)) == []


def test_preempt_takes_above_the_amount_and_below_it_only_if_told() -> None:
    rule = "preempt b for a even borrowing {} by requeue"
    for even, victims in (("", 0), ("even below nominal", 1)):
        state = farm(TWO_HALVES + rule.format(even))
        run(state, *[job(f"b{i}", "bob") for i in range(4)], *[job(f"a{i}", "ann") for i in range(4)])
        assert len(told(run(state, job("a9", "ann")))) == victims


def test_inside_a_share_the_more_urgent_pushes_out_the_less_urgent() -> None:
    state = farm(
        'share a 100% assign a otherwise priority +100 when "ops" in roles order a by priority, age\n'
        "preempt self when victim.priority < priority by requeue"
    )
    run(state, *[job(f"b{i}", "bob") for i in range(8)])
    assert told(run(state, job("c1", "bob"))) == []
    moves = run(state, job("a1", "ann", NOW + 60, roles=frozenset({"ops"})), now=NOW + 60)
    assert told(moves) == [("b0", "a1")]


def test_fair_preemption_levels_two_borrowers_and_then_stops() -> None:
    state = farm(
        'share a 0% share b 0% share c 100% assign a when user == "ann" assign b when user == "bob"\n'
        "assign c otherwise preempt fairly by requeue"
    )
    run(state, *[job(f"b{i}", "bob") for i in range(8)])
    now, taken = NOW, 0
    for _ in range(20):
        moves = run(state, job(f"a{now}", "ann", now), now=now)
        taken += len(moves.preemptions)
        leave(state, moves, now)
        state.schedule(now)
        now += 60
    assert taken == 4
    assert [share.used["cores"] for share in state.shares(now)[1:3]] == [4, 4]


def test_whoever_was_pushed_out_does_not_push_out_who_did_it() -> None:
    """A rule that would take turns for ever."""
    state = farm("share a 100% assign a otherwise preempt self when victim.runtime >= 1h by requeue", cores=1)
    run(state, job("a1", "ann"), job("a2", "ann"))
    preemptions = 0
    for hour in range(1, 50):
        now = NOW + hour * 3600
        moves = state.schedule(now)
        preemptions += len(moves.preemptions)
        leave(state, moves, now)
        state.schedule(now)
    assert preemptions == 1


def test_a_deleted_victim_is_over_and_a_suspended_one_stays_where_it_is() -> None:
    state = farm(TWO_HALVES + "reclaim for any by suspend")
    run(state, job("b1", "bob", cores=8, memory=20_000))
    moves = run(state, job("a1", "ann", cores=4, memory=30_000))
    (order,) = moves.preemptions
    assert order.action == "suspend"
    state.suspend("b1", NOW + 5)
    moves = state.schedule(NOW + 5)
    assert started(moves) == ["a1"]
    memory = [share.used["memory"] for share in state.shares(NOW + 5)]
    assert memory == [50_000, 30_000, 20_000]
    state.finish("a1", NOW + 100)
    moves = state.schedule(NOW + 100)
    assert moves.resumed == ("b1",)
    assert state.running["b1"].started == NOW + 95


def test_native_work_is_a_victim_only_where_a_rule_says_so() -> None:
    for native, victims in (("", 0), ("including native", 1)):
        state = farm(TWO_HALVES + f"reclaim for any {native} by requeue")
        for i in range(2):
            state.start(job(f"b{i}", "bob", cores=4), (Placement("n1", 1),), NOW, native=True)
        assert len(told(run(state, job("a1", "ann", cores=4)))) == victims


def test_a_question_is_answered_by_who_would_have_to_leave() -> None:
    state = farm(TWO_HALVES + "reclaim for any by requeue")
    run(state, *[job(f"b{i}", "bob", cores=4) for i in range(2)])
    before = state.shares(NOW)
    answer = decide(state, job("a1", "ann", cores=2), NOW)
    assert (answer.outcome, len(answer.victims), answer.node) == (Outcome.PREEMPT, 1, "n1")
    assert {reason.code for reason in answer.reasons} == {Code.SHARE, Code.NODE}
    assert state.shares(NOW) == before


def test_reserved_nodes_of_a_rule_that_nobody_may_use_are_never_cleared() -> None:
    state = farm(TWO_HALVES + 'nodes "n1" only when cores > 4\nreclaim for any by requeue', nodes=2)
    run(state, job("b1", "bob", cores=8), job("b2", "bob", cores=4), job("b3", "bob", cores=4))
    assert state.running["b1"].placement[0].node == "n1"
    assert told(run(state, job("a1", "ann", cores=1))) == [("b2", "a1")]


def test_no_room_is_made_for_what_a_quota_for_nodes_denies() -> None:
    state = farm(
        TWO_HALVES + 'quota for nodes "n1": cores <= 0 else deny\nreclaim for any by requeue', nodes=2
    )
    for node in ("n1", "n2"):
        state.start(job(f"b-{node}", "bob", cores=8), (Placement(node, 1),), NOW)
    request = job("a1", "ann")
    assert decide(state, request, NOW).outcome is Outcome.DENY
    assert state.submit(request, NOW).outcome is Outcome.DENY


def test_who_was_let_off_does_not_count_against_the_budget_of_the_hour() -> None:
    state = farm(TWO_HALVES + "reclaim for any at most 1 per hour by requeue after 5m")
    run(state, *[job(f"b{i}", "bob", cores=4) for i in range(2)])
    (order,) = run(state, job("a1", "ann", cores=4)).preemptions
    state.cancel("a1", NOW + 60)
    assert state.schedule(NOW + 60).reprieves == (order.victim,)
    assert len(told(run(state, job("a2", "ann", cores=4), now=NOW + 120))) == 1


def test_whoever_asks_for_the_same_as_a_head_has_no_room_made_on_the_nodes_that_were_promised_to_it() -> None:
    state = farm(TWO_HALVES + "reclaim for any at most 1 per hour by requeue", cores=4)
    run(state, *[job(f"b{i}", "bob", walltime=3600) for i in range(4)])
    state.submit(job("a1", "ann", walltime=7200), NOW)
    state.submit(job("a2", "ann", walltime=7200), NOW)
    answers = [decide(state, state.waiting[id_], NOW) for id_ in ("a1", "a2")]
    assert [answer.outcome for answer in answers] == [Outcome.PREEMPT, Outcome.WAIT]
