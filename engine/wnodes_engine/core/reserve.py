"""Reservations: when and where a blocked head will start, and who may pass it until then.

This is EASY backfilling (Lifka, 1995) on named nodes and on the share tree: the head gets the earliest time
at which it fits if all running work ends with its walltime; a later request may start if it ends by then,
or if the head still fits beside it.
"""

from __future__ import annotations

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Part, Where, fit
from wnodes_engine.core.ledger import HS23, Allocation, Ledger
from wnodes_engine.core.limits import placed_over
from wnodes_engine.core.placement import choose, open_tiers, place
from wnodes_engine.core.tree import ShareTree

_Free = tuple[int, int, int, int]


class Reservation:
    """The head of a leaf starts at `start`, on the nodes of `where`, if nothing ends sooner."""

    __slots__ = ("_ledger", "_spare", "_tree", "claim", "start", "where")

    def __init__(
        self, ledger: Ledger, claim: Claim, start: int, where: Where, tree: ShareTree, free: dict[int, _Free]
    ) -> None:
        self.claim = claim
        self.start = start
        self.where = where
        self._ledger = ledger
        self._tree = tree
        self._spare = {node: _less(free[node], claim.part, parts) for node, parts in where}
        _charge(ledger, tree, claim, where, 1)

    def nodes(self) -> frozenset[int]:
        """The nodes that are kept."""
        return frozenset(self._spare)

    def admits(self, claim: Claim, where: Where, now: int) -> bool:
        """Whether the claim may start there now without delaying the head."""
        if now + claim.walltime <= self.start:
            return True
        for node, parts in where:
            spare = self._spare.get(node)
            if spare is not None and fit(claim.part, *spare) < parts:
                return False
        free, leaf = self._tree.free, claim.leaf
        for resource, ask in claim.asks:
            if ask > free(leaf, resource):
                return False
        if self._ledger.policy.tracks_hs23:
            return self._ledger.hs23(claim, where) <= free(leaf, HS23)
        return True

    def note(self, claim: Claim, where: Where, now: int) -> None:
        """The claim has started there: what it leaves at the head's start is less."""
        if now + claim.walltime > self.start:
            for node, parts in where:
                spare = self._spare.get(node)
                if spare is not None:
                    self._spare[node] = _less(spare, claim.part, parts)
            _charge(self._ledger, self._tree, claim, where, 1)


def reserve(ledger: Ledger, claim: Claim, now: int) -> Reservation | None:
    """The earliest start of a claim that has no room now; None if waiting for running work is no help."""
    tree = ledger.tree.copy()
    farm = ledger.farm
    free: dict[int, _Free] = {}
    allowed = {kind for kinds in ledger.tiers(claim.rules) for kind in kinds}
    fits = _Count(ledger, claim, allowed)
    released: list[Allocation] = []
    endings = ledger.endings.in_order(now)
    entry = next(endings, None)
    while entry is not None:
        start = entry[0]
        while entry is not None and entry[0] == start:
            allocation = entry[1]
            released.append(allocation)
            for node, parts in allocation.where:
                if farm.up[node]:
                    had = free.get(node) or _free_now(ledger, node)
                    free[node] = has = _less(had, allocation.claim.part, -parts)
                    fits.change(node, had, has)
            entry = next(endings, None)
        if fits.total >= claim.parts:
            for allocation in released:
                _charge(ledger, tree, allocation.claim, allocation.where, -1)
            released = []
            if all(ask <= tree.free(claim.leaf, resource) for resource, ask in claim.asks):
                where = _place_then(ledger, claim, start, free)
                if where is not None and not (
                    ledger.policy.tracks_hs23 and ledger.hs23(claim, where) > tree.free(claim.leaf, HS23)
                ):
                    spare = {node: free.get(node) or _free_now(ledger, node) for node, _ in where}
                    return Reservation(ledger, claim, start, where, tree, spare)
    return None


class _Count:
    """How many parts of a claim fit on the nodes it may use, kept up to date as nodes are freed."""

    __slots__ = ("_allowed", "_class_of", "_part", "total")

    def __init__(self, ledger: Ledger, claim: Claim, allowed: set[int]) -> None:
        self._allowed = allowed
        self._class_of = ledger.farm.class_of
        self._part = claim.part
        self.total = sum(
            ledger.farm.fit(node, claim.part)
            for node in ledger.farm.in_order(claim.part, sorted(allowed), spread=False)
        )

    def change(self, node: int, had: _Free, has: _Free) -> None:
        if self._class_of[node] in self._allowed:
            self.total += fit(self._part, *has) - fit(self._part, *had)


def _place_then(ledger: Ledger, claim: Claim, start: int, free: dict[int, _Free]) -> Where | None:
    """Choose nodes as `place` does, on the farm as it will be at `start`."""
    farm, part = ledger.farm, claim.part
    tiers = []
    for kinds in open_tiers(ledger, claim, start):
        found = {node: _free_now(ledger, node) for node in farm.in_order(part, kinds, spread=False)}
        found.update((node, then) for node, then in free.items() if farm.class_of[node] in kinds)
        sign = -1 if claim.spread else 1
        tiers.append(
            sorted(
                (then[2], sign * then[0], sign * then[1], node, fit(part, *then))
                for node, then in found.items()
                if fit(part, *then)
            )
        )
    metered = ledger.metered
    candidates = (
        [(entry[3], entry[4], metered[farm.class_of[entry[3]]]) for entry in tier] for tier in tiers
    )
    return choose(candidates, claim.parts, claim.spread, {})


def _free_now(ledger: Ledger, node: int) -> _Free:
    farm = ledger.farm
    return farm.cores[node], farm.memory[node], farm.gpus[node], farm.disk[node]


def _less(free: _Free, part: Part, parts: int) -> _Free:
    return (
        free[0] - part.cores * parts,
        free[1] - part.memory * parts,
        free[2] - part.gpus * parts,
        free[3] - part.disk * parts,
    )


def _charge(ledger: Ledger, tree: ShareTree, claim: Claim, where: Where, sign: int) -> None:
    for resource, ask in claim.asks:
        tree.charge(claim.leaf, resource, ask * sign)
    if ledger.policy.tracks_hs23:
        tree.charge(claim.leaf, HS23, ledger.hs23(claim, where) * sign)


def place_beside(
    ledger: Ledger, claim: Claim, where: Where, reservations: list[Reservation], now: int
) -> Where | None:
    """Nodes for a claim that fits at `where` now but must not delay what is reserved; None if it would.

    If it would take a reserved node from its head, the other nodes are tried.
    """
    if all(reservation.admits(claim, where, now) for reservation in reservations):
        return where
    kept = frozenset().union(*(r.nodes() for r in reservations if now + claim.walltime > r.start))
    elsewhere = place(ledger, claim, now, avoid=kept)
    if elsewhere is None or placed_over(ledger, claim, elsewhere):
        return None
    if all(reservation.admits(claim, elsewhere, now) for reservation in reservations):
        return elsewhere
    return None
