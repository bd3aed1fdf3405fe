"""Types of expressions: which one an expression has, and what to say where another is wanted."""

from __future__ import annotations

from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.literals import QUANTITIES, other_unit
from wnodes_engine.check.report import Report, an
from wnodes_engine.language import syntax
from wnodes_engine.language.vocabulary import ELEMENT_OF, MEMBERS, Type

SET_OF: Final = {element: whole for whole, element in ELEMENT_OF.items()}
"""The type of the sets that hold a type."""


def type_of(expr: checked.Expr) -> Type:
    """The type of a checked expression."""
    match expr:
        case checked.Const() | checked.Attr() | checked.Arithmetic():
            return expr.type
        case _:
            return Type.TRUTH


def fits(made: checked.Expr, wanted: Type, written: syntax.Expr, report: Report) -> checked.Expr | None:
    """The expression if it is of the wanted type; else None, and a finding."""
    has = type_of(made)
    if has is wanted:
        return made
    match written:
        case syntax.Number():
            what = f"`{written.text}`"
        case syntax.Name():
            what = f"`{written.dotted}`"
        case syntax.Text():
            what = f'"{written.value[:60]}"'
        case _:
            what = "this"
    report.add(
        "E110",
        f"{an(wanted)} is wanted here, and {what} is {an(has)}",
        written.span,
        _mend(has, wanted, written),
    )
    return None


def _mend(has: Type, wanted: Type, written: syntax.Expr) -> str | None:
    if isinstance(written, syntax.Number):
        return other_unit(written, wanted)
    if isinstance(written, syntax.Text) and wanted in MEMBERS and written.value in MEMBERS[wanted]:
        return f"write `{written.value}`, without quotes"
    if wanted is Type.TRUTH:
        return "a condition compares something: `cores > 8`, `group in lhc`"
    if wanted in ELEMENT_OF and has is ELEMENT_OF[wanted]:
        return "for a single value write `==`"
    if has in ELEMENT_OF and wanted is ELEMENT_OF[has]:
        return "test whether it is in a set with `in`"
    return f"write {an(wanted)}" if wanted in QUANTITIES else None
