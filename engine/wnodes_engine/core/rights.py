"""Who may take from whom: amounts kept and passed, on both sides of where two leaves meet, and heights.

A share is *over* for a victim if it holds more than its amount of something that the request asks for and
the victim holds. Amounts are looked at in cores, memory, GPUs and disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from wnodes_engine.check.checked import Preempt
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.tree import ShareTree

Asks = tuple[tuple[int, int], ...]
"""(resource index, amount)."""

if TYPE_CHECKING:
    from wnodes_engine.core.ledger import Allocation
    from wnodes_engine.core.room import Given

_HEIGHT_BITS: Final = 20
_LEAST: Final[Asks] = ((0, 1),)
_LOOKED_AT: Final = range(4)
"""Cores, memory, GPUs and disk: hs23 only limits."""


class Terms(NamedTuple):
    """On what terms one leaf's work is taken: the shares that have to be over, and whose height is compared.

    `pair` are the request's and the victim's share next below where the two leaves meet.
    """

    over: tuple[int, ...]
    pair: tuple[int, int] | None = None


def is_entitled(tree: ShareTree, rule: Preempt, leaf: int, asks: Asks) -> bool:
    """Whether the rule leaves the request's side entitled to anything."""
    if rule.how == "reclaim":
        return tree.within_nominal(leaf, asks)
    if rule.how == "for" and not rule.borrowing:
        path = tree.paths[leaf]
        shares = path[: path.index(rule.beneficiary) + 1] if rule.beneficiary is not None else path
        return all(tree.within_nominal(share, asks) for share in shares)
    return True


def could_speak(tree: ShareTree, rule: Preempt, leaf: int) -> bool:
    """Whether anybody of the leaf can be entitled, however little is asked: that is a core at least."""
    return is_entitled(tree, rule, leaf, _LEAST)


def _terms_of(tree: ShareTree, rule: Preempt, claim: Claim) -> dict[int, Terms]:
    """The terms on which the rule takes for the request, by leaf; it takes from no others."""
    leaf = claim.leaf
    if rule.how == "self":
        return {leaf: Terms(())}
    if rule.how == "for":
        if rule.below_nominal or rule.victim is None:
            return {victim: Terms(()) for victim in rule.victims}
        return {
            victim: Terms(path[: path.index(rule.victim) + 1])
            for victim in rule.victims
            if (path := tree.paths[victim])
        }
    found = {}
    for victim in rule.victims:
        if victim != leaf:
            ours, theirs = _below_meeting(tree.paths[leaf], tree.paths[victim])
            if rule.how == "fairly":
                found[victim] = Terms(theirs, (ours[-1], theirs[-1]))
            elif all(tree.within_nominal(share, claim.asks) for share in ours):
                found[victim] = Terms(theirs)
    return found


def _below_meeting(ours: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Both ways up, as far as they have not met."""
    common = 1
    while common < min(len(ours), len(theirs)) and ours[-common - 1] == theirs[-common - 1]:
        common += 1
    return ours[:-common], theirs[:-common]


Gone = dict[tuple[int, int], int]
"""By (resource, share): what is gone beside what the tree says."""


class Law:
    """What one rule allows for one request, of the shares that it takes from."""

    def __init__(self, tree: ShareTree, rule: Preempt, claim: Claim) -> None:
        self._rule = rule
        self._claim = claim
        self._tree = tree
        self._terms = _terms_of(tree, rule, claim)
        self._asked = frozenset(resource for resource, _ in claim.asks)
        over = {share for terms in self._terms.values() for share in terms.over}
        self._watched = {leaf: tuple(over.intersection(tree.paths[leaf])) for leaf in self._terms}
        """By leaf: its own and those above it that have to be over."""
        self._heights: dict[int, int] = {}

    def leaves(self) -> frozenset[int]:
        """The leaves from which anything may be taken."""
        return frozenset(
            leaf
            for leaf, (over, _) in self._terms.items()
            if all(self._is_over(self._tree, share, self._asked, {}) for share in over)
        )

    def allows(self, tree: ShareTree, victim: Allocation, given: Given, gone: Gone) -> bool:
        """Whether the victim's shares let it be taken, as the tree stands and with that gone too."""
        over, pair = self._terms[victim.claim.leaf]
        if over:
            held = [resource for resource, _ in given.asks if resource in self._asked]
            for share in over:
                if not self._is_over(tree, share, held, gone):
                    return False
        return pair is None or self._stays_as_high(tree, pair, victim, given, gone)

    def note(self, leaf: int, given: Given, gone: Gone) -> None:
        """Count what it gives as gone, too."""
        for share in self._watched[leaf]:
            for resource, amount in given.asks:
                gone[resource, share] = gone.get((resource, share), 0) + amount

    @staticmethod
    def _is_over(tree: ShareTree, share: int, resources: Iterable[int], gone: Gone) -> bool:
        held, amount = tree.held, tree.live.amount
        for r in resources:
            if held[r][share] - gone.get((r, share), 0) > amount[r][share]:
                return True
        return False

    def _stays_as_high(
        self, tree: ShareTree, pair: tuple[int, int], victim: Allocation, given: Given, gone: Gone
    ) -> bool:
        """Whether the victim's side is then still no lower than the request's comes to be."""
        ours, theirs = pair
        known = self._heights.get(ours)
        if known is None:
            with_request = self._tree.copy()
            with_request.charge(self._claim.leaf, self._claim.asks, 1)
            known = self._heights[ours] = height(with_request, ours)
        without = tree.copy()
        given.charge(without, victim.claim.leaf, -1)
        for (resource, share), amount in gone.items():
            if not tree.shares[share].children:
                without.charge(share, ((resource, amount),), -1)
        return height(without, theirs) >= known


def height(tree: ShareTree, share: int) -> int:
    """How far the share is above its part, for its size: max of (U − S) ÷ most(parent), ÷ weight, in 2^-20.

    The dominant share of A. Ghodsi et al., "Dominant Resource Fairness", NSDI 2011, counted from the
    share's own part.
    """
    live, parent = tree.live, tree.shares[share].parent or 0
    highest = 0
    for r in _LOOKED_AT:
        above, most = tree.use(share, r) - live.s[r][share], tree.most[r][parent]
        if above > 0 and most > 0:
            highest = max(highest, (above << _HEIGHT_BITS) // most)
    return highest // live.weight[share]
