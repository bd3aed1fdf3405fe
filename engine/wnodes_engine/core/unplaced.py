"""Who may wait in a batch system's own queue: charged to share and quotas, and to no node until it runs.

Where users also submit past us, a node that is free now may not be a moment later, and nothing that waits
here would ever get it. An allocation on no node is a claim on share and quotas alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from wnodes_engine.core.accounts import ratio
from wnodes_engine.core.averages import TICK
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.fitting import held_back
from wnodes_engine.core.placement import open_tiers
from wnodes_engine.core.queue import LeafQueue
from wnodes_engine.core.tracks import WaitClass, Waiter
from wnodes_engine.core.tree import INFINITE

if TYPE_CHECKING:
    from wnodes_engine.core.state import State


def next_unplaced(state: State, may: Callable[[Claim], bool], now: int) -> Waiter | None:
    """Who is next to wait in a batch system's queue, of those whose claims `may`; None if nobody is.

    Quotas have room for it, and its share by its own limits: that the farm is full now is why it is to wait
    there. Leaves are in the order in which a pass looks at them first: whoever is within its nominal amount,
    then whoever has used least of it. What says how parts lie beside each other, or is limited by node, can
    only be given nodes.
    """
    state.advance(now)
    tick = now // TICK

    def first_of(queue: LeafQueue) -> WaitClass | None:
        if not queue.live:
            return None
        found = queue.first_free(lambda claim: kept(claim, strict=queue.order.strict), tick)
        return found[1] if found is not None and not kept(found[1].claim, strict=False) else None

    def kept(claim: Claim, *, strict: bool) -> bool:
        """Whether it is passed by; in a strict leaf nobody passes whom no quota holds back."""
        if strict:
            return held_back(state, claim, now)
        free = not (claim.placed or claim.spread or claim.over >= 0)
        return not (free and may(claim)) or full(claim) or held_back(state, claim, now)

    def full(claim: Claim) -> bool:
        left = state.tree.free
        return any(ask > left(claim.leaf, resource, INFINITE) for resource, ask in claim.asks)

    def rank(members: WaitClass) -> tuple[bool, int, int, int]:
        leaf, wish = members.claim.leaf, members.wish
        used = ratio(state.averages.at(leaf, tick), state.nominal(leaf), wish)
        return not state.tree.within_nominal(leaf, wish), used, *members.at

    firsts = [first for queue in state.queues.values() if (first := first_of(queue)) is not None]
    return min(firsts, key=rank).head() if firsts else None


def nodes_open_to(state: State, claim: Claim, now: int, within: int) -> tuple[str, ...] | None:
    """The nodes on which the claim may start in the next `within` seconds; None where those are all nodes."""
    later = replace(claim, walltime=claim.walltime + within)
    kinds = {kind for tier in open_tiers(state, later, now) for kind in tier}
    farm = state.farm
    names = tuple(name for node, name in enumerate(farm.names) if farm.class_of[node] in kinds)
    return names if len(names) < len(farm.names) else None
