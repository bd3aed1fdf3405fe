"""Quotas: whom they count, what they limit, and which of them can never bind."""

from __future__ import annotations

from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.expressions import Typer
from wnodes_engine.check.literals import count, duration
from wnodes_engine.check.names import Names
from wnodes_engine.check.presence import NOTHING_KNOWN, Facts, Place
from wnodes_engine.check.report import listed
from wnodes_engine.findings import Note
from wnodes_engine.language import syntax
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import (
    MEMBERS,
    NODE_QUOTA_RESOURCES,
    QUOTA_RESOURCES,
    SCOPE_KEYS,
    Phase,
    Type,
)

SHORTEST_WINDOW: Final = 720
"""In seconds: a sliding window is a sum over 720 buckets, and no bucket is shorter than a second."""

_BOUND_TYPE: Final = {"memory": Type.SIZE, "disk": Type.SIZE}
_AT_SITE: Final = frozenset({"user", "group", "project", "role", "queue", "account", "image"})
_OPTIONAL: Final = frozenset({"project", "queue", "account", "image"})
"""Scopes that count only the requests that have one."""

Key = tuple[object, ...]


def quota(statement: syntax.Quota, condition: checked.Condition | None, typer: Typer) -> checked.Quota | None:
    """A quota; None, and findings, where something is wrong, as with a condition that is None."""
    names = typer.names
    scope = _scope(statement.scope, typer)
    within: frozenset[int] | None = None
    sound = scope is not None and condition is not None
    if statement.within is not None:
        index = names.share(statement.within)
        sound = sound and index is not None
        within = None if index is None else names.shares[index].leaves
    ceilings = _ceilings(statement, typer)
    if scope is None or condition is None or ceilings is None or not sound:
        return None
    value, nodes = scope
    if statement.scope.key == "share" and isinstance(value, int) and statement.within is not None and within:
        share = names.shares[value]
        if not share.leaves & within:
            message = f"`{share.path}` lies outside `{statement.within.dotted}`: the quota never binds"
            names.report.add("W108", message, statement.scope.span, "leave `in …` out")
    denies = statement.otherwise == "deny"
    return checked.Quota(
        statement.scope.key, value, nodes, within, condition, ceilings, denies, statement.span
    )


def facts_of(scope: syntax.Scope) -> Facts:
    """What is certain about the requests that a scope counts."""
    if scope.key in _OPTIONAL:
        return Facts(present=frozenset({scope.key}))
    if scope.key == "kind" and isinstance(scope.value, syntax.Name):
        return Facts(kinds=frozenset({scope.value.dotted}) & set(MEMBERS[Type.KIND]) or NOTHING_KNOWN.kinds)
    return NOTHING_KNOWN


def _scope(scope: syntax.Scope, typer: Typer) -> tuple[str | int | None, checked.NodeSet | None] | None:
    """Who is counted, or which nodes; both None for `each`."""
    names, report = typer.names, typer.names.report
    if scope.key not in SCOPE_KEYS:
        whom = [word for word in SCOPE_KEYS if word != "nodes" or not scope.each]
        mend = report.meant(scope.key, whom, f"quotas are for {listed(whom)}")
        report.add("E140", f"a quota cannot be for `{scope.key}`", scope.span, mend)
        return None
    if scope.nodes is not None:
        nodes = names.nodes(scope.nodes)
        return None if nodes is None else (None, nodes)
    if scope.value is None:
        return None, None
    value = _share(scope.value, typer) if scope.key == "share" else _one(scope.key, scope.value, typer)
    return None if value is None else (value, None)


def _share(value: syntax.Expr, typer: Typer) -> int | None:
    if isinstance(value, syntax.Name):
        return typer.names.share(value)
    mend = "write it without quotes: `quota for share grid`"
    typer.names.report.add("E140", "a share is a name, not a text", value.span, mend)
    return None


def _one(key: str, value: syntax.Expr, typer: Typer) -> str | None:
    """The one user, group, kind … that a quota is for."""
    names, report = typer.names, typer.names.report
    type_ = {"kind": Type.KIND, "origin": Type.ORIGIN}.get(key, Type.STRING)
    if isinstance(value, syntax.Name) and type_ is Type.STRING:
        word = value.dotted
        named = names.lets.get(word)
        if named is None:
            mend = report.meant(word, names.lets, f'write it in quotes: `{key} "{word}"`')
            report.add_missing("E101", f"unknown name `{word}`", value.span, mend)
            return None
        if named.value is not None and named.value.type is Type.STRINGS:
            named.used = True
            inside = f"`quota for each {key} when {key} in {word}`"
            mend = f"write {inside}" if key != "role" else "write one quota for each role"
            report.add("E140", f"`{word}` is a set, and this quota is for one {key}", value.span, mend)
            return None
    const = typer.constant(value, type_, Place(Phase.QUOTA), f"the {key}")
    if const is None or (key in _AT_SITE and not names.known_at_site(key, str(const.value), value.span)):
        return None
    return str(const.value)


