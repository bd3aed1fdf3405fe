"""Types: from an expression as it was written to one in which every name is resolved and every type known.

A bare name means what the place wants it to mean: `grid` is an origin beside `origin`, a share beside
`share`, a set after `in`. So an operand is checked against the type that the other one has.
Every check returns None where it has reported something, so that one mistake is told once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.arithmetic import compare, reckon
from wnodes_engine.check.literals import ENUMS, OF_UNIT, QUANTITIES, whole
from wnodes_engine.check.meanings import elements, meaning, too_early, unknown
from wnodes_engine.check.names import Names
from wnodes_engine.check.presence import Place, learn
from wnodes_engine.check.report import an, listed
from wnodes_engine.check.types import SET_OF, fits, type_of
from wnodes_engine.language import syntax
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import ELEMENT_OF, Type

_LISTED_AT_SITE: Final = {
    "user": "user",
    "group": "group",
    "project": "project",
    "roles": "role",
    "queue": "queue",
    "account": "account",
    "flavour": "flavour",
    "image.name": "image",
}
"""The attributes whose values the site may know, and what it calls them."""


@dataclass(frozen=True, slots=True)
class Typer:
    """Checks expressions against the names of one policy."""

    names: Names

    def condition(self, expr: syntax.Expr, place: Place) -> checked.Expr | None:
        """An expression that holds or does not."""
        return self.typed(expr, Type.TRUTH, place)

    def typed(self, expr: syntax.Expr, wanted: Type, place: Place) -> checked.Expr | None:
        """The expression, of the wanted type."""
        match expr:
            case syntax.Name():
                return meaning(expr, wanted, place, self.names)
            case syntax.SetLiteral():
                return elements(expr, wanted, self.names)
            case _:
                made = self._natural(expr, place)
                return made if made is None else fits(made, wanted, expr, self.names.report)

    def constant(
        self, expr: syntax.Expr, wanted: Type | None, place: Place, what: str
    ) -> checked.Const | None:
        """The expression where only a constant will do; of any type where none is wanted."""
        made = self.typed(expr, wanted, place) if wanted else self._natural(expr, place)
        if made is None or isinstance(made, checked.Const):
            return made
        self._error("E115", f"{what} has to be a constant", expr.span, "write a number, a text or a set")
        return None

    # ------------------------------------------------------------- everything

    def _natural(self, expr: syntax.Expr, place: Place) -> checked.Expr | None:
        """The expression, of the type that it has by itself."""
        match expr:
            case syntax.Number():
                value = whole(expr, self.names.report)
                return None if value is None else checked.Const(value, OF_UNIT[expr.unit], expr.span)
            case syntax.Text():
                return checked.Const(expr.value, Type.STRING, expr.span)
            case syntax.Truth():
                return checked.Const(expr.value, Type.TRUTH, expr.span)
            case syntax.Unlimited():
                return checked.Const(checked.UNLIMITED, Type.DURATION, expr.span)
            case syntax.Name():
                wanted = self._type_of(expr)
                if wanted is None:
                    unknown(expr, None, self.names)
                    return None
                return meaning(expr, wanted, place, self.names)
            case syntax.SetLiteral():
                wanted = self._type_of(expr)
                return elements(expr, wanted or Type.STRINGS, self.names)
            case syntax.Not():
                operand = self.condition(expr.operand, place)
                return None if operand is None else checked.Not(operand, expr.span)
            case syntax.And() | syntax.Or():
                return self._junction(expr, place)
            case syntax.Compare():
                return self._compare(expr, place)
            case syntax.Member():
                return self._member(expr, place)
            case syntax.InShare():
                return self._in_share(expr, place)
            case syntax.Has():
                return self._has(expr)
            case syntax.Match():
                return self._match(expr, place)
            case syntax.Arithmetic():
                left, right = self._natural(expr.left, place), self._natural(expr.right, place)
                if left is None or right is None:
                    return None
                return reckon(expr.op, left, right, expr.span, self.names.report)
            case syntax.Negative():
                operand = self._natural(expr.operand, place)
                if operand is None:
                    return None
                zero = checked.Const(0, type_of(operand), expr.operand.span)
                return reckon("-", zero, operand, expr.span, self.names.report)

    def _junction(self, expr: syntax.And | syntax.Or, place: Place) -> checked.Expr | None:
        """Each operand is read only if the ones before it held (`and`) or failed (`or`)."""
        is_and = isinstance(expr, syntax.And)
        operands: list[checked.Expr] = []
        for operand in expr.operands:
            made = self.condition(operand, place)
            if made is not None:
                operands.append(made)
                place = replace(place, facts=learn(place.facts, made, is_and))
            else:  # what it would have made certain is not known: no complaints about that
                place = replace(place, facts=replace(place.facts, kinds=frozenset()))
        if len(operands) < len(expr.operands):
            return None
        return (checked.And if is_and else checked.Or)(tuple(operands), expr.span)

    def _compare(self, expr: syntax.Compare, place: Place) -> checked.Expr | None:
        wanted = self._common_type(expr.left, expr.right)
        if wanted is None:
            self._untyped(expr, place)
            return None
        if wanted in ELEMENT_OF:
            named = next((s.dotted for s in (expr.left, expr.right) if isinstance(s, syntax.Name)), "roles")
            mend = f'test for an element: `"…" in {named}`'
            self._error("E110", "a set cannot be compared", expr.span, mend)
            return None
        left, right = self.typed(expr.left, wanted, place), self.typed(expr.right, wanted, place)
        if left is None or right is None:
            return None
        if expr.op not in ("==", "!=") and wanted not in QUANTITIES:
            self._error(
                "E110",
                f"{an(wanted)} has no order: `{expr.op}` means nothing here",
                expr.span,
                "compare it with `==` or `!=`",
            )
            return None
        self._check_site(left, right)
        if isinstance(left, checked.Const) and isinstance(right, checked.Const):
            return checked.Const(compare(expr.op, left.value, right.value), Type.TRUTH, expr.span)
        return checked.Compare(expr.op, left, right, expr.span)

    def _untyped(self, expr: syntax.Compare, place: Place) -> None:
        """Neither side says what the other is. A word that means something elsewhere is not the mistake."""
        sides = (expr.left, expr.right)
        words = [
            side for side in sides if isinstance(side, syntax.Name) and self._means_something(side.dotted)
        ]
        for side in sides:
            if side not in words:
                self._natural(side, place)
        if len(words) == len(sides):
            mend = "compare with what a request has: `origin == grid`"
            self._error("E110", "nothing says what these two are", expr.span, mend)

    def _means_something(self, word: str) -> bool:
        return word in ENUMS or word in self.names.paths or word in self.names.lets

    def _member(self, expr: syntax.Member, place: Place) -> checked.Expr | None:
        element = self._type_of(expr.left)
        if isinstance(expr.right, syntax.SetLiteral) and (element in QUANTITIES or element is Type.SHARE):
            return self._one_of(expr, expr.right, place)
        wanted = SET_OF.get(element) if element else self._type_of(expr.right)
        if wanted not in ELEMENT_OF:
            made = self._natural(expr.left, place)
            if made is not None:
                told = an(type_of(made)) if element else "this"
                self._error(
                    "E110",
                    f"{told} cannot be an element of a set",
                    expr.left.span,
                    "sets hold texts and words",
                )
            return None
        left, right = self.typed(expr.left, ELEMENT_OF[wanted], place), self.typed(expr.right, wanted, place)
        if left is None or right is None:
            return None
        self._check_site(left, right)
        if isinstance(left, checked.Const) and isinstance(right, checked.Const):
            within = isinstance(right.value, frozenset) and left.value in right.value
            return checked.Const(within is not expr.negated, Type.TRUTH, expr.span)
        member = checked.Member(left, right, expr.span)
        return checked.Not(member, expr.span) if expr.negated else member

    def _one_of(self, expr: syntax.Member, items: syntax.SetLiteral, place: Place) -> checked.Expr | None:
        """`cores in {1, 2}` is `cores == 1 or cores == 2`: sets as values hold texts and words only."""
        equal = [
            self._compare(syntax.Compare("==", expr.left, item, item.span), place) for item in items.items
        ]
        sound = [made for made in equal if made is not None]
        if len(sound) < len(equal):
            return None
        either: checked.Expr = checked.Const(False, Type.TRUTH, expr.span)
        if sound:
            either = sound[0] if len(sound) == 1 else checked.Or(tuple(sound), expr.span)
        return checked.Not(either, expr.span) if expr.negated else either

    def _in_share(self, expr: syntax.InShare, place: Place) -> checked.Expr | None:
        index = self.names.share(expr.share)
        share = self.names.attributes["share"]
        if place.phase not in share.phases:
            too_early(share, place.phase, expr.span, self.names)
            return None
        if index is None:
            return None
        made = checked.InShare(index, self.names.shares[index].leaves, expr.span)
        return checked.Not(made, expr.span) if expr.negated else made

    def _has(self, expr: syntax.Has) -> checked.Expr | None:
        word = expr.name.dotted
        attributes = self.names.attributes.values()
        guards = {attribute.guard for attribute in attributes if attribute.guard}
        attribute = self.names.attributes.get(word)
        if word in guards:
            guard: str = word
        elif attribute is not None and attribute.guard:
            guard = attribute.guard
        elif attribute is not None:
            self._error("E114", f"every request has `{word}`", expr.span, "leave the test out")
            return None
        else:
            self._missing(
                "E101",
                f"unknown name `{word}`",
                expr.name.span,
                self.names.report.meant(word, guards, f"`has` tests {listed(sorted(guards))}"),
            )
            return None
        return checked.Has(guard, guard in self.names.of_site, expr.span)

    def _match(self, expr: syntax.Match, place: Place) -> checked.Expr | None:
        left = self.typed(expr.left, Type.STRING, place)
        pattern = self.constant(expr.right, Type.STRING, place, "the pattern")
        if left is None or pattern is None:
            return None
        return checked.Match(expr.op, left, str(pattern.value), expr.span)

    # ------------------------------------------------------------------ types

    def _type_of(self, expr: syntax.Expr) -> Type | None:
        """The type of an expression by itself, nothing reported; None for a name that its place decides."""
        match expr:
            case syntax.Number():
                return OF_UNIT[expr.unit]
            case syntax.Text():
                return Type.STRING
            case syntax.Unlimited():
                return Type.DURATION
            case syntax.Name():
                if (attribute := self.names.attributes.get(expr.dotted)) is not None:
                    return attribute.type
                named = self.names.lets.get(expr.dotted)
                return named.value.type if named is not None and named.value is not None else None
            case syntax.SetLiteral():
                return self._set_type(expr.items)
            case syntax.Arithmetic():
                left, right = self._type_of(expr.left), self._type_of(expr.right)
                if expr.op == "/" and left is right:
                    return Type.NUMBER
                types = [type_ for type_ in (left, right) if type_ in QUANTITIES]
                return next(
                    (type_ for type_ in types if type_ not in (Type.NUMBER, Type.PERCENT)),
                    min(types, default=None),
                )
            case syntax.Negative():
                return self._type_of(expr.operand)
            case _:
                return Type.TRUTH

    def _set_type(self, items: Iterable[syntax.Expr]) -> Type | None:
        for item in items:
            if isinstance(item, syntax.Name) and item.dotted in ENUMS and item.dotted not in self.names.lets:
                return SET_OF[ENUMS[item.dotted]]
            if isinstance(item, syntax.Text) or (type_ := self._type_of(item)) is Type.STRING:
                return Type.STRINGS
            if type_ in QUANTITIES:
                return None
        return None

    def _common_type(self, left: syntax.Expr, right: syntax.Expr) -> Type | None:
        """What both sides of a comparison have to be: what an attribute says counts most, then any name."""
        sides = [(side, self._type_of(side)) for side in (left, right)]
        for side, type_ in sides:
            if type_ and isinstance(side, syntax.Name) and side.dotted in self.names.attributes:
                return type_
        for side, type_ in sides:
            if type_ and not isinstance(side, syntax.Name | syntax.Number | syntax.Text):
                return type_
        for _, type_ in sides:
            if type_:
                return type_
        return None

    def _check_site(self, left: checked.Expr, right: checked.Expr) -> None:
        """Texts that are compared with what the site has a list of have to be on that list."""
        for one, other in ((left, right), (right, left)):
            if (
                isinstance(one, checked.Attr)
                and isinstance(other, checked.Const)
                and (what := _LISTED_AT_SITE.get(one.name))
            ):
                values = other.value if isinstance(other.value, frozenset) else [other.value]
                for value in values:
                    self.names.known_at_site(what, str(value), other.span)

    def _missing(self, code: str, message: str, span: Span, mend: str | None) -> None:
        self.names.report.add_missing(code, message, span, mend)

    def _error(self, code: str, message: str, span: Span, mend: str | None = None) -> None:
        self.names.report.add(code, message, span, mend)
