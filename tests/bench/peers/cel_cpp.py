"""CEL by its C++ implementation: all rules in one list, since what is dear is a call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from bench.peers.entrant import Decide, Entrant, conjunction
from bench.peers.rules import NUMBERS, TEXTS, Facts, Rule


def prepare(rules: Sequence[Rule]) -> Decide:
    """One expression, compiled and type-checked, whose value is a truth value for each rule."""
    from cel_expr_python import cel

    types = dict.fromkeys(TEXTS, cel.Type.STRING) | dict.fromkeys(NUMBERS, cel.Type.INT)
    all_of_them = cel.NewEnv(variables=types).compile(f"[{', '.join(map(conjunction, rules))}]")
    names = [rule.name for rule in rules]

    def decide(facts: Facts) -> set[str]:
        return set(compress(names, all_of_them.eval(data=facts).plain_value()))

    return decide


ENTRANTS = (Entrant("CEL in C++, one list", prepare, package="cel-expr-python"),)
