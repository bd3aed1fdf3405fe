"""Reclaim and preempt: who takes from whom, which victims, and what happens to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.expressions import Typer
from wnodes_engine.check.literals import count, duration
from wnodes_engine.check.names import FARM
from wnodes_engine.check.presence import Place
from wnodes_engine.check.report import listed
from wnodes_engine.findings import Note
from wnodes_engine.language import syntax
from wnodes_engine.language.vocabulary import ACTIONS, MEMBERS, Phase, Type
from wnodes_engine.values import Action

KINDS: Final = MEMBERS[Type.KIND]

FITTING: Final = {
    "requeue": frozenset({"job", "vmjob"}),
    "suspend": frozenset({"job", "vmjob"}),
    "checkpoint": frozenset({"job", "vmjob"}),
    "shelve": frozenset({"vm", "pool"}),
    "delete": frozenset(KINDS),
}
"""What can be done to which kind: a machine's bait can be neither stopped nor moved."""

_BUDGETS: Final = ("victim", "hour")


def preempt(
    statement: syntax.Preempt, condition: checked.Condition | None, typer: Typer
) -> checked.Preempt | None:
    """A rule that makes room; None, and findings, where something is wrong with it."""
    victims = _leaves(statement.victim, typer)
    inside = statement.how in ("self", "fairly")
    beneficiaries = victims if inside else _leaves(statement.beneficiary, typer)
    taking = _taking(statement.taking, condition, statement, typer)
    if (
        victims is None
        or beneficiaries is None
        or taking is None
        or not _makes_sense(statement, taking, typer)
    ):
        return None
    named = (statement.victim, statement.beneficiary) if statement.how == "for" else (None, None)
    victim, beneficiary = (None if share is None else typer.names.share(share) for share in named)
    return checked.Preempt(
        statement.how,
        victims,
        beneficiaries,
        victim,
        beneficiary,
        statement.below_nominal,
        statement.borrowing,
        taking,
        statement.span,
    )


def _makes_sense(statement: syntax.Preempt, taking: checked.Taking, typer: Typer) -> bool:
    """Whether the two sides are not the same; a finding where they are."""
    report, condition = typer.names.report, taking.condition
    one, other = statement.victim, statement.beneficiary
    if (
        statement.how == "for"
        and one
        and other
        and (_leaves(one, typer) or set()) & (_leaves(other, typer) or set())
    ):
        same = "are the same share" if one.dotted == other.dotted else "lie in each other"
        report.add(
            "E161",
            f"`{one.dotted}` and `{other.dotted}` {same}: it would take from itself",
            other.span,
            f"write `preempt self in {one.dotted}`",
        )
        return False
    if statement.how == "self" and condition.expr is None:
        report.add(
            "E161",
            "any request would push out any other of its share",
            statement.span,
            "say when: `when victim.priority < priority`",
        )
        return False
    return True


def check_circles(preempts: Sequence[checked.Preempt], typer: Typer) -> None:
    """Shares that push out each other, through any number of rules; each circle is told at its last rule."""
    rules = [rule for rule in preempts if rule.how == "for"][:200]
    after = [[at for at, other in enumerate(rules) if rule.victims & other.beneficiaries] for rule in rules]
    for at in range(len(rules)):
        circle = _circle(after, at)
        if len(circle) == 2:
            message = "two rules let these shares push out each other"
            mend = "say which of the two is the more urgent, and drop the other rule"
        elif circle:
            message = f"{len(circle)} rules let these shares push out each other in a circle"
            mend = "say which share is the most urgent, and drop the rule that takes from it"
        else:
            continue
        word = "the other rule is here" if len(circle) == 2 else "and this one"
        notes = [Note(word, rules[other].span) for other in circle[1:]]
        typer.names.report.add("W107", message, rules[at].span, mend, notes)


def _circle(after: Sequence[Sequence[int]], last: int) -> list[int]:
    """The shortest way from a rule back to itself through rules before it; empty where there is none.

    `after[r]` has the rules by which the victims of `r` take in their turn.
    """
    came: dict[int, int] = {}
    waiting = [last]
    for rule in waiting:
        for step in after[rule]:
            if step == last:
                way = [rule]
                while way[-1] != last:
                    way.append(came[way[-1]])
                return way[::-1]
            if step < last and step not in came:
                came[step] = rule
                waiting.append(step)
    return []


