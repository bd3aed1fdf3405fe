"""Ways to lay out the parts of a claim: over which node classes, in which order, dealt to which groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.ledger import Ledger

Tiers = Sequence[Sequence[int]]
"""Node classes that may be used, those to be tried first in front."""


class Layout(NamedTuple):
    """Parts are dealt evenly to the `hands`, to each tier by tier; what they cannot hold goes to `rest`."""

    hands: tuple[Tiers, ...]
    rest: Tiers = ()


def layouts(ledger: Ledger, claim: Claim, tiers: Tiers, free_cores: Sequence[int]) -> Iterator[Layout]:
    """The ways in which the claim may stand on these classes, the best first.

    Each puts more parts where fewer stood already. `free_cores` are those of each class.
    """
    if claim.over < 0:
        yield Layout((tiers,))
        return
    rule = ledger.policy.checked.places[claim.over]
    groups, others = grouped(ledger, claim.over, tiers)
    if rule.spread and not rule.in_one:
        yield Layout(groups, others)
        return
    free = [sum(free_cores[kind] for kinds in group for kind in kinds) for group in groups]
    for group in sorted(range(len(groups)), key=lambda group: free[group]):
        yield Layout((groups[group],))
    if not rule.in_one:
        roomiest = sorted(range(len(groups)), key=lambda group: -free[group])
        yield Layout(([kinds for group in roomiest for kinds in groups[group]],), others)


def frugal(ledger: Ledger, claim: Claim, tiers: Tiers, free_cores: Sequence[int]) -> Iterator[Layout]:
    """The ways on the nodes with the lowest benchmark factor; in one group where all parts have to be."""
    in_one = claim.over >= 0 and ledger.policy.checked.places[claim.over].in_one
    factor_of = ledger.factor_of
    factors = sorted({factor_of[kind] for kinds in tiers for kind in kinds})
    for layout in layouts(ledger, claim, tiers, free_cores) if in_one else (Layout((tiers,)),):
        (hand,) = layout.hands
        yield Layout(
            ([[kind for kind in kinds if factor_of[kind] == factor] for factor in factors for kinds in hand],)
        )


def grouped(ledger: Ledger, place: int, tiers: Tiers) -> tuple[tuple[Tiers, ...], Tiers]:
    """The tiers of each group that a place rule names, in its order, and those of all other nodes."""
    group_of = ledger.group_of
    count = len(ledger.policy.checked.places[place].groups)

    def of(group: int) -> Tiers:
        return [[kind for kind in kinds if group_of[kind][place] == group] for kinds in tiers]

    return tuple(of(group) for group in range(count)), of(-1)
