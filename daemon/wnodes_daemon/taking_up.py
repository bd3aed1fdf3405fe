"""The memory made anew: after a restart from the store, or under another policy from what is known.

What runs is put back where it is, what waits is queued in its old order, and whoever was told to leave goes
on leaving. Under the policy that had admitted them, requests are not asked about again: rules at the door are
for who comes in. Under another, what waits and is not admitted is denied.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from wnodes_engine import core
from wnodes_engine.core.decide import admit
from wnodes_engine.core.history import HOUR
from wnodes_engine.core.pausing import pause
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.core.promises import Pledge, owe, set_aside
from wnodes_engine.core.room import Given
from wnodes_engine.decision_log.log import Log
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.values import Outcome

from wnodes_daemon import making_room, past_use
from wnodes_daemon.memory import Changes, Copied, Memory
from wnodes_daemon.natives import Native
from wnodes_daemon.records import (
    Entry,
    KnownPolicy,
    Leave,
    NewPolicy,
    Order,
    PastUse,
    Promise,
    PromiseOver,
    State,
    Stored,
    UseChange,
)

_log: Final = logging.getLogger(__name__)
_POLICY: Final = "policy"
"""The kind of past use that says which policy had admitted what waits."""


def take_up(
    memory: Memory, policy: CompiledPolicy, stored: Stored, log: Log | None, why: str, changes: Changes
) -> None:
    """Make the memory anew from what is stored; what has to be written is added to the changes."""
    now = memory.now()
    for dispatch in stored.dispatches:
        memory.know(dispatch.placement)
    memory.policy, memory.state = policy, core.State(policy, memory.nodes.values())
    memory.book = memory.state
    memory.dispatches = {dispatch.key: dispatch for dispatch in stored.dispatches}
    memory.dispatch_of = {dispatch.request: dispatch.key for dispatch in stored.dispatches}
    memory.baits = {bait.key: bait for bait in stored.baits}
    memory.beginning.clear()
    memory.unplaced = {dispatch.key for dispatch in stored.dispatches if not dispatch.placement}
    memory.given_up = {dispatch.key: dispatch for dispatch in stored.given_up}
    memory.entries = {entry.id: entry for entry in stored.entries}
    memory.orders = {order.victim: order for order in stored.orders if order.step in making_room.STANDING}
    memory.promised = {promise.request for promise in stored.promises}
    memory.next_id = max(memory.next_id, stored.last_id + 1)
    memory.next_order = max(memory.next_order, stored.last_order + 1)
    memory.spent.clear()
    memory.written = {(use.kind, use.name): use.value for use in stored.past_use}
    memory.written_at = -1
    _put_back(memory, stored)
    _queue(memory, stored, now, changes)
    memory.state.serial = max(memory.state.serial, memory.next_id)
    memory.state.advance(now)
    _suspend(memory, now)
    past_use.restore(memory.state, (use for use in stored.past_use if use.kind != _POLICY))
    _remember(memory, stored.orders)
    _promise(memory, stored, changes)
    making_room.follow(memory, changes)
    if not _is_policy_of(policy, stored.past_use):
        use = PastUse(_POLICY, "", policy.digest.encode())
        memory.written[use.kind, use.name] = use.value
        changes.append(UseChange(use))
    memory.book = Recorded(memory.state, log, why) if log is not None else memory.state


def new_policy(known: Sequence[KnownPolicy], policy: CompiledPolicy, now: int, origin: str) -> NewPolicy:
    """A policy that is in force from now on, after those that are known."""
    number = known[-1].number + 1 if known else 1
    sources = tuple((source.path, source.text) for source in policy.checked.sources)
    return NewPolicy(KnownPolicy(number, policy.digest, policy.checked.name, now, origin, sources))


def copied(memory: Memory) -> Copied:
    """The memory as it is now."""
    state, standing = memory.state, {}
    for id_ in memory.entries:
        name = str(id_)
        if name in state.pledges:
            standing[id_] = "is made room for"
        elif name in state.waiters:
            standing[id_] = "waits"
        elif name in memory.orders and memory.orders[name].step in {Leave.TOLD, Leave.LEAVING}:
            standing[id_] = "leaves"
    return Copied(
        memory.policy,
        list(memory.nodes.values()),
        memory.backends,
        {name: dict(known) for name, known in memory.natives.items()},
        as_stored(memory),
        standing,
        memory.now(),
    )


def as_stored(memory: Memory) -> Stored:
    """What the memory is made of now, for making it anew under another policy."""
    state = memory.state
    known = {(use.kind, use.name): use for use in past_use.everything(state)}
    old = memory.written.get((_POLICY, ""), b"")
    promises = [
        Promise(
            int(id_),
            pledge.number,
            pledge.rule,
            memory.policy.digest,
            pledge.leave_by,
            state.placement(pledge.where),
        )
        for id_, pledge in state.pledges.items()
    ]
    return Stored(
        last_id=memory.next_id - 1,
        last_order=memory.next_order - 1,
        entries=list(memory.entries.values()),
        dispatches=list(memory.dispatches.values()),
        given_up=list(memory.given_up.values()),
        orders=list(memory.orders.values()),
        promises=promises,
        past_use=[*known.values(), PastUse(_POLICY, "", old)],
        baits=list(memory.baits.values()),
    )


def _is_policy_of(policy: CompiledPolicy, known: list[PastUse]) -> bool:
    return any(use.kind == _POLICY and use.value == policy.digest.encode() for use in known)


def _put_back(memory: Memory, stored: Stored) -> None:
    """Charge what runs, in the order of time, for the core's does not go back. Serials are ids."""
    state = memory.state
    begun: list[tuple[int, Entry | Native]] = []
    for entry in stored.entries:
        if (key := memory.dispatch_of.get(entry.id)) is not None:
            dispatch = memory.dispatches[key]
            since = dispatch.created if dispatch.started is None else dispatch.started
            begun.append((since + dispatch.paused, entry))
    begun += [(each.since, each) for known in memory.natives.values() for each in known.values()]
    for since, one in sorted(begun, key=itemgetter(0)):
        if isinstance(one, Native):
            memory.charge(one)
        else:
            state.serial = one.id - 1
            state.start(one.request, memory.dispatches[memory.dispatch_of[one.id]].placement, since)


