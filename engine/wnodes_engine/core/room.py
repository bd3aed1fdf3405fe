"""The room that a request would have if some of what runs were gone: on the nodes, and in its share."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Free, Where, fit, more
from wnodes_engine.core.layout import grouped
from wnodes_engine.core.ledger import HS23, Allocation, Ledger
from wnodes_engine.core.limits import full_in, over_placed_quota
from wnodes_engine.core.pausing import SUSPEND, working
from wnodes_engine.core.placement import open_tiers, places_with

if TYPE_CHECKING:
    from wnodes_engine.core.tree import ShareTree


class Room:
    """Takes allocations away and puts them back, and tells whether a claim that starts now would fit."""

    def __init__(
        self,
        ledger: Ledger,
        claim: Claim,
        now: int,
        avoid: Container[int],
        among: frozenset[int] | None = None,
    ) -> None:
        """Nodes in `avoid` are passed over; if so told, all but those of the classes `among`, too.

        Nobody is placed by a room that is only `among` some.
        """
        self.tree: ShareTree = ledger.tree.copy()
        self._ledger = ledger
        self._claim = claim
        self._now = now
        self._avoid = avoid
        self._free: dict[int, Free] = {}
        farm = ledger.farm
        if among is None:
            among = frozenset(kind for kinds in open_tiers(ledger, claim, now) for kind in kinds)
        self._kinds = among
        self._fits = 0
        for node in ledger.owed:
            if self.may_use(node):
                free = self._free[node] = ledger.free_then(node)
                self._fits += fit(claim.part, *free)
        for node in farm.in_order(claim.part, sorted(self._kinds), spread=False):
            if self._fits >= claim.parts:
                break
            if node not in avoid and node not in ledger.owed:
                self._fits += farm.fit(node, claim.part)
        self._settled = self._fits >= claim.parts
        """Whether the nodes have room without any victim: then these are looked at in the end only."""
        in_one = claim.over >= 0 and ledger.policy.checked.places[claim.over].in_one
        self.plain = not (claim.placed or ledger.policy.tracks_hs23 or in_one)
        """Whether it does not matter which nodes it gets, as long as it gets some."""
        self._taken: dict[str, tuple[Allocation, Given]] = {}

    def taken(self) -> Iterable[tuple[Allocation, Given]]:
        """Those that are gone, and what each gives."""
        return self._taken.values()

    def take(self, allocation: Allocation, action: str) -> None:
        """The allocation is gone, or what it gives by this action is."""
        given = Given(self._ledger, allocation, action)
        self._taken[allocation.request.id] = allocation, given
        self._move(allocation, given, 1)

    def put_back(self, allocations: Iterable[Allocation]) -> None:
        """They are there again."""
        for allocation in allocations:
            _, given = self._taken.pop(allocation.request.id)
            self._move(allocation, given, -1)

    def on_nodes(self) -> bool:
        """Whether the nodes have room for all parts."""
        return self._fits >= self._claim.parts

    def nodes(self) -> Iterator[int]:
        """The nodes that the request may use, the emptiest first."""
        for node in self._ledger.farm.emptiest(sorted(self._kinds)):
            if node not in self._avoid:
                yield node

    def free(self, node: int) -> Free:
        """What would be free on a node."""
        return self._free.get(node) or self._ledger.farm.free(node)

    def enough(self) -> bool:
        """Whether all parts have room now."""
        if not self.on_nodes() or full_in(self.tree, self._claim) >= 0:
            return False
        return self.plain or self.place() is not None

    def place(self) -> Where | None:
        """The nodes of all parts; None where a quota for nodes or hs23 is in the way."""
        ledger, claim = self._ledger, self._claim
        if self._settled:
            self._free = {node: ledger.free_then(node) for node in ledger.owed if self.may_use(node)}
            for allocation, given in self._taken.values():
                self._release(allocation, given, 1)
        for where in places_with(ledger, claim, self._now, self._free, self._avoid):
            if ledger.policy.tracks_hs23 and ledger.hs23(claim, where) > self.tree.free(claim.leaf, HS23):
                continue
            if not over_placed_quota(ledger, claim, where):
                return where
        return None

    def may_use(self, node: int) -> bool:
        """Whether the request may stand on the node."""
        farm = self._ledger.farm
        return farm.up[node] and farm.class_of[node] in self._kinds and node not in self._avoid

    def _move(self, allocation: Allocation, given: Given, sign: int) -> None:
        given.charge(self.tree, allocation.claim.leaf, -sign)
        if not self._settled:
            self._fits += self._release(allocation, given, sign)

    def _release(self, allocation: Allocation, given: Given, sign: int) -> int:
        """Give back on the nodes; how many more parts fit there."""
        farm, part, fits = self._ledger.farm, self._claim.part, 0
        for node, parts in allocation.where:
            if self.may_use(node):
                had = self._free.get(node) or farm.free(node)
                self._free[node] = has = more(had, given.part, parts * sign)
                fits += fit(part, *has) - fit(part, *had)
        return fits


def groups_of(ledger: Ledger, claim: Claim, now: int) -> list[frozenset[int]]:
    """The node classes of each group of which one has to hold all parts; no groups where none has to."""
    if claim.over < 0 or not ledger.policy.checked.places[claim.over].in_one:
        return []
    groups, _ = grouped(ledger, claim.over, open_tiers(ledger, claim, now))
    return [frozenset(kind for kinds in group for kind in kinds) for group in groups]


class Given:
    """What an allocation gives of its nodes and of its share; by `suspend`, its cores and GPUs alone."""

    __slots__ = ("asks", "charged", "part")

    def __init__(self, ledger: Ledger, allocation: Allocation, action: str) -> None:
        claim = allocation.claim
        self.part, self.asks = claim.part, claim.asks
        if action == SUSPEND:
            self.part, self.asks = working(claim).part, working(claim).asks
        self.charged = self.asks
        """What its share gives: its benchmark power, too."""
        if ledger.policy.tracks_hs23:
            self.charged = (*self.asks, (HS23, ledger.hs23(claim, allocation.where)))

    def charge(self, tree: ShareTree, leaf: int, sign: int) -> None:
        """Charge it to the leaf, or take it off."""
        tree.charge(leaf, self.charged, sign)
