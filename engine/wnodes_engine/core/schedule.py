"""One scheduling pass: start everything that fits now, in the order that the policy sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wnodes_engine.core.averages import TICK
from wnodes_engine.core.farm import Where
from wnodes_engine.core.ledger import Allocation
from wnodes_engine.core.limits import over_quota, placed_over, share_full
from wnodes_engine.core.placement import place
from wnodes_engine.core.queue import Shape, WaitClass, Waiter, ratio
from wnodes_engine.core.reserve import Reservation, place_beside, reserve

if TYPE_CHECKING:
    from wnodes_engine.core.state import State

_Rank = tuple[bool, int, int, int]
"""How an offer stands among its siblings': above nominal, averaged use, submitted, serial; smaller first."""

_NOTHING: Final = -1


def schedule(state: State, now: int) -> list[Allocation]:
    """Start what fits now. The state is charged; the starts come in their order."""
    state.advance(now)
    if not state.waiters or not any(state.farm.free_cores):
        return []
    return _Pass(state, now).run()


class _Pass:
    """What a pass has to remember: where each line stands, what has no room, who is blocked."""

    def __init__(self, state: State, now: int) -> None:
        self.state = state
        self.now = now
        self.tick = now // TICK
        self.cursor: dict[int, int] = {}
        self.offers: dict[int, int] = {}
        """By share: the leaf whose offer is best below it, or `_NOTHING`."""
        self.blocked: dict[int, set[Shape]] = {}
        self.no_nodes: set[Shape] = set()
        self.heads: list[WaitClass] = []
        self.reservations: list[Reservation] = []

    def run(self) -> list[Allocation]:
        state, tick = self.state, self.tick
        for leaf, queue in state.queues.items():
            if queue.live:
                queue.refresh(state.waiters, tick)
                self.cursor[leaf] = 0
                self.blocked[leaf] = set()
        starts: list[Allocation] = []
        while (leaf := self._offer(0)) != _NOTHING:
            allocation = self._try(leaf)
            if allocation is not None:
                starts.append(allocation)
                if not any(state.farm.free_cores):
                    break
            for share in state.tree.paths[leaf]:
                self.offers.pop(share, None)
        return starts

    # ------------------------------------------------------------ whose turn it is

    def _offer(self, share: int) -> int:
        """The leaf in this share's subtree whose turn it is."""
        known = self.offers.get(share)
        if known is not None:
            return known
        children = self.state.tree.shares[share].children
        if not children:
            best = share if self._next(share) is not None else _NOTHING
        else:
            offers = [(child, offer) for child in children if (offer := self._offer(child)) != _NOTHING]
            if len(offers) > 1:
                offers.sort(key=lambda entry: self._rank(*entry))
            best = offers[0][1] if offers else _NOTHING
        self.offers[share] = best
        return best

    def _rank(self, share: int, leaf: int) -> _Rank:
        state = self.state
        members = self._next(leaf)
        if members is None:
            raise LookupError(f"share {share} offers a leaf without an offer")
        asks = members.claim.asks
        averages = state.share_use[share].averages(self.tick, state.half_lives[share])
        head = members.head(state.waiters)
        return (
            not state.tree.within_nominal(share, asks),
            ratio(averages, state.nominal(share), asks),
            head.request.submitted,
            head.serial,
        )

    def _next(self, leaf: int) -> WaitClass | None:
        """The first class of the line that nothing blocks yet."""
        at = self.cursor.get(leaf)
        if at is None:
            return None
        queue, blocked = self.state.queues[leaf], self.blocked[leaf]
        line = queue.line
        if blocked and len(blocked) == len(queue.shapes):
            at = len(line)
        while at < len(line) and line[at][2].shape in blocked:
            at += 1
        self.cursor[leaf] = at
        return line[at][2] if at < len(line) else None

    # -------------------------------------------------------------- what it gets

    def _try(self, leaf: int) -> Allocation | None:
        """Start the head of the line, or note what blocks it."""
        state, now = self.state, self.now
        members = self._next(leaf)
        if members is None:
            raise LookupError(f"leaf {leaf} has nothing to offer")
        claim = members.claim
        if over_quota(state, claim, now):
            self.cursor[leaf] += 1
            return None
        where = self._room(members)
        if where is None:
            self._block(leaf, members)
            return None
        if self.heads:
            where = self._beside(members, where)
            if where is None:
                self.cursor[leaf] += 1
                return None
        waiter: Waiter = members.head(state.waiters)
        allocation = state.begin(waiter, where, now)
        for reservation in self.reservations:
            reservation.note(claim, where, now)
        return allocation

    def _room(self, members: WaitClass) -> Where | None:
        """The nodes where the class has room now, in its share and on the farm."""
        state, claim = self.state, members.claim
        if members.shape in self.no_nodes or share_full(state, claim):
            return None
        where = place(state, claim, self.now)
        if where is None:
            self.no_nodes.add(members.shape)
            return None
        if (claim.placed or state.policy.tracks_hs23) and placed_over(state, claim, where):
            return None
        return where

    def _block(self, leaf: int, members: WaitClass) -> None:
        queue = self.state.queues[leaf]
        if queue.order.strict:
            self.cursor[leaf] = len(queue.line)
            return
        if not self.blocked[leaf]:
            self.heads.append(members)
        self.blocked[leaf].add(members.shape)

    def _beside(self, members: WaitClass, where: Where) -> Where | None:
        """The nodes that the class may take without delaying the heads that are blocked."""
        while len(self.reservations) < len(self.heads):
            head = self.heads[len(self.reservations)]
            reservation = reserve(self.state, head.claim, self.now)
            if reservation is None:
                self.heads.remove(head)
            else:
                self.reservations.append(reservation)
        return place_beside(self.state, members.claim, where, self.reservations, self.now)
