"""Choosing nodes: where all parts of a claim fit now, tightest or emptiest first."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Where, fit
from wnodes_engine.core.ledger import Ledger

Tiers = Sequence[Sequence[int]]
"""Node classes that may be used, the preferred ones first."""


def place(ledger: Ledger, claim: Claim, now: int, avoid: Container[int] = ()) -> Where | None:
    """The nodes for all parts of the claim, or None where not all of them fit.

    Packing fills the tightest node, then the next; spreading gives every node one part before any gets a
    second. Nodes in `avoid` are passed over, and those with a downtime before the claim's walltime ends.
    """
    farm, part = ledger.farm, claim.part
    tiers = open_tiers(ledger, claim, now)
    if claim.parts == 1 and not claim.spread and not avoid and not claim.placed:
        for kinds in tiers:
            node = farm.tightest(part, kinds)
            if node >= 0:
                return ((node, 1),)
        return None
    if sum(farm.free_cores[kind] for kinds in tiers for kind in kinds) < part.cores * claim.parts:
        return None
    return choose(_candidates(ledger, claim, tiers, avoid), claim.parts, claim.spread)


def open_tiers(ledger: Ledger, claim: Claim, now: int) -> Tiers:
    """The classes whose node rules the claim meets, and that no downtime closes before it would end."""
    tiers = ledger.tiers(claim.rules)
    if not ledger.policy.checked.downtimes:
        return tiers
    end = now + claim.walltime
    return [
        [
            kind
            for kind in kinds
            if not any(begin < end and now < until for begin, until in ledger.downtimes[kind])
        ]
        for kinds in tiers
    ]


def choose(tiers: Iterator[Iterator[tuple[int, int]]], count: int, spread: bool) -> Where | None:
    """Take `count` parts from (node, how many fit) in each tier's order."""
    where: list[tuple[int, int]] = []
    for tier in tiers:
        if spread:
            count -= _spread(tier, count, where)
        else:
            for node, fits in tier:
                parts = min(fits, count)
                where.append((node, parts))
                count -= parts
                if not count:
                    break
        if not count:
            return tuple(where)
    return None


def _spread(tier: Iterator[tuple[int, int]], count: int, where: list[tuple[int, int]]) -> int:
    """Deal the parts out in rounds, as cards are; returns how many were placed."""
    chosen: list[list[int]] = []
    room = 0
    for node, fits in tier:
        chosen.append([node, fits, 0])
        room += fits
        if len(chosen) == count:
            break
    left = min(count, room)
    placed = left
    while left:
        for entry in chosen:
            if left and entry[2] < entry[1]:
                entry[2] += 1
                left -= 1
    where.extend((node, parts) for node, _, parts in chosen if parts)
    return placed


def _candidates(
    ledger: Ledger, claim: Claim, tiers: Tiers, avoid: Container[int]
) -> Iterator[Iterator[tuple[int, int]]]:
    """By tier: the nodes that fit, and how many parts fit there, within the quotas for some nodes."""
    farm, part = ledger.farm, claim.part
    allowances = _allowances(ledger, claim)

    def tier(kinds: Sequence[int]) -> Iterator[tuple[int, int]]:
        for node in farm.in_order(part, kinds, claim.spread):
            if node in avoid:
                continue
            fits = min(farm.fit(node, part), claim.parts)
            for meter, allowance in allowances.items():
                if meter in ledger.metered[farm.class_of[node]]:
                    fits = min(fits, allowance)
                    allowances[meter] = allowance - fits
            if fits:
                yield node, fits

    return (tier(kinds) for kinds in tiers)


def _allowances(ledger: Ledger, claim: Claim) -> dict[int, int]:
    """How many parts each quota for some nodes still admits there."""
    allowances = {}
    for meter, key, amount in claim.placed:
        spec = ledger.policy.meters[meter]
        if spec.quota is not None and spec.quota.nodes is not None and amount:
            left = ledger.bounds[meter] - ledger.meters[meter].get(key, 0)
            allowances[meter] = max(0, left // amount)
    return allowances


def count_room(ledger: Ledger, claim: Claim, now: int) -> int:
    """How many of the claim's parts have room now, at most all of them."""
    room = 0
    for tier in _candidates(ledger, claim, open_tiers(ledger, claim, now), ()):
        for _, fits in tier:
            room += fits
            if room >= claim.parts:
                return claim.parts
    return room


def ever_fits(ledger: Ledger, claim: Claim) -> bool:
    """Whether all parts would fit on the configured farm, empty, every node up."""
    farm, left = ledger.farm, claim.parts
    allowed = {kind for kinds in ledger.tiers(claim.rules) for kind in kinds}
    for i, node in enumerate(farm.nodes):
        if farm.class_of[i] in allowed:
            left -= fit(claim.part, node.cores, node.memory, node.gpus, node.disk)
            if left <= 0:
                return True
    return False
