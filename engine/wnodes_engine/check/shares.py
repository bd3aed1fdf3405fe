"""The share tree: what each share is granted, and whether it all adds up, always and in each window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.arithmetic import WHOLE
from wnodes_engine.check.literals import percent, whole
from wnodes_engine.check.names import FARM, Names, ShareNode
from wnodes_engine.check.report import Report, listed
from wnodes_engine.findings import Note
from wnodes_engine.language import syntax
from wnodes_engine.language.source import Span
from wnodes_engine.language.syntax import Unit
from wnodes_engine.language.vocabulary import RESOURCES

_UNIT: Final = {"memory": Unit.MIB, "disk": Unit.MIB}
_EXAMPLE: Final = {
    "cores": "4000 cores",
    "memory": "20TiB memory",
    "gpus": "16 gpus",
    "disk": "100TiB disk",
    "hs23": "40000 hs23",
}

Tree = Mapping[int, checked.Portions | None]
"""What each share is granted, by its index; None where that is not known."""


def grow(statements: Iterable[syntax.Share], names: Names) -> None:
    """Gives every share its place in the tree, in pre-order, the farm first."""
    farm = ShareNode(FARM, "farm", "farm", None, None)
    names.shares.append(farm)
    _plant(statements, farm, names)
    for node in reversed(names.shares):
        leaves = frozenset[int]().union(*(names.shares[child].leaves for child in node.children))
        node.leaves = leaves or frozenset({node.index})


def _plant(statements: Iterable[syntax.Share], parent: ShareNode, names: Names) -> None:
    for statement in statements:
        path = statement.name if parent.index == FARM else f"{parent.path}.{statement.name}"
        if (first := names.paths.get(path)) is not None:
            earlier = names.shares[first].statement
            notes = [Note("the first one is here", earlier.name_span)] if earlier else []
            names.report.add(
                "E103",
                f"there are two shares named `{path}`",
                statement.name_span,
                "give one of them another name",
                notes,
            )
            continue
        node = ShareNode(len(names.shares), statement.name, path, parent.index, statement)
        names.shares.append(node)
        names.paths[path] = node.index
        parent.children.append(node.index)
        _plant(statement.children, node, names)


def portions(
    statement: syntax.Share, report: Report, base: checked.Portions | None = None
) -> checked.Portions | None:
    """What a share statement grants; what an override leaves unsaid is as in `base`."""
    if not statement.amounts and base is None:
        report.add(
            "E120",
            f"the share `{statement.path.dotted}` has no amount",
            statement.name_span,
            f"write `share {statement.name} 50%`, `4000 cores` or `weight 1`",
        )
        return None
    granted = _granted(statement.amounts, report)
    borrow = _limits(statement.borrow, "borrow", report) if statement.borrow else base.borrow if base else {}
    lend = _limits(statement.lend, "lend", report) if statement.lend else base.lend if base else {}
    if granted is None or borrow is None or lend is None:
        return None
    if not granted and base is not None:
        return checked.Portions(base.portions, base.main, borrow, lend)
    main = "cores" if "cores" in granted else next(iter(granted))
    return checked.Portions(granted, main, borrow, lend)


def _granted(amounts: Iterable[syntax.Amount], report: Report) -> dict[str, checked.Portion] | None:
    granted: dict[str, checked.Portion] = {}
    sound = True
    for amount in amounts:
        resource = amount.resource or "cores"
        if resource in granted:
            report.add("E103", f"there are two amounts of {resource}", amount.span, "keep one of them")
            sound = False
        elif (portion := _portion(amount, resource, report)) is None:
            sound = False
        else:
            granted[resource] = portion
    return granted if sound else None


def _portion(amount: syntax.Amount, resource: str, report: Report) -> checked.Portion | None:
    number = amount.value
    if amount.is_weight:
        if number.unit is not Unit.NONE or number.milli < 1000 or number.milli % 1000:
            report.add("E112", "a weight is a whole number, 1 or more", number.span, "write `weight 3`")
            return None
        return checked.Portion(weight=number.milli // 1000)
    if number.unit is Unit.PERCENT:
        value = whole(number, report)
        if value is not None and value > WHOLE:
            report.add(
                "E121", f"a share cannot have {number.text} of what is above it", number.span, "at most 100%"
            )
            return None
        return None if value is None else checked.Portion(percent=value)
    absolute = _absolute(amount, resource, report)
    return None if absolute is None else checked.Portion(absolute=absolute)


def _absolute(amount: syntax.Amount, resource: str, report: Report) -> int | None:
    number = amount.value
    if amount.resource is None:
        digits = f"`{number.text}`"
        mend = "write `50%`, `4000 cores` or `weight 1`"
        if number.unit is Unit.NONE:
            mend = f"write `{number.text}%` or `{number.text} cores`"
        elif number.unit is Unit.MIB:
            mend = f"write `{number.text} memory` or `{number.text} disk`"
        report.add("E111", f"{digits} does not say of what", amount.span, mend)
        return None
    if number.unit is not _UNIT.get(resource, Unit.NONE):
        mend = f"write it like `{_EXAMPLE[resource]}`, or as a percentage"
        report.add("E111", f"`{number.text}` is not an amount of {resource}", number.span, mend)
        return None
    return number.milli if resource == "hs23" else whole(number, report)


def _limits(limit: syntax.Limit, verb: str, report: Report) -> dict[str, checked.Bound] | None:
    """By resource; a percentage without a resource limits all of them, unless they are named beside it."""
    if limit.word == "none":
        return {resource: checked.Bound(absolute=0) for resource in RESOURCES}
    bounds: dict[str, checked.Bound] = {}
    named: set[str | None] = set()
    sound = True
    for amount in limit.amounts:
        if amount.resource in named:
            report.add(
                "E103",
                f"there are two limits of {amount.resource or 'everything'}",
                amount.span,
                "keep one of them",
            )
            sound = False
        named.add(amount.resource)
        bound = _bound(amount, verb, report)
        if bound is None:
            sound = False
        elif amount.resource is not None:
            bounds[amount.resource] = bound
        else:
            bounds = dict.fromkeys(RESOURCES, bound) | {
                resource: bounds[resource] for resource in bounds if resource in named
            }
    return bounds if sound else None


def _bound(amount: syntax.Amount, verb: str, report: Report) -> checked.Bound | None:
    number = amount.value
    if amount.is_weight:
        report.add(
            "E122", f"a weight cannot limit what a share may {verb}", amount.span, f"write `{verb} 10%`"
        )
        return None
    if number.unit is Unit.PERCENT:
        value = whole(number, report)
        if verb == "lend" and value is not None and value > WHOLE:
            report.add(
                "E122", f"a share cannot lend {number.text} of what it has", number.span, "write `lend any`"
            )
            return None
        return None if value is None else checked.Bound(percent=value)
    absolute = _absolute(amount, amount.resource or "cores", report)
    return None if absolute is None else checked.Bound(absolute=absolute)


# ------------------------------------------------------------------ sums


def check_sums(
    names: Names,
    tree: Tree,
    spans: Mapping[int, Span],
    during: str = "",
    changed: frozenset[int] | None = None,
) -> None:
    """The children of a share get no more than it has; `spans` says where each share's amounts are written.

    With `changed`, only families that one of these shares belongs to.
    """
    nodes: Iterable[ShareNode] = names.shares
    if changed is not None:
        above = {names.shares[index].parent or FARM for index in changed}
        nodes = [names.shares[index] for index in sorted(above | changed)]
    for node in nodes:
        children = node.children
        if children and all(tree[child] is not None for child in children):
            _check_percentages(names, node, children, tree, spans, during)
            _check_absolutes(names, node, children, tree, spans, during)
            _check_weights(names, children, tree, spans, during)


def _check_percentages(
    names: Names, parent: ShareNode, children: list[int], tree: Tree, spans: Mapping[int, Span], during: str
) -> None:
    named = {resource for child in children if (own := tree[child]) for resource in own.portions}
    others = [resource for resource in RESOURCES if resource not in named][:1]  # these are all alike
    for resource in [resource for resource in RESOURCES if resource in named or resource in others]:
        parts = [(child, part) for child in children if (part := _percent(tree[child], resource))]
        total = sum(part for _, part in parts)
        if total <= WHOLE:
            continue
        child = next(
            child for at, (child, _) in enumerate(parts) if sum(part for _, part in parts[: at + 1]) > WHOLE
        )
        told = ", ".join(f"{names.shares[child].name} {percent(part)}" for child, part in parts[:8])
        more = f" and {len(parts) - 8} more" if len(parts) > 8 else ""
        of_what = "" if resource == "cores" else f" of the {resource}"
        names.report.add(
            "E121",
            f"{_whose(parent)} add up to {percent(total)}{of_what}{during}: {told}{more}",
            spans[child],
            f"take {percent(total - WHOLE)} away from them",
            [Note("it counts too", spans[other]) for other, _ in parts[:8] if other != child],
        )
        return


def _check_absolutes(
    names: Names, parent: ShareNode, children: list[int], tree: Tree, spans: Mapping[int, Span], during: str
) -> None:
    for resource in RESOURCES:
        has = _amount(names, parent.index, resource, tree)
        if has is None:
            continue
        given = [(child, amount) for child in children if (amount := _amount(names, child, resource, tree))]
        total = sum(amount for _, amount in given)
        if total > has and any(_absolute_of(tree[child], resource) for child, _ in given):
            child = next(child for child, _ in reversed(given) if _absolute_of(tree[child], resource))
            held, limit = _shown(total, resource), _shown(has, resource)
            names.report.add(
                "E121",
                f"{_whose(parent)} hold {held}{during}, and it has {limit}",
                spans[child],
                f"take {_shown(total - has, resource)} away from them",
            )
            return


def _check_weights(
    names: Names, children: list[int], tree: Tree, spans: Mapping[int, Span], during: str
) -> None:
    weighted = [child for child in children if (own := tree[child]) and own.portions[own.main].weight]
    if weighted and sum(_percent(tree[child], "cores") or 0 for child in children) == WHOLE:
        names.report.add(
            "W106",
            f"nothing is left for {listed(names.shares[child].name for child in weighted)}{during}: "
            "the percentages beside it take all",
            spans[weighted[0]],
            "weights divide what percentages and amounts leave",
        )


def _percent(own: checked.Portions | None, resource: str) -> int | None:
    """The percentage of a resource; what is not named follows the main one."""
    return None if own is None else own.portions.get(resource, own.portions[own.main]).percent


def _absolute_of(own: checked.Portions | None, resource: str) -> int | None:
    return own.portions[resource].absolute if own is not None and resource in own.portions else None


def _amount(names: Names, index: int, resource: str, tree: Tree) -> int | None:
    """A share's amount where the policy alone says it: absolute, or a percentage of an absolute one."""
    own = tree.get(index)
    if own is None:
        return None
    if (absolute := _absolute_of(own, resource)) is not None:
        return absolute
    parent = names.shares[index].parent
    part = _percent(own, resource)
    if part is None or parent is None or (above := _amount(names, parent, resource, tree)) is None:
        return None
    return above * part // WHOLE


def _whose(parent: ShareNode) -> str:
    return "the shares of the farm" if parent.index == FARM else f"the shares of `{parent.path}`"


def _shown(amount: int, resource: str) -> str:
    if resource == "hs23":
        return f"{amount / 1000:g} hs23"
    return f"{amount}MiB {resource}" if resource in _UNIT else f"{amount} {resource}"


def amounts_span(statement: syntax.Share) -> Span:
    """Where a share's amounts are written."""
    if not statement.amounts:
        return statement.name_span
    return statement.amounts[0].span.to(statement.amounts[-1].span)
