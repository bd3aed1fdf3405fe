"""CEL by its Rust implementation: all rules in one list."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from bench.peers.entrant import Decide, Entrant, conjunction
from bench.peers.rules import Facts, Rule


def prepare(rules: Sequence[Rule]) -> Decide:
    """One compiled expression, whose value is a truth value for each rule."""
    import cel

    program = cel.compile(f"[{', '.join(map(conjunction, rules))}]")
    names = [rule.name for rule in rules]

    def decide(facts: Facts) -> set[str]:
        return set(compress(names, program.execute(facts)))

    return decide


ENTRANTS = (Entrant("CEL in Rust, one list", prepare, package="common-expression-language"),)
