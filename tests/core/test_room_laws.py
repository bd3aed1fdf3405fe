"""The laws of making room: it ends, it takes no more than it needs, and it is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st
from strategies import farms, streams
from strategies.checking import checked
from strategies.closed import carry_out, close
from strategies.policies import Asking, policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.values import Node, Outcome, Request

NOW = streams.BEGIN
pressing = st.lists(farms.pressing(NOW), min_size=6, max_size=14)


def filled(text: str, nodes: list[Node], requests: list[Request]) -> State:
    """A farm with these requests, the first of which have been running for an hour."""
    state = State(compile_policy(checked(text)), nodes)
    for i, request in enumerate(requests):
        state.submit(Request(**{**_fields(request), "id": f"r{i:02}"}), NOW)
        if i == len(requests) // 2:
            carry_out(state, NOW)
    return state


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__struct_fields__}


@settings(max_examples=60)
@given(policies(Asking(room=True, time=True, state=True)), farms.tight(), pressing)
def test_in_a_closed_system_preemption_comes_to_an_end(
    text: str, nodes: list[Node], requests: list[Request]
) -> None:
    """Nothing comes and nothing ends: whatever the rules, in the end nobody is told to leave any more.

    Whoever was pushed out does not push out those that did it, so that the relation orders the requests and
    only grows; n requests have fewer than n² pairs. Between two additions to it, every start and every
    preemption makes the set of those that run larger in that order. Ten days of looks see many more
    rounds than any such farm of 14 requests needs, and the last four days must be quiet.
    """
    note(text)
    told = close(filled(text, nodes, requests), NOW + 3600, looks=1400)
    event(f"told to leave: {min(sum(told), 5)}")
    assert sum(told[840:]) == 0


PUSH_EACH_OTHER = """
preempt a for b even below nominal even borrowing by requeue
preempt b for a even below nominal even borrowing by {}
"""
GROWING = """
priority +10 per 1h waited
order any by priority
preempt self when victim.priority < priority by requeue
"""
DAY_AND_NIGHT = """
window day = "08:00-20:00"
during day { share a 90% share b 10% }
reclaim for any by requeue
"""


@pytest.mark.parametrize(
    "rules",
    [
        "preempt self when victim.runtime > 1h by requeue",
        PUSH_EACH_OTHER.format("requeue"),
        GROWING + PUSH_EACH_OTHER.format("suspend"),
        DAY_AND_NIGHT,
        "preempt fairly by requeue reclaim for any by requeue",
    ],
)
def test_rules_that_would_take_turns_for_ever_do_not(rules: str) -> None:
    text = (
        'policy p\nshare a 50% share b 50%\nassign a when user == "ann"\nassign b otherwise\n'
        f"{rules}\nroute job, vmjob, vm, pool to simulated\n"
    )
    state = State(compile_policy(checked(text)), [Node("n1", 8, 64000)])
    for i in range(12):
        state.submit(Request(f"r{i}", "job", "local", ("ann", "bob")[i % 2], "g", NOW, cores=4), NOW)
    told = close(state, NOW, looks=2000)
    assert sum(told[1000:]) == 0


def test_two_queues_and_three_jobs_do_not_evict_each_other_for_ever() -> None:
    """The known trap of fair preemption with fill-back: a large job in one queue, two smaller in another.

    Each side looks better off after taking from the other; a scheduler that compares before the move, or puts
    back without comparing again, admits and evicts them in turns.
    """
    text = (
        'policy trap\nshare a 0% share b 0% share rest 100%\nassign a when user == "ann"\n'
        'assign b when user == "bob"\nassign rest otherwise\npreempt fairly by requeue\n'
        "route job, vmjob, vm, pool to simulated\n"
    )
    for sizes in ((6, 5, 5), (10, 5, 6), (4, 3, 3), (9, 9, 1), (7, 4, 4)):
        state = State(compile_policy(checked(text)), [Node("n1", 10, 64000)])
        requests = [
            Request("a1", "job", "local", "ann", "g", NOW, cores=sizes[0]),
            Request("b1", "job", "local", "bob", "g", NOW, cores=sizes[1]),
            Request("b2", "job", "local", "bob", "g", NOW, cores=sizes[2]),
        ]
        for request in requests:
            state.submit(request, NOW)
        told = close(state, NOW, looks=500)
        assert sum(told) <= 3, sizes
        assert state.running


@settings(max_examples=60)
@given(policies(Asking(room=True, rules=False)), farms.tight(), pressing)
def test_no_victim_could_be_put_back_and_the_beneficiary_starts_when_they_have_left(
    text: str, nodes: list[Node], requests: list[Request]
) -> None:
    note(text)
    state = filled(text, nodes, requests)
    for minute in range(1, 40):
        now = NOW + 3600 + 60 * minute
        moves = state.schedule(now)
        by_beneficiary: dict[str, list[str]] = {}
        for order in moves.preemptions:
            by_beneficiary.setdefault(order.beneficiary, []).append(order.victim)
        for order in moves.preemptions:
            allocation = state.running.get(order.victim)
            if allocation is not None and allocation.pledge is not None:
                # Not needed if the request would already start with this one, alone, still there.
                others_left = list(allocation.pledge.victims) == [order.victim]
                if others_left:
                    assert order.beneficiary not in state.running
                if order.action == "suspend":
                    state.suspend(order.victim, now)
                elif order.action == "delete":
                    state.finish(order.victim, now)
                else:
                    state.requeue(order.victim, now)
        if by_beneficiary:
            event("somebody had to leave")
            started = {start.request.id for start in state.schedule(now).starts}
            assert set(by_beneficiary) <= started | set(state.running)


def test_a_share_within_its_amount_gets_its_capacity_back_in_the_rules_time() -> None:
    """Patience, a minute, and the warning time: then it has what is its own."""
    text = (
        'policy p\nshare a 50% share b 50%\nassign a when user == "ann"\nassign b otherwise\n'
        "reclaim for any when waited > 30m by requeue after 5m\nroute job, vmjob, vm, pool to simulated\n"
    )
    state = State(compile_policy(checked(text)), [Node(f"n{i}", 8, 64000) for i in range(4)])
    for i in range(32):
        state.submit(Request(f"b{i:02}", "job", "local", "bob", "g", NOW), NOW)
    state.schedule(NOW)
    for i in range(16):
        assert state.submit(Request(f"a{i:02}", "job", "local", "ann", "g", NOW), NOW).outcome is Outcome.WAIT
    leaving: list[tuple[int, str]] = []
    for now in range(NOW, NOW + 30 * 60 + 60 + 5 * 60 + 1, 60):
        for leave_by, victim in [entry for entry in leaving if entry[0] <= now]:
            state.requeue(victim, now)
            leaving.remove((leave_by, victim))
        moves = state.schedule(now)
        leaving += [(order.leave_by, order.victim) for order in moves.preemptions]
    assert [share.used["cores"] for share in state.shares(now)] == [32, 16, 16]
