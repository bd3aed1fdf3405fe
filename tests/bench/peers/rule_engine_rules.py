"""rule-engine: rules parsed before, tried one by one, attributes looked up as items.

Without declared types it is faster than with them.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.peers.entrant import Decide, Entrant, conjunction
from bench.peers.rules import Facts, Rule


def prepare(rules: Sequence[Rule]) -> Decide:
    """One parsed rule for each."""
    import rule_engine

    context = rule_engine.Context(resolver=rule_engine.resolve_item)
    parsed = [(rule.name, rule_engine.Rule(conjunction(rule, " and "), context=context)) for rule in rules]

    def decide(facts: Facts) -> set[str]:
        return {name for name, rule in parsed if rule.matches(facts)}

    return decide


ENTRANTS = (Entrant("rule-engine, rule by rule", prepare, package="rule-engine"),)
