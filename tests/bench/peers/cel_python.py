"""CEL in plain Python, rule by rule: its compiling runner fails on a list of rules, and is the faster one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.peers.entrant import Decide, Entrant, conjunction
from bench.peers.rules import Facts, Rule


def prepare(rules: Sequence[Rule]) -> Decide:
    """A compiled program for each rule."""
    import celpy

    environment = celpy.Environment(runner_class=celpy.CompiledRunner)
    programs = [(rule.name, environment.program(environment.compile(conjunction(rule)))) for rule in rules]

    def decide(activation: Any) -> set[str]:
        return {name for name, program in programs if program.evaluate(activation)}

    return decide


def form(facts: Facts) -> Any:
    """The values as CEL has them."""
    from celpy import celtypes

    return {
        name: celtypes.StringType(fact) if isinstance(fact, str) else celtypes.IntType(fact)
        for name, fact in facts.items()
    }


ENTRANTS = (Entrant("CEL in Python, rule by rule", prepare, form, "cel-python"),)
