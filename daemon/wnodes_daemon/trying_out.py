"""What another policy would make of what waits and runs now: tried out on a copy, nothing changes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from wnodes_engine import values
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.values import Reason

from wnodes_daemon.memory import Changes, Copied, Memory
from wnodes_daemon.records import EntryChange, State
from wnodes_daemon.taking_up import take_up
from wnodes_daemon.views import Standing


class Outcome(NamedTuple):
    """One request, as it stands now and as it would after a pass under the other policy."""

    request: int
    user: str
    now: Standing
    then: Standing
    reasons: tuple[Reason, ...] = ()


def outcomes(copied: Copied, policy: CompiledPolicy) -> list[Outcome]:
    """Every request that is not over, oldest first. Takes as long as a start does."""
    scratch = Memory(copied.policy, copied.nodes, copied.backends, lambda: copied.now)
    scratch.natives = copied.natives
    changes = Changes()
    stored = msgspec.structs.replace(copied.stored, orders=[], promises=[])
    take_up(scratch, policy, stored, None, "", changes)
    denied = {
        change.entry.id: change.entry.decision
        for change in changes
        if isinstance(change, EntryChange) and change.entry.state is State.DENIED
    }
    moves = scratch.state.schedule(copied.now)
    starts = {start.request.id for start in moves.starts}
    leaves = {preemption.victim for preemption in moves.preemptions}
    found = []
    for entry in copied.stored.entries:
        id_, reasons = str(entry.id), tuple[Reason, ...]()
        if entry.id in denied:
            decision: values.Decision | None = denied[entry.id]
            then, reasons = Standing("denied"), decision.reasons if decision is not None else ()
        elif id_ in starts:
            then = Standing("starts", scratch.state.running[id_].share)
        elif id_ in scratch.state.running:
            then = Standing("leaves" if id_ in leaves else "runs", scratch.state.running[id_].share)
        else:
            made = id_ in scratch.state.pledges
            share = scratch.entries[entry.id].share
            then = Standing("is made room for" if made else "waits", share)
        now = Standing(copied.standing.get(entry.id, "runs"), entry.share)
        found.append(Outcome(entry.id, entry.request.user, now, then, reasons))
    return found
