"""Where an expression stands, and what is certain about a request there: its possible kinds, what it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.language.vocabulary import ATTRIBUTES, MEMBERS, Attribute, Phase, Type

_EVERY_KIND: Final = frozenset(MEMBERS[Type.KIND])
_ALWAYS: Final = {a.guard: frozenset(a.kinds) for a in ATTRIBUTES.values() if a.guard and a.kinds}
"""The kinds that always have what a guard tests."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The kinds that a request may still be of, and the guards (`image`, `project`) that it surely has.

    Without any kind left, the place is never reached: then everything may be read.
    """

    kinds: frozenset[str] = _EVERY_KIND
    present: frozenset[str] = frozenset()

    def allow(self, attribute: Attribute) -> bool:
        """Whether the attribute is there for sure."""
        if attribute.guard is None or attribute.guard in self.present or not self.kinds:
            return True
        return bool(attribute.kinds) and self.kinds <= set(attribute.kinds)

    def either(self, other: Facts) -> Facts:
        """What is certain where one of the two is."""
        if not self.kinds:
            return other
        if not other.kinds:
            return self
        return Facts(self.kinds | other.kinds, self._all_present() & other._all_present())

    def _all_present(self) -> frozenset[str]:
        """What the kinds make certain, too."""
        return self.present | {guard for guard, kinds in _ALWAYS.items() if self.kinds <= kinds}


NOTHING_KNOWN: Final = Facts()


@dataclass(frozen=True, slots=True)
class Place:
    """Where an expression stands: what may be read there, and what is certain there.

    `wary` says what a claim would decide there, where a claim must not.
    """

    phase: Phase
    facts: Facts = NOTHING_KNOWN
    wary: str | None = None


def learn(facts: Facts, expr: checked.Expr | None, holds: bool) -> Facts:
    """What is certain once `expr` is known to hold, or not to hold; no kinds are left where it cannot."""
    match expr:
        case checked.Const(value=bool() as value) if value is not holds:
            return Facts(frozenset(), facts.present)
        case checked.Not():
            return learn(facts, expr.operand, not holds)
        case checked.And() | checked.Or() if isinstance(expr, checked.And) is holds:
            for operand in expr.operands:
                facts = learn(facts, operand, holds)
            return facts
        case checked.And() | checked.Or():
            joint = Facts(frozenset(), facts.present)
            for operand in expr.operands:
                joint = joint.either(learn(facts, operand, holds))
                facts = learn(facts, operand, not holds)
            return joint
        case checked.Has() if holds:
            return Facts(facts.kinds, facts.present | {expr.name})
        case checked.Has():
            return Facts(facts.kinds - _ALWAYS.get(expr.name, frozenset()), facts.present)
        case checked.Compare(op="==" | "!=", left=left, right=right):
            kinds = _kinds_of(left, right)
            return facts if kinds is None else _narrow(facts, kinds, (expr.op == "==") is holds)
        case checked.Member(left=left, right=right):
            kinds = _kinds_of(left, right)
            return facts if kinds is None else _narrow(facts, kinds, holds)
        case _:
            return facts


def _narrow(facts: Facts, kinds: frozenset[str], inside: bool) -> Facts:
    return Facts(facts.kinds & kinds if inside else facts.kinds - kinds, facts.present)


def _kinds_of(left: checked.Expr, right: checked.Expr) -> frozenset[str] | None:
    """The kinds that `kind` is compared with; None where something else is compared."""
    if isinstance(left, checked.Const):
        left, right = right, left
    if not (isinstance(left, checked.Attr) and left.name == "kind" and isinstance(right, checked.Const)):
        return None
    value = right.value
    return value if isinstance(value, frozenset) else frozenset({str(value)})
