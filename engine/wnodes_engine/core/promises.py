"""Promises: room that was made for a request, until its victims have left and it starts.

From the moment of the promise the room is the request's: in the share tree it is charged and its victims are
not; on its nodes both are, so that nobody else finds room there; in quotas both count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import astuple

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Free, Where, fit, more
from wnodes_engine.core.ledger import HS23, Allocation
from wnodes_engine.core.room import Given
from wnodes_engine.core.tracks import Waiter
from wnodes_engine.core.victims import Plan
from wnodes_engine.values import Preemption

if TYPE_CHECKING:
    from wnodes_engine.core.state import State


_NOTHING: Final[Free] = (0, 0, 0, 0)


class Pledge:
    """Room promised to a waiting request: where, and whose leaving it waits for."""

    __slots__ = ("leave_by", "number", "rule", "victims", "waiter", "where")

    def __init__(self, number: int, waiter: Waiter, rule: int, where: Where, leave_by: int) -> None:
        """`number` is the order in which promises were made."""
        self.number = number
        self.waiter = waiter
        self.rule = rule
        self.where = where
        self.leave_by = leave_by
        self.victims: dict[str, Allocation] = {}
        """Those that have not left yet, by id, in the order in which they were taken."""


def promise(state: State, waiter: Waiter, plan: Plan, now: int) -> list[Preemption]:
    """Carry out a plan as far as the ledger goes; what comes back is what the victims are to be told."""
    rule = state.policy.checked.preempts[plan.rule]
    state.promised += 1
    pledge = Pledge(state.promised, waiter, plan.rule, plan.where, now + rule.taking.after)
    beneficiary = waiter.request.id
    set_aside(state, pledge)
    orders = []
    for victim in plan.victims:
        id_, action = victim.request.id, rule.taking.actions[victim.request.kind]
        owe(state, pledge, victim, Given(state, victim, action))
        state.history.tell(plan.rule, id_, now)
        orders.append(Preemption(id_, beneficiary, action, pledge.leave_by, plan.rule))
    return orders


def set_aside(state: State, pledge: Pledge) -> None:
    """The request waits for the pledge, not in line, and its room is taken."""
    state.set_aside(pledge.waiter)
    state.pledges[pledge.waiter.request.id] = pledge
    state.earmark(pledge.waiter.claim, pledge.where, 1)


def owe(state: State, pledge: Pledge, victim: Allocation, given: Given) -> None:
    """The victim is to leave for the pledge, and to give that."""
    victim.pledge, victim.given = pledge, given
    _owe(state, victim, 1)
    pledge.victims[victim.request.id] = victim


def keep(state: State, now: int) -> list[Allocation]:
    """Start everybody whose room is there; a promise that cannot be kept is off."""
    started = []
    for pledge in list(state.pledges.values()):
        if _is_due(state, pledge, now):
            _end(state, pledge)
            waiter = pledge.waiter
            state.stop_waiting(waiter.claim)
            allocation = Allocation(waiter.request, waiter.claim, pledge.where, now, waiter.serial, state)
            state.hold(allocation, now)
            started.append(allocation)
        elif not pledge.victims and _is_vain(state, pledge, now):
            take_back(state, pledge)
    return started


def take_back(state: State, pledge: Pledge) -> None:
    """The promise is off: the request waits in its old place."""
    _end(state, pledge)
    state.line_up(pledge.waiter)


def gone(state: State, victim: Allocation) -> None:
    """The victim is about to leave: it is charged as if nothing had been promised, and owes nothing."""
    pledge = victim.pledge
    if pledge is not None:
        del pledge.victims[victim.request.id]
        _owe(state, victim, -1)
        victim.pledge = victim.given = None


def _end(state: State, pledge: Pledge) -> None:
    """Nothing is set aside any more, and whoever has not left is let off."""
    del state.pledges[pledge.waiter.request.id]
    state.earmark(pledge.waiter.claim, pledge.where, -1)
    for id_, victim in list(pledge.victims.items()):
        gone(state, victim)
        state.history.let_off(pledge.rule, id_)
        state.let_off.append(id_)


def _owe(state: State, victim: Allocation, sign: int) -> None:
    """Take what a victim is to give off its share, and expect it on its nodes; or, -1, no longer."""
    given = victim.given
    if given is not None:
        state.expect(victim.claim.leaf, given.charged, -sign)
        state.endings.promise(victim, given, sign)
        for node, parts in victim.where:
            left = more(state.owed.get(node, _NOTHING), given.part, parts * sign)
            state.owed[node] = left
            if left == _NOTHING:
                del state.owed[node]


def _is_due(state: State, pledge: Pledge, now: int) -> bool:
    """Whether the request can start beside its victims that stay, and beside what others are due."""
    claim = pledge.waiter.claim
    part = claim.part
    for node, parts in pledge.where:
        if _goes_down(state, claim, node, now) or fit(part, *_free_now(state, node)) < parts:
            return False
    return _has_its_own(state, pledge, claim, pledge.where) and all(
        _has_its_own(state, pledge, victim.claim, victim.where) for victim in pledge.victims.values()
    )


def _has_its_own(state: State, pledge: Pledge, claim: Claim, where: Where) -> bool:
    """Whether the claim has what it holds there, if the pledge's victims stay and those of others leave."""
    tree = state.tree
    if pledge.victims:
        tree = tree.copy()
        for victim in pledge.victims.values():
            if victim.given is not None:
                tree.charge(victim.claim.leaf, victim.given.charged, 1)
    if any(tree.free(claim.leaf, resource) < 0 for resource, _ in claim.asks):
        return False
    if state.policy.tracks_hs23 and tree.free(claim.leaf, HS23) < 0:
        return False
    return all(
        amount >= 0
        for node, _ in where
        for amount, asked in zip(_left(state, pledge, node), astuple(claim.part), strict=True)
        if asked
    )


