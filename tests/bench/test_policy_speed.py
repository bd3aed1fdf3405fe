"""From a policy's text to a checked policy, and on to the compiled one."""

from __future__ import annotations

import pytest
from bench.conftest import Measure
from bench.scenes import checked, deep_policy, long_policy, policy
from wnodes_engine.compile import compile_policy

SHORT = "test_checking_a_line[100 lines]"


@pytest.mark.parametrize("lines", [100, 10_000], ids="{:,} lines".format)
def test_checking_a_line(measure: Measure, quick: bool, lines: int) -> None:
    text = long_policy(lines // 10 if quick and lines > 1000 else lines)
    found = measure(
        lambda: checked(text),
        calls=len(text.splitlines()),
        against=None if lines == 100 else SHORT,
        rounds=10 if lines == 100 else 2,
    )
    assert len(found.denies) + len(found.quotas) + len(found.caps) > len(text.splitlines()) // 3


def test_compiling_one_rule_of_1000(measure: Measure, quick: bool) -> None:
    found = checked(policy(100 if quick else 1000))
    compiled = measure(lambda: compile_policy(found), rounds=10)
    assert (compiled.digest, compiled.checked) == (found.digest, found)


def test_loading_a_policy_of_1000_rules(measure: Measure, quick: bool) -> None:
    """All of it: text in, compiled module out."""
    rules = 100 if quick else 1000
    text = deep_policy(rules)
    compiled = measure(lambda: compile_policy(checked(text)), calls=1, rounds=10)
    assert len(compiled.checked.denies) == rules


def test_loading_1000_lines_of_all_kinds(measure: Measure, quick: bool) -> None:
    """Denials, caps, quotas, priorities and constants in turn: text in, compiled module out."""
    text = long_policy(100 if quick else 1000)
    compiled = measure(lambda: compile_policy(checked(text)), calls=1, rounds=10)
    assert len(compiled.checked.quotas) > len(text.splitlines()) // 7
