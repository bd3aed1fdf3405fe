"""Quotas as rules: each notes, of a request that it counts, what the request would hold of its meters.

Four lists take the notes: `m` for what is held, `w` for what waits, `h` for use over time, and `p` for what
depends on the nodes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from wnodes_engine.check.checked import (
    Attr,
    CheckedPolicy,
    Compare,
    Const,
    Expr,
    Has,
    InShare,
    Member,
    Or,
    Quota,
)
from wnodes_engine.compile.expressions import PLAIN, Gauges
from wnodes_engine.compile.plan import conjuncts
from wnodes_engine.compile.sections import Rule
from wnodes_engine.core.meters import MeterSpec
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import Type

_AMOUNTS: Final = {
    "cores": "all_cores",
    "memory": "all_memory",
    "gpus": "gpus * at_least",
    "disk": "disk * at_least",
    "volumes": "volumes * at_least",
    "machines": "machines",
    "running": "1",
}
_PER_PART: Final = {
    "cores": "cores",
    "memory": "memory",
    "gpus": "gpus",
    "disk": "disk",
    "volumes": "volumes",
    "machines": "(1 if machines else 0)",
    "hs23": "cores",
}
_VARIABLES: Final = PLAIN - {"flavour", "name", "tags"} | {
    *("m", "w", "h", "p", "leaf", "at_least", "machines"),
    *("all_cores", "all_memory", "cores", "memory", "gpus", "disk", "volumes"),
}
"""The local variables of `admit` that a quota's rule may read."""

_WORD: Final = re.compile(r"(?<![.\w])[a-z_]+")


def quota_rule(policy: CheckedPolicy, quota: Quota, specs: Sequence[MeterSpec], place: str) -> Rule:
    """A quota's rule. It counts always, in its window or not."""
    _, key = _scope(policy, quota)
    constants: list[object] = []
    if isinstance(key, Const):
        constants.append(key.value)
        key = "{0}"
    tests = [*scope_tests(policy, quota), *conjuncts(quota.condition.expr)]
    body = [line for spec in specs for line in _note(quota, spec, key, constants)]
    if quota.key == "role" and quota.value is None:
        body = ["for role in sorted(roles):", *(f"    {line}" for line in body)]
    return Rule(place, None, tuple(tests), tuple(body), tuple(constants), _read(body))


def scope_tests(policy: CheckedPolicy, quota: Quota) -> list[Expr]:
    """What a request has to meet to be counted at all, the quota's condition aside."""
    tests, _ = _scope(policy, quota)
    if quota.within is not None:
        tests.append(InShare(0, quota.within, quota.span))
    return tests


def gauge_lines(gauges: Gauges) -> list[str]:
    """What a request would add to the meters that rules read, as statements."""
    lines = []
    for (scope, resource), meter in gauges.items():
        key = "leaf" if scope == "share" else scope
        note = f"w.append(({meter}, {key}))" if resource == "waiting" else (
            f"m.append(({meter}, {key}, {_AMOUNTS[resource]}))"
        )  # fmt: skip
        lines += ["if project is not None:", f"    {note}"] if scope == "project" else [note]
    return lines


def _note(quota: Quota, spec: MeterSpec, key: str, constants: list[object]) -> list[str]:
    meter = f"{{{len(constants)}}}"
    constants.append(spec.index)
    if spec.resource == "waiting":
        return [f"w.append(({meter}, {key}))"]
    if spec.resource == "core_hours":
        return [f"h.append(({meter}, {key}))"]
    if quota.nodes is not None or spec.resource == "hs23":
        note = f"p.append(({meter}, {key}, {_PER_PART[spec.resource]}))"
    else:
        note = f"m.append(({meter}, {key}, {_AMOUNTS[spec.resource]}))"
    if spec.resource in ("cores", "hs23", "running"):
        return [note]
    # Whoever asks nothing of a resource is not stopped by its quota.
    return [f"if {spec.resource}:", f"    {note}"]


def _read(body: Sequence[str]) -> frozenset[str]:
    """The local variables of `admit` in these statements."""
    return _VARIABLES.intersection(_WORD.findall(" ".join(body)))


def _scope(policy: CheckedPolicy, quota: Quota) -> tuple[list[Expr], str | Const]:
    """What a request has to meet to be counted at all, and its key: a variable, or a constant."""
    key, value, span = quota.key, quota.value, quota.span
    if key == "nodes":
        return [], Const(0, Type.NUMBER, span)
    if value is None:
        guarded = key in ("project", "queue", "account", "image")
        name = {"share": "leaf", "image": "image.name"}.get(key, key)
        return ([Has(key, False, span)] if guarded else []), name
    if isinstance(value, int):
        return [InShare(value, _leaves(policy, value), span)], Const(value, Type.SHARE, span)
    found = Const(value, Type.STRING, span)
    if key == "role":
        return [Member(found, _attr("roles", span), span)], found
    if key == "image":
        either = tuple(Compare("==", _attr(f"image.{by}", span), found, span) for by in ("name", "id"))
        return [Has("image", False, span), Or(either, span)], found
    return [Compare("==", _attr(key, span), found, span)], found


def _attr(name: str, span: Span) -> Attr:
    return Attr(name, Type.STRING, False, span)


def _leaves(policy: CheckedPolicy, share: int) -> frozenset[int]:
    node = policy.shares[share]
    if node.is_leaf:
        return frozenset((share,))
    return frozenset().union(*(_leaves(policy, child) for child in node.children))
