"""The plan of a policy's module: what is counted, and by which attribute each rule can be looked up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wnodes_engine.check.checked import (
    And,
    Attr,
    CheckedPolicy,
    Compare,
    Condition,
    Const,
    Expr,
    InShare,
    Member,
)
from wnodes_engine.compile.expressions import Gauges, attributes, gauge
from wnodes_engine.compile.room import asked_at_the_door, asked_later
from wnodes_engine.core.meters import MeterSpec

INDEXES: Final = ("user", "group", "project", "queue", "account", "leaf", "kind", "origin")
"""Attributes that rules are looked up by, the most telling first; `leaf` is the share's index."""

Values = frozenset[str] | frozenset[int]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A condition can only hold where the attribute has one of these values."""

    attribute: str
    values: Values


@dataclass(frozen=True, slots=True)
class Plan:
    """What the module's writer needs beside the checked policy."""

    meters: tuple[MeterSpec, ...]
    by_quota: dict[int, tuple[MeterSpec, ...]]
    gauges: Gauges
    tracks_hs23: bool
    site_attributes: tuple[str, ...]


def plan(policy: CheckedPolicy) -> Plan:
    """Number the meters: the ceilings of all quotas, then what rules read of the current use."""
    meters: list[MeterSpec] = []
    by_quota = {}
    for i, quota in enumerate(policy.quotas):
        specs = [
            MeterSpec(len(meters) + k, ceiling.resource, ceiling.window, ceiling.bound, quota, ceiling)
            for k, ceiling in enumerate(quota.ceilings)
        ]
        meters += specs
        by_quota[i] = tuple(specs)
    gauges: Gauges = {}
    every = [*expressions(policy), *asked_later(policy)]
    read = {name for expr in every for name in _names(expr)}
    for name in sorted(read):
        counted = gauge(name)
        if counted is not None and counted not in gauges:
            gauges[counted] = len(meters)
            meters.append(MeterSpec(len(meters), counted[1]))
    used = {attr.name for expr in every for attr in attributes(expr) if attr.site}
    return Plan(tuple(meters), by_quota, gauges, policy.tracks_hs23, tuple(sorted(used)))


def _names(expr: Expr) -> Iterator[str]:
    return (attr.name for attr in attributes(expr) if isinstance(attr, Attr) and not attr.site)


def conditions(policy: CheckedPolicy) -> Iterator[Condition]:
    """The conditions of all rules that `admit` evaluates."""
    for rules in (
        policy.defaults, policy.assigns, policy.caps, policy.denies, policy.priorities,
        policy.quotas, policy.node_rules, policy.places, policy.routes,
    ):  # fmt: skip
        for rule in rules:
            yield rule.condition


def expressions(policy: CheckedPolicy) -> Iterator[Expr]:
    """All expressions that `admit` evaluates."""
    yield from (condition.expr for condition in conditions(policy) if condition.expr is not None)
    yield from asked_at_the_door(policy)


def lookup(expr: Expr | None) -> Lookup | None:
    """The best attribute to look a rule up by: one that a conjunct of its condition pins to some values."""
    conjuncts = expr.operands if isinstance(expr, And) else (expr,)
    found: dict[str, Values] = {}
    for conjunct in conjuncts:
        pinned = _pinned(conjunct)
        if pinned is not None and (
            pinned.attribute not in found or len(pinned.values) < len(found[pinned.attribute])
        ):
            found[pinned.attribute] = pinned.values
    for attribute in INDEXES:
        if attribute in found:
            return Lookup(attribute, found[attribute])
    return None


def _pinned(expr: Expr | None) -> Lookup | None:
    match expr:
        case Compare("==", Attr(name, _, False), Const(value)) | Compare(
            "==", Const(value), Attr(name, _, False)
        ):
            return _lookup(name, frozenset((value,)))  # type: ignore[arg-type]
        case Member(Attr(name, _, False), Const(frozenset() as values)):
            return _lookup(name, values)
        case InShare(_, leaves):
            return Lookup("leaf", leaves)
        case _:
            return None


def _lookup(name: str, values: Values) -> Lookup | None:
    attribute = "leaf" if name == "share" else name
    return Lookup(attribute, values) if attribute in INDEXES else None