def _leaves(share: syntax.Name | None, typer: Typer) -> frozenset[int] | None:
    shares = typer.names.shares
    if share is None:
        return shares[FARM].leaves
    index = typer.names.share(share)
    return None if index is None else shares[index].leaves


def _taking(
    taking: syntax.Taking,
    condition: checked.Condition | None,
    statement: syntax.Preempt,
    typer: Typer,
) -> checked.Taking | None:
    sparing = None
    spared = True
    if taking.sparing is not None:
        sparing = typer.condition(taking.sparing, Place(Phase.SPARE, wary="who is spared"))
        spared = sparing is not None
    order = _order(taking.order, typer)
    budgets = _budgets(taking.budgets, typer)
    actions = _actions(taking.actions, statement, typer)
    after = 0 if taking.after is None else duration(taking.after, typer.names.report, 0, "the warning time")
    if (
        condition is None
        or not spared
        or order is None
        or budgets is None
        or actions is None
        or after is None
    ):
        return None
    return checked.Taking(
        condition, sparing, order, budgets.get("victim"), budgets.get("hour"), actions, after, taking.native
    )


def _order(keys: Sequence[syntax.VictimKey], typer: Typer) -> tuple[checked.VictimKey, ...] | None:
    """The grammar knows by what and from which end victims are ordered."""
    seen: set[str] = set()
    for key in keys:
        if key.of in seen:
            message = f"victims are ordered by {key.of} twice"
            typer.names.report.add("E103", message, key.span, "keep one of the two")
            return None
        seen.add(key.of)
    return tuple(checked.VictimKey(key.extreme, key.of) for key in keys)


def _budgets(budgets: Sequence[syntax.Budget], typer: Typer) -> dict[str, int] | None:
    report = typer.names.report
    made: dict[str, int] = {}
    sound = True
    for budget in budgets:
        limit = count(budget.count, report, 1, "a budget")
        if budget.of not in _BUDGETS:
            report.add(
                "E160", f"there is no budget per {budget.of}", budget.span, "write `per victim` or `per hour`"
            )
            sound = False
        elif budget.of in made:
            report.add("E103", f"there are two budgets per {budget.of}", budget.span, "keep one of the two")
            sound = False
        elif limit is None:
            sound = False
        else:
            made[budget.of] = limit
    return made if sound else None


def _actions(acts: Sequence[syntax.Act], statement: syntax.Preempt, typer: Typer) -> dict[str, Action] | None:
    """By kind. An action without kinds is for all that it fits and that no other action names."""
    report = typer.names.report
    if not acts:
        mend = "add `by requeue for job, shelve for vm`"
        report.add("E160", "nothing says what happens to the victims", statement.span, mend)
        return None
    made: dict[str, Action] = {}
    rest: Action | None = None
    sound = True
    for act in acts:
        if not act.kinds and rest is not None:
            mend = f"say for which: `{act.action} for {min(FITTING[act.action])}`"
            report.add("E103", "two actions are for every kind", act.span, mend)
            sound = False
        elif not act.kinds:
            rest = act.action
        for kind in act.kinds:
            if _can_be_done(act.action, kind, made, typer):
                made[kind.dotted] = act.action
            else:
                sound = False
    if rest is not None:
        made = {kind: rest for kind in KINDS if kind in FITTING[rest]} | made
    return made if sound else None


def _can_be_done(action: Action, kind: syntax.Name, made: dict[str, Action], typer: Typer) -> bool:
    report, word = typer.names.report, kind.dotted
    if word not in KINDS:
        mend = report.meant(word, KINDS, f"a kind is one of {listed(KINDS)}")
        report.add_missing("E101", f"there is no kind `{word}`", kind.span, mend)
    elif word not in FITTING[action]:
        mend = f"use {listed(other for other in ACTIONS if word in FITTING[other])}"
        report.add("E160", f"a {word} cannot be dealt with by {action}", kind.span, mend)
    elif word in made:
        report.add("E103", f"there are two actions for {word}", kind.span, "keep one of the two")
    else:
        return True
    return False
