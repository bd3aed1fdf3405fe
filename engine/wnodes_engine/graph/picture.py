"""What is in the picture of a policy: boxes and arrows, before anybody draws them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from wnodes_engine.check.checked import (
    Bound,
    CheckedPolicy,
    Condition,
    Portion,
    Portions,
    Preempt,
    Quota,
    Route,
    Share,
)
from wnodes_engine.core.tree import Worth
from wnodes_engine.core.wording import amount
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.language.written import as_written

WIDTH: Final = 46
"""Characters of a line in a box."""


@dataclass(frozen=True, slots=True)
class Box:
    """Something with a name of its own; `kind` is share, quota, rule, route or target."""

    id: str
    kind: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box to another; `kind` is holds, limits, gives, takes or carries."""

    start: str
    end: str
    kind: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """All boxes, each before the arrows that name it are drawn."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def picture_of(policy: CheckedPolicy, capacity: tuple[int, ...] | None = None) -> Picture:
    """The picture of a policy; with a farm's capacity (by `RESOURCES`) also what each share is worth."""
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    worth = Worth(policy.shares, capacity, {}) if capacity is not None else None
    for share in policy.shares:
        boxes.append(Box(_id(share.index), "share", tuple(_share(share, policy, worth))))
        if share.parent is not None:
            arrows.append(Arrow(_id(share.parent), _id(share.index), "holds"))
    texts = {source.path: source.text for source in policy.sources}
    for at, quota in enumerate(policy.quotas):
        boxes.append(_rule(f"quota{at}", "quota", quota, texts, policy))
        arrows += [Arrow(f"quota{at}", _id(share), "limits") for share in _limited(quota, policy)]
    for at, rule in enumerate(policy.preempts):
        boxes.append(_rule(f"room{at}", "rule", rule, texts, policy))
        arrows += [Arrow(_id(share), f"room{at}", "gives") for share in _cover(rule.victims, policy)]
        arrows += [Arrow(f"room{at}", _id(share), "takes") for share in _cover(rule.beneficiaries, policy)]
    targets = {
        target: f"target{at}" for at, target in enumerate(dict.fromkeys(r.target for r in policy.routes))
    }
    for at, route in enumerate(policy.routes):
        boxes.append(_rule(f"route{at}", "route", route, texts, policy))
        label = f"through {route.through}" if route.through else ""
        arrows.append(Arrow(f"route{at}", targets[route.target], "carries", label))
    boxes += [Box(id_, "target", (target,)) for target, id_ in targets.items()]
    title = f"{policy.name}: {policy.title}" if policy.title else policy.name
    return Picture(title, tuple(boxes), tuple(arrows))


def _id(share: int) -> str:
    return f"share{share}"


def _rule(
    id_: str, kind: str, rule: Quota | Preempt | Route, texts: Mapping[str, str], policy: CheckedPolicy
) -> Box:
    span: Span = rule.span
    condition: Condition = rule.taking.condition if isinstance(rule, Preempt) else rule.condition
    lines = wrap(as_written(texts[span.path][span.start : span.end]), WIDTH)
    if condition.window is not None:
        lines.append(f"(during {policy.windows[condition.window].name})")
    return Box(id_, kind, tuple(lines))


def promised(share: Share, policy: CheckedPolicy) -> Iterator[str]:
    """What a share was promised, may borrow and lends, always and during each window that says otherwise."""
    if share.portions is not None:
        yield from _portions(share.portions)
    for window in policy.windows:
        if share.index in window.shares:
            yield f"{window.name}: {', '.join(_portions(window.shares[share.index]))}"


def _share(share: Share, policy: CheckedPolicy, worth: Worth | None) -> Iterator[str]:
    yield share.name
    yield from promised(share, policy)
    if worth is not None:
        amounts = [(resource, worth.amount[r][share.index]) for r, resource in enumerate(RESOURCES)]
        said = [amount(resource, value) for resource, value in amounts if value and resource != "hs23"]
        yield from wrap(f"= {', '.join(said) or 'nothing'}", WIDTH)


def _portions(portions: Portions) -> Iterator[str]:
    yield ", ".join(_portion(r, portion) for r, portion in portions.portions.items())
    for verb, bounds in (("borrow", portions.borrow), ("lend", portions.lend)):
        if bounds:
            yield f"{verb} {_bounds(bounds)}"


def _portion(resource: str, portion: Portion) -> str:
    if portion.absolute is not None:
        return amount(resource, portion.absolute)
    said = f"{portion.percent / 100:g}%" if portion.percent is not None else f"weight {portion.weight}"
    return said if resource == "cores" else f"{said} {resource}"


def _bounds(bounds: Mapping[str, Bound]) -> str:
    """A limit that is the same of every resource is said once."""
    if len(bounds) == len(RESOURCES) and len(set(bounds.values())) == 1:
        bound = next(iter(bounds.values()))
        if bound.absolute is None:
            return f"{(bound.percent or 0) / 100:g}%"
        if bound.absolute == 0:
            return "none"
    return ", ".join(
        amount(resource, bound.absolute)
        if bound.absolute is not None
        else f"{(bound.percent or 0) / 100:g}% {resource}"
        for resource, bound in bounds.items()
    )


def _limited(quota: Quota, policy: CheckedPolicy) -> list[int]:
    """The shares that a quota speaks of; the farm if it does not name any."""
    if quota.key == "share" and isinstance(quota.value, int):
        return [quota.value]
    return [0] if quota.within is None else _cover(quota.within, policy)


def _cover(leaves: Collection[int], policy: CheckedPolicy) -> list[int]:
    """The fewest shares that have just these leaves below them, in the policy's order."""

    def below(share: int) -> Iterator[int]:
        node = policy.shares[share]
        if node.is_leaf:
            if share in leaves:
                yield share
            return
        inner = [found for child in node.children for found in below(child)]
        yield from [share] if inner == list(node.children) else inner

    return list(below(0))