def _ceilings(statement: syntax.Quota, typer: Typer) -> tuple[checked.Ceiling, ...] | None:
    report = typer.names.report
    seen: dict[tuple[str, int | None], Span] = {}
    made: list[checked.Ceiling] = []
    for written in statement.ceilings:
        if statement.scope.nodes is not None and written.resource not in NODE_QUOTA_RESOURCES:
            report.add(
                "E141",
                f"a quota for nodes limits what is held on them, not {written.resource}",
                written.span,
                f"it can limit {listed(NODE_QUOTA_RESOURCES)}",
            )
            continue
        if written.resource == "waiting" and statement.otherwise == "wait":
            report.add(
                "E141",
                "a limit on what waits cannot make a request wait",
                written.span,
                "write `else deny`, or leave it out",
            )
            continue
        ceiling = _ceiling(written, typer)
        if ceiling is None:
            continue
        first = seen.setdefault((ceiling.resource, ceiling.window), written.span)
        if first is not written.span:
            report.add(
                "E103",
                f"there are two limits of {ceiling.resource}",
                written.span,
                "keep one of them",
                [Note("the first one is here", first)],
            )
            continue
        made.append(ceiling)
    return tuple(made) if len(made) == len(statement.ceilings) else None


def _ceiling(written: syntax.Ceiling, typer: Typer) -> checked.Ceiling | None:
    report = typer.names.report
    resource = written.resource
    if resource not in QUOTA_RESOURCES:
        mend = report.meant(resource, QUOTA_RESOURCES, f"quotas limit {listed(QUOTA_RESOURCES)}")
        report.add("E141", f"a quota cannot limit `{resource}`", written.span, mend)
        return None
    window = None
    if resource == "core_hours":
        if written.per is None:
            report.add(
                "E141",
                "core_hours are counted over a stretch of time",
                written.span,
                "say which: `core_hours <= 100000 per 30d`",
            )
            return None
        window = duration(written.per, report, SHORTEST_WINDOW, "the window of core_hours")
        if window is None:
            return None
    elif written.per is not None:
        report.add(
            "E141",
            f"`{resource}` is what is held at one time, not use over time",
            written.per.span,
            "leave `per …` out, or limit core_hours",
        )
        return None
    bound = _bound(written, typer)
    return None if bound is None else checked.Ceiling(resource, bound, window, written.span)


def _bound(written: syntax.Ceiling, typer: Typer) -> checked.Expr | None:
    """The bound in the house's units: thousandths for hs23."""
    report = typer.names.report
    if written.resource == "hs23":
        if isinstance(written.bound, syntax.Number) and written.bound.unit is syntax.Unit.NONE:
            return checked.Const(written.bound.milli, Type.NUMBER, written.bound.span)
        const = typer.constant(written.bound, Type.NUMBER, Place(Phase.BOUND), "a limit of hs23")
        return None if const is None else checked.Const(int(str(const.value)) * 1000, Type.NUMBER, const.span)
    type_ = _BOUND_TYPE.get(written.resource, Type.NUMBER)
    if type_ is Type.NUMBER and isinstance(written.bound, syntax.Number):
        value = count(written.bound, report, 0, f"a limit of {written.resource}")
        return None if value is None else checked.Const(value, Type.NUMBER, written.bound.span)
    bound = typer.typed(written.bound, type_, Place(Phase.BOUND))
    if isinstance(bound, checked.Const) and isinstance(bound.value, int) and bound.value < 0:
        report.add("E112", "a limit cannot be below 0", written.bound.span, "write 0 or more")
        return None
    return bound


def check_repeated(quotas: list[checked.Quota], names: Names) -> None:
    """Of two quotas for the same, the wider one never binds."""
    tightest: dict[Key, tuple[int, Span]] = {}
    for rule in quotas:
        for ceiling in rule.ceilings:
            if rule.condition.expr is not None or rule.condition.window is not None:
                continue
            if not isinstance(ceiling.bound, checked.Const):
                continue
            key = (rule.key, rule.value, rule.nodes, rule.within, ceiling.resource, ceiling.window)
            bound = int(str(ceiling.bound.value))
            other = tightest.get(key)
            if other is None:
                tightest[key] = bound, ceiling.span
                continue
            tight, loose = sorted([other, (bound, ceiling.span)], key=lambda pair: pair[0])
            tightest[key] = tight
            names.report.add(
                "W108",
                "this limit never binds: another one for the same is tighter",
                loose[1],
                "keep one of the two",
                [Note("the tighter one is here", tight[1])],
            )
