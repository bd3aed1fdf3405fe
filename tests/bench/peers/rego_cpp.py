"""Rego by rego-cpp: a bundle built before, and queried."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.peers.entrant import Decide, Entrant
from bench.peers.rego_rust import rego
from bench.peers.rules import Facts, Rule


def prepare(rules: Sequence[Rule]) -> Decide:
    """The module, built into a bundle for one query."""
    import regopy

    interpreter = regopy.Interpreter()
    interpreter.add_module("compared", rego(rules))
    bundle = interpreter.build("data.compared.deny", [])

    def decide(facts: Facts) -> set[str]:
        interpreter.set_input(facts)
        return set(json.loads(str(interpreter.query_bundle(bundle)))["expressions"][0])

    return decide


ENTRANTS = (Entrant("rego-cpp, bundled", prepare, package="regopy"),)
