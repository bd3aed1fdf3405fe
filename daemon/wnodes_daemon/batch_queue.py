"""Requests in a batch system's own queue: who goes there, and on which nodes they turn out to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from wnodes_engine import core
from wnodes_engine.backend import SlotRequest
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.unplaced import next_unplaced, nodes_open_to
from wnodes_engine.values import Placement

from wnodes_daemon import dispatching
from wnodes_daemon.memory import Changes, Memory
from wnodes_daemon.records import Dispatch, Entry
from wnodes_daemon.slots import backend_of_claim


def line_up(memory: Memory, now: int, changes: Changes) -> list[tuple[Dispatch, SlotRequest]]:
    """Let requests for which no node is free wait where users submit past us: what is to be submitted.

    They are charged to share and quotas, and to no node. Of each share there are `max_pending` at the most.
    """
    if not memory.shared:
        return []
    state, carried = memory.state, []
    memory.unplaced = {
        key for key in memory.unplaced if (d := memory.dispatches.get(key)) and not d.placement
    }
    pending: Counter[tuple[str, int]] = Counter()
    for key in memory.unplaced:
        dispatch = memory.dispatches[key]
        pending[dispatch.backend, state.running[str(dispatch.request)].claim.leaf] += 1

    def may(claim: Claim) -> bool:
        name = backend_of_claim(memory.policy, claim, memory.backends)
        shared = memory.shared.get(name or "")
        return shared is not None and pending[shared.name, claim.leaf] < shared.max_pending

    while (waiter := next_unplaced(state, may, now)) is not None:
        shared = memory.shared[backend_of_claim(memory.policy, waiter.claim, memory.backends) or ""]
        allowed = nodes_open_to(state, waiter.claim, now, shared.patience)
        allocation = memory.book.start(waiter.request, (), now)
        begun = dispatching.begin(memory, core.Start(state, allocation), now, changes)
        if begun is not None:
            dispatch, slot = begun
            memory.unplaced.add(dispatch.key)
            carried.append((dispatch, msgspec.structs.replace(slot, allowed=allowed or ())))
        pending[shared.name, waiter.claim.leaf] += 1
    return carried


def found_at(
    memory: Memory, dispatch: Dispatch, nodes: Sequence[tuple[str, int]], changes: Changes
) -> Dispatch:
    """The job runs on these nodes, with so many cores there: it is charged to them.

    A node that nobody has shown, or a victim that is about to leave, changes nothing.
    """
    id_ = str(dispatch.request)
    allocation = memory.state.running[id_]
    if any(node not in memory.nodes for node, _ in nodes) or allocation.pledge is not None:
        return dispatch
    placement = _placement(nodes, allocation.claim)
    memory.requeue(id_)
    memory.book.start(allocation.request, placement, memory.now())
    entry = memory.entries[dispatch.request]
    decision = entry.decision
    if decision is not None:
        decision = msgspec.structs.replace(decision, node=placement[0].node, placement=placement)
        memory.move(entry, changes, decision=decision)
    return dispatching.progress(memory, dispatch, changes, placement=placement)


def why(memory: Memory, entry: Entry) -> str:
    """Why the job of a request does not run yet, in the words of its batch system."""
    dispatch = memory.dispatches.get(memory.dispatch_of.get(entry.id, ""))
    if dispatch is None or dispatch.ref is None:
        return entry.message
    said = memory.said.get(dispatch.backend, {}).get(dispatch.key, "")
    return f"job {dispatch.ref.id} waits in {dispatch.backend}: {said}" if said else entry.message


def _placement(nodes: Sequence[tuple[str, int]], claim: Claim) -> tuple[Placement, ...]:
    """The parts on each node. Systems round cores up: what is left over goes where most cores are."""
    left, parts = claim.parts, dict[str, int]()
    for node, cores in nodes:
        parts[node] = min(left, cores // max(1, claim.part.cores))
        left -= parts[node]
    if left:
        parts[max(nodes, key=lambda each: each[1])[0]] += left
    return tuple(Placement(node, count) for node, count in parts.items() if count)
