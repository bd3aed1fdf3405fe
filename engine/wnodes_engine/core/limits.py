"""The limits that every pass looks at: quotas, room in the share tree, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Final

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Where
from wnodes_engine.core.ledger import HS23, NOTHING, Ledger
from wnodes_engine.core.meters import Hours
from wnodes_engine.core.tree import ShareTree

HOUR: Final = 3600
"""Bounds on use over time are in hours, use in seconds."""
BY_METER: Final = itemgetter(0)
"""Sorts quotas in the policy's order."""


QuotaState = tuple[int, str | int, int, int, int]
"""(meter, key, held, asked, bound) of a quota that counts a claim; in seconds for use over time."""


def over_quota(ledger: Ledger, claim: Claim, now: int) -> bool:
    """Whether some quota has no room for the claim now (those that depend on its nodes aside)."""
    return holding_back(ledger, claim) is not None or over_hours(ledger, claim, now)


def exceeded(ledger: Ledger, claim: Claim, now: int) -> list[QuotaState]:
    """The quotas that have no room for the claim now (those that depend on its nodes aside), in order."""
    meters, bounds = ledger.meters, ledger.bounds
    over: list[QuotaState] = []
    for meter, key, asked in claim.meters:
        held = meters[meter].get(key, 0)
        bound = bounds[meter]
        if held + asked > bound:
            over.append((meter, key, held, asked, bound))
    if claim.hours:
        cores, walltime = claim.part.cores * claim.parts, claim.walltime
        for meter, key in claim.hours:
            hours: Hours = meters[meter]
            held, asked = hours.held(key, now), hours.commitment(cores, walltime)
            bound = bounds[meter] * HOUR
            if held + asked > bound:
                over.append((meter, key, held, asked, bound))
                over.sort(key=BY_METER)
    return over


def holding_back(ledger: Ledger, claim: Claim) -> tuple[int, str | int, int] | None:
    """The first quota on what is held that has no room for the claim: (meter, key, amount asked)."""
    meters, bounds = ledger.meters, ledger.bounds
    for entry in claim.meters:
        meter, key, ask = entry
        if meters[meter].get(key, 0) + ask > bounds[meter]:
            return entry
    return None


def over_hours(ledger: Ledger, claim: Claim, now: int) -> bool:
    """Whether some quota on use over time has no room for the claim now."""
    cores = claim.part.cores * claim.parts
    for meter, key in claim.hours:
        hours: Hours = ledger.meters[meter]
        if hours.held(key, now) + hours.commitment(cores, claim.walltime) > ledger.bounds[meter] * HOUR:
            return True
    return False


def share_full(ledger: Ledger, claim: Claim) -> bool:
    """Whether the share has no room in some resource that the claim asks for (hs23 aside)."""
    return full_in(ledger.tree, claim) >= 0


def full_in(tree: ShareTree, claim: Claim) -> int:
    """The first resource in which the claim's share has no room for it, or -1."""
    free, leaf = tree.free, claim.leaf
    for resource, ask in claim.asks:
        if ask > free(leaf, resource):
            return resource
    return -1


def placed_over(ledger: Ledger, claim: Claim, where: Where) -> bool:
    """Whether what depends on the chosen nodes is over its limit: hs23, and quotas for some nodes."""
    if ledger.policy.tracks_hs23 and hs23_full(ledger, claim, where):
        return True
    return bool(claim.placed) and over_placed_quota(ledger, claim, where)


def hs23_full(ledger: Ledger, claim: Claim, where: Where) -> bool:
    """Whether the share has no room for the benchmark power of these nodes."""
    return ledger.hs23(claim, where) > ledger.tree.free(claim.leaf, HS23)


def over_placed_quota(
    ledger: Ledger, claim: Claim, where: Where, back: Mapping[tuple[int, str | int], int] = NOTHING
) -> bool:
    """Whether a quota on hs23, or for some nodes, has no room for the claim on these nodes.

    `back` is what has been given back to the quotas, by meter and key.
    """
    for meter, key, amount in claim.placed:
        asked = ledger.placed_amount(meter, amount, where)
        held = ledger.meters[meter].get(key, 0) - back.get((meter, key), 0)
        if asked and held + asked > ledger.bounds[meter]:
            return True
    return False


def over_least_hs23(ledger: Ledger, claim: Claim) -> bool:
    """Whether a quota on hs23 has no room for even the least that the claim can come to."""
    least = -1
    for meter, key, _ in claim.placed:
        if ledger.policy.meters[meter].resource == "hs23":
            if least < 0:
                least = least_hs23(ledger, claim)
            if least and ledger.meters[meter].get(key, 0) + least > ledger.bounds[meter]:
                return True
    return False


def least_hs23(ledger: Ledger, claim: Claim) -> int:
    """The least benchmark power that the claim can cost: all its cores on the slowest nodes it may use."""
    factors = (ledger.factor_of[kind] for kinds in ledger.tiers(claim.rules) for kind in kinds)
    return claim.part.cores * claim.parts * min(factors, default=0)


def quota_states(ledger: Ledger, claim: Claim, now: int, where: Where | None) -> list[QuotaState]:
    """Every quota that counts the claim, in the policy's order."""
    states: list[QuotaState] = [
        (meter, key, ledger.meters[meter].get(key, 0), ask, ledger.bounds[meter])
        for meter, key, ask in claim.meters
    ]
    cores = claim.part.cores * claim.parts
    for meter, key in claim.hours:
        hours: Hours = ledger.meters[meter]
        asked = hours.commitment(cores, claim.walltime)
        states.append((meter, key, hours.held(key, now), asked, ledger.bounds[meter] * HOUR))
    if claim.placed:
        states += placed_states(ledger, claim, where)
    if claim.hours or claim.placed:
        states.sort(key=BY_METER)
    return states


def placed_states(ledger: Ledger, claim: Claim, where: Where | None) -> list[QuotaState]:
    """The quotas that depend on the claim's nodes; without nodes, by the least that it would take of them."""
    states: list[QuotaState] = []
    for meter, key, amount in claim.placed:
        spec = ledger.policy.meters[meter]
        if where is not None:
            asked = ledger.placed_amount(meter, amount, where)
        elif spec.quota is not None and spec.quota.nodes is not None:
            asked = amount  # one part is the least that would have to go there
        else:
            asked = least_hs23(ledger, claim)
        states.append((meter, key, ledger.meters[meter].get(key, 0), asked, ledger.bounds[meter]))
    return states
