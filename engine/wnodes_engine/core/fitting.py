"""Whether a claim fits now, and if it does not, whether it is for want of room or because of a quota."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from wnodes_engine.core.claim import Claim, with_parts
from wnodes_engine.core.farm import Where
from wnodes_engine.core.feasible import room_when_empty
from wnodes_engine.core.ledger import Ledger
from wnodes_engine.core.limits import (
    hs23_full,
    over_least_hs23,
    over_placed_quota,
    over_quota,
    placed_over,
    share_full,
)
from wnodes_engine.core.placement import allowances_of, place, places

HELD_BACK: Final = "a quota"
"""Instead of nodes: a quota that depends on the nodes has no room. It blocks nobody behind."""


def standing(ledger: Ledger, claim: Claim, now: int) -> Where | None:
    """Where the claim would stand: the first way for which share and quotas have the benchmark power.

    If none has, the way that comes to the least of it; None if there is no way at all.
    """
    if not ledger.policy.tracks_hs23:
        return place(ledger, claim, now)
    ways = []
    for where in places(ledger, claim, now):
        if not placed_over(ledger, claim, where):
            return where
        ways.append(where)
    return min(ways, key=lambda where: ledger.hs23(claim, where), default=None)


def nodes_for(ledger: Ledger, claim: Claim, now: int) -> Where | str | None:
    """Nodes for a claim whose share has room; None if there are none, `HELD_BACK` if a quota says no."""
    where = standing(ledger, claim, now)
    if where is None:
        kept_out = claim.placed and (over_least_hs23(ledger, claim) or _kept_out(ledger, claim, now))
        return HELD_BACK if kept_out else None
    if claim.placed and over_placed_quota(ledger, claim, where):
        return HELD_BACK
    if ledger.policy.tracks_hs23 and hs23_full(ledger, claim, where):
        return None
    return where


def nodes_now(ledger: Ledger, claim: Claim, now: int) -> Where | None:
    """Nodes for a claim that could start now if nobody else waited; None if it could not."""
    if over_quota(ledger, claim, now) or share_full(ledger, claim):
        return None
    where = nodes_for(ledger, claim, now)
    return None if isinstance(where, str) else where


def _kept_out(ledger: Ledger, claim: Claim, now: int) -> bool:
    """Whether the quotas for nodes keep a claim out that finds no place: now, or even of an empty farm."""
    if place(ledger, replace(claim, placed=()), now) is not None:
        return True
    if room_when_empty(ledger, claim, allowances_of(ledger, claim)) == claim.parts:
        return False
    return room_when_empty(ledger, claim, {}) == claim.parts


def held_back(ledger: Ledger, claim: Claim, now: int) -> bool:
    """Whether a quota, of whatever kind, keeps the claim from starting."""
    if over_quota(ledger, claim, now):
        return True
    return bool(claim.placed) and nodes_for(ledger, claim, now) == HELD_BACK


def has_room(ledger: Ledger, claim: Claim, now: int) -> bool:
    """Whether its share and the nodes have room for a claim that no quota holds back."""
    return not share_full(ledger, claim) and nodes_for(ledger, claim, now) is not None


def widest(
    ledger: Ledger, claim: Claim, where: Where, nodes: Callable[[Claim], Where | None]
) -> tuple[Claim, Where]:
    """The claim with as many of its parts as can start, and their nodes; its fewest can start at `where`.

    `nodes` says where a claim with more parts could start. Fewer parts can start wherever more can.
    """
    found, low, high = (claim, where), claim.parts, claim.most + 1
    parts = claim.most
    while low < high - 1:
        wider = with_parts(claim, parts, ledger.policy.meters)
        nodes_of_all = nodes(wider)
        if nodes_of_all is None:
            high = parts
        else:
            found, low = (wider, nodes_of_all), parts
        parts = (low + high) // 2
    return found
