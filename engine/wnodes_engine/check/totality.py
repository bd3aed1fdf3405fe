"""Holes and dead rules: every request gets a share and a route, and every rule has something to say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.coverage import Key, Known, Search, TooMuch, describe, shape, walk
from wnodes_engine.check.names import FARM, Names
from wnodes_engine.findings import Note
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import MEMBERS, Type

_KINDS: Final = MEMBERS[Type.KIND]
_MOST_COMPARED: Final = 200
"""Beyond this many rules in a list, each is no longer compared with all those before it."""
_PATIENCE: Final = 20_000
_STAMINA: Final = 500_000
"""How many nodes of expressions are looked at for warnings; holes are worth any number."""

Case = tuple[checked.Condition, frozenset[str], Span]
"""A condition, the kinds that it is for, and the statement that it belongs to."""

EVERY_KIND: Final = frozenset(_KINDS)


class Totality:
    """Proves lists of first-match rules total, and finds those that are never reached."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._search = Search(sorted(names.shares[FARM].leaves))
        self._stamina = _STAMINA

    def assignments(self, assigns: Sequence[checked.Assign], after: Span) -> None:
        """Every request is assigned to a share."""
        cases = [(rule.condition, EVERY_KIND, rule.span) for rule in assigns]
        end = "end with one for all the rest: `assign SHARE otherwise`"
        if not cases:
            self._names.report.add(
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
            self._names.report.add(
                "E131", f"there is no route for {kinds}", at, f"add `route {kinds} to BACKEND`"
            )
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
            if self._finds(expr) is False:
                self._names.report.add(
                    "W102",
                    f"this {what} never applies: its condition cannot hold",
                    span,
                    "mend the condition, or remove it",
                )
            elif self._finds(checked.Not(expr, expr.span)) is False:
                self._names.report.add(
                    "W103",
                    f"this {what} always applies: its condition cannot fail",
                    span,
                    "leave the condition out",
                )

    def _hole(self, code: str, goal: checked.Expr, at: Span, message: str, lacks: str, mend: str) -> None:
        try:
            found = self._search.find(goal)
        except TooMuch:
            self._names.report.add(code, f"{message}, as far as can be told", at, mend)
            return
        if found is not None:
            self._names.report.add(code, f"{message}: {self._told(found)} {lacks}", at, mend)

    def first_match(self, cases: Sequence[Case], what: str) -> None:
        """Of rules of which the first that matches decides: those that are never reached."""
        for at, (condition, kinds, span) in enumerate(cases[:_MOST_COMPARED]):
            before = [case for case in cases[:at] if case[1] & kinds and case[0].window is None]
            if not before:
                continue
            whole = next((case for case in before if case[0].expr is None and kinds <= case[1]), None)
            if whole is None:
                own = [condition.expr] if condition.expr is not None else []
                goal = checked.And((*own, _none_of(before, kinds)), span)
                if self._finds(goal) is not False or self._finds(_all(own, span)) is False:
                    continue
            notes = [Note("this one takes every request", whole[2])] if whole else []
            self._names.report.add(
                "W104",
                f"this {what} is never reached: those before it take all of its requests",
                span,
                "move it up, or remove it",
                notes,
            )

    def _finds(self, goal: checked.Expr) -> bool | None:
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
        goals.append(checked.Not(_all(applies, at), at))
    assert span is not None  # noqa: S101 - there is at least one case
    return checked.And((_of_kinds(kinds, span), *goals), span)


def _of_kinds(kinds: frozenset[str], span: Span) -> checked.Expr:
    if len(kinds) == len(_KINDS):
        return checked.Const(True, Type.TRUTH, span)
    return checked.Member(
        checked.Attr("kind", Type.KIND, False, span), checked.Const(kinds, Type.KINDS, span), span
    )


def _all(exprs: Sequence[checked.Expr], span: Span) -> checked.Expr:
    if not exprs:
        return checked.Const(True, Type.TRUTH, span)
    return exprs[0] if len(exprs) == 1 else checked.And(tuple(exprs), span)


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
