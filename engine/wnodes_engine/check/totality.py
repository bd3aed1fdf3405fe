"""Holes and dead rules: every request gets a share and a route, and every rule has something to say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.boxes import Box, Shelf, boxes
from wnodes_engine.check.coverage import Key, Known, Search, TooMuch, describe, shape, walk
from wnodes_engine.check.names import FARM, Names
from wnodes_engine.check.witness import as_request
from wnodes_engine.findings import Note
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import MEMBERS, Type

_KINDS: Final = MEMBERS[Type.KIND]
_MOST_COMPARED: Final = 200
"""Beyond this many rules in a list, each is compared with those before it one by one, not all together."""
_PATIENCE: Final = 20_000
_STAMINA: Final = 500_000
"""How many nodes of expressions are looked at for warnings; holes are worth any number."""

Case = tuple[checked.Condition, frozenset[str], Span]
"""A condition, the kinds that it is for, and the statement that it belongs to."""

EVERY_KIND: Final = frozenset(_KINDS)


class Totality:
    """Proves lists of first-match rules total, and finds those that are never reached."""

    def __init__(self, names: Names, policy: checked.CheckedPolicy) -> None:
        self._names = names
        self._policy = policy
        self.report = names.report
        self._search = Search(sorted(names.shares[FARM].leaves))
        self._stamina = _STAMINA

    def assignments(self, assigns: Sequence[checked.Assign], after: Span) -> None:
        """Every request is assigned to a share."""
        cases = [(rule.condition, EVERY_KIND, rule.span) for rule in assigns]
        end = "end with one for all the rest: `assign SHARE otherwise`"
        if not cases:
            self.report.add(
                "E130", "no request is assigned to any share", after, "write `assign SHARE otherwise`"
            )
            return
        self.first_match(cases, "assignment")
        goal = _none_of(cases, EVERY_KIND)
        self._hole(
            "E130", goal, cases[-1][2], "no assignment takes every request", "is assigned to no share", end
        )

    def routes(self, routes: Sequence[checked.Route], after: Span) -> None:
        """Every kind of request has a route."""
        cases = [(rule.condition, rule.kinds, rule.span) for rule in routes]
        self.first_match(cases, "route")
        missing = [kind for kind in _KINDS if not any(kind in case[1] for case in cases)]
        if missing:
            at = cases[-1][2] if cases else after
            kinds = ", ".join(missing)
            self.report.add("E131", f"there is no route for {kinds}", at, f"add `route {kinds} to BACKEND`")
        for kind in _KINDS:
            if kind in missing:
                continue
            last = [case for case in cases if kind in case[1]][-1]
            goal = _none_of(cases, frozenset({kind}))
            end = f"end with a route for every other {kind}, without a condition"
            self._hole("E131", goal, last[2], f"the routes for {kind} leave a hole", "has no route", end)

    def conditions(self, cases: Iterable[tuple[checked.Condition, Span]], what: str) -> None:
        """Conditions that hold for no request, or for all of them."""
        for condition, span in cases:
            expr = condition.expr
            if expr is None or _contingent(expr):
                continue
            if self.finds(expr) is False:
                self.report.add(
                    "W102",
                    f"this {what} never applies: its condition cannot hold",
                    span,
                    "mend the condition, or remove it",
                )
            elif self.finds(checked.Not(expr, expr.span)) is False:
                self.report.add(
                    "W103",
                    f"this {what} always applies: its condition cannot fail",
                    span,
                    "leave the condition out",
                )

    def _hole(self, code: str, goal: checked.Expr, at: Span, message: str, lacks: str, mend: str) -> None:
        try:
            found = self._search.find(goal)
        except TooMuch:
            self.report.add(code, f"{message}, as far as can be told", at, mend)
            return
        if found is not None:
            shown = as_request(found, self._policy.defaults)
            self.report.add(code, f"{message}: {self._told(found)} {lacks}", at, mend, (), shown)

    def first_match(self, cases: Sequence[Case], what: str) -> None:
        """Of rules of which the first that matches decides: those that are never reached."""
        shelf = Shelf()
        for at, (condition, kinds, span) in enumerate(cases):
            own = boxes(condition.expr, kinds)
            taker = _around(own or (), shelf)
            if taker is not None or (at < _MOST_COMPARED and self._taken(cases[at], cases[:at])):
                notes = []
                if taker is not None:
                    told = "every request" if cases[taker][0].expr is None else "all of them"
                    notes.append(Note(f"this one takes {told}", cases[taker][2]))
                applies = [condition.expr] if condition.expr is not None else []
                self.report.add(
                    "W104",
                    f"this {what} is never reached: those before it take all of its requests",
                    span,
                    "move it up, or remove it",
                    notes,
                    self.witness(every([_of_kinds(kinds, span), *applies], span)),
                )
            if condition.window is None and own is not None:
                shelf.add(at, own)

    def _taken(self, case: Case, before: Sequence[Case]) -> bool:
        """Whether those before it take all the requests of a rule that has some, together."""
        condition, kinds, span = case
        others = [other for other in before if other[1] & kinds and other[0].window is None]
        if not others:
            return False
        own = [condition.expr] if condition.expr is not None else []
        goal = checked.And((*own, _none_of(others, kinds)), span)
        return self.finds(goal) is False and self.finds(every(own, span)) is not False

    def witness(self, goal: checked.Expr) -> str | None:
        """A request for which this holds, as `eval` reads it; None where none is found, or can be written."""
        patience = min(_PATIENCE, self._stamina)
        try:
            found = self._search.find(_assigned(goal, self._policy.assigns), patience)
        except TooMuch:
            found = None
        self._stamina -= patience - self._search.left
        return None if found is None else as_request(found, self._policy.defaults)

    def finds(self, goal: checked.Expr) -> bool | None:
        """Whether some request makes it hold; None where that is not known."""
        patience = min(_PATIENCE, self._stamina)
        try:
            return self._search.find(goal, patience) is not None
        except TooMuch:
            return None
        finally:
            self._stamina -= patience - self._search.left

    def _told(self, found: Known) -> str:
        return f"a request with {describe(found, [share.path for share in self._names.shares])}"


def _none_of(cases: Iterable[Case], kinds: frozenset[str]) -> checked.Expr:
    """What holds for the requests of these kinds that none of the cases takes."""
    goals: list[checked.Expr] = []
    span = None
    for condition, own, at in cases:
        span = at
        if condition.window is not None or not own & kinds:
            continue
        applies = [condition.expr] if condition.expr is not None else []
        if not kinds <= own:
            applies.insert(0, _of_kinds(own, at))
        goals.append(negated(every(applies, at)))
    assert span is not None  # noqa: S101 - there is at least one case
    return checked.And((_of_kinds(kinds, span), *goals), span)


def _of_kinds(kinds: frozenset[str], span: Span) -> checked.Expr:
    if len(kinds) == len(_KINDS):
        return checked.Const(True, Type.TRUTH, span)
    return checked.Member(
        checked.Attr("kind", Type.KIND, False, span), checked.Const(kinds, Type.KINDS, span), span
    )


def every(exprs: Sequence[checked.Expr], span: Span) -> checked.Expr:
    """All of them; true where there are none."""
    if not exprs:
        return checked.Const(True, Type.TRUTH, span)
    return exprs[0] if len(exprs) == 1 else checked.And(tuple(exprs), span)


def negated(expr: checked.Expr) -> checked.Expr:
    """What holds where this does not."""
    return checked.Not(expr, expr.span)


def _around(own: Sequence[Box], shelf: Shelf) -> int | None:
    """The first rule on the shelf that takes all of these boxes."""
    found: set[int] = set()
    for at, box in enumerate(own):
        found = {rule for rule in shelf.covering(box) if at == 0 or rule in found}
    return min(found, default=None)


def _assigned(expr: checked.Expr, assigns: Sequence[checked.Assign]) -> checked.Expr:
    """The expression with what it asks of the share asked of what `assign` reads."""

    def goes_to(leaves: Iterable[int], span: Span) -> checked.Expr:
        cases = [(rule.condition, EVERY_KIND, rule.span) for rule in assigns]
        ways: list[checked.Expr] = []
        for at, rule in enumerate(assigns):
            if rule.share in leaves:
                own = [] if rule.condition.expr is None else [rule.condition.expr]
                before = [_none_of(cases[:at], EVERY_KIND)] if at else []
                ways.append(every([*own, *before], span))
        return checked.Or(tuple(ways), span)

    match expr:
        case checked.Not():
            return negated(_assigned(expr.operand, assigns))
        case checked.And() | checked.Or():
            return type(expr)(tuple(_assigned(part, assigns) for part in expr.operands), expr.span)
        case checked.InShare():
            return goes_to(expr.leaves, expr.span)
        case checked.Compare(op, checked.Attr(type=Type.SHARE), checked.Const(value=int() as leaf), span):
            return goes_to({leaf}, span) if op == "==" else negated(goes_to({leaf}, span))
        case _:
            return expr


def _contingent(expr: checked.Expr) -> bool:
    """Whether an expression plainly can hold and can fail: nothing is read twice, or compared in vain."""
    reads: Counter[Key] = Counter()
    for part in walk(expr):
        match part:
            case checked.Attr():
                reads["value", part.name] += 1
            case checked.Has():
                reads["has", part.name] += 1
                reads["value", "kind"] += 1
            case checked.InShare():
                reads["value", "share"] += 1
            case checked.Const(type=Type.TRUTH):
                return False
            case checked.Const(value=frozenset() as among):
                if not among or (part.type is not Type.STRINGS and len(among) > 2):
                    return False
            case checked.Const(value=int() as number) if number <= 1 and part.type is not Type.SHARE:
                return False
            case checked.Arithmetic():
                reads[shape(part)] += 1
            case _:
                pass
    return all(times == 1 for times in reads.values())