def _queue(memory: Memory, stored: Stored, now: int, changes: Changes) -> None:
    """Let wait what waits, in its old order."""
    state, known = memory.state, _is_policy_of(memory.policy, stored.past_use)
    state.advance(now)
    for entry in stored.entries:
        if entry.id in memory.dispatch_of:
            share: str | None = state.running[entry.request.id].share
        else:
            state.serial = entry.id - 1
            claim = admit(state, entry.request)[0] if known else None
            if claim is not None:
                state.enqueue(entry.request, claim)
                share = state.tree.shares[claim.leaf].path
            else:
                decision = state.submit(entry.request, now)
                share = decision.share
                if decision.outcome is Outcome.DENY:
                    memory.move(entry, changes, state=State.DENIED, decision=decision, ended=now)
                    continue
        if share != entry.share:  # the policy is another
            memory.move(entry, changes, share=share)


def _suspend(memory: Memory, now: int) -> None:
    """Let stand still what does."""
    for order in memory.orders.values():
        allocation = memory.state.allocations.get(order.victim)
        if allocation is not None and order.step is Leave.STOPPED:
            pause(memory.state, allocation, now)
            if order.ended is not None:
                allocation.stopped = max(order.ended, allocation.started)


def _remember(memory: Memory, orders: list[Order]) -> None:
    """How often each had to leave, for whom, and how many each rule has told."""
    state, now = memory.state, memory.now()
    live = {str(id_) for id_ in memory.entries}
    times: defaultdict[str, int] = defaultdict(int)
    pushed_by: defaultdict[str, set[str]] = defaultdict(set)
    made_room: defaultdict[str, set[str]] = defaultdict(set)
    memory.owed.clear()
    for order in sorted(orders, key=lambda order: order.told):
        beneficiary = str(order.beneficiary)
        budgeted = order.step not in {Leave.LET_OFF, Leave.OVER} and order.policy == memory.policy.digest
        if budgeted and order.told > now - HOUR:
            state.history.tell(order.rule, order.victim, order.told)
        if order.ended is None or order.step is Leave.OVER:
            continue
        if order.victim in live:
            times[order.victim] += 1
            if beneficiary in live:
                pushed_by[order.victim].add(beneficiary)
        if beneficiary in live and order.needed:
            made_room[beneficiary].add(order.victim)
            memory.owed.add(order.beneficiary)
    for id_ in times.keys() | made_room.keys() | pushed_by.keys():
        state.history.restore(id_, times[id_], made_room[id_], pushed_by[id_])


def _promise(memory: Memory, stored: Stored, changes: Changes) -> None:
    """Keep the promises of the policy that is in force; others are off, and their victims may stay."""
    state = memory.state
    for promise in sorted(stored.promises, key=lambda promise: promise.number):
        waiter = state.waiters.get(str(promise.request))
        nodes = [state.farm.index.get(place.node, -1) for place in promise.placement]
        whole = waiter is not None and sum(p.parts for p in promise.placement) == waiter.claim.parts
        if (
            waiter is None
            or not whole
            or promise.policy != memory.policy.digest
            or any(node < 0 or not state.farm.up[node] for node in nodes)
        ):
            _log.info("a promise of room is off", extra={"request": promise.request})
            memory.promised.discard(promise.request)
            changes.append(PromiseOver(promise.request))
            continue
        where = tuple((n, place.parts) for n, place in zip(nodes, promise.placement, strict=True))
        pledge = Pledge(promise.number, waiter, promise.rule, where, promise.leave_by)
        state.promised = max(state.promised, promise.number)
        set_aside(state, pledge)
        actions = memory.policy.checked.preempts[promise.rule].taking.actions
        for order in memory.orders.values():
            victim = state.allocations.get(order.victim)
            if (
                victim is not None
                and order.beneficiary == promise.request
                and order.step in {Leave.TOLD, Leave.LEAVING}
                and victim.pledge is None
            ):
                owe(state, pledge, victim, Given(state, victim, actions[victim.request.kind]))
