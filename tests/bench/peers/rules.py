"""The rules and requests that every entrant is given: 2 or 3 comparisons each, and at most 3 rules can match.

Each rule names one user, group or queue that no other rule names. So whatever a request holds, one rule can
match its user, one its group and one its queue. Thresholds are such that about half of those do.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

DAY: Final = 86_400

Fact = str | int
Facts = dict[str, Fact]
"""A request: user, group, queue and kind are strings, the rest are whole numbers."""

TEXTS: Final = ("user", "group", "queue", "kind")
NUMBERS: Final = ("cores", "gpus", "memory", "walltime")

_MEANING: Final[dict[str, Callable[[Fact, Fact], bool]]] = {
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Comparison:
    """`attribute op value`, with `op` one of `== > <`; memory in MiB, walltime in seconds."""

    attribute: str
    op: str
    value: Fact


@dataclass(frozen=True)
class Rule:
    """Denies a request for which all comparisons hold."""

    name: str
    tests: tuple[Comparison, ...]


def rules(count: int) -> tuple[Rule, ...]:
    """So many rules, of three shapes in turn."""
    return tuple(Rule(f"rule {i}", tuple(_tests(i))) for i in range(count))


def _tests(i: int) -> Iterator[Comparison]:
    whose = i // 3
    match i % 3:
        case 0:
            yield Comparison("user", "==", f"user{whose}")
            yield Comparison("walltime", ">", (1 + whose % 7) * DAY)
        case 1:
            yield Comparison("group", "==", f"group{whose}")
            yield Comparison("cores", ">", 4 + whose % 8)
            yield Comparison("kind", "==", "job")
        case _:
            yield Comparison("queue", "==", f"queue{whose}")
            yield Comparison("memory", ">", (1 + whose % 5) * 4096)
            yield Comparison("gpus", "<", 2)


def requests(rules: int, count: int, seed: int = 1) -> list[Facts]:
    """So many requests by those whom so many rules name; the same for the same seed."""
    random, names = Random(seed), -(-rules // 3)
    return [
        {
            "user": f"user{random.randrange(names)}",
            "group": f"group{random.randrange(names)}",
            "queue": f"queue{random.randrange(names)}",
            "kind": random.choice(("job", "job", "job", "vm")),
            "cores": random.randint(1, 16),
            "gpus": random.choice((0, 0, 1, 2)),
            "memory": random.randint(1, 24_576),
            "walltime": random.randint(60, 8 * DAY),
        }
        for _ in range(count)
    ]


def denying(rules: Sequence[Rule], facts: Facts) -> set[str]:
    """The names of the rules that deny a request, by definition."""
    return {
        rule.name
        for rule in rules
        if all(_MEANING[test.op](facts[test.attribute], test.value) for test in rule.tests)
    }
