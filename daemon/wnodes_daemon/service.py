"""The one object that owns the state and the store; the API and the loop both go through it.

Whatever changes anything is a command: a plain function that moves the memory and says what to write. The
commands that arrive together run one after another, are committed together, and are answered only then. If
the commit fails, none of them has happened: the memory is made anew from the store, as after a restart.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import Any, Final, TypeVar

import msgspec
from wnodes_engine import core
from wnodes_engine.backend import Ending, JobRef, JobState, SlotRequest
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.decision_log.log import Log
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.values import Decision, Node, Outcome, Request, ShareUse

from wnodes_daemon.grouping import Busy, Grouped
from wnodes_daemon.natives import Native, changed
from wnodes_daemon.records import (
    LIVE,
    ORDER,
    Change,
    CursorChange,
    Dispatch,
    DispatchChange,
    Entry,
    EntryChange,
    Filter,
    NewDispatch,
    NewEntry,
    State,
    Step,
)
from wnodes_daemon.slots import backend_of, slot_of, user_of
from wnodes_daemon.store import Store, StoreUnavailable

R = TypeVar("R")
Changes = list[Change]

_log: Final = logging.getLogger(__name__)
_REMEMBERED: Final = 86400  # seconds in which the job of a dispatch that was given up may still appear
_ENDED_AS: Final = {
    JobState.DONE: State.DONE,
    JobState.FAILED: State.FAILED,
    JobState.CANCELLED: State.CANCELLED,
}


class Service:
    """Requests, dispatches and decisions of one site. Used from one event loop only."""

    def __init__(
        self,
        policy: CompiledPolicy,
        nodes: Iterable[Node],
        store: Store,
        backends: Sequence[str],
        *,
        most_waiting: int = 1_000_000,
        log: Log | None = None,
        log_questions: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`log` is where everything that is done to the state is recorded, from `recover` on."""
        self.policy = policy
        self.nodes: dict[str, Node] = {node.name: node for node in nodes}
        self.state = core.State(policy, self.nodes.values(), preempts=False)
        self._book: core.State | Recorded = self.state
        self._log = log
        self._log_questions = log_questions
        self.entries: dict[int, Entry] = {}
        self.dispatches: dict[str, Dispatch] = {}
        self.dispatch_of: dict[int, str] = {}
        self.given_up: dict[str, Dispatch] = {}
        self.work_to_do = asyncio.Event()
        self.broken = ""
        """Why the store cannot be written now; empty while it can."""
        self._store = store
        self._backends = backends
        self._natives: dict[str, dict[str, Native]] = {}
        self._most_waiting = most_waiting
        self._clock = clock
        self._now = 0
        self._next_id = 1
        self._arriving = 0
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(4, "store-reader")
        self._commands: Grouped[Callable[[Changes], Any], Any] = Grouped(self._perform, most=256)

    # ------------------------------------------------------------------ reading

    def now(self) -> int:
        """Seconds since the epoch; it never goes back, whatever the clock does."""
        self._now = max(self._now, int(self._clock()))
        return self._now

    def decide(self, request: Request) -> Decision:
        """What would become of the request now, with every reason; nothing changes."""
        if self._log_questions and isinstance(self._book, Recorded):
            return self._book.decide(request, self.now())
        return core.decide(self.state, request, self.now())

    def shares(self) -> tuple[ShareUse, ...]:
        """Every share, promised and used, the farm first."""
        return self.state.shares(self.now())

    async def show(self, id_: int) -> Entry | None:
        """One request; a waiting one with the decision of this moment. Raises StoreUnavailable."""
        entry = await self._read(self._store.entry, id_)
        if entry is not None and (request := self.state.waiting.get(str(id_))) is not None:
            return msgspec.structs.replace(entry, decision=self.decide(request))
        return entry

    async def attempts(self, id_: int) -> list[Dispatch]:
        """How a request was carried out so far. Raises StoreUnavailable."""
        return await self._read(self._store.attempts, id_)

    async def page(self, which: Filter) -> list[Entry]:
        """The next requests of a listing. Raises StoreUnavailable."""
        return await self._read(self._store.page, which)

    async def cursor(self, backend: str) -> str:
        """How far the accounting of a backend was taken in. Raises StoreUnavailable."""
        return await self._read(self._store.cursor, backend)

    # ------------------------------------------------------------- the requests

    async def submit(self, requests: Sequence[Request]) -> list[Entry]:
        """Take requests in, in their order; ids and times of submission are given here.

        A request that the policy denies comes back in the state `denied` and with the id 0: it is not kept.
        Raises Busy and StoreUnavailable; then none of them was taken in.
        """
        if len(self.state.waiting) + self._arriving + len(requests) > self._most_waiting:
            raise Busy

        def command(changes: Changes) -> list[Entry]:
            now = self.now()
            return [self._admit(request, now, changes) for request in requests]

        self._arriving += len(requests)
        try:
            entries = await self._do(command)
        finally:
            self._arriving -= len(requests)
        self.work_to_do.set()
        return entries

    async def cancel(self, id_: int) -> Entry | None:
        """Take a request back; None if it is not there or over. Raises Busy and StoreUnavailable."""

        def command(changes: Changes) -> Entry | None:
            if (entry := self.entries.get(id_)) is None:
                return None
            now = self.now()
            if self._book.cancel(str(id_), now):
                return self._move(entry, changes, state=State.CANCELLED, ended=now)
            return self._move(entry, changes, cancelling=True)

        return await self._do(command)

    # ------------------------------------------------- what the loop finds to do

    async def place(self) -> list[tuple[Dispatch, SlotRequest]]:
        """Start what fits: what comes back is to be submitted. Raises Busy and StoreUnavailable."""

        def command(changes: Changes) -> list[tuple[Dispatch, SlotRequest]]:
            now = self.now()
            return [
                carried
                for start in self._book.schedule(now).starts
                if (carried := self._begin(start, now, changes)) is not None
            ]

        return await self._do(command)

    async def step(self, key: str, step: Step, ref: JobRef | None = None, started: int | None = None) -> bool:
        """Record that a dispatch has come as far as this; False if it is over or was further already."""

        def command(changes: Changes) -> bool:
            dispatch = self.dispatches.get(key)
            if dispatch is None or ORDER[dispatch.step] >= ORDER[step]:
                return False
            self._progress(
                msgspec.structs.replace(
                    dispatch,
                    step=step,
                    ref=ref or dispatch.ref,
                    started=started if started is not None else dispatch.started,
                ),
                changes,
            )
            if step is Step.RUNNING:
                self._move(self.entries[dispatch.request], changes, state=State.RUNNING, started=started)
            return True

        return await self._do(command)

    async def endings(self, backend: str, endings: Sequence[Ending], cursor: str) -> int:
        """Take in what accounting says; returns how many of our dispatches are over by it."""

        def command(changes: Changes) -> int:
            over = [ending for ending in endings if self._is_ours(ending)]
            for ending in over:
                self._end(ending, changes)
            changes.append(CursorChange(backend, cursor))
            return len(over)

        over = await self._do(command)
        if over:
            self.work_to_do.set()
        return over

    async def end(self, ending: Ending) -> None:
        """Take in how one job has ended, which accounting does not tell by itself."""

        def command(changes: Changes) -> None:
            if self._is_ours(ending):
                self._end(ending, changes)

        await self._do(command)
        self.work_to_do.set()

    async def refuse(self, key: str, message: str) -> None:
        """The batch system will not have it, or has lost it: the request has failed, or is taken back."""

        def command(changes: Changes) -> None:
            if (dispatch := self.dispatches.get(key)) is not None:
                cancelling = self.entries[dispatch.request].cancelling
                state = State.CANCELLED if cancelling else State.FAILED
                self._release(dispatch, changes, state, message=message)

        await self._do(command)
        self.work_to_do.set()

    async def give_up(self, key: str) -> None:
        """No job of this dispatch has appeared: its request waits again, or ends if it was cancelled."""

        def command(changes: Changes) -> None:
            dispatch = self.dispatches.pop(key, None)
            if dispatch is None:
                return
            recent = self.now() - _REMEMBERED
            self.given_up = {k: old for k, old in self.given_up.items() if old.created >= recent}
            over = msgspec.structs.replace(dispatch, step=Step.GIVEN_UP)
            changes.append(DispatchChange(over))
            self.given_up[key] = over
            del self.dispatch_of[dispatch.request]
            entry, now = self.entries[dispatch.request], self.now()
            if entry.cancelling:
                self._book.finish(entry.request.id, now)
                self._move(entry, changes, state=State.CANCELLED, ended=now)
            else:
                self._book.requeue(entry.request.id, now)
                self._move(entry, changes, state=State.WAITING, decision=None)

        await self._do(command)
        self.work_to_do.set()

    def see_nodes(self, nodes: Iterable[Node]) -> list[Node]:
        """Take in the nodes as a backend shows them; returns those that have changed."""
        changed = [node for node in nodes if self.nodes.get(node.name) != node]
        if changed:
            self.nodes |= {node.name: node for node in changed}
            self._book.advance(self.now())
            self._book.set_nodes(changed)
            self.work_to_do.set()
        return changed

    def see_natives(self, backend: str, natives: Iterable[Native]) -> list[str]:
        """Charge what users run past us to its shares; returns the ids of jobs that cannot be."""
        known = self._natives.setdefault(backend, {})
        gone, new = changed(known, natives)
        for id_ in gone:
            del known[id_]
            if id_ in self.state.running:
                self._book.finish(id_, self.now())
        for native in new:
            known[native.request.id] = native
        if gone or new:
            self.work_to_do.set()
        return [native.request.id for native in new if not self._charge(native)]

    def _charge(self, native: Native) -> bool:
        for place in native.placement:
            if place.node not in self.nodes:
                return False
        try:
            self._book.start(native.request, native.placement, native.since, native=True)
        except ValueError:
            return False
        return True

    # ---------------------------------------------------- restart, reload, close

    async def recover(self) -> None:
        """Make the memory anew from the store. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        stored = await loop.run_in_executor(self._writer, self._load)
        if changes := self._rebuild(self.policy, "taken up from the store", *stored):
            await loop.run_in_executor(self._writer, self._store.commit, changes)
        self.broken = ""
        self.work_to_do.set()

    async def reload(self, policy: CompiledPolicy) -> None:
        """Go on under another policy; what waits and is not admitted by it is denied.

        Raises Busy and StoreUnavailable; then the old policy goes on.
        """
        old = self.policy

        def command(changes: Changes) -> None:
            entries, dispatches = list(self.entries.values()), list(self.dispatches.values())
            given_up = list(self.given_up.values())
            why, last_id = "the policy was reloaded", self._next_id - 1
            changes += self._rebuild(policy, why, last_id, entries, dispatches, given_up)

        try:
            await self._do(command)
        except StoreUnavailable:
            self.policy = old  # the memory is made anew under it
            raise
        self.work_to_do.set()

    async def close(self) -> None:
        """Wait for the last write, and let go of the store."""
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self._store.close()

    def _load(self) -> tuple[int, list[Entry], list[Dispatch], list[Dispatch]]:
        store, recent = self._store, int(self._clock()) - _REMEMBERED
        return store.last_id(), store.live(), store.live_dispatches(), store.given_up(recent)

    def _rebuild(
        self,
        policy: CompiledPolicy,
        why: str,
        last_id: int,
        entries: Sequence[Entry],
        dispatches: Sequence[Dispatch],
        given_up: Sequence[Dispatch],
    ) -> Changes:
        now, changes = self.now(), Changes()
        for place in (place for dispatch in dispatches for place in dispatch.placement):
            if place.node not in self.nodes:  # it was there once, and something of ours is on it
                self.nodes[place.node] = Node(place.node, cores=0, memory=0, up=False)
        self.policy, self.state = policy, core.State(policy, self.nodes.values(), preempts=False)
        self._book = Recorded(self.state, self._log, why) if self._log is not None else self.state
        self.dispatches = {dispatch.key: dispatch for dispatch in dispatches}
        self.dispatch_of = {dispatch.request: dispatch.key for dispatch in dispatches}
        self.given_up = {dispatch.key: dispatch for dispatch in given_up}
        self.entries = {entry.id: entry for entry in entries}
        self._next_id = max(self._next_id, last_id + 1)
        begun: list[tuple[int, Entry | Native]] = [
            (self._since(entry), entry) for entry in entries if entry.id in self.dispatch_of
        ]
        begun += [(each.since, each) for known in self._natives.values() for each in known.values()]
        for since, one in sorted(begun, key=itemgetter(0)):  # the core's time does not go back
            if isinstance(one, Native):
                self._charge(one)
                continue
            dispatch = self.dispatches[self.dispatch_of[one.id]]
            self._book.start(one.request, dispatch.placement, since)
        for entry in entries:
            if entry.id in self.dispatch_of:
                share: str | None = self.state.running[entry.request.id].share
            else:
                decision = self._book.submit(entry.request, now)
                share = decision.share
                if decision.outcome is Outcome.DENY:
                    self._move(entry, changes, state=State.DENIED, decision=decision, ended=now)
                    continue
            if share != entry.share:  # the policy is another
                self._move(entry, changes, share=share)
        return changes

    def _since(self, entry: Entry) -> int:
        """Since when a request that was dispatched has held its nodes."""
        dispatch = self.dispatches[self.dispatch_of[entry.id]]
        return dispatch.created if dispatch.started is None else dispatch.started

    # ------------------------------------------------------------ inside commands

    async def _do(self, command: Callable[[Changes], R]) -> R:
        """Run a command; returns when what it changed is on the disk. Raises Busy and StoreUnavailable."""
        result: R = await self._commands(command)
        return result

    async def _perform(self, commands: list[Callable[[Changes], Any]]) -> list[Any]:
        if self.broken:
            raise StoreUnavailable(self.broken)
        changes: Changes = []
        try:
            results = [command(changes) for command in commands]
            if changes:
                await asyncio.get_running_loop().run_in_executor(self._writer, self._store.commit, changes)
        except Exception as error:  # whatever it was, the memory is ahead of the store now
            self.broken = str(error) or type(error).__name__
            if not isinstance(error, StoreUnavailable):
                _log.exception("a command went wrong")
            self.work_to_do.set()
            raise StoreUnavailable(self.broken) from error
        return results

    def _admit(self, request: Request, now: int, changes: Changes) -> Entry:
        id_ = self._next_id
        request = msgspec.structs.replace(request, id=str(id_), submitted=now)
        decision = self._book.submit(request, now)
        if decision.outcome is Outcome.DENY:
            return Entry(0, request, State.DENIED, decision.share, decision=decision)
        self._next_id += 1
        entry = self.entries[id_] = Entry(id_, request, State.WAITING, decision.share)
        changes.append(NewEntry(entry))
        return entry

    def _begin(self, start: core.Start, now: int, changes: Changes) -> tuple[Dispatch, SlotRequest] | None:
        request, decision = start.request, start.decision
        entry = self.entries[int(request.id)]
        backend = backend_of(decision.route, self._backends)
        if backend is None:
            self._book.finish(request.id, now)
            message = f"no backend carries this out: the policy routes it to {decision.route}"
            self._move(entry, changes, state=State.FAILED, ended=now, message=message)
            return None
        key, user = secrets.token_hex(12), user_of(request)
        dispatch = Dispatch(key, entry.id, backend, decision.placement, now, user=user)
        self.dispatches[dispatch.key] = dispatch
        self.dispatch_of[entry.id] = dispatch.key
        changes.append(NewDispatch(dispatch))
        self._move(entry, changes, state=State.STARTING, share=decision.share, decision=decision)
        return dispatch, slot_of(dispatch, self.state.running[request.id], decision.route)

    def _is_ours(self, ending: Ending) -> bool:
        """Ids are used again, and keys can be copied: all of what was recorded has to be the same."""
        dispatch = self.dispatches.get(ending.ref.key)
        return dispatch is not None and (dispatch.ref is None or dispatch.ref == ending.ref)

    def _end(self, ending: Ending, changes: Changes) -> None:
        dispatch = self.dispatches[ending.ref.key]
        state = _ENDED_AS.get(ending.state, State.FAILED)
        if state is State.FAILED and self.entries[dispatch.request].cancelling:
            state = State.CANCELLED  # many a batch system calls a killed job a failed one
        if ending.started_at is not None and dispatch.started is None:
            dispatch = msgspec.structs.replace(dispatch, started=ending.started_at)
        _log.info("ended", extra={"request": dispatch.request, "key": dispatch.key, "as": state})
        untold = state is State.FAILED and ending.exit_status is None
        message = "it ended without an exit status: its node may have failed" if untold else ""
        self._release(
            msgspec.structs.replace(dispatch, ref=ending.ref),
            changes,
            state,
            message=message,
            started=dispatch.started,
            ended=ending.ended_at,
            exit_status=ending.exit_status,
        )

    def _release(self, dispatch: Dispatch, changes: Changes, state: State, **more: Any) -> None:
        """A dispatch is over, and its request with it."""
        changes.append(DispatchChange(msgspec.structs.replace(dispatch, step=Step.ENDED)))
        del self.dispatches[dispatch.key], self.dispatch_of[dispatch.request]
        entry, now = self.entries[dispatch.request], self.now()
        if entry.request.id in self.state.running:
            self._book.finish(entry.request.id, now)
        self._move(entry, changes, **{"state": state, "ended": now, **more})

    def _progress(self, dispatch: Dispatch, changes: Changes) -> None:
        self.dispatches[dispatch.key] = dispatch
        changes.append(DispatchChange(dispatch))

    def _move(self, entry: Entry, changes: Changes, **to: Any) -> Entry:
        moved = msgspec.structs.replace(entry, **to)
        changes.append(EntryChange(moved))
        if moved.state in LIVE:
            self.entries[moved.id] = moved
        else:
            del self.entries[moved.id]
        return moved

    async def _read(self, read: Callable[..., R], *arguments: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._readers, read, *arguments)
