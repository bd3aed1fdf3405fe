"""What the farm as it is configured could hold, empty and with every node up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import fit
from wnodes_engine.core.layout import Tiers, grouped
from wnodes_engine.core.ledger import Ledger
from wnodes_engine.core.placement import allow

if TYPE_CHECKING:
    from wnodes_engine.core.state import State

_SHAPES_KNOWN: Final = 65_536
"""Of how many shapes of requests a state remembers how they fit the empty farm."""


def room_when_empty(ledger: Ledger, claim: Claim, allowances: Mapping[int, int]) -> int:
    """How many of the claim's parts, at most all, the empty farm could hold.

    `allowances` are what quotas for nodes leave, by meter. Of two whose nodes overlap without one having all
    of the other's, the later is not looked at: so it makes no difference which node is filled first.
    """
    limits = _nested(ledger, claim, allowances)
    return max(_room_on(ledger, claim, tiers, limits) for tiers in _groups(ledger, claim))


def room_of_all(state: State, claim: Claim) -> int:
    """The same with no quotas for nodes, remembered."""
    shape = claim.part, claim.parts, claim.rules, claim.over
    known = state.feasible.get(shape)
    if known is None:
        if len(state.feasible) > _SHAPES_KNOWN:
            state.feasible.clear()
        known = state.feasible[shape] = room_when_empty(state, claim, {})
    return known


def parts_needed(state: State, claim: Claim) -> Mapping[int, int]:
    """How many parts quotas for nodes would have to admit on an otherwise empty farm for all to have room.

    By meter; nothing unless such quotas are all that is in the way, and none that stands in a window. Of the
    groups of which one has to hold all parts it is the one that lacks the fewest.
    """
    ever = {
        meter: max(0, state.ever_bounds[meter] // amount)
        for meter, _, amount in claim.placed
        if amount and _is_of_nodes(state, meter)
    }
    limits = _nested(state, claim, ever)
    if not limits:
        return limits
    shape = claim.part, claim.parts, claim.rules, claim.over, tuple(limits.items())
    known = state.needed.get(shape)
    if known is None:
        if len(state.needed) > _SHAPES_KNOWN:
            state.needed.clear()
        known = state.needed[shape] = _needed(state, claim, limits)
    return known


def _needed(ledger: Ledger, claim: Claim, limits: Mapping[int, int]) -> dict[int, int]:
    """By meter, so many parts as these limits would have to be."""
    missing = claim.parts + 1
    there: Tiers = ()
    for tiers in _groups(ledger, claim):
        if _room_on(ledger, claim, tiers, {}) == claim.parts:
            lacks = claim.parts - _room_on(ledger, claim, tiers, limits)
            if lacks < missing:
                missing, there = lacks, tiers
    if not there or not missing:
        return {}
    fits = dict.fromkeys(limits, 0)
    for kind, parts in _fits(ledger, claim, there):
        for meter in limits.keys() & ledger.metered[kind]:
            fits[meter] += parts
    return {
        meter: limit + min(missing, fits[meter] - limit)
        for meter, limit in limits.items()
        if fits[meter] > limit
    }


def _is_of_nodes(ledger: Ledger, meter: int) -> bool:
    quota = ledger.policy.meters[meter].quota
    return quota is not None and quota.nodes is not None


def _nested(ledger: Ledger, claim: Claim, allowances: Mapping[int, int]) -> dict[int, int]:
    """The allowances for fewer parts than all, without those that overlap with one before."""
    kept: dict[int, int] = {}
    nodes: list[set[int]] = []
    for meter, parts in allowances.items():
        if parts < claim.parts:
            kinds = {kind for kind, meters in enumerate(ledger.metered) if meter in meters}
            if all(kinds <= other or other <= kinds or kinds.isdisjoint(other) for other in nodes):
                nodes.append(kinds)
                kept[meter] = parts
    return kept


def _groups(ledger: Ledger, claim: Claim) -> Sequence[Tiers]:
    """The classes of nodes of which one element has to hold all parts."""
    tiers = ledger.tiers(claim.rules)
    if claim.over < 0 or not ledger.policy.checked.places[claim.over].in_one:
        return (tiers,)
    return grouped(ledger, claim.over, tiers)[0]


def _room_on(ledger: Ledger, claim: Claim, tiers: Tiers, allowances: Mapping[int, int]) -> int:
    """How many parts, at most all, these classes hold."""
    left, allowed = claim.parts, dict(allowances)
    for kind, parts in _fits(ledger, claim, tiers):
        left -= allow(min(parts, left), ledger.metered[kind], allowed)
        if left <= 0:
            return claim.parts
    return claim.parts - left


def _fits(ledger: Ledger, claim: Claim, tiers: Tiers) -> Iterator[tuple[int, int]]:
    """The class of each node, and how many parts it holds."""
    farm, part, allowed = ledger.farm, claim.part, {kind for kinds in tiers for kind in kinds}
    for kind, node in zip(farm.class_of, farm.nodes, strict=True):
        if kind in allowed:
            yield kind, fit(part, node.cores, node.memory, node.gpus, node.disk)
