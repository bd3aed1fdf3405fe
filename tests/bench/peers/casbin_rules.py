"""Casbin: rules with conditions of their own, as its documentation scales attribute-based policies.

Casbin tells one rule. A function in the matcher, which it offers for the purpose, notes the others too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.peers.entrant import Decide, Entrant, conjunction
from bench.peers.rules import NUMBERS, TEXTS, Facts, Rule

_MODEL = f"""
[request_definition]
r = {", ".join((*TEXTS, *NUMBERS))}

[policy_definition]
p = name, condition

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = eval(p.condition) && note(p.name)
"""


def prepare(rules: Sequence[Rule]) -> Decide:
    """One line of policy for each rule."""
    import casbin

    model = casbin.Model()
    model.load_model_from_text(_MODEL)
    enforcer = casbin.Enforcer(model)
    denied: set[str] = set()

    def note(name: str) -> bool:
        denied.add(name)
        return False  # so that the next rule is looked at

    enforcer.add_function("note", note)
    enforcer.add_policies([[rule.name, conjunction(rule, prefix="r.")] for rule in rules])

    def decide(values: tuple[Any, ...]) -> set[str]:
        denied.clear()
        enforcer.enforce(*values)
        return set(denied)

    return decide


def form(facts: Facts) -> Any:
    """The values in the order in which the model has them."""
    return tuple(facts[name] for name in (*TEXTS, *NUMBERS))


ENTRANTS = (Entrant("Casbin, conditions in policies", prepare, form, "pycasbin"),)
