"""Many rules: they are looked up by what they pin, and mean what they meant one by one."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from msgspec.structs import replace
from strategies.checking import checked
from wnodes_engine.check.checked import CheckedPolicy, Condition
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Code, Node, Outcome, Request

NOW = 1_700_000_000
LEAVES = "share a 25% share b 25% share c 25% share d 25%"
ROUTE = "route job, vmjob, vm, pool to simulated"


def job(**asked: Any) -> Request:
    usual: dict[str, Any] = {"user": "ann", "group": "cms", "kind": "job", "origin": "local"}
    return Request(id="r1", submitted=NOW, **usual | asked)


def farm(policy: CheckedPolicy | str) -> State:
    policy = checked(f"policy p\n{policy}\n") if isinstance(policy, str) else policy
    return State(compile_policy(policy), [Node("n1", 80, 80_000)])


def places(state: State, **asked: Any) -> list[int]:
    """The lines of the statements that stand in the way."""
    return [reason.line for reason in decide(state, job(**asked), NOW).reasons]


def many(rule: Any, values: list[Any]) -> tuple[Any, ...]:
    """A checked rule once for each value that its condition is to compare with, on lines 1, 2, 3 …"""
    test = rule.condition.expr
    return tuple(
        replace(
            rule,
            condition=Condition(replace(test, right=replace(test.right, value=value))),
            span=replace(rule.span, line=line),
        )
        for line, value in enumerate(values, start=1)
    )


def farm_of_many(test: str, values: list[Any]) -> State:
    """10,000 assignments, routes and bases of priority, one of each to a value, and one for all others."""
    rules = (
        f"assign a when {test}\nassign b otherwise\npriority 1 when {test}\npriority 7\n"
        f'route job to simulated queue "{{group}}" when {test}\n{ROUTE}'
    )
    policy = checked(f"policy p\n{LEAVES}\n{rules}\n")
    assigns, bases = many(policy.assigns[0], values), many(policy.priorities[0], values)
    return farm(
        replace(
            policy,
            assigns=(*(replace(rule, share=1 + n % 4) for n, rule in enumerate(assigns)), policy.assigns[1]),
            routes=(*many(policy.routes[0], values), policy.routes[1]),
            priorities=(*(replace(rule, amount=n) for n, rule in enumerate(bases)), policy.priorities[1]),
        )
    )


@pytest.mark.parametrize("by", ["group", "cores"], ids=["looked up", "tried"])
def test_ten_thousand_assignments_routes_and_priorities_are_compiled(by: str) -> None:
    values = [f"g{n}" if by == "group" else n for n in range(10_000)]
    state = farm_of_many('group == "g"' if by == "group" else "cores == 1", values)
    for n in (1, 77, 9_999):
        request = job(**{by: values[n]})
        claim, _ = state.policy.admit(request, state)
        assert claim is not None
        assert (claim.leaf, claim.base, claim.route) == (1 + n % 4, n, n)
        assert state.policy.routes[claim.route](request, claim).queue == request.group
    claim, _ = state.policy.admit(job(cores=20_000), state)
    assert claim is not None
    assert (claim.leaf, claim.base, claim.route) == (2, 7, 10_000)


def test_the_first_that_matches_counts_whatever_it_is_looked_up_by() -> None:
    tests = [
        *('group == "cms"', 'group in {"cms", "atlas"}', 'user == "ann"', 'user == "bob"'),
        *('user in {"ann", "eve"}', "origin == local", "kind == vm", "cores > 2", "walltime < 1h"),
    ]
    draw = random.Random(1)
    for _ in range(10):
        rules = [(draw.choice("abcd"), f"{draw.choice(tests)} and {draw.choice(tests)}") for _ in range(60)]
        lines = [f"assign {leaf} when {test}" for leaf, test in rules]
        state = farm("\n".join([LEAVES, *lines, "assign d otherwise", ROUTE]))
        for user in ("ann", "bob", "eve"):
            for cores in (1, 4):
                alone = (leaf for leaf, test in rules if holds_alone(test, user=user, cores=cores))
                assert decide(state, job(user=user, cores=cores), NOW).share == next(alone, "d")


@cache
def holds_alone(test: str, **asked: Any) -> bool:
    """Whether an assignment matches where it is the only one."""
    state = farm(f"{LEAVES}\nassign a when {test}\nassign b otherwise\n{ROUTE}")
    return decide(state, job(**asked), NOW).share == "a"


def test_reasons_stand_in_the_order_of_the_policy_however_they_were_found() -> None:
    quotas = [
        'quota for user "ann": cores <= 0 else deny',
        "quota for each user: cores <= 1 else deny",
        "quota for each group: cores <= 1 else deny",
        'quota for user "ann": running <= 0 else deny',
    ] * 5
    state = farm("\n".join([LEAVES, "assign a otherwise", ROUTE, *quotas]))
    assert places(state, cores=2) == list(range(5, 25))


def test_a_rule_that_cannot_be_evaluated_is_named_where_it_is_looked_up() -> None:
    denies = [f'deny "no" when group == "g{n}" and has image and image.size > {n}GiB' for n in range(20)]
    state = farm("\n".join([LEAVES, "assign a otherwise", ROUTE, *denies]))
    broken = job(group="g7", image="not an image")
    (reason,) = decide(state, broken, NOW).reasons
    assert (reason.code, reason.line) == (Code.ERROR, 12)


def test_a_rule_that_cannot_be_evaluated_is_named_where_it_is_written_in_line() -> None:
    state = farm(f'{LEAVES}\nassign a otherwise\n{ROUTE}\ndeny "no" when has image and image.size > 1GiB')
    (reason,) = decide(state, job(image="not an image"), NOW).reasons
    assert (reason.code, reason.line) == (Code.ERROR, 5)


def test_rules_of_one_shape_share_their_code() -> None:
    denies = [
        f'deny "no {n}" when user == "user{n}" and cores > {n} unless "ops" in roles' for n in range(999)
    ]
    state = farm("\n".join([LEAVES, "assign a otherwise", ROUTE, *denies]))
    assert state.policy.source.count("def _deny") == 1
    assert places(state, user="user70", cores=71) == [5 + 70]
    assert decide(state, job(user="user70", cores=70), NOW).outcome is Outcome.START


def test_a_set_of_hundreds_is_tried_and_not_spread_over_a_table() -> None:
    names = ", ".join(f'"user{n}"' for n in range(500))
    denies = [f'deny "no {n}" when user in everybody and cores > {n}' for n in range(10, 30)]
    state = farm("\n".join([LEAVES, "assign a otherwise", ROUTE, f"let everybody = {{{names}}}", *denies]))
    assert state.policy.source.count("'user7'") == 1
    assert places(state, user="user7", cores=12) == [6, 7]


def test_defaults_of_one_attribute_are_looked_up_and_see_what_those_before_them_filled_in() -> None:
    memory = [f'default memory {n + 1}MiB when group == "g{n}"' for n in range(20)]
    walltimes = [f"default walltime {n + 1}h when memory == {n + 1}MiB" for n in range(20)]
    text = "\n".join([LEAVES, "assign a otherwise", *memory, "default cores 3", *walltimes, ROUTE])
    state = farm(text)
    claim, _ = state.policy.admit(job(group="g4"), state)
    assert claim is not None
    assert (claim.part.memory, claim.part.cores, claim.walltime) == (5, 3, 5 * 3600)
