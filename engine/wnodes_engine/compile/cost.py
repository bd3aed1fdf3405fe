"""What a policy costs a decision: how many rules one request can meet, and which of them no index serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.compile.module import ModuleWriter
from wnodes_engine.compile.plan import lookup, plan
from wnodes_engine.compile.sections import LONGEST, Rule, lookups


class SectionCost(Struct, frozen=True):
    """The rules of one sort: how many there are, and the most of them that one request is held against.

    `looked_up` says by which attribute how many are found; `unserved` names the rules that no attribute pins.
    """

    name: str
    rules: int
    most: int
    looked_up: dict[str, int]
    unserved: tuple[str, ...]


class Cost(Struct, frozen=True):
    """All of a policy that a request meets when it comes in."""

    sections: tuple[SectionCost, ...]

    @property
    def most(self) -> int:
        """The most rules that one request can be held against."""
        return sum(section.most for section in self.sections)

    @property
    def rules(self) -> int:
        """All rules."""
        return sum(section.rules for section in self.sections)


def cost(policy: CheckedPolicy) -> Cost:
    """Of the module that the policy is compiled to: its own tables are looked at."""
    writer = ModuleWriter(policy, plan(policy))
    writer.source()
    return Cost(tuple(_section(name, rules) for name, rules in writer.rules if rules))


def _section(name: str, rules: Sequence[Rule]) -> SectionCost:
    """A short chain has no tables; of a chain, what comes after a rule without a condition has no turn."""
    chain = not rules[0].body
    asked = list(_until_always(rules)) if chain else list(rules)
    tables = {} if chain and len(asked) <= LONGEST else lookups(asked)
    looked_up = {at for found in tables.values() for at in found}
    fullest = 0
    for found in tables.values():
        by_value = Counter(value for each in found.values() for value in each.values)
        fullest += max(by_value.values(), default=0)
    unserved = [rule.place for rule in asked if not rule.always and lookup(rule.conjuncts) is None]
    return SectionCost(
        name,
        len(rules),
        len(asked) - len(looked_up) + fullest,
        {attribute: len(found) for attribute, found in tables.items()},
        tuple(unserved),
    )


def _until_always(rules: Sequence[Rule]) -> Iterator[Rule]:
    for rule in rules:
        yield rule
        if rule.always:
            return
