"""Arithmetic on quantities: which types may meet, and constants folded."""

from __future__ import annotations

from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.literals import QUANTITIES
from wnodes_engine.check.report import Report, an
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
    one, other = type_of(left), type_of(right)
    for side, type_ in ((left, one), (right, other)):
        if type_ not in QUANTITIES:
            report.add(
                "E110", f"{an(type_)} cannot be reckoned with", side.span, "use numbers, durations and sizes"
            )
            return None
        if isinstance(side, checked.Const) and side.value == checked.UNLIMITED:
            report.add("E110", "`unlimited` cannot be reckoned with", side.span, "it can only be compared")
            return None
    if op == "/":
        return _quotient(left, right, one, other, span, report)
    if op == "*":
        if Type.PERCENT in (one, other):
            product = _made("*", left, right, other if one is Type.PERCENT else one, span, report)
            hundred = checked.Const(WHOLE, Type.NUMBER, span)
            return None if product is None else _made("/", product, hundred, type_of(product), span, report)
        if Type.NUMBER in (one, other):
            return _made("*", left, right, other if one is Type.NUMBER else one, span, report)
        report.add(
            "E110",
            f"{an(one)} times {an(other)} means nothing",
            span,
            "one of the two has to be a plain number",
        )
        return None
    if one is not other:
        told = "added to" if op == "+" else "taken from"
        first, second = (one, other) if op == "+" else (other, one)
        report.add("E110", f"{an(first)} cannot be {told} {an(second)}", span, "both need the same unit")
        return None
    return _made(op, left, right, one, span, report)


def compare(op: str, left: object, right: object) -> bool:
    """Whether two constants of one type compare so."""
    if op in ("==", "!="):
        return (left == right) is (op == "==")
    x, y = int(str(left)), int(str(right))
    return x < y if op == "<" else x <= y if op == "<=" else x > y if op == ">" else x >= y


def _quotient(
    left: checked.Expr, right: checked.Expr, one: Type, other: Type, span: Span, report: Report
) -> checked.Expr | None:
    """Only a constant divides: what is read from a request could be 0."""
    if not isinstance(right, checked.Const):
        report.add("E116", "only a constant may divide", right.span, "multiply on the other side instead")
        return None
    if not isinstance(right.value, int) or right.value <= 0:
        report.add("E116", "what divides has to be above 0", right.span, "write a number above 0")
        return None
    if other is Type.NUMBER:
        return _made("/", left, right, one, span, report)
    if one is other:
        return _made("/", left, right, Type.NUMBER, span, report)
    report.add(
        "E110",
        f"{an(one)} cannot be divided by {an(other)}",
        span,
        "divide by a plain number, or by the same unit",
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
