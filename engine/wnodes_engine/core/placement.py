"""Choosing nodes: where all parts of a claim fit now, tightest or emptiest first."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Free, Where, fit
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
    candidates = _candidates(ledger, claim, tiers, avoid)
    return choose(candidates, claim.parts, claim.spread, allowances_of(ledger, claim))


def open_tiers(ledger: Ledger, claim: Claim, now: int) -> Tiers:
    """The classes whose node rules the claim meets, and that no downtime closes before it would end."""
    tiers = ledger.tiers(claim.rules)
    if not meets_downtime(ledger, claim, now):
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


def meets_downtime(ledger: Ledger, claim: Claim, now: int) -> bool:
    """Whether some node will be down before the claim, started now, would have ended."""
    downtimes = ledger.policy.checked.downtimes
    if not downtimes:
        return False
    end = now + claim.walltime
    return any(down.begin < end and now < down.end for down in downtimes)


def place_with(
    ledger: Ledger,
    claim: Claim,
    now: int,
    free: Mapping[int, Free],
    avoid: Container[int],
    allowances: dict[int, int],
) -> Where | None:
    """Choose as `place` does, on a farm on which these nodes have so much free instead."""
    farm, part, sign = ledger.farm, claim.part, -1 if claim.spread else 1

    def rank(node: int, left: Free) -> tuple[int, int, int, int]:
        return max(0, left[2]), sign * max(0, left[0]), sign * max(0, left[1]), node

    def tier(kinds: Sequence[int]) -> Iterator[Candidate]:
        changed = sorted(
            rank(node, left)
            for node, left in free.items()
            if farm.class_of[node] in kinds and farm.up[node] and node not in avoid and fit(part, *left)
        )
        others = (
            rank(node, farm.free(node))
            for node in farm.in_order(part, kinds, claim.spread)
            if node not in free and node not in avoid
        )
        for *_, node in merge(changed, others):
            yield node, fit(part, *free.get(node) or farm.free(node)), ledger.metered[farm.class_of[node]]

    tiers = (tier(kinds) for kinds in open_tiers(ledger, claim, now))
    return choose(tiers, claim.parts, claim.spread, allowances)


Candidate = tuple[int, int, frozenset[int]]
"""A node, how many parts fit there, and the meters of the quotas for nodes that count it."""


def choose(
    tiers: Iterable[Iterable[Candidate]], count: int, spread: bool, allowances: dict[int, int]
) -> Where | None:
    """Take `count` parts from the candidates of each tier in turn, or None where there are too few.

    `allowances` says how many parts each quota for some nodes still admits; it is used up.
    """
    where: list[tuple[int, int]] = []
    for tier in tiers:
        count -= (_spread if spread else _pack)(tier, count, allowances, where)
        if not count:
            return tuple(where)
    return None


def _pack(
    tier: Iterable[Candidate], count: int, allowances: dict[int, int], where: list[tuple[int, int]]
) -> int:
    """Fill one node after the other; returns how many parts were placed."""
    left = count
    for node, fits, meters in tier:
        parts = _allow(min(fits, left), meters, allowances)
        if parts:
            where.append((node, parts))
            left -= parts
            if not left:
                break
    return count - left


def _spread(
    tier: Iterable[Candidate], count: int, allowances: dict[int, int], where: list[tuple[int, int]]
) -> int:
    """Deal the parts out in rounds, as cards are; returns how many were placed."""
    nodes = list(islice(tier, count)) if not allowances else list(tier)
    dealt = dict.fromkeys((node for node, _, _ in nodes), 0)
    left, dealing = count, True
    while left and dealing:
        dealing = False
        for node, fits, meters in nodes:
            if left and dealt[node] < fits and _allow(1, meters, allowances):
                dealt[node] += 1
                left -= 1
                dealing = True
    where.extend((node, parts) for node, parts in dealt.items() if parts)
    return count - left


def _allow(parts: int, meters: frozenset[int], allowances: dict[int, int]) -> int:
    """So many of these parts as the quotas for nodes admit, which have then been used up."""
    for meter in meters:
        parts = min(parts, allowances.get(meter, parts))
    for meter in meters:
        if meter in allowances:
            allowances[meter] -= parts
    return parts


def _candidates(
    ledger: Ledger, claim: Claim, tiers: Tiers, avoid: Container[int]
) -> Iterator[Iterator[Candidate]]:
    """By tier, in the order of preference: the nodes that fit."""
    farm, part = ledger.farm, claim.part

    def tier(kinds: Sequence[int]) -> Iterator[Candidate]:
        for node in farm.in_order(part, kinds, claim.spread):
            if node not in avoid:
                yield node, farm.fit(node, part), ledger.metered[farm.class_of[node]]

    return (tier(kinds) for kinds in tiers)


def allowances_of(ledger: Ledger, claim: Claim) -> dict[int, int]:
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
    room, allowances = 0, allowances_of(ledger, claim)
    for tier in _candidates(ledger, claim, open_tiers(ledger, claim, now), ()):
        room += _pack(tier, claim.parts - room, allowances, [])
        if room == claim.parts:
            break
    return room


def room_when_empty(ledger: Ledger, claim: Claim, allowances: dict[int, int]) -> int:
    """How many of the claim's parts, at most all, the configured farm could hold, empty and every node up.

    `allowances` are what quotas for nodes leave, by meter; they are used up.
    """
    farm, left = ledger.farm, claim.parts
    allowed = {kind for kinds in ledger.tiers(claim.rules) for kind in kinds}
    for i, node in enumerate(farm.nodes):
        if farm.class_of[i] in allowed:
            fits = fit(claim.part, node.cores, node.memory, node.gpus, node.disk)
            left -= _allow(min(fits, left), ledger.metered[farm.class_of[i]], allowances)
            if left <= 0:
                return claim.parts
    return claim.parts - left
