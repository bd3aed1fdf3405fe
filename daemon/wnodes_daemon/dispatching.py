"""The life of a request, step by step: taken in, begun, run, over, or waiting again."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from wnodes_engine import core
from wnodes_engine.backend import Ending, JobState, SlotRequest
from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.values import Outcome, Request

from wnodes_daemon import making_room
from wnodes_daemon.baits.recording import executor_of, note_ending
from wnodes_daemon.baits.records import Bait, Then
from wnodes_daemon.memory import Changes, Memory
from wnodes_daemon.natives import Native, changed
from wnodes_daemon.records import (
    Dispatch,
    DispatchChange,
    Entry,
    Leave,
    NewDispatch,
    NewEntry,
    RoomUsed,
    State,
    Step,
)
from wnodes_daemon.slots import backend_of, slot_of, user_of

REMEMBERED: Final = 86400
"""Seconds in which the job of a dispatch that was given up may still appear."""

_log: Final = logging.getLogger(__name__)
_ENDED_AS: Final = {
    JobState.DONE: State.DONE,
    JobState.FAILED: State.FAILED,
    JobState.CANCELLED: State.CANCELLED,
}


def take_in(memory: Memory, request: Request, now: int, changes: Changes) -> Entry:
    """Admit a request and let it wait; one that is denied has the id 0, and is not kept."""
    id_ = memory.next_id
    request = msgspec.structs.replace(request, id=str(id_), submitted=now)
    decision = memory.book.submit(request, now)
    if decision.outcome is Outcome.DENY:
        return Entry(0, request, State.DENIED, decision.share, decision=decision)
    memory.next_id += 1
    entry = memory.entries[id_] = Entry(id_, request, State.WAITING, decision.share)
    changes.append(NewEntry(entry))
    return entry


def begin(
    memory: Memory, start: core.Start, now: int, changes: Changes
) -> tuple[Dispatch, SlotRequest] | None:
    """A request was given its nodes: what is to be submitted, or None if nobody can carry it out."""
    request, decision = start.request, start.decision
    entry = memory.entries[int(request.id)]
    if entry.id in memory.owed:
        memory.owed.discard(entry.id)
        changes.append(RoomUsed(entry.id))
    backend = backend_of(decision.route, memory.backends)
    if backend is None:
        memory.finish(request.id)
        message = f"no backend carries this out: the policy routes it to {decision.route}"
        memory.move(entry, changes, state=State.FAILED, ended=now, message=message)
        return None
    key, user = secrets.token_hex(12), user_of(request)
    dispatch = Dispatch(key, entry.id, backend, decision.placement, now, user=user)
    memory.dispatches[dispatch.key] = dispatch
    memory.dispatch_of[entry.id] = dispatch.key
    memory.beginning.add(dispatch.key)
    changes.append(NewDispatch(dispatch))
    memory.move(entry, changes, state=State.STARTING, share=decision.share, decision=decision, message="")
    return dispatch, slot_of(dispatch, memory.state.running[request.id], decision.route)


def ends(memory: Memory, entry: Entry) -> int | None:
    """When the walltime of a request that runs is over; None for one that does not, or has no limit."""
    dispatch = memory.dispatches.get(memory.dispatch_of.get(entry.id, ""))
    allocation = memory.state.running.get(str(entry.id))
    if entry.state is not State.RUNNING or dispatch is None or dispatch.started is None or allocation is None:
        return None
    walltime = allocation.claim.walltime
    return None if walltime >= UNLIMITED else dispatch.started + dispatch.paused + walltime


def progress(memory: Memory, dispatch: Dispatch, changes: Changes, **to: Any) -> Dispatch:
    """A dispatch has come as far as this."""
    moved = msgspec.structs.replace(dispatch, **to)
    memory.dispatches[moved.key] = moved
    changes.append(DispatchChange(moved))
    return moved


def stop(memory: Memory, dispatch: Dispatch, changes: Changes) -> bool:
    """The job was seen suspended, as it was to be; False if that is known already."""
    entry = memory.entries[dispatch.request]
    if not making_room.stopped(memory, entry.request.id, changes):
        return False
    memory.move(entry, changes, state=State.SUSPENDED)
    return True


def may_go_on(memory: Memory, victim: str, changes: Changes) -> None:
    """There is room again for one that is suspended: its walltime has stood still, too."""
    making_room.goes_on(memory, victim, changes)
    key = memory.dispatch_of.get(int(victim)) if victim.isdigit() else None
    if key is not None:
        dispatch = memory.dispatches[key]
        began = dispatch.created if dispatch.started is None else dispatch.started
        paused = max(0, memory.state.running[victim].started - began)
        progress(memory, dispatch, changes, paused=paused)


def go_on(memory: Memory, dispatch: Dispatch, changes: Changes) -> bool:
    """The job was seen to run again, as it was to; False if that is known already."""
    entry = memory.entries[dispatch.request]
    if not making_room.is_back(memory, entry.request.id, changes):
        return False
    memory.move(entry, changes, state=State.RUNNING)
    return True


def is_ours(memory: Memory, ending: Ending) -> bool:
    """Ids are used again, and keys can be copied: all of what was recorded has to be the same."""
    dispatch = memory.dispatches.get(ending.ref.key)
    return dispatch is not None and (dispatch.ref is None or dispatch.ref == ending.ref)


def end(memory: Memory, ending: Ending, changes: Changes) -> None:
    """A job has ended, by itself or because it had to."""
    if note_ending(memory, ending, changes):
        return
    dispatch = memory.dispatches[ending.ref.key]
    if ending.started_at is not None and dispatch.started is None:
        dispatch = msgspec.structs.replace(dispatch, started=ending.started_at)
    dispatch = msgspec.structs.replace(dispatch, ref=ending.ref)
    entry, state = memory.entries[dispatch.request], _ENDED_AS.get(ending.state, State.FAILED)
    id_, message = entry.request.id, ""
    _log.info("ended", extra={"request": dispatch.request, "key": dispatch.key, "as": state})
    if entry.cancelling:
        state = State.CANCELLED if state is State.FAILED else state  # many call a killed job a failed one
    elif dispatch.step is Step.WITHDRAWING and (ending.state is JobState.CANCELLED or not ending.nodes):
        wait_again(memory, dispatch, Step.ENDED, changes)  # it had never begun
        return
    elif state is not State.DONE and making_room.is_leaving(memory, id_):
        if memory.orders[id_].action != making_room.DELETE:
            wait_again(memory, dispatch, Step.ENDED, changes)
            return
        state, message = State.CANCELLED, making_room.left(memory, id_, changes)
    elif executor_of(memory, entry) and state is not State.DONE:
        wait_again(memory, dispatch, Step.ENDED, changes)  # its bait is gone, and nothing was booted
        return
    elif state is State.FAILED and ending.exit_status is None:
        message = "it ended without an exit status: its node may have failed"
    release(
        memory,
        dispatch,
        changes,
        state,
        message=message,
        started=dispatch.started,
        ended=ending.ended_at,
        exit_status=ending.exit_status,
    )


def vanished(memory: Memory, dispatch: Dispatch, changes: Changes) -> bool:
    """The job of a bait has ended, and nobody knows how; False if it is no bait."""
    if dispatch.ref is None:
        return False
    ending = Ending(dispatch.ref, JobState.UNKNOWN, dispatch.started, memory.now(), None)
    return note_ending(memory, ending, changes)


def bait_ended(memory: Memory, bait: Bait, changes: Changes) -> None:
    """A bait is over, and nothing of its machine is left: so is its request, or it waits again."""
    del memory.baits[bait.key]
    dispatch = memory.dispatches[bait.key]
    entry, id_ = memory.entries[bait.request], str(bait.request)
    state = State.FAILED if bait.then is Then.FAILED else State.DONE
    message = bait.why
    if entry.cancelling:
        state = State.CANCELLED
    elif making_room.is_leaving(memory, id_):
        if memory.orders[id_].action != making_room.DELETE:
            wait_again(memory, dispatch, Step.ENDED, changes)
            return
        state, message = State.CANCELLED, making_room.left(memory, id_, changes)
    elif bait.then is Then.AGAIN:
        wait_again(memory, dispatch, Step.ENDED, changes)
        return
    release(memory, dispatch, changes, state, message=message)


def release(memory: Memory, dispatch: Dispatch, changes: Changes, state: State, **more: Any) -> None:
    """A dispatch is over, and its request with it."""
    changes.append(DispatchChange(msgspec.structs.replace(dispatch, step=Step.ENDED)))
    del memory.dispatches[dispatch.key], memory.dispatch_of[dispatch.request]
    entry = memory.entries[dispatch.request]
    making_room.left(memory, entry.request.id, changes)
    if entry.request.id in memory.state.running:
        memory.finish(entry.request.id)
    memory.move(entry, changes, **{"state": state, "ended": memory.now(), **more})


def wait_again(memory: Memory, dispatch: Dispatch, step: Step, changes: Changes) -> None:
    """A dispatch is over, and its request is not: it waits again, or ends if it was cancelled."""
    over = msgspec.structs.replace(dispatch, step=step)
    changes.append(DispatchChange(over))
    del memory.dispatches[dispatch.key], memory.dispatch_of[dispatch.request]
    if step is Step.GIVEN_UP:
        recent = memory.now() - REMEMBERED
        memory.given_up = {k: old for k, old in memory.given_up.items() if old.created >= recent}
        memory.given_up[over.key] = over
    entry = memory.entries[dispatch.request]
    message = making_room.left(memory, entry.request.id, changes)
    if entry.cancelling:
        memory.finish(entry.request.id)
        memory.move(entry, changes, state=State.CANCELLED, ended=memory.now())
    else:
        memory.requeue(entry.request.id)
        memory.move(entry, changes, state=State.WAITING, decision=None, started=None, message=message)


def see_natives(memory: Memory, backend: str, shown: Sequence[Native], changes: Changes) -> list[str]:
    """Charge what users run past us to its shares; returns the ids of jobs that cannot be.

    One that was told to stop where it is stays charged with what it keeps.
    """
    known = memory.natives.setdefault(backend, {})
    uncharged = []
    still = {n.request.id for n in shown if n.suspended and _stands_still(memory, n.request.id, changes)}
    running = [native for native in shown if not native.suspended]
    gone, new = changed(known, running)
    for id_ in gone:
        if id_ in still:
            continue
        del known[id_]
        making_room.left(memory, id_, changes)
        if id_ in memory.state.running:
            memory.finish(id_)
    for native in new:
        known[native.request.id] = native
        if not memory.charge(native):
            uncharged.append(native.request.id)
    for native in running:
        making_room.is_back(memory, native.request.id, changes)
    return uncharged


def _stands_still(memory: Memory, id_: str, changes: Changes) -> bool:
    """Whether a suspended native job is one that we have stopped."""
    making_room.stopped(memory, id_, changes)
    order = memory.orders.get(id_)
    return order is not None and order.step in {Leave.STOPPED, Leave.RETURNING}
