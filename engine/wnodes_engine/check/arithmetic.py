"""Arithmetic on quantities: which types may meet, and constants folded."""

from __future__ import annotations

from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.literals import QUANTITIES
from wnodes_engine.check.report import Report
from wnodes_engine.check.types import type_of
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import Type

WHOLE: Final = 10_000
"""100%, in hundredths of a percent."""

_LARGEST: Final = 1 << 60


def reckon(
    op: str, left: checked.Expr, right: checked.Expr, span: Span, report: Report
) -> checked.Expr | None:
    """`left op right`, folded where both are constants; None, and a finding, where it means nothing."""
    a, b = type_of(left), type_of(right)
    for side, type_ in ((left, a), (right, b)):
        if type_ not in QUANTITIES:
            report.add(
                "E110", f"a {type_} cannot be reckoned with", side.span, "use numbers, durations and sizes"
            )
            return None
        if isinstance(side, checked.Const) and side.value == checked.UNLIMITED:
            report.add("E110", "`unlimited` cannot be reckoned with", side.span, "it can only be compared")
            return None
    if op == "/":
        return _quotient(left, right, a, b, span, report)
    if op == "*":
        if Type.PERCENT in (a, b):
            product = _made("*", left, right, b if a is Type.PERCENT else a, span, report)
            hundred = checked.Const(WHOLE, Type.NUMBER, span)
            return None if product is None else _made("/", product, hundred, type_of(product), span, report)
        if Type.NUMBER in (a, b):
            return _made("*", left, right, b if a is Type.NUMBER else a, span, report)
        report.add(
            "E110", f"a {a} times a {b} means nothing", span, "one of the two has to be a plain number"
        )
        return None
    if a is not b:
        told = "added to" if op == "+" else "taken from"
        one, other = (a, b) if op == "+" else (b, a)
        report.add("E110", f"a {one} cannot be {told} a {other}", span, "both need the same unit")
        return None
    return _made(op, left, right, a, span, report)


def compare(op: str, left: object, right: object) -> bool:
    """Whether two constants of one type compare so."""
    if op in ("==", "!="):
        return (left == right) is (op == "==")
    x, y = int(str(left)), int(str(right))
    return x < y if op == "<" else x <= y if op == "<=" else x > y if op == ">" else x >= y


def _quotient(
    left: checked.Expr, right: checked.Expr, a: Type, b: Type, span: Span, report: Report
) -> checked.Expr | None:
    """Only a constant divides: what is read from a request could be 0."""
    if not isinstance(right, checked.Const):
        report.add("E116", "only a constant may divide", right.span, "multiply on the other side instead")
        return None
    if not isinstance(right.value, int) or right.value <= 0:
        report.add("E116", "what divides has to be above 0", right.span)
        return None
    if b is Type.NUMBER:
        return _made("/", left, right, a, span, report)
    if a is b:
        return _made("/", left, right, Type.NUMBER, span, report)
    report.add(
        "E110", f"a {a} cannot be divided by a {b}", span, "divide by a plain number, or by the same unit"
    )
    return None


def _made(
    op: str, left: checked.Expr, right: checked.Expr, type_: Type, span: Span, report: Report
) -> checked.Expr | None:
    if not (isinstance(left, checked.Const) and isinstance(right, checked.Const)):
        return checked.Arithmetic(op, left, right, type_, span)
    x, y = int(left.value), int(right.value)  # type: ignore[arg-type]
    value = {"+": x + y, "-": x - y, "*": x * y, "/": x // y if op == "/" else 0}[op]
    if abs(value) > _LARGEST:
        report.add("E112", "the result is too large", span, "nothing on a farm is that large")
        return None
    return checked.Const(value, type_, span)
