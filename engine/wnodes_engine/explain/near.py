"""Near misses: rules that one test alone has kept from holding, and the smallest change to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wnodes_engine.check.checked import Attr, CheckedPolicy, Compare, Const, Expr, Has, Member
from wnodes_engine.compile.plan import conjuncts
from wnodes_engine.core.wording import duration, size
from wnodes_engine.explain.tracing import Part, Tracer, Tried
from wnodes_engine.language.vocabulary import Type


@dataclass(frozen=True, slots=True)
class Near:
    """The one test that failed, what it read, and what would do."""

    test: str
    was: str
    change: str | None


def near(tracer: Tracer, checked: CheckedPolicy, tried: Tried, env: dict[str, Any]) -> Near | None:
    """The test that alone has kept a rule from holding, if there is one; a rule that had no turn has none."""
    if tried.holds or not (tried.asked and tried.open) or tried.condition is None:
        return None
    failed: Expr | None = None
    for test in conjuncts(tried.condition.expr):
        try:
            holds = bool(tracer.value(test, env))
        except (AttributeError, KeyError, TypeError):  # it reads what the request does not have
            return None
        if not holds:
            if failed is not None:
                return None
            failed = test
    if failed is None:
        return None
    was = read_by(tracer.part(failed, env), checked)
    return Near(tracer.text(failed.span), was, _change(failed, checked))


def read_by(part: Part, checked: CheckedPolicy) -> str:
    """What the tests in a part of a condition read: `cores is 72, group is "cms"`."""
    values = ((name, value) for test in part.tests() for name, value in test.values)
    return ", ".join(dict.fromkeys(f"{name} is {said(value, checked, name)}" for name, value in values))


def _change(test: Expr, checked: CheckedPolicy) -> str | None:
    """What would let the test hold, where that can be said in a word."""
    match test:
        case Compare(op, Attr(name, type_), Const(int() as value)) if op in _ENOUGH:
            return f"{name} {said(value + _ENOUGH[op], checked, name, type_)} would do"
        case Compare("==", Attr(name, type_), Const(value)):
            return f"{name} {said(value, checked, name, type_)} would do"
        case Member(Attr(name), Const(frozenset() as values)):
            return f"{name} would have to be one of {said(values, checked, name)}"
        case Member(Const(value), Attr(name)):
            return f"{said(value, checked, name)} would have to be among its {name}"
        case Has(name):
            return f"it would have to have {'an' if name[0] in 'aeiou' else 'a'} {name}"
        case _:
            return None


_ENOUGH = {">": 1, ">=": 0, "<": -1, "<=": 0}
"""What added to a bound is the nearest value for which a comparison holds."""

_BARE = frozenset({"kind", "origin", "time.weekday"})
"""Attributes whose values are words of the language."""

_TYPES = {"memory": Type.SIZE, "disk": Type.SIZE, "walltime": Type.DURATION, "share": Type.SHARE}


def said(value: Any, checked: CheckedPolicy, name: str = "", type_: Type | None = None) -> str:
    """A value in the policy's own words; `name` is the attribute that it is of."""
    type_ = type_ or _TYPES.get(name)
    if value is None:
        return "absent"
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(said(each, checked, name) for each in value)) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        if type_ is Type.SHARE:
            return checked.shares[value].path
        return (
            size(value) if type_ is Type.SIZE else duration(value) if type_ is Type.DURATION else str(value)
        )
    return str(value) if name in _BARE else f'"{value}"'
