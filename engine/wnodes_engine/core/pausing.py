"""Suspending: an allocation stays where it is without its cores, until there is room for them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from wnodes_engine.core.claim import Claim, Part
from wnodes_engine.core.ledger import HS23, Allocation
from wnodes_engine.core.limits import full_in, holding_back, over_placed_quota
from wnodes_engine.core.policy import CompiledPolicy

if TYPE_CHECKING:
    from wnodes_engine.core.state import State

SUSPEND: Final = "suspend"

_WORKING: Final = frozenset({0, 2})
"""Cores and GPUs, by their index in `RESOURCES`."""
_COUNTED: Final = frozenset({"cores", "gpus", "hs23"})


def working(claim: Claim) -> Claim:
    """What a claim works with: its cores and GPUs."""
    return replace(
        claim,
        part=Part(claim.part.cores, 0, claim.part.gpus, 0),
        asks=tuple(ask for ask in claim.asks if ask[0] in _WORKING),
    )


def kept(policy: CompiledPolicy, claim: Claim) -> Claim:
    """What is held while it is suspended: all but what it works with, in quotas too."""
    meters = policy.meters
    return replace(
        claim,
        part=Part(0, claim.part.memory, 0, claim.part.disk),
        asks=tuple(ask for ask in claim.asks if ask[0] not in _WORKING),
        meters=tuple(entry for entry in claim.meters if meters[entry[0]].resource not in _COUNTED),
        placed=tuple(entry for entry in claim.placed if meters[entry[0]].resource not in _COUNTED),
    )


def _missing(policy: CompiledPolicy, claim: Claim) -> Claim:
    """What has to be there for it to go on."""
    meters = policy.meters
    return replace(
        working(claim),
        meters=tuple(entry for entry in claim.meters if meters[entry[0]].resource in _COUNTED),
        placed=tuple(entry for entry in claim.placed if meters[entry[0]].resource in _COUNTED),
    )


def pause(state: State, allocation: Allocation, now: int) -> None:
    """The allocation has stopped."""
    state.endings.remove(allocation)
    if state.rules_for:
        state.runners.remove(allocation)
    state.recharge(allocation, kept(state.policy, allocation.claim), now)
    allocation.stopped = now
    state.paused[allocation.request.id] = allocation


def go_on(state: State, now: int) -> list[str]:
    """Let those go on for which there is room again; their ids, in order."""
    resumed = []
    for allocation in sorted(state.paused.values(), key=_first_to_go_on):
        missing = _missing(state.policy, allocation.claim)
        if _has_room(state, allocation, missing):
            state.recharge(allocation, None, now)
            allocation.started += now - allocation.stopped
            del state.paused[allocation.request.id]
            state.endings.add(allocation)
            if state.rules_for:
                state.runners.add(allocation)
            resumed.append(allocation.request.id)
    return resumed


def _first_to_go_on(allocation: Allocation) -> tuple[int, int, str]:
    return -allocation.priority, allocation.started, allocation.request.id


def _has_room(state: State, allocation: Allocation, missing: Claim) -> bool:
    farm, where = state.farm, allocation.where
    if any(not farm.up[node] or farm.fit(node, missing.part) < parts for node, parts in where):
        return False
    if full_in(state.tree, missing) >= 0 or holding_back(state, missing) is not None:
        return False
    if state.policy.tracks_hs23 and state.hs23(missing, where) > state.tree.free(missing.leaf, HS23):
        return False
    return not over_placed_quota(state, missing, where)
