"""Cedar: policies and entities parsed before, the request's user and queue in the policies' scope."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bench.peers.entrant import Decide, Entrant
from bench.peers.rules import Comparison, Facts, Rule

_SCOPES = {"user": 'principal == User::"{}"', "queue": 'resource == Queue::"{}"'}


def prepare(rules: Sequence[Rule]) -> Decide:
    """One `forbid` for each rule, and a `permit` for everybody."""
    from cedarpy import Entities, PolicySet, is_authorized

    policies = PolicySet.from_str("\n".join([*map(_forbid, rules), "permit (principal, action, resource);"]))
    entities = Entities.from_json_str("[]")

    def decide(request: Any) -> Any:
        result = is_authorized(request, policies, entities)
        return () if result.allowed else result.diagnostics.id_annotations_by_reason.values()

    return decide


def _forbid(rule: Rule) -> str:
    scope = {"user": "principal", "queue": "resource"}
    scope |= {t.attribute: _SCOPES[t.attribute].format(t.value) for t in rule.tests if t.attribute in scope}
    tests = " && ".join(_context(test) for test in rule.tests if test.attribute not in scope)
    return f'@id("{rule.name}") forbid ({scope["user"]}, action, {scope["queue"]}) when {{ {tests} }};'


def _context(test: Comparison) -> str:
    return f"context.{test.attribute} {test.op} {json.dumps(test.value)}"


def form(facts: Facts) -> Any:
    """Identities as they are read fastest, and the rest as text."""
    return {
        "principal": {"type": "User", "id": facts["user"]},
        "action": {"type": "Action", "id": "submit"},
        "resource": {"type": "Queue", "id": facts["queue"]},
        "context": json.dumps({name: fact for name, fact in facts.items() if name not in _SCOPES}),
    }


ENTRANTS = (Entrant("Cedar, policies parsed before", prepare, form, "cedarpy"),)