def _left(state: State, pledge: Pledge, node: int) -> Free:
    """What is left on the node once those that leave for others have left."""
    left = state.free_then(node)
    for victim in pledge.victims.values():
        for at, count in victim.where:
            if at == node and victim.given is not None:
                left = more(left, victim.given.part, -count)
    return left


def _free_now(state: State, node: int) -> Free:
    """What is free on the node beside all that runs there."""
    free = state.farm.free(node)
    for pledge in state.pledges.values():
        for at, count in pledge.where:
            if at == node:
                free = more(free, pledge.waiter.claim.part, count)
    return free


def _is_vain(state: State, pledge: Pledge, now: int) -> bool:
    """Whether the request has no room even once everybody has left, beside what was promised before it."""
    claim, tree = pledge.waiter.claim, state.tree.copy()
    waiting = list(state.pledges.values())
    later = waiting[waiting.index(pledge) + 1 :]
    for other in later:
        tree.charge(other.waiter.claim.leaf, state.charges(other.waiter.claim, other.where), -1)
    if any(tree.free(claim.leaf, resource) < 0 for resource, _ in claim.asks):
        return True
    if state.policy.tracks_hs23 and tree.free(claim.leaf, HS23) < 0:
        return True
    for node, parts in pledge.where:
        free = more(state.free_then(node), claim.part, parts)
        for other in later:
            for at, count in other.where:
                if at == node:
                    free = more(free, other.waiter.claim.part, count)
        if _goes_down(state, claim, node, now) or fit(claim.part, *free) < parts:
            return True
    return False


def _goes_down(state: State, claim: Claim, node: int, now: int) -> bool:
    """Whether the node has a downtime before the claim, started now, would have ended."""
    end = now + claim.walltime
    downtimes = state.downtimes[state.farm.class_of[node]]
    return any(begin < end and now < until for begin, until in downtimes)
