"""Reservations: when and where a blocked head will start, and who may pass it until then.

This is EASY backfilling (Lifka, 1995) on named nodes and on the share tree: the head gets the earliest time
at which it fits if all running work ends with its walltime; a later request may start if it ends by then,
or if the head still fits beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Free, Where, fit, more
from wnodes_engine.core.ledger import HS23, NOTHING, Allocation, Ledger
from wnodes_engine.core.limits import full_in, over_placed_quota, placed_over
from wnodes_engine.core.outlook import Outlook, Step
from wnodes_engine.core.placement import meets_downtime, places, places_with
from wnodes_engine.core.tree import ShareTree

if TYPE_CHECKING:
    from wnodes_engine.core.room import Given


class Reservation:
    """The head of a leaf starts at `start`, if nothing ends sooner.

    On which nodes is worked out when somebody asks, which has to be before anything starts that ends later.
    """

    __slots__ = ("_ledger", "_outlook", "_settled", "_spare", "_tree", "_where", "claim", "start")

    def __init__(
        self, ledger: Ledger, claim: Claim, start: int, outlook: Outlook, tree: ShareTree, where: Where | None
    ) -> None:
        """`tree` is that of the outlook with the claim charged to it; it becomes the reservation's own."""
        self.claim = claim
        self.start = start
        self._ledger = ledger
        self._outlook = outlook
        self._where = where
        self._spare: dict[int, Free] = {}
        self._settled = False
        self._tree = tree

    @property
    def where(self) -> Where:
        """The nodes that are kept, and how many parts go there."""
        self.settle()
        return self._where or ()

    def settle(self) -> None:
        """Choose the nodes, and work out what the head leaves there at its start, if nobody has asked yet."""
        if not self._settled:
            self._settled = True
            outlook, part = self._outlook, self.claim.part
            outlook.follow()
            if self._where is None:
                self._where = _place_then(self._ledger, self.claim, self.start, outlook, self._tree) or ()
            self._spare = {node: more(outlook.free(node), part, -parts) for node, parts in self._where}

    def nodes(self) -> frozenset[int]:
        """The nodes that are kept."""
        return frozenset(node for node, _ in self.where)

    def shuts_out(self, claim: Claim) -> bool:
        """Whether the claim, still running at the head's start, would take its part of the share tree."""
        return full_in(self._tree, claim) >= 0

    def admits(self, claim: Claim, where: Where, now: int) -> bool:
        """Whether the claim may start there now without delaying the head."""
        if now + claim.walltime <= self.start:
            return True
        self.settle()
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
        self.settle()
        tree = self._tree.copy()
        for victim, given in victims:
            if victim.claim.walltime >= UNLIMITED or victim.expected_end(now) > self.start:
                given.charge(tree, victim.claim.leaf, -1)
        twin = Reservation(self._ledger, self.claim, self.start, self._outlook, tree, self._where)
        twin._settled, twin._spare = True, self._spare
        return twin

    def note(self, claim: Claim, where: Where, now: int) -> None:
        """The claim has started there: what it leaves at the head's start is less."""
        if now + claim.walltime > self.start:
            self.settle()
            for node, parts in where:
                spare = self._spare.get(node)
                if spare is not None:
                    self._spare[node] = more(spare, claim.part, -parts)
            self._tree.charge(claim.leaf, self._ledger.charges(claim, where), 1)


def reserve(ledger: Ledger, claim: Claim, now: int) -> Reservation | None:
    """The earliest start of a claim that has no room now; None if no end of work or of a downtime is a help.

    Until another one is asked for the same leaf, running work may only be added to that ends by the start.
    """
    outlook = ledger.outlooks.get(claim.leaf)
    if outlook is None:
        outlook = ledger.outlooks[claim.leaf] = Outlook(ledger)
    outlook.follow()
    outlook.pass_by(now)
    if not outlook.reached(now) and outlook.ahead() is None:
        return None
    tree = outlook.tree()
    room = _Room(ledger, claim, outlook, tree)
    if outlook.reached(now) and room.enough():
        room.settle_back(now)
    elif not room.settle_ahead():
        return None
    choosy = ledger.policy.tracks_hs23 or claim.over >= 0 or bool(claim.placed)
    while True:
        if not (choosy or meets_downtime(ledger, claim, outlook.by)):
            return _reserved(ledger, claim, outlook, tree, None)
        # All parts that fit can be placed, unless something else than room on the nodes is in the way.
        where = _place_then(ledger, claim, outlook.by, outlook, tree)
        if where is not None:
            return _reserved(ledger, claim, outlook, tree, where)
        if not room.settle_ahead():
            return None


