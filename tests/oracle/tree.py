"""The share tree as allocation.md writes it: every figure computed anew from capacity and use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wnodes_engine.check.checked import Bound, Portions, Share

RESOURCES = ("cores", "memory", "gpus", "disk", "hs23")

Amounts = dict[str, int]
"""So much of each resource, in its unit."""

Number = int | float
"""A whole number, or `math.inf` where there is no limit."""


@dataclass
class Tree:
    """The shares of a farm, with what each leaf holds.

    `amount` is A(n) of every share, see `nominal`; `used` by share index, of leaves only. All formulas
    are those of allocation.md.
    """

    shares: tuple[Share, ...]
    amount: list[Amounts]
    used: dict[int, Amounts]

    def own_amount(self, n: int, r: str) -> int:
        """N(n): what the children leave over; all of it for a leaf."""
        return self.amount[n][r] - sum(self.amount[c][r] for c in self.shares[n].children)

    def borrow(self, n: int, r: str) -> Number:
        """B(n), `inf` without a limit."""
        return self._bound(n, r, "borrow")

    def lend(self, n: int, r: str) -> Number:
        """L(n), `inf` without a limit."""
        return self._bound(n, r, "lend")

    def _bound(self, n: int, r: str, which: str) -> Number:
        portions = self.shares[n].portions
        bounds: dict[str, Bound] = getattr(portions, which) if portions else {}
        bound = bounds.get(r)
        if bound is None:
            return math.inf
        if bound.absolute is not None:
            return bound.absolute
        assert bound.percent is not None
        return self.amount[n][r] * bound.percent // 10000

    def counted_on(self, n: int, r: str) -> int:
        """S(n): what the level above can count on."""
        children = self.shares[n].children
        return self.own_amount(n, r) + sum(self.counted_on(c, r) - self.kept(c, r) for c in children)

    def kept(self, n: int, r: str) -> int:
        """local(n): what the share never lends."""
        lend = self.lend(n, r)
        return 0 if isinstance(lend, float) else max(0, self.counted_on(n, r) - lend)

    def use_above(self, n: int, r: str) -> int:
        """U(n): the use that is seen at this level."""
        own = self.used.get(n, {}).get(r, 0)
        return own + sum(max(0, self.use_above(c, r) - self.kept(c, r)) for c in self.shares[n].children)

    def total_use(self, n: int, r: str) -> int:
        """T(n): what the whole subtree holds."""
        return self.used.get(n, {}).get(r, 0) + sum(self.total_use(c, r) for c in self.shares[n].children)

    def free(self, n: int, r: str) -> Number:
        """free(n): what a request of this share may still take; below 0 after an over-commitment."""
        total, use, kept = self.counted_on(n, r), self.use_above(n, r), self.kept(n, r)
        parent = self.shares[n].parent
        if parent is None:
            return total - use
        shared = min(self.free(parent, r), total - kept - max(0, use - kept) + self.borrow(n, r))
        return max(0, kept - use) + shared

    def most(self, n: int, r: str) -> Number:
        """most(n): what the share could hold if nothing else ran."""
        total, parent = self.counted_on(n, r), self.shares[n].parent
        if parent is None:
            return total
        return min(total + self.borrow(n, r), self.kept(n, r) + self.most(parent, r))

    def with_more(self, leaf: int, amounts: Amounts) -> Tree:
        """The tree with this much more held by a leaf."""
        held = self.used.get(leaf, dict.fromkeys(RESOURCES, 0))
        return Tree(self.shares, self.amount, self.used | {leaf: held | more(held, amounts)})

    def within_nominal(self, n: int, ask: Amounts) -> bool:
        """Whether the share stays within its amount after taking this too."""
        return all(self.total_use(n, r) + ask[r] <= self.amount[n][r] for r in ask if ask[r] > 0)


def nominal(shares: tuple[Share, ...], capacity: Amounts) -> list[Amounts]:
    """A(n) of every share by index, from the farm's capacity downwards."""
    amounts: dict[int, Amounts] = {0: {r: capacity.get(r, 0) for r in RESOURCES}}
    for share in shares:
        parts = [shares[c].portions for c in share.children]
        amounts |= dict(zip(share.children, divided(amounts[share.index], parts), strict=True))
    return [amounts[share.index] for share in shares]


def divided(parent: Amounts, children: list[Portions | None]) -> list[Amounts]:
    """What each child gets of the parent's amounts: what it names, the rest as its main one, then scaled."""
    portions = [child for child in children if child is not None]
    amounts = {r: named_amounts(parent[r], r, portions) for r in RESOURCES}
    for i, child in enumerate(portions):
        main = amounts[child.main][i]
        for r in RESOURCES:
            if r not in child.portions:
                amounts[r][i] = parent[r] * main // parent[child.main] if parent[child.main] else 0
    final = {r: fitted(parent[r], by_child) for r, by_child in amounts.items()}
    return [{r: final[r][i] for r in RESOURCES} for i in range(len(portions))]


def named_amounts(parent: int, r: str, portions: list[Portions]) -> dict[int, int]:
    """The amounts of one resource, for the children that name it: absolute, percent, then weights."""
    amounts: dict[int, int] = {}
    weights: dict[int, int] = {}
    for i, child in enumerate(portions):
        portion = child.portions.get(r)
        if portion is None:
            continue
        if portion.absolute is not None:
            amounts[i] = portion.absolute
        elif portion.percent is not None:
            amounts[i] = parent * portion.percent // 10000
        elif portion.weight is not None:
            weights[i] = portion.weight
    rest = max(0, parent - sum(amounts.values()))
    for i, weight in weights.items():
        amounts[i] = rest * weight // sum(weights.values())
    return amounts


def fitted(parent: int, amounts: dict[int, int]) -> dict[int, int]:
    """The same amounts, scaled down where they are more than the parent has."""
    total = sum(amounts.values())
    return {i: a * parent // total for i, a in amounts.items()} if total > parent else dict(amounts)


def more(held: Amounts, amounts: Amounts) -> Amounts:
    """The sum of both, of the resources of the second."""
    return {r: held[r] + amount for r, amount in amounts.items()}
