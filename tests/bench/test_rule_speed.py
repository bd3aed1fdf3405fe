"""Rules alone, with all else that a policy says of a request: a request in, its claim and its refusals out.

The rules have 2 or 3 comparisons, and at most 3 of them can match, however many there are. What others make
of rules, and an interpreter of ours, stands in `test_peer_speed.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bench.conftest import Measure
from bench.scenes import DAY, NODES, checked, deep_policy, jobs, strangers
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.policy import Refusal, Refused
from wnodes_engine.values import Request

Answer = tuple[Claim | None, list[Refusal] | None]

some_rules = pytest.mark.parametrize("rules", [10, 100, 1000, 10_000], ids="{:,} rules".format)
ALL_THREE = [(Refused.RULE, rule, 0) for rule in range(3)]


def admitting(rules: int, quick: bool) -> Callable[[list[Request]], list[Answer]]:
    """The rules as they are compiled."""
    policy = compile_policy(checked(deep_policy(1000 if quick and rules > 1000 else rules)))
    state, admit = State(policy, NODES[:10]), policy.admit
    return lambda requests: [admit(request, state) for request in requests]


def against(name: str, rules: int) -> str | None:
    """The same with 10 rules."""
    return f"{name}[10 rules]" if rules > 10 else None


def shares_of(answers: list[Answer]) -> set[int | None]:
    return {claim.leaf if claim is not None else None for claim, _ in answers}


@some_rules
def test_rules_alone(measure: Measure, quick: bool, rules: int) -> None:
    ask, requests = admitting(rules, quick), jobs()
    answers = measure(lambda: ask(requests), against=against("test_rules_alone", rules))
    assert len(shares_of(answers)) == 1
    assert {refusals for _, refusals in answers} == {None}


@some_rules
def test_rules_alone_asked_by_strangers(measure: Measure, quick: bool, rules: int) -> None:
    """No two requests are alike."""
    answers = measure(
        admitting(rules, quick), against=f"test_rules_alone[{rules:,} rules]", rounds=100, prepare=strangers
    )
    assert len(shares_of(answers)) == 1
    assert {refusals for _, refusals in answers} == {None}


@some_rules
def test_rules_alone_three_of_which_refuse(measure: Measure, quick: bool, rules: int) -> None:
    ask, requests = admitting(rules, quick), jobs(walltime=900 * DAY)
    answers = measure(lambda: ask(requests), against=f"test_rules_alone[{rules:,} rules]")
    for _, refusals in answers:
        assert refusals is not None
        assert sorted(refusals) == ALL_THREE
