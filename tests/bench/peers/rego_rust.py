"""Rego by Regorus, compiled for its virtual machine; and once more with an index that its author writes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from bench.peers.entrant import Decide, Entrant, as_json, conjunction
from bench.peers.rules import Rule

_HEAD = "package compared\n\nimport rego.v1\n\n"
_BY_KEY = """
deny contains rule.name if {
    some rule in data.user[input.user]
    input.walltime > rule.walltime
}

deny contains rule.name if {
    some rule in data.group[input.group]
    input.cores > rule.cores
    input.kind == rule.kind
}

deny contains rule.name if {
    some rule in data.queue[input.queue]
    input.memory > rule.memory
    input.gpus < rule.gpus
}
"""


def rego(rules: Sequence[Rule]) -> str:
    """The rules as a module whose `deny` is the set of names."""
    bodies = ((rule.name, conjunction(rule, "; ", "input.")) for rule in rules)
    return _HEAD + "\n".join(f"deny contains {json.dumps(name)} if {{ {body} }}" for name, body in bodies)


def as_rules(rules: Sequence[Rule]) -> Decide:
    """Each rule as a rule."""
    return _machine(rego(rules), {})


def as_data(rules: Sequence[Rule]) -> Decide:
    """The rules as data under what they name, and one rule for each of their shapes."""
    data: dict[str, dict[Any, list[dict[str, Any]]]] = defaultdict(dict)
    for rule in rules:
        key, *tests = rule.tests
        row = {"name": rule.name, **{test.attribute: test.value for test in tests}}
        data[key.attribute].setdefault(key.value, []).append(row)
    return _machine(_HEAD + _BY_KEY, data)


def _machine(module: str, data: dict[str, Any]) -> Decide:
    import regorus

    text = json.dumps(data)
    machine = regorus.Rvm()
    machine.load_program(
        regorus.Program.compile_from_modules(text, [("compared.rego", module)], ["data.compared.deny"])
    )
    machine.set_data_json(text)

    def decide(request: str) -> set[str]:
        machine.set_input_json(request)
        return set(json.loads(machine.execute()))

    return decide


ENTRANTS = (
    Entrant("Regorus, compiled", as_rules, as_json, "gordon-to-regorus"),
    Entrant("Regorus, compiled, indexed by hand", as_data, as_json, "gordon-to-regorus", scales=True),
)
