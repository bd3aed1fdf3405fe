"""A policy on the nodes that there are: shares and names of nodes that mean nothing on this farm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.arithmetic import WHOLE
from wnodes_engine.check.boxes import boxes
from wnodes_engine.check.literals import show
from wnodes_engine.check.redundancy import least
from wnodes_engine.check.totality import Totality, every
from wnodes_engine.core.farm import total
from wnodes_engine.core.tree import Worth
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import ATTRIBUTES, RESOURCES, Type
from wnodes_engine.values import Node

_ASKED: Final = ("cores", "memory", "gpus", "disk")


def look(policy: checked.CheckedPolicy, nodes: Sequence[Node], totality: Totality) -> None:
    """Holds a policy against these nodes, all of them taken to be up; `totality` finds the witnesses."""
    has = total(nodes)
    worth = Worth(policy.shares, has, {})
    for share in policy.shares:
        _promised(share, policy, worth, totality)
    _never_starts(policy, worth, totality)
    _nodes(policy, nodes, totality)


def _promised(share: checked.Share, policy: checked.CheckedPolicy, worth: Worth, totality: Totality) -> None:
    """Absolute amounts of the shares below one, that it has not got: all of them get less."""
    for r, resource in enumerate(RESOURCES):
        there = worth.amount[r][share.index]
        below = [policy.shares[child] for child in share.children]
        portions = [(child, child.portions.portions.get(resource)) for child in below if child.portions]
        absolute = [child for child, portion in portions if portion is not None and portion.absolute]
        promised = sum(
            (portion.absolute or 0) + there * (portion.percent or 0) // WHOLE
            for _, portion in portions
            if portion is not None
        )
        if absolute and promised > there:
            whose = "the farm" if share.index == 0 else f"`{share.path}`"
            all_, has = _told(promised, resource), _told(there, resource)
            totality.report.add(
                "W114",
                f"{all_} are promised below {whose}, which has {has} here",
                absolute[0].span,
                "promise less, or in percent: as it is, each gets its part of what there is",
            )
            return


def _never_starts(policy: checked.CheckedPolicy, worth: Worth, totality: Totality) -> None:
    """Leaves whose smallest request is above all that they can ever hold."""
    changed = {index for window in policy.windows for index in window.shares}
    for leaf in {rule.share: None for rule in policy.assigns}:
        share = policy.shares[leaf]
        if share.index in changed or any(above in changed for above in _above(share, policy)):
            continue
        rules = [rule for rule in policy.assigns if rule.share == leaf]
        asked = [boxes(rule.condition.expr) for rule in rules]
        if any(each is None for each in asked):
            continue
        every_box = [box for each in asked for box in each or ()]
        for r, resource in enumerate(_ASKED):
            if not every_box or (wanted := least(resource, every_box)) <= worth.most[r][leaf]:
                continue
            has = _told(worth.most[r][leaf], resource)
            totality.report.add(
                "W115",
                f"`{share.path}` can never start a request on this farm: it holds {has} at most, "
                f"and each asks for {_told(wanted, resource)} or more",
                share.span,
                "give it more, or let it borrow",
                (),
                totality.witness(_assigned_to(leaf, share.span)),
            )
            break


def _above(share: checked.Share, policy: checked.CheckedPolicy) -> list[int]:
    found = []
    while share.parent is not None:
        found.append(share.parent)
        share = policy.shares[share.parent]
    return found


def _assigned_to(leaf: int, span: Span) -> checked.Expr:
    return every([checked.InShare(leaf, frozenset({leaf}), span)], span)


def _nodes(policy: checked.CheckedPolicy, nodes: Sequence[Node], totality: Totality) -> None:
    """Rules and quotas for nodes that are not there; those of a downtime may have been taken away for it."""
    named = [(rule.nodes, rule.span, "rule") for rule in policy.node_rules]
    named += [(quota.nodes, quota.span, "quota") for quota in policy.quotas if quota.nodes is not None]
    for some, span, what in named:
        if not any(some.has(node.name, node.properties) for node in nodes):
            totality.report.add(
                "W111",
                f"this {what} is for nodes that the site has not got",
                span,
                "look at its patterns and properties",
            )


def _told(amount: int, resource: str) -> str:
    if resource == "hs23":
        return f"{amount / 1000:g} hs23"
    type_ = ATTRIBUTES[resource].type
    return (
        f"{show(amount, type_)} {resource}"
        if type_ is Type.NUMBER
        else f"{show(amount, type_)} of {resource}"
    )
