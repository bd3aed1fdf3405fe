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
    Has,
    InShare,
    Member,
)
from wnodes_engine.compile.expressions import Gauges, attributes, gauge
from wnodes_engine.compile.room import asked_at_the_door, asked_later
from wnodes_engine.core.meters import MeterSpec

INDEXES: Final = ("user", "group", "project", "queue", "account", "leaf", "kind", "origin")
"""Attributes that rules are looked up by, the most telling first; `leaf` is the share's index."""

MOST_VALUES: Final = 64
"""A rule that holds for more values than that is tried: it would stand under each of them in a table."""

Values = frozenset[str] | frozenset[int]


@dataclass(frozen=True, slots=True)
class Lookup:
    """Conjuncts of which one holds exactly where the attribute has one of these values.

    `rest` are the other conjuncts, without those that are then plain.
    """

    attribute: str
    values: Values
    rest: tuple[Expr, ...]


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
    every = (*expressions(policy), *asked_later(policy))
    found = [attr for expr in every for attr in attributes(expr)]
    for name in sorted({attr.name for attr in found if isinstance(attr, Attr) and not attr.site}):
        counted = gauge(name)
        if counted is not None and counted not in gauges:
            gauges[counted] = len(meters)
            meters.append(MeterSpec(len(meters), counted[1]))
    used = {attr.name for attr in found if attr.site}
    return Plan(tuple(meters), by_quota, gauges, policy.tracks_hs23, tuple(sorted(used)))


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


def conjuncts(expr: Expr | None) -> tuple[Expr, ...]:
    """What has to hold, all of it."""
    if isinstance(expr, And):
        return tuple(part for operand in expr.operands for part in conjuncts(operand))
    return () if expr is None else (expr,)


def lookup(conditions: tuple[Expr, ...]) -> Lookup | None:
    """The best attribute to look a rule up by: one that a conjunct pins to a few values."""
    best: tuple[int, int, int] | None = None
    found: dict[int, tuple[str, Values]] = {}
    for i, expr in enumerate(conditions):
        pinned = _pinned(expr)
        if pinned is not None and pinned[0] in INDEXES and len(pinned[1]) <= MOST_VALUES:
            found[i] = pinned
            rank = (INDEXES.index(pinned[0]), len(pinned[1]), i)
            best = rank if best is None or rank < best else best
    if best is None:
        return None
    attribute, values = found[best[2]]
    rest = (
        expr
        for i, expr in enumerate(conditions)
        if i != best[2] and not (isinstance(expr, Has) and expr.name == attribute and not expr.site)
    )
    return Lookup(attribute, values, tuple(rest))


def _pinned(expr: Expr) -> tuple[str, Values] | None:
    """An attribute and the values for which, and for no others, the expression holds."""
    match expr:
        case Compare("==", Attr(name, _, False), Const(value)) | Compare(
            "==", Const(value), Attr(name, _, False)
        ):
            values = frozenset((value,))
            return "leaf" if name == "share" else name, values  # type: ignore[return-value]
        case Member(Attr(name, _, False), Const(frozenset() as several)):
            return "leaf" if name == "share" else name, several
        case InShare(_, leaves):
            return "leaf", leaves
        case _:
            return None
