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
from wnodes_engine.check.literals import ENUMS, OF_UNIT, QUANTITIES, other_unit, whole
from wnodes_engine.check.names import Names
from wnodes_engine.check.presence import Facts, learn
from wnodes_engine.check.report import did_you_mean, listed
from wnodes_engine.language import syntax
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import ELEMENT_OF, MEMBERS, Attribute, Phase, Trust, Type

SET_OF: Final = {element: whole_set for whole_set, element in ELEMENT_OF.items()}
_ABOUT_WHOM: Final = {"user": "user", "group": "group", "project": "project", "roles": "role", "queue": "queue",
                      "account": "account", "flavour": "flavour", "image.name": "image"}  # fmt: skip
"""The attributes whose values the site may know."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an expression stands: what may be read there, and what is certain there.

    `wary` says what a claim would decide there, where a claim must not.
    """

    phase: Phase
    facts: Facts = Facts()
    wary: str | None = None


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
                return self._name(expr, wanted, place)
            case syntax.SetLiteral():
                return self._set(expr, wanted)
            case _:
                made = self._natural(expr, place)
                return made if made is None else self._fits(made, wanted, expr)

    def constant(
        self, expr: syntax.Expr, wanted: Type | None, place: Place, what: str
    ) -> checked.Const | None:
        """The expression where only a constant will do; of any type where none is wanted."""
        made = self.typed(expr, wanted, place) if wanted else self._natural(expr, place)
        if made is None or isinstance(made, checked.Const):
            return made
        self._error("E115", f"{what} has to be a constant", expr.span, "write a number, a text or a set")
        return None

    # ------------------------------------------------------------------ names

    def _name(self, name: syntax.Name, wanted: Type, place: Place) -> checked.Expr | None:
        """What a name means where `wanted` is wanted."""
        word = name.dotted
        attribute = self.names.attributes.get(word)
        if attribute is not None and attribute.type is wanted:
            return self._attribute(attribute, name, place)
        if wanted in MEMBERS and word in MEMBERS[wanted]:
            return checked.Const(word, wanted, name.span)
        named = self.names.lets.get(word)
        if named is not None and (named.value is None or named.value.type is wanted):
            named.used = True
            return None if named.value is None else replace(named.value, span=name.span)
        if wanted is Type.SHARE:
            if attribute is not None:
                return self._fits(checked.Attr(word, attribute.type, False, name.span), wanted, name)
            index = self.names.leaf(name)
            return None if index is None else checked.Const(index, Type.SHARE, name.span)
        if attribute is not None:
            made = self._attribute(attribute, name, place)
            return made if made is None else self._fits(made, wanted, name)
        if named is not None and named.value is not None:
            named.used = True
            return self._fits(replace(named.value, span=name.span), wanted, name)
        self._unknown(name, wanted)
        return None

    def _attribute(self, attribute: Attribute, name: syntax.Name, place: Place) -> checked.Expr | None:
        of_site = attribute.name in self.names.of_site
        if place.phase not in attribute.phases:
            self._error("E113", *_not_yet(attribute, place.phase, name.span))
            return None
        facts = replace(place.facts, present=place.facts.present | self.names.present)
        if not facts.allow(attribute):
            guard = attribute.guard
            kinds = (
                f", or test the kind: `kind in {{{', '.join(attribute.kinds)}}}`" if attribute.kinds else ""
            )
            self._error(
                "E114",
                f"a request may have no {guard.replace('.', ' ') if guard else attribute.name}, and `{attribute.name}` is read all the same",
                name.span,
                f"write `has {guard} and …` before it{kinds}",
            )
            return None
        if place.wary and attribute.trust is Trust.CLAIMED and attribute.type in (Type.STRING, Type.STRINGS):
            self._error(
                "W101",
                f"`{attribute.name}` is whatever the requester writes, and here it decides {place.wary}",
                name.span,
                "use what the site vouches for: user, group, project, roles, origin or the image",
            )
        return checked.Attr(attribute.name, attribute.type, of_site, name.span)

    def _unknown(self, name: syntax.Name, wanted: Type | None) -> None:
        word = name.dotted
        names = self.names
        if wanted in MEMBERS:
            words = MEMBERS[wanted]
            mend = did_you_mean(word, words, f"a {wanted} is one of {listed(words)}")
            self._error("E101", f"there is no {wanted} `{word}`", name.span, mend)
            return
        known = {
            *names.attributes,
            *(
                let
                for let, named in names.lets.items()
                if named.value is None or wanted in (None, named.value.type)
            ),
        }
        if wanted is Type.STRING and len(name.parts) == 1:
            mend = None if word.isupper() else did_you_mean(word, known)
            self._error(
                "E101", f"unknown name `{word}`", name.span, mend or f'a text stands in quotes: `"{word}"`'
            )
            return
        if wanted is Type.STRINGS:
            sets = {
                let for let, named in names.lets.items() if named.value is None or named.value.type is wanted
            }
            mend = did_you_mean(
                word,
                sets | {"roles", "tags", "image.tags"},
                f'name it first: `let {name.parts[-1]} = {{"…"}}`',
            )
            self._error("E101", f"there is no set named `{word}`", name.span, mend)
            return
        if wanted is Type.TRUTH and word in names.paths:
            self._error("E110", f"`{word}` is a share, not a condition", name.span, f"write `in {word}`")
            return
        if len(name.parts) > 1:
            group = f"{name.parts[0]}."
            same = sorted(other[len(group) :] for other in names.attributes if other.startswith(group))
            mend = did_you_mean(word, known, f"`{name.parts[0]}` has {listed(same)}" if same else None)
        else:
            mend = did_you_mean(word, known | set(ENUMS))
        self._error("E101", f"unknown name `{word}`", name.span, mend)

    # ------------------------------------------------------------------- sets

    def _set(self, literal: syntax.SetLiteral, wanted: Type) -> checked.Expr | None:
        element = ELEMENT_OF.get(wanted)
        if element is None:
            self._error(
                "E110", f"a {wanted} is wanted here, not a set", literal.span, "sets stand after `in`"
            )
            return None
        values: set[str] = set()
        sound = True
        for item in literal.items:
            made = self._element(item, element)
            if made is None:
                sound = False
            elif made in values:
                self._error("W110", "this is in the set twice", item.span, "leave one out")
            else:
                values.add(made)
        return checked.Const(frozenset(values), wanted, literal.span) if sound else None

    def _element(self, item: syntax.Expr, element: Type) -> str | None:
        match item:
            case syntax.Text() if element is Type.STRING:
                return item.value
            case syntax.Text():
                if item.value in MEMBERS[element]:
                    self._error(
                        "E110",
                        f"a {element} is a word, not a text",
                        item.span,
                        f"write `{item.value}`, without quotes",
                    )
                else:
                    words = MEMBERS[element]
                    self._error(
                        "E110",
                        f'"{item.value}" is not a {element}',
                        item.span,
                        f"a {element} is one of {listed(words)}",
                    )
            case syntax.Name() if element is Type.STRING:
                named = self.names.lets.get(item.dotted)
                if named is not None:
                    named.used = True
                    if named.value is None or named.value.type is Type.STRING:
                        return None if named.value is None else str(named.value.value)
                    self._error(
                        "E110",
                        f"`{item.dotted}` is a {named.value.type}, not a text",
                        item.span,
                        "a set holds texts; test two sets with `or`",
                    )
                else:
                    self._error(
                        "E101",
                        f"unknown name `{item.dotted}`",
                        item.span,
                        f'a text stands in quotes: `"{item.dotted}"`',
                    )
            case syntax.Name():
                if item.dotted in MEMBERS[element]:
                    return item.dotted
                self._unknown(item, element)
            case _:
                kind = "texts" if element is Type.STRING else f"{element}s"
                mend = other_unit(item, element) if isinstance(item, syntax.Number) else None
                self._error("E110", f"a set of {kind} cannot hold this", item.span, mend)
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
                    self._unknown(expr, None)
                    return None
                return self._name(expr, wanted, place)
            case syntax.SetLiteral():
                wanted = self._type_of(expr)
                return self._set(expr, wanted or Type.STRINGS)
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
                return self._has(expr, place)
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
            for side in (expr.left, expr.right):
                self._natural(side, place)
            return None
        left, right = self.typed(expr.left, wanted, place), self.typed(expr.right, wanted, place)
        if left is None or right is None:
            return None
        if expr.op not in ("==", "!=") and wanted not in QUANTITIES:
            self._error(
                "E110",
                f"a {wanted} has no order: `{expr.op}` means nothing here",
                expr.span,
                "compare it with `==` or `!=`",
            )
            return None
        if wanted in ELEMENT_OF:
            self._error(
                "E110", "two sets cannot be compared", expr.span, 'test for an element: `"…" in roles`'
            )
            return None
        self._check_site(left, right)
        if isinstance(left, checked.Const) and isinstance(right, checked.Const):
            return checked.Const(compare(expr.op, left.value, right.value), Type.TRUTH, expr.span)
        return checked.Compare(expr.op, left, right, expr.span)

    def _member(self, expr: syntax.Member, place: Place) -> checked.Expr | None:
        element = self._type_of(expr.left)
        if isinstance(expr.right, syntax.SetLiteral) and (element in QUANTITIES or element is Type.SHARE):
            return self._one_of(expr, expr.right, place)
        wanted = SET_OF.get(element) if element else self._type_of(expr.right)
        if wanted not in ELEMENT_OF:
            made = self._natural(expr.left, place)
            if made is not None:
                told = f"a {type_of(made)}" if element else "this"
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
            self._error("E113", *_not_yet(share, place.phase, expr.span))
            return None
        if index is None:
            return None
        made = checked.InShare(index, self.names.shares[index].leaves, expr.span)
        return checked.Not(made, expr.span) if expr.negated else made

    def _has(self, expr: syntax.Has, place: Place) -> checked.Expr | None:
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
            self._error(
                "E101",
                f"unknown name `{word}`",
                expr.name.span,
                did_you_mean(word, guards, f"`has` tests {listed(sorted(guards))}"),
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
                return right if left in (None, Type.NUMBER, Type.PERCENT) and right else left
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

    def _fits(self, made: checked.Expr, wanted: Type, written: syntax.Expr) -> checked.Expr | None:
        has = type_of(made)
        if has is wanted:
            return made
        mend = None
        if isinstance(written, syntax.Number):
            mend = other_unit(written, wanted)
        elif isinstance(written, syntax.Text) and wanted in MEMBERS and written.value in MEMBERS[wanted]:
            mend = f"write `{written.value}`, without quotes"
        elif wanted is Type.TRUTH:
            mend = "a condition compares something: `cores > 8`, `group in lhc`"
        elif wanted in ELEMENT_OF and has is ELEMENT_OF[wanted]:
            mend = "for a single value write `==`"
        elif has in ELEMENT_OF and wanted is ELEMENT_OF[has]:
            mend = "test whether it is in a set with `in`"
        what = (
            f"`{written.text}`"
            if isinstance(written, syntax.Number)
            else f"`{written.dotted}`"
            if isinstance(written, syntax.Name)
            else "this"
        )
        self._error("E110", f"a {wanted} is wanted here, and {what} is a {has}", written.span, mend)
        return None

    def _check_site(self, left: checked.Expr, right: checked.Expr) -> None:
        """Texts that are compared with what the site has a list of have to be on that list."""
        for one, other in ((left, right), (right, left)):
            if (
                isinstance(one, checked.Attr)
                and isinstance(other, checked.Const)
                and (what := _ABOUT_WHOM.get(one.name))
            ):
                values = other.value if isinstance(other.value, frozenset) else [other.value]
                for value in values:
                    self.names.known_at_site(what, str(value), other.span)

    def _error(self, code: str, message: str, span: Span, mend: str | None = None) -> None:
        self.names.report.add(code, message, span, mend)


def _not_yet(attribute: Attribute, phase: Phase, span: Span) -> tuple[str, Span, str | None]:
    """Message, span and help for an attribute that cannot be read in this phase."""
    name = attribute.name
    if attribute.type is Type.SHARE:
        return f"the share is not known yet in `{phase}`", span, "the share is what `assign` decides"
    if name == "waited" and phase is Phase.PRIORITY:
        return "`waited` cannot be read here", span, "write `priority +10 per 1h waited`"
    if name == "runtime" or name == "waited" or name == "priority":
        return (
            f"`{name}` cannot be read here",
            span,
            f"it is known in {listed(sorted(attribute.phases))} only",
        )
    return (
        f"`{name}` cannot be read here: it changes with the state of the farm",
        span,
        f"it can be read in {listed(sorted(attribute.phases))}",
    )


def type_of(expr: checked.Expr) -> Type:
    """The type of a checked expression."""
    match expr:
        case checked.Const() | checked.Attr() | checked.Arithmetic():
            return expr.type
        case _:
            return Type.TRUTH
