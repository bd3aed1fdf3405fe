"""Reservations: when and where a blocked head will start, and who may pass it until then.

This is EASY backfilling (Lifka, 1995) on named nodes and on the share tree: the head gets the earliest time
at which it fits if all running work ends with its walltime; a later request may start if it ends by then,
or if the head still fits beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING

from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Part, Where, fit
from wnodes_engine.core.ledger import HS23, Allocation, Ledger
from wnodes_engine.core.limits import full_in, placed_over
from wnodes_engine.core.placement import place, place_with
from wnodes_engine.core.tree import ShareTree

if TYPE_CHECKING:
    from wnodes_engine.core.room import Given

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

    def shuts_out(self, claim: Claim) -> bool:
        """Whether the claim, still running at the head's start, would take its part of the share tree."""
        return full_in(self._tree, claim) >= 0

    def admits(self, claim: Claim, where: Where, now: int) -> bool:
        """Whether the claim may start there now without delaying the head."""
        if now + claim.walltime <= self.start:
            return True
        for node, parts in where:
            spare = self._spare.get(node)
            if spare is not None and fit(claim.part, *spare) < parts:
                return False
        if self.shuts_out(claim):
            return False
        if self._ledger.policy.tracks_hs23:
            return self._ledger.hs23(claim, where) <= self._tree.free(claim.leaf, HS23)
        return True

    def without(self, victims: Iterable[tuple[Allocation, Given]], now: int) -> Reservation:
        """The same with these victims gone from the shares; the nodes are left to others."""
        twin = copy(self)
        twin._tree = self._tree.copy()  # noqa: SLF001 - its own kind
        for victim, given in victims:
            if victim.claim.walltime >= UNLIMITED or victim.expected_end(now) > self.start:
                given.charge(twin._tree, victim.claim.leaf, -1)  # noqa: SLF001
        return twin

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
    nodes = _Nodes(ledger, claim)
    endings = ledger.endings.in_order(now)
    entry = next(endings, None)
    while entry is not None:
        start = entry[0]
        while entry is not None and entry[0] == start:
            allocation = entry[1]
            _charge(ledger, tree, allocation.claim, allocation.where, -1)
            if allocation.given is not None:  # its share has given that back already
                allocation.given.charge(tree, allocation.claim.leaf, 1)
            nodes.release(allocation)
            entry = next(endings, None)
        if nodes.enough() and full_in(tree, claim) < 0:
            free = nodes.free()
            where = place_with(ledger, claim, start, free, (), {})
            if where is not None and not (
                ledger.policy.tracks_hs23 and ledger.hs23(claim, where) > tree.free(claim.leaf, HS23)
            ):
                spare = {node: free.get(node) or _free_now(ledger, node) for node, _ in where}
                return Reservation(ledger, claim, start, where, tree, spare)
    return None


class _Nodes:
    """The nodes as running work leaves them, and whether all parts of a claim fit on those it may use."""

    __slots__ = ("_allowed", "_claim", "_fits", "_free", "_ledger", "_released")

    def __init__(self, ledger: Ledger, claim: Claim) -> None:
        self._ledger = ledger
        self._claim = claim
        self._allowed = {kind for kinds in ledger.tiers(claim.rules) for kind in kinds}
        self._released: list[Allocation] = []
        self._free: dict[int, _Free] = {}
        farm, self._fits = ledger.farm, 0
        for node in farm.in_order(claim.part, sorted(self._allowed), spread=False):
            self._fits += farm.fit(node, claim.part)
            if self._fits >= claim.parts:
                break

    def release(self, allocation: Allocation) -> None:
        """The allocation has ended."""
        self._released.append(allocation)
        if self._fits < self._claim.parts:
            self._settle()

    def enough(self) -> bool:
        """Whether all parts fit: more is only ever freed, so that this stays true."""
        return self._fits >= self._claim.parts

    def free(self) -> dict[int, _Free]:
        """What is free on every node on which something has ended."""
        self._settle()
        return self._free

    def _settle(self) -> None:
        farm, part = self._ledger.farm, self._claim.part
        for allocation in self._released:
            for node, parts in allocation.where:
                if farm.up[node]:
                    had = self._free.get(node) or _free_now(self._ledger, node)
                    self._free[node] = has = _less(had, allocation.claim.part, -parts)
                    if farm.class_of[node] in self._allowed:
                        self._fits += fit(part, *has) - fit(part, *had)
        self._released.clear()


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
    tree.charge(claim.leaf, claim.asks, sign)
    if ledger.policy.tracks_hs23:
        tree.charge(claim.leaf, ((HS23, ledger.hs23(claim, where)),), sign)


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
