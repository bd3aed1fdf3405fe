"""Preemption comes to an end: nobody pushes somebody out for ever, whatever the rules say."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from strategies import farms, streams
from strategies.checking import checked
from strategies.closed import DAY, close
from strategies.policies import Asking, policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Node, Outcome, Request

NOW = streams.BEGIN
DAYS, QUIET = 21, 8
"""For how long a closed farm is looked at, and for how long nothing may have happened in the end: windows
open and close at least once a week."""


def comes_to_rest(state: State) -> int:
    """Close the farm, and see that in the end nobody is told to leave any more; how many were."""
    told = close(state, NOW + 3600, DAYS)
    assert not any(told[-DAY * QUIET :])
    return sum(told)


@settings(max_examples=60)
@given(
    policies(Asking(room=True, time=True, state=True)),
    farms.tight(),
    st.lists(farms.pressing(NOW), min_size=6, max_size=14),
)
def test_in_a_closed_system_preemption_comes_to_an_end(
    text: str, nodes: list[Node], requests: list[Request]
) -> None:
    """Nothing comes and nothing ends, and yet everybody leaves who is told to: in the end nobody is.

    Whoever was pushed out does not push out those that did it, so that the relation orders the requests and
    only grows, and n requests have fewer than n² pairs. Between two additions to it, every start and every
    preemption makes the set of those that run larger in that order.
    """
    note(text)
    state = State(compile_policy(checked(text)), nodes)
    for i, request in enumerate(requests):
        state.submit(replace(request, id=f"r{i:02}"), NOW)
        if i == len(requests) // 2:
            state.schedule(NOW)
    event(f"told to leave: {min(comes_to_rest(state), 5)}")


# ------------------------------------------------------------------------ Kueue


def job(user: str, cores: int, **asked: Any) -> Request:
    return Request("?", "job", "local", user, "cms", NOW, cores=cores, **asked)


def farm(statements: str, cores: int, *arrivals: list[Request]) -> State:
    """A farm of one node on which these have come, some after the others, with passes in between."""
    text = f"policy p\n{statements}\nroute job, vmjob, vm, pool to simulated\n"
    state = State(compile_policy(checked(text)), [Node("n1", cores, 1000 * cores)])
    for batch in arrivals:
        for request in batch:
            state.submit(replace(request, id=f"r{state.serial}"), NOW)
        close(state, NOW, 1)
    return state


def held(state: State) -> list[int]:
    """The cores of those that run, the most first."""
    cores = [
        allocation.charged.part.cores * allocation.charged.parts for allocation in state.running.values()
    ]
    return sorted(cores, reverse=True)


def everything_that_can_run_does(state: State, now: int = NOW + DAYS * 100000) -> bool:
    answers = [decide(state, request, now) for request in state.waiting.values()]
    return all(answer.outcome is Outcome.WAIT for answer in answers)


QUEUES = """
share cohort 100% { share qp 0% share qt 0% }
assign cohort.qp when user == "p"
assign cohort.qt otherwise
priority +10 when cores == 60
"""
"""Two queues that own nothing and borrow all from the cohort; the 60 is the more urgent of its queue."""

FAIRLY = "preempt fairly by requeue"
INSIDE = "preempt self when victim.priority < priority by requeue"

orders_of_rules = pytest.mark.parametrize("rules", [FAIRLY, f"{FAIRLY}\n{INSIDE}", f"{INSIDE}\n{FAIRLY}"])


@orders_of_rules
def test_two_queues_and_three_jobs_do_not_evict_each_other_for_ever(rules: str) -> None:
    """Kueue, issue 14543.

    The 60 evicts the 30 of its own queue, by which its queue is lower than the other, whose 70 it evicts
    then; the 30 is put back, and the 70 evicts the 60, and so on.
    """
    state = farm(QUEUES + rules, 100, [job("p", 30), job("t", 70)], [job("p", 60)])
    assert comes_to_rest(state) == 0
    assert held(state) == [70, 30]
    assert everything_that_can_run_does(state)


@orders_of_rules
@pytest.mark.parametrize("turn", list(permutations([("p", 30), ("p", 60), ("t", 70)])))
def test_the_same_three_jobs_come_to_rest_in_whatever_order_they_come(
    rules: str, turn: tuple[tuple[str, int], ...]
) -> None:
    state = farm(QUEUES + rules, 100, *([job(*who)] for who in turn))
    assert comes_to_rest(state) <= 1
    assert held(state) in ([70, 30], [60, 30])
    assert everything_that_can_run_does(state)


def test_nobody_unlocks_a_cousin_by_evicting_a_sibling_that_is_put_back() -> None:
    """The same trap in a tree: without its sibling, the queue would lower what is above both."""
    state = farm(
        "share a 0% { share p weight 1 share y weight 1 } share x 0%\n"
        'assign a.p when user == "p" assign a.y when user == "y" assign x otherwise\n' + FAIRLY,
        100,
        [job("y", 30), job("x", 70)],
        [job("p", 60)],
    )
    assert comes_to_rest(state) == 0
    assert held(state) == [70, 30]


def test_a_group_that_is_larger_than_each_of_its_victims_does_not_flap() -> None:
    """Kueue, issue 7101: four groups of two fill the farm, then one of three of another queue comes."""
    state = farm(
        'share one 0% share two 0% assign one when user == "one" assign two otherwise\n' + FAIRLY,
        8,
        [job("one", 1, count=2) for _ in range(4)],
        [job("two", 1, count=3)],
    )
    assert comes_to_rest(state) == 0
    assert held(state) == [3, 2, 2]
    assert everything_that_can_run_does(state)


# --------------------------------------------------------------- asking for it

HALVES = 'share a 50% share b 50% assign a when user == "ann" assign b otherwise\n'
EACH_OTHER = """
preempt a for b even below nominal even borrowing {0} by {1}
preempt b for a even below nominal even borrowing {0} by requeue
"""
NIGHTS = """
window night = "20:00-08:00"
during night { share a 10% share b 90% }
"""

NASTY = {
    "round robin": "preempt self when victim.runtime > 1h by requeue",
    "round robin by suspension": "preempt self when victim.runtime > 1h by suspend",
    "round robin over all": f"preempt self when waited >= 0s by requeue\n{FAIRLY}",
    "each other, whatever they hold": EACH_OTHER.format("", "requeue"),
    "each other, and themselves": (
        EACH_OTHER.format("", "suspend") + "preempt self when victim.runtime > 10m by requeue"
    ),
    "who waits is the more urgent": (
        "priority +1 per 10m waited\norder any by priority\n"
        + INSIDE
        + EACH_OTHER.format("when victim.priority < priority", "suspend")
    ),
    "fairly, and back again": f"{FAIRLY}\nreclaim for any by requeue",
    "shares that swap day and night": f"{NIGHTS}reclaim for any by requeue\n{FAIRLY}",
    "room that comes too late every day": NIGHTS + "reclaim for any when time.hour == 19 by requeue after 2h",
    "a budget that is there again every hour": EACH_OTHER.format("at most 1 per hour", "requeue"),
}

CROWD = [job("ann", 2), job("ann", 1), job("ann", 3), job("bob", 2), job("bob", 4), job("bob", 1)]


@pytest.mark.parametrize("rules", NASTY.values(), ids=NASTY)
def test_rules_that_would_take_turns_for_ever_do_not(rules: str) -> None:
    state = farm(HALVES + rules, 5, CROWD[:3], CROWD[3:])
    comes_to_rest(state)
    assert state.running
