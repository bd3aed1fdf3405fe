"""Whole decisions: assignment, rules, 3 quotas, a share tree of depth 3, and 1,000 nodes to choose from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bench.conftest import Measure
from bench.loop import STEPS, count_words
from bench.scenes import DAY, GIB, NODES, NOW, checked, jobs, load, policy, state
from oracle.interpreter import Oracle
from wnodes_engine.core import State, decide
from wnodes_engine.values import Code, Decision, Outcome, Request

STARTS = "test_a_decision_that_starts"
WAITS = "test_a_wait_with_no_memory_left[10 rules]"


def all_of(farm: State, requests: list[Request]) -> Callable[[], list[Decision]]:
    return lambda: [decide(farm, request, NOW) for request in requests]


def test_the_plain_loop(measure: Measure) -> None:
    """The machine's own speed: the same few steps of Python, whatever becomes of the project."""
    assert sum(measure(count_words, calls=STEPS).values()) == 2999


def test_a_decision_that_starts(measure: Measure) -> None:
    decisions = measure(all_of(state(policy(10)), jobs()))
    assert {decision.outcome for decision in decisions} == {Outcome.START}
    assert {decision.share for decision in decisions} == {"grid.lhc.atlas"}


def test_a_start_under_1000_rules(measure: Measure) -> None:
    decisions = measure(all_of(state(policy(1000)), jobs()), against=STARTS)
    assert {decision.outcome for decision in decisions} == {Outcome.START}


def test_a_start_by_the_oracle(measure: Measure) -> None:
    oracle = Oracle(checked(policy(10)), NODES)
    for request, placement in load(32 * GIB):
        oracle.start(request, placement, NOW - 3600)
    answer = measure(lambda: oracle.decide(jobs()[0], NOW), calls=1, against=STARTS, rounds=3)
    assert (answer.outcome, answer.share) == (Outcome.START, "grid.lhc.atlas")


@pytest.mark.parametrize("rules", [10, 1000], ids="{:,} rules".format)
def test_a_wait_with_no_memory_left(measure: Measure, rules: int) -> None:
    farm = state(policy(rules), memory=95 * GIB)
    decisions = measure(all_of(farm, jobs()), against=STARTS if rules == 10 else WAITS)
    assert {decision.outcome for decision in decisions} == {Outcome.WAIT}
    assert {tuple(reason.code for reason in decision.reasons) for decision in decisions} == {(Code.NODE,)}


def test_a_wait_for_four_reasons(measure: Measure) -> None:
    requests = jobs(user="mia", group="cms")
    decisions = measure(all_of(state(policy(10), memory=95 * GIB), requests), against=STARTS)
    assert {decision.outcome for decision in decisions} == {Outcome.WAIT}
    for decision in decisions:
        codes = [reason.code for reason in decision.reasons]
        assert codes == [Code.QUOTA, Code.SHARE, Code.SHARE, Code.NODE]


def test_a_denial_by_three_rules(measure: Measure) -> None:
    decisions = measure(all_of(state(policy(10)), jobs(walltime=900 * DAY)), against=STARTS)
    assert {decision.outcome for decision in decisions} == {Outcome.DENY}
    assert {reason.rule for decision in decisions for reason in decision.reasons} == {
        'deny "rule 0"',
        'deny "rule 1"',
        'deny "rule 2"',
    }
