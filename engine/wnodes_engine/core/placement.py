"""Choosing nodes: where all parts of a claim fit now, tightest or emptiest first."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heapreplace, merge
from itertools import chain, islice

from wnodes_engine.core.claim import Claim, Part
from wnodes_engine.core.farm import Farm, Free, Where, fit
from wnodes_engine.core.layout import Layout, Tiers, frugal, layouts
from wnodes_engine.core.ledger import NOTHING, Ledger


def place(ledger: Ledger, claim: Claim, now: int, avoid: Container[int] = ()) -> Where | None:
    """The nodes for all parts of the claim, or None where not all of them fit.

    Packing fills the tightest node, then the next; spreading gives every node one part before any gets a
    second. Nodes in `avoid` are passed over, and those with a downtime before the claim's walltime ends.
    """
    farm, part = ledger.farm, claim.part
    tiers: Tiers = ledger.tiers(claim.rules)
    if ledger.policy.checked.downtimes:
        tiers = open_tiers(ledger, claim, now)
    if claim.parts == 1 and not (claim.spread or claim.over >= 0 or avoid or claim.placed):
        for kinds in tiers:
            node = farm.tightest(part, kinds)
            if node >= 0:
                return ((node, 1),)
        return None
    if sum(farm.free_cores[kind] for kinds in tiers for kind in kinds) < part.cores * claim.parts:
        return None
    usual = layouts(ledger, claim, tiers, farm.free_cores)
    return next(_laid_out(ledger, claim, usual, _candidates(ledger, claim, avoid)), None)


def places(ledger: Ledger, claim: Claim, now: int, avoid: Container[int] = ()) -> Iterator[Where]:
    """Every way to place all parts of the claim, the best first: where power is limited, frugal ones, too."""
    if claim.over < 0:
        where = place(ledger, claim, now, avoid)
        if where is None:
            return
        yield where
        if not ledger.policy.tracks_hs23:
            return
    tiers, candidates = open_tiers(ledger, claim, now), _candidates(ledger, claim, avoid)
    if claim.over >= 0:
        usual = layouts(ledger, claim, tiers, ledger.farm.free_cores)
        yield from _laid_out(ledger, claim, usual, candidates)
    if ledger.policy.tracks_hs23:
        sparing = frugal(ledger, claim, tiers, ledger.farm.free_cores)
        yield from _laid_out(ledger, claim, sparing, candidates)


def _laid_out(
    ledger: Ledger,
    claim: Claim,
    ways: Iterable[Layout],
    candidates: Candidates,
    back: Mapping[tuple[int, str | int], int] = NOTHING,
) -> Iterator[Where]:
    """Where all parts stand by each of these ways that has room for them."""
    for layout in ways:
        allowances = allowances_of(ledger, claim, back)
        where, left = choose(layout, candidates, claim.parts, claim.spread, allowances)
        if not left:
            yield tuple(where)


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
    if not ledger.closings:
        return False
    end = now + claim.walltime
    return any(begin < end and now < until for begin, until in ledger.closings)


def places_with(
    ledger: Ledger,
    claim: Claim,
    now: int,
    free: Mapping[int, Free],
    avoid: Container[int] = (),
    back: Mapping[tuple[int, str | int], int] = NOTHING,
) -> Iterator[Where]:
    """Every way as `places` has it, on a farm on which these nodes have so much free instead.

    `back` is what has been given back to the quotas, by meter and key.
    """
    if claim.parts == 1 and not (
        claim.spread or claim.over >= 0 or claim.placed or ledger.policy.tracks_hs23
    ):
        for kinds in open_tiers(ledger, claim, now):
            node = _tightest_with(ledger.farm, claim.part, kinds, free, avoid)
            if node >= 0:
                return iter((((node, 1),),))
        return iter(())
    farm, part, sign = ledger.farm, claim.part, -1 if claim.spread else 1
    free_cores = farm.free_cores.copy()
    for node, left in free.items():
        if farm.up[node]:
            free_cores[farm.class_of[node]] += max(0, left[0]) - max(0, farm.cores[node])

    def rank(node: int, left: Free) -> tuple[int, int, int, int]:
        return max(0, left[2]), sign * max(0, left[0]), sign * max(0, left[1]), node

    def unchanged(kinds: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
        for node in farm.in_order(part, kinds, claim.spread):
            if node not in free and node not in avoid:
                yield rank(node, farm.free(node))

    def candidates(kinds: Sequence[int]) -> Iterator[Candidate]:
        changed = sorted(
            rank(node, left)
            for node, left in free.items()
            if farm.class_of[node] in kinds and farm.up[node] and node not in avoid and fit(part, *left)
        )
        for *_, node in merge(changed, unchanged(kinds)):
            yield node, fit(part, *free.get(node) or farm.free(node)), ledger.metered[farm.class_of[node]]

    tiers = open_tiers(ledger, claim, now)
    ways = layouts(ledger, claim, tiers, free_cores)
    if ledger.policy.tracks_hs23:
        ways = chain(ways, frugal(ledger, claim, tiers, free_cores))
    return _laid_out(ledger, claim, ways, candidates, back)


def _tightest_with(
    farm: Farm, part: Part, kinds: Sequence[int], free: Mapping[int, Free], avoid: Container[int]
) -> int:
    """The node that fits one part and has the least left, on a farm with so much free instead; or -1."""
    best: tuple[int, int, int, int] | None = None
    for first in farm.in_order(part, kinds, spread=False):
        if first not in free and first not in avoid:
            best = max(0, farm.gpus[first]), farm.cores[first], max(0, farm.memory[first]), first
            break
    class_of, up = farm.class_of, farm.up
    for node, (cores, memory, gpus, disk) in free.items():
        if cores < part.cores or not (up[node] and class_of[node] in kinds) or node in avoid:
            continue
        rank = max(0, gpus), cores, max(0, memory), node
        if (best is None or rank < best) and fit(part, cores, memory, gpus, disk):
            best = rank
    return best[3] if best is not None else -1


Candidate = tuple[int, int, frozenset[int]]
"""A node, how many parts fit there, and the meters of the quotas for nodes that count it."""


Candidates = Callable[[Sequence[int]], Iterable[Candidate]]
"""The nodes of some classes that fit a part, in the order in which they are to be taken."""


def choose(
    layout: Layout, candidates: Candidates, count: int, spread: bool, allowances: dict[int, int]
) -> tuple[list[tuple[int, int]], int]:
    """Where as many as possible of `count` parts go by this layout, and how many are left over.

    `allowances` says how many parts each quota for some nodes still admits; it is used up.
    """
    where: list[tuple[int, int]] = []
    if len(layout.hands) == 1:
        tiers: Iterable[Sequence[int]] = chain(layout.hands[0], layout.rest)
    else:
        count -= _deal(layout.hands, candidates, count, allowances, where)
        tiers = layout.rest
    for kinds in tiers:
        if not count:
            break
        count -= (_spread if spread else _pack)(candidates(kinds), count, allowances, where)
    return where, count


def _pack(
    tier: Iterable[Candidate], count: int, allowances: dict[int, int], where: list[tuple[int, int]]
) -> int:
    """Fill one node after the other; returns how many parts were placed."""
    left = count
    for node, fits, meters in tier:
        parts = allow(min(fits, left), meters, allowances)
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
    dealt: dict[int, int] = {}
    for node in islice(_rounds(tier, count, allowances), count):
        dealt[node] = dealt.get(node, 0) + 1
    where.extend(dealt.items())
    return sum(dealt.values())


def _rounds(tier: Iterable[Candidate], count: int, allowances: dict[int, int]) -> Iterator[int]:
    """The node of each part in turn, of up to `count`: one to every node before any gets a second."""
    nodes = list(islice(tier, count)) if not allowances else list(tier)
    dealt = 0
    while nodes:
        for node, fits, meters in nodes:
            if fits > dealt and allow(1, meters, allowances):
                yield node
        dealt += 1
        nodes = [
            candidate
            for candidate in nodes
            if candidate[1] > dealt and all(allowances.get(meter, 1) for meter in candidate[2])
        ]


def _deal(
    hands: Sequence[Tiers],
    candidates: Candidates,
    count: int,
    allowances: dict[int, int],
    where: list[tuple[int, int]],
) -> int:
    """Give each part to the hand that has the fewest, the first of equals; returns how many were placed."""
    givers = [
        chain.from_iterable(_rounds(candidates(kinds), count, allowances) for kinds in tiers)
        for tiers in hands
    ]
    turns = [(0, hand) for hand in range(len(hands))]
    dealt: dict[int, int] = {}
    left = count
    while left and turns:
        parts, hand = turns[0]
        node = next(givers[hand], None)
        if node is None:
            heappop(turns)
        else:
            dealt[node] = dealt.get(node, 0) + 1
            left -= 1
            heapreplace(turns, (parts + 1, hand))
    where.extend(dealt.items())
    return count - left


def allow(parts: int, meters: frozenset[int], allowances: dict[int, int]) -> int:
    """So many of these parts as the quotas for nodes admit, which have then been used up."""
    for meter in meters:
        parts = min(parts, allowances.get(meter, parts))
    for meter in meters:
        if meter in allowances:
            allowances[meter] -= parts
    return parts


def _candidates(ledger: Ledger, claim: Claim, avoid: Container[int]) -> Candidates:
    """What gives the nodes of some classes that fit a part now, but for those in `avoid`."""
    farm, part = ledger.farm, claim.part

    def of(kinds: Sequence[int]) -> Iterator[Candidate]:
        for node in farm.in_order(part, kinds, claim.spread):
            if node not in avoid:
                yield node, farm.fit(node, part), ledger.metered[farm.class_of[node]]

    return of


def allowances_of(
    ledger: Ledger, claim: Claim, back: Mapping[tuple[int, str | int], int] = NOTHING
) -> dict[int, int]:
    """How many parts each quota for some nodes still admits there, once so much has been given back."""
    allowances = {}
    for meter, key, amount in claim.placed:
        spec = ledger.policy.meters[meter]
        if spec.quota is not None and spec.quota.nodes is not None and amount:
            left = ledger.bounds[meter] - ledger.meters[meter].get(key, 0) + back.get((meter, key), 0)
            allowances[meter] = max(0, left // amount)
    return allowances


def count_room(ledger: Ledger, claim: Claim, now: int) -> int:
    """How many of the claim's parts have room now, at most all of them."""
    room, candidates = 0, _candidates(ledger, claim, ())
    for layout in layouts(ledger, claim, open_tiers(ledger, claim, now), ledger.farm.free_cores):
        _, left = choose(layout, candidates, claim.parts, claim.spread, allowances_of(ledger, claim))
        room = max(room, claim.parts - left)
        if not left:
            break
    return room
