"""Whole decisions: assignment, rules, 5 quotas, a share tree of depth 4, and 10,000 nodes to choose from.

Requests are alike in much or, as strangers', in nothing: what the engine may remember of one is no use then.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bench.conftest import Measure
from bench.loop import STEPS, count_words
from bench.scenes import (
    DAY,
    GIB,
    LARGE_FARM,
    NODES,
    NOW,
    checked,
    deep_policy,
    jobs,
    load,
    policy,
    state,
    strangers,
)
from oracle.interpreter import Oracle
from wnodes_engine.core import State, decide
from wnodes_engine.values import Code, Decision, Outcome, Request

STARTS = "test_a_decision_that_starts"
SMALL = "test_a_start_on_a_small_farm"
WAITS = "test_a_wait_with_no_memory_left[10 rules]"
FULL = 95 * GIB
"""Held on every node, this leaves cores but next to no memory."""

Singly = Callable[..., None]


def all_of(farm: State) -> Callable[[list[Request]], list[Decision]]:
    return lambda requests: [decide(farm, request, NOW) for request in requests]


def one_of(farm: State) -> Callable[[Request], Decision]:
    return lambda request: decide(farm, request, NOW)


def test_the_plain_loop(measure: Measure) -> None:
    """The machine's own speed: the same few steps of Python, whatever becomes of the project."""
    assert sum(measure(count_words, calls=STEPS).values()) == 2999


def test_a_decision_that_starts(measure: Measure, measure_singly: Singly) -> None:
    farm = state(deep_policy(10), nodes=LARGE_FARM)
    requests = jobs()
    measure_singly(one_of(farm), lambda: requests)
    decisions = measure(lambda: all_of(farm)(requests))
    assert {decision.outcome for decision in decisions} == {Outcome.START}
    assert {decision.share for decision in decisions} == {"grid.lhc.atlas.analysis"}


def test_a_start_of_a_stranger(measure: Measure, measure_singly: Singly) -> None:
    farm = state(deep_policy(10), nodes=LARGE_FARM)
    measure_singly(one_of(farm), strangers)
    decisions = measure(all_of(farm), against=STARTS, rounds=100, prepare=strangers)
    assert {decision.outcome for decision in decisions} == {Outcome.START}


def test_a_start_under_1000_rules(measure: Measure, measure_singly: Singly) -> None:
    farm = state(deep_policy(1000), nodes=LARGE_FARM)
    requests = jobs()
    measure_singly(one_of(farm), lambda: requests)
    decisions = measure(lambda: all_of(farm)(requests), against=STARTS)
    assert {decision.outcome for decision in decisions} == {Outcome.START}


def test_a_start_on_a_small_farm(measure: Measure) -> None:
    """3 quotas, a share tree of depth 3 and 1,000 nodes: what the oracle is asked, too."""
    farm, requests = state(policy(10)), jobs()
    decisions = measure(lambda: all_of(farm)(requests), against=STARTS)
    assert {decision.outcome for decision in decisions} == {Outcome.START}
    assert {decision.share for decision in decisions} == {"grid.lhc.atlas"}


def test_a_start_by_the_oracle(measure: Measure) -> None:
    oracle = Oracle(checked(policy(10)), NODES)
    for request, placement in load(32 * GIB):
        oracle.start(request, placement, NOW - 3600)
    answer = measure(lambda: oracle.decide(jobs()[0], NOW), calls=1, against=SMALL, rounds=3)
    assert (answer.outcome, answer.share) == (Outcome.START, "grid.lhc.atlas")


@pytest.mark.parametrize("rules", [10, 1000], ids="{:,} rules".format)
def test_a_wait_with_no_memory_left(measure: Measure, measure_singly: Singly, rules: int) -> None:
    farm, requests = state(deep_policy(rules), FULL, LARGE_FARM), jobs()
    measure_singly(one_of(farm), lambda: requests)
    decisions = measure(lambda: all_of(farm)(requests), against=STARTS if rules == 10 else WAITS)
    assert {decision.outcome for decision in decisions} == {Outcome.WAIT}
    assert {tuple(reason.code for reason in decision.reasons) for decision in decisions} == {(Code.NODE,)}


def waits_for_five_reasons(decisions: list[Decision]) -> bool:
    """Two quotas of hers, cores and memory of her share, and no memory on any node."""
    five = (Code.QUOTA, Code.QUOTA, Code.SHARE, Code.SHARE, Code.NODE)
    return {(d.outcome, tuple(reason.code for reason in d.reasons)) for d in decisions} == {
        (Outcome.WAIT, five)
    }


def test_a_wait_for_five_reasons(measure: Measure, measure_singly: Singly) -> None:
    farm, requests = state(deep_policy(10), FULL, LARGE_FARM), jobs(user="mia", group="cms")
    measure_singly(one_of(farm), lambda: requests)
    assert waits_for_five_reasons(measure(lambda: all_of(farm)(requests), against=STARTS))


def test_a_wait_of_all_sizes_for_five_reasons(measure: Measure, measure_singly: Singly) -> None:
    """No two requests are of one size and walltime, so that no text is ready made."""
    farm = state(deep_policy(10), FULL, LARGE_FARM)

    def some() -> list[Request]:
        return strangers(user="mia", group="cms")

    measure_singly(one_of(farm), some)
    assert waits_for_five_reasons(measure(all_of(farm), against=STARTS, rounds=100, prepare=some))


def test_a_denial_by_three_rules(measure: Measure, measure_singly: Singly) -> None:
    farm, requests = state(deep_policy(10), nodes=LARGE_FARM), jobs(walltime=900 * DAY)
    measure_singly(one_of(farm), lambda: requests)
    decisions = measure(lambda: all_of(farm)(requests), against=STARTS)
    assert {decision.outcome for decision in decisions} == {Outcome.DENY}
    assert {reason.rule for decision in decisions for reason in decision.reasons} == {
        'deny "rule 0"',
        'deny "rule 1"',
        'deny "rule 2"',
    }
