"""Rules that refuse nothing that others do not refuse, and quotas that no request can meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.boxes import Box, Shelf, boxes, meet
from wnodes_engine.check.coverage import LEAST
from wnodes_engine.check.literals import show
from wnodes_engine.check.totality import Totality, every, negated
from wnodes_engine.findings import Note
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import ATTRIBUTES, Type

_MOST_JOINED: Final = 200
"""Of more rules than that, none is held against several others together."""
_MOST_OTHERS: Final = 24

_HELD: Final = ("cores", "memory", "gpus", "disk", "volumes")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A cap or denial: what it refuses, and while which window."""

    what: str
    refuses: checked.Expr
    window: int | None
    span: Span
    boxes: Sequence[Box] | None


def refusals(policy: checked.CheckedPolicy, totality: Totality) -> None:
    """Caps and denials whose requests are refused anyway: by one other, or by several together."""
    rules, around = held_against_each_other(policy)
    needless: set[int] = set()
    for at in sorted(range(len(rules)), key=lambda at: rules[at].span.start, reverse=True):
        one = [other for other in around[at] if other not in needless][:1]
        others = one or _together(at, rules, needless, totality)
        if others:
            needless.add(at)
            _tell(rules[at], [rules[other] for other in others], totality)


def held_against_each_other(policy: checked.CheckedPolicy) -> tuple[list[Refusal], list[list[int]]]:
    """All caps and denials, and for each those that refuse all that it does, by their places in the list."""
    rules = [_cap(rule) for rule in policy.caps]
    rules += [
        _refusal("rule", rule.condition.expr, rule.condition.window, rule.span)
        for rule in policy.denies
        if rule.condition.expr is not None
    ]
    shelf = Shelf()
    for at, rule in enumerate(rules):
        shelf.add(at, rule.boxes or ())
    return rules, [_around(at, rules, shelf) for at in range(len(rules))]


def _cap(rule: checked.Cap) -> Refusal:
    attribute = ATTRIBUTES[rule.attribute]
    above = checked.Compare(
        ">",
        checked.Attr(rule.attribute, attribute.type, False, rule.span),
        checked.Const(rule.value, attribute.type, rule.span),
        rule.span,
    )
    own = [rule.condition.expr] if rule.condition.expr is not None else []
    return _refusal("cap", every([*own, above], rule.span), rule.condition.window, rule.span)


def _refusal(what: str, refuses: checked.Expr, window: int | None, span: Span) -> Refusal:
    return Refusal(what, refuses, window, span, boxes(refuses))


def _around(at: int, rules: Sequence[Refusal], shelf: Shelf) -> list[int]:
    found: set[int] | None = None
    for box in rules[at].boxes or ():
        around = {
            other
            for other in shelf.covering(box)
            if other != at and rules[other].window in (None, rules[at].window)
        }
        found = around if found is None else found & around
        if not found:
            break
    return sorted(found or ())


def _together(at: int, rules: Sequence[Refusal], needless: set[int], totality: Totality) -> list[int]:
    """Rules that refuse together all that this one does."""
    own = rules[at]
    if not own.boxes or len(rules) > _MOST_JOINED:
        return []
    others = [
        other
        for other, rule in enumerate(rules)
        if other != at
        and other not in needless
        and rule.window in (None, own.window)
        and rule.boxes
        and meet(own.boxes, rule.boxes)
    ]
    if not 2 <= len(others) <= _MOST_OTHERS or totality.finds(own.refuses) is not True:
        return []

    def all_of_it(by: Sequence[int]) -> bool:
        left = [own.refuses, *(negated(rules[other].refuses) for other in by)]
        return totality.finds(every(left, own.span)) is False

    if not all_of_it(others):
        return []
    for other in list(others):  # those that it takes, and no others
        if all_of_it(fewer := [each for each in others if each != other]):
            others = fewer
    return others


def _tell(rule: Refusal, others: Sequence[Refusal], totality: Totality) -> None:
    whom = "another rule refuses" if len(others) == 1 else "others together refuse"
    totality.report.add(
        "W112",
        f"whatever this {rule.what} refuses, {whom} too",
        rule.span,
        "remove it, or let it say what it alone should refuse",
        [Note("this one does" if len(others) == 1 else "one of them", other.span) for other in others],
        totality.witness(every([rule.refuses, others[0].refuses], rule.span)),
    )


def quotas(policy: checked.CheckedPolicy, totality: Totality) -> None:
    """Ceilings below the least that a request asks for that they count."""
    for quota in policy.quotas:
        counted = boxes(quota.condition.expr)
        if not counted:
            continue
        for ceiling in quota.ceilings:
            if not isinstance(ceiling.bound, checked.Const) or not isinstance(ceiling.bound.value, int):
                continue
            wanted = least(ceiling.resource, counted)
            if wanted <= ceiling.bound.value:
                continue
            of_type = ATTRIBUTES[ceiling.resource].type if ceiling.resource in _HELD else Type.NUMBER
            told = f"asks for {show(wanted, of_type)} {ceiling.resource} or more"
            totality.report.add(
                "W113",
                "no request can meet this limit: each that it counts "
                + ("is one too many" if ceiling.resource == "running" else told),
                ceiling.span,
                'raise the limit; to refuse these requests, write `deny "…" when …`',
                (),
                totality.witness(_scope(quota)),
            )


def least(resource: str, counted: Sequence[Box]) -> int:
    """The least of a resource that any request of these boxes asks for; 0 if that is not known."""
    if resource == "running":
        return 1
    if resource not in _HELD:
        return 0

    def low(name: str, box: Box) -> int:
        return getattr(box.get(("value", name)), "low", LEAST.get(name, 0))

    return min(low(resource, box) * low("at_least", box) for box in counted)


def _scope(quota: checked.Quota) -> checked.Expr:
    """What the requests have in common that a quota counts."""
    span = quota.span
    parts = [] if quota.condition.expr is None else [quota.condition.expr]
    if isinstance(quota.value, str) and quota.key == "role":
        role = checked.Const(quota.value, Type.STRING, span)
        parts.append(checked.Member(role, checked.Attr("roles", Type.STRINGS, False, span), span))
    elif isinstance(quota.value, str) and quota.key in ATTRIBUTES:
        type_ = ATTRIBUTES[quota.key].type
        parts.append(
            checked.Compare(
                "==",
                checked.Attr(quota.key, type_, False, span),
                checked.Const(quota.value, type_, span),
                span,
            )
        )
    elif quota.key in ("project", "queue", "account"):
        parts.append(checked.Has(quota.key, False, span))
    if quota.within is not None:
        parts.append(checked.InShare(0, quota.within, span))
    return every(parts, span)
