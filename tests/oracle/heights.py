"""How far shares are above their amounts, and where two leaves meet."""

from __future__ import annotations

from oracle.quotas import above
from oracle.state import State
from oracle.tree import Amounts, Tree
from wnodes_engine.check.checked import Share

LOOKED_AT = ("cores", "memory", "gpus", "disk")
"""The resources by which a share is within its amount or over it."""

HEIGHT_BITS = 20
"""A height is kept in units of 2^-20."""


def path_between(shares: tuple[Share, ...], leaf: int, top: int) -> list[int]:
    """The leaf and every share above it, up to `top` and with it."""
    path = above(shares, leaf)
    return path[: path.index(top) + 1]


def path_below(shares: tuple[Share, ...], leaf: int, other: int) -> list[int]:
    """The leaf and every share above it, up to where it meets the other leaf, and without that."""
    shared = above(shares, other)
    return [n for n in above(shares, leaf) if n not in shared]


def stays_within(tree: Tree, n: int, ask: Amounts) -> bool:
    """Whether a share stays within its amount with this too."""
    return all(tree.total_use(n, r) + ask[r] <= tree.amount[n][r] for r in LOOKED_AT if ask[r] > 0)


def is_over(tree: Tree, n: int, ask: Amounts, freed: Amounts) -> bool:
    """Whether a share holds more than its amount of something that is asked for and would be given back."""
    wanted = [r for r in LOOKED_AT if ask[r] > 0 and freed[r] > 0]
    return any(tree.total_use(n, r) > tree.amount[n][r] for r in wanted)


def height(state: State, tree: Tree, n: int) -> int:
    """How far a share is above what is counted on, for what its parent can have and for its weight."""
    parent, portions = tree.shares[n].parent, tree.shares[n].portions
    assert parent is not None
    assert portions is not None
    weight = portions.portions[portions.main].weight or 1
    most = {r: state.most(parent, r) for r in LOOKED_AT}
    parts = [
        (tree.use_above(n, r) - tree.counted_on(n, r) << HEIGHT_BITS) // int(most[r])
        for r in LOOKED_AT
        if most[r] > 0
    ]
    return max(0, *parts, 0) // weight
