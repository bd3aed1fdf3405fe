"""The limits that every pass looks at: quotas, room in the share tree, and where they stand."""

from __future__ import annotations

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Where
from wnodes_engine.core.ledger import HS23, Ledger
from wnodes_engine.core.meters import Hours
from wnodes_engine.core.tree import ShareTree

_HOUR = 3600


def over_quota(ledger: Ledger, claim: Claim, now: int) -> bool:
    """Whether some quota has no room for the claim now (those that depend on its nodes aside)."""
    return holding_back(ledger, claim) is not None or over_hours(ledger, claim, now)


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
    for meter, key in claim.hours:
        asked = hours_asked(ledger, claim, meter)
        if ledger.meters[meter].held(key, now) + asked > ledger.bounds[meter] * _HOUR:
            return True
    return False


def hours_asked(ledger: Ledger, claim: Claim, meter: int) -> int:
    """The core-seconds that the claim would commit against a quota on use over time."""
    hours: Hours = ledger.meters[meter]
    return hours.commitment(claim.part.cores * claim.parts, claim.walltime)


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


def over_placed_quota(ledger: Ledger, claim: Claim, where: Where) -> bool:
    """Whether a quota on hs23, or for some nodes, has no room for the claim on these nodes."""
    for meter, key, amount in claim.placed:
        asked = ledger.placed_amount(meter, amount, where)
        if asked and ledger.meters[meter].get(key, 0) + asked > ledger.bounds[meter]:
            return True
    return False


def least_hs23(ledger: Ledger, claim: Claim) -> int:
    """The least benchmark power that the claim can cost: all its cores on the slowest nodes it may use."""
    farm = ledger.farm
    allowed = {kind for kinds in ledger.tiers(claim.rules) for kind in kinds}
    factors = [node.factor for i, node in enumerate(farm.nodes) if farm.class_of[i] in allowed]
    return claim.part.cores * claim.parts * min(factors, default=0)


def quota_states(
    ledger: Ledger, claim: Claim, now: int, where: Where | None
) -> list[tuple[int, str | int, int, int, int]]:
    """(meter, key, held, asked, bound) of every quota that counts the claim, in its own unit."""
    entries = [
        (meter, key, ledger.meters[meter].get(key, 0), ask, ledger.bounds[meter])
        for meter, key, ask in claim.meters
    ]
    for meter, key in claim.hours:
        held = ledger.meters[meter].held(key, now)
        entries.append((meter, key, held, hours_asked(ledger, claim, meter), ledger.bounds[meter] * _HOUR))
    for meter, key, amount in claim.placed:
        spec = ledger.policy.meters[meter]
        on_nodes = spec.quota is not None and spec.quota.nodes is not None
        if where is not None:
            asked = ledger.placed_amount(meter, amount, where)
        elif on_nodes:
            asked = amount  # one part is the least that would have to go there
        else:
            asked = least_hs23(ledger, claim)
        entries.append((meter, key, ledger.meters[meter].get(key, 0), asked, ledger.bounds[meter]))
    entries.sort(key=lambda entry: entry[0])  # as the quotas are written
    return entries