def _reserved(
    ledger: Ledger, claim: Claim, outlook: Outlook, tree: ShareTree, where: Where | None
) -> Reservation:
    tree.charge(claim.leaf, claim.asks if where is None else ledger.charges(claim, where), 1)
    return Reservation(ledger, claim, outlook.by, outlook, tree, where)


class _Room:
    """Whether a claim has room by the moment of an outlook, in its share and for all parts on the nodes."""

    __slots__ = ("_allowed", "_claim", "_fits", "_ledger", "_outlook", "_tree")

    def __init__(self, ledger: Ledger, claim: Claim, outlook: Outlook, tree: ShareTree) -> None:
        """`tree` is that of the outlook, and goes with it."""
        self._ledger = ledger
        self._claim = claim
        self._outlook = outlook
        self._tree = tree
        self._allowed = {kind for kinds in ledger.tiers(claim.rules) for kind in kinds}
        self._fits: int | None = None
        """How many parts fit on the nodes, once counted; if that is enough, there may be room for more."""

    def enough(self) -> bool:
        """Whether it has room."""
        if full_in(self._tree, self._claim) >= 0:
            return False
        if self._fits is None:
            self._fits = self._count()
        return self._fits >= self._claim.parts

    def settle_ahead(self) -> bool:
        """Go on to the next end by which it has room; whether there is one."""
        outlook = self._outlook
        while (ahead := outlook.ahead()) is not None:
            counted = self._fits is not None and self._fits < self._claim.parts
            before = self._fits_on(ahead.ending) if counted else 0
            self._move(ahead, 1)
            if counted and self._fits is not None:
                self._fits += self._fits_on(ahead.ending) - before
            if self.enough():
                return True
        return False

    def settle_back(self, now: int) -> None:
        """It has room: go back to the first end by which it has."""
        outlook = self._outlook
        while (behind := outlook.behind(now)) is not None:
            at, self._fits = outlook.by, None
            self._move(behind, -1)
            if not self.enough():
                self._move(Step(at, behind.ending), 1)
                return

    def _move(self, step: Step, sign: int) -> None:
        self._outlook.move(step, sign)
        for allocation in step.ending:
            self._tree.charge(
                allocation.claim.leaf, self._ledger.charges(allocation.claim, allocation.where), -sign
            )
            if allocation.given is not None:
                allocation.given.charge(self._tree, allocation.claim.leaf, sign)

    def _count(self) -> int:
        """How many parts fit on the nodes, counted until that is enough."""
        farm, outlook, part, parts = self._ledger.farm, self._outlook, self._claim.part, self._claim.parts
        fits = 0
        for node in farm.in_order(part, sorted(self._allowed), spread=False):
            if node not in outlook.nodes:
                fits += farm.fit(node, part)
                if fits >= parts:
                    return fits
        for node in outlook.nodes:
            if self._may_use(node):
                fits += fit(part, *outlook.free(node))
                if fits >= parts:
                    return fits
        return fits

    def _fits_on(self, allocations: Sequence[Allocation]) -> int:
        """How many parts fit on the nodes of these."""
        nodes = {node for allocation in allocations for node, _ in allocation.where if self._may_use(node)}
        return sum(fit(self._claim.part, *self._outlook.free(node)) for node in nodes)

    def _may_use(self, node: int) -> bool:
        farm = self._ledger.farm
        return farm.up[node] and farm.class_of[node] in self._allowed


def _place_then(ledger: Ledger, claim: Claim, start: int, outlook: Outlook, tree: ShareTree) -> Where | None:
    """The nodes of all parts on the farm as it will be at `start`, with the share tree of then."""
    free = outlook.all_free()
    back = outlook.given_back(claim) if claim.placed else NOTHING
    for where in places_with(ledger, claim, start, free, back=back):
        if ledger.policy.tracks_hs23 and ledger.hs23(claim, where) > tree.free(claim.leaf, HS23):
            continue
        if not over_placed_quota(ledger, claim, where, back):
            return where
    return None


def place_beside(
    ledger: Ledger, claim: Claim, where: Where, reservations: list[Reservation], now: int
) -> Where | None:
    """Nodes for a claim that fits at `where` now but must not delay what is reserved; None if it would.

    If it would take a reserved node from its head, other ways are tried, and then the other nodes.
    """
    if all(reservation.admits(claim, where, now) for reservation in reservations):
        return where
    kept = frozenset().union(*(r.nodes() for r in reservations if now + claim.walltime > r.start))
    several = claim.over >= 0 or ledger.policy.tracks_hs23
    for avoid in (frozenset[int](), kept) if several else (kept,):
        for found in places(ledger, claim, now, avoid):
            if placed_over(ledger, claim, found):
                continue
            if all(reservation.admits(claim, found, now) for reservation in reservations):
                return found
    return None
