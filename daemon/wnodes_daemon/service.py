"""The one object that owns the memory and the store; the API and the loop both go through it.

Whatever changes anything is a command: see `committing`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec
from wnodes_engine import core
from wnodes_engine.backend import Ending, JobRef, SlotRequest
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.decision_log.log import Log
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.payload import NOTHING, Payload
from wnodes_engine.simulate.forecast import Estimate
from wnodes_engine.site import Plugin
from wnodes_engine.values import Decision, Node, Request, ShareUse

from wnodes_daemon import batch_queue, dispatching, making_room
from wnodes_daemon.answering import Call, KeyUsed, answered
from wnodes_daemon.baits.recording import executor_of, how_far
from wnodes_daemon.committing import Commands, NativesOf
from wnodes_daemon.estimating import Estimates
from wnodes_daemon.grouping import Busy
from wnodes_daemon.memory import Changes, Memory
from wnodes_daemon.natives import Native, changed
from wnodes_daemon.records import (
    ORDER,
    Answer,
    CursorChange,
    Dispatch,
    Entry,
    Leave,
    NewAnswer,
    NewPayload,
    State,
    Step,
)
from wnodes_daemon.store import Store, StoreUnavailable
from wnodes_daemon.taking_up import as_stored, new_policy, take_up

_log: Final = logging.getLogger(__name__)
_FRESH: Final = 600
"""Seconds after which an answer is certainly seen by whoever reads the store."""


class Service(Commands):
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
        tell: Callable[[Changes, float], None] = lambda _, __: None,
        shared: Mapping[str, Plugin] = MappingProxyType({}),
        executors: Iterable[str] = (),
    ) -> None:
        """`log` is where everything that is done to the state is recorded, from `recover` on.

        `tell` hears of changes once they are on the disk, and how many seconds that took. `shared` are
        the backends that users also submit to past us, by name; `executors` boot machines.
        """
        memory = Memory(policy, nodes, backends, clock, shared, executors)
        super().__init__(memory, store, clock, log, tell)
        self._log_questions = log_questions
        self._most_waiting = most_waiting
        self._arriving = 0
        self._fresh: dict[tuple[str, str], Answer] = {}
        """Answers that are not in the store yet, or only just."""
        self._estimates = Estimates()

    # ------------------------------------------------------------------ reading

    def decide(self, request: Request) -> Decision:
        """What would become of the request now, with every reason; nothing changes."""
        book = self.memory.book
        if self._log_questions and isinstance(book, Recorded):
            return book.decide(request, self.now())
        return core.decide(self.state, request, self.now())

    def decide_all(self, requests: Sequence[Request]) -> list[Decision]:
        """What would become of each, if it alone came in now; nothing changes."""
        book = self.memory.book
        if self._log_questions and isinstance(book, Recorded):
            return [book.decide(request, self.now()) for request in requests]
        return core.decide_all(self.state, requests, self.now())

    def shares(self) -> tuple[ShareUse, ...]:
        """Every share, promised and used, the farm first."""
        return self.state.shares(self.now())

    async def show(self, id_: int) -> Entry | None:
        """One request; a waiting one with the decision of this moment. Raises StoreUnavailable."""
        entry = await self._read(self._store.entry, id_)
        if entry is not None and (request := self.state.waiting.get(str(id_))) is not None:
            return msgspec.structs.replace(entry, decision=self.decide(request))
        if entry is not None and entry.state is State.STARTING:
            message = how_far(self.memory, entry) or batch_queue.why(self.memory, entry)
            return msgspec.structs.replace(entry, message=message)
        return entry

    def ends(self, entry: Entry) -> int | None:
        """When the walltime of a request that runs is over; None for one that does not, or has no limit."""
        return dispatching.ends(self.memory, entry)

    async def estimate(self, id_: int) -> Estimate | None:
        """When a request that waits is likely to start; None where that is not known."""
        return await self._estimates.of(self.state, str(id_), self.now())

    def is_taken_back(self, request: int) -> bool:
        """Whether its job is not to start any more: it is over, was cancelled, or has to leave."""
        entry = self.entries.get(request)
        if entry is None or entry.cancelling:
            return True
        order = self.orders.get(str(request))
        return order is not None and order.step is Leave.LEAVING

    # ------------------------------------------------------------- the requests

    async def submit(
        self, requests: Sequence[Request], call: Call | None = None, payloads: Sequence[Payload] = ()
    ) -> list[Entry]:
        """Take requests in, in their order; ids and times of submission are given here.

        `payloads` is what each runs; nothing, if it is left out.

        A request that the policy denies comes back in the state `denied` and with the id 0: it is not kept.
        A `call` that was made before is answered as it was then. Raises Busy and StoreUnavailable; then none
        of them was taken in. Raises KeyUsed for the key of another call.
        """
        if call is not None and (known := await self._answered(call)) is not None:
            return known
        if len(self.state.waiting) + self._arriving + len(requests) > self._most_waiting:
            raise Busy

        def command(changes: Changes) -> list[Entry] | KeyUsed:
            if call is not None and (fresh := self._fresh.get((call.owner, call.key))) is not None:
                return answered(call, fresh)
            now = self.now()
            entries = [dispatching.take_in(self.memory, request, now, changes) for request in requests]
            for entry, payload in zip(entries, payloads, strict=False):
                if entry.id and payload != NOTHING:
                    changes.append(NewPayload(entry.id, payload))
            if call is not None:
                answer = Answer(call.owner, call.key, call.body, now, tuple(entries))
                self._fresh[call.owner, call.key] = answer
                changes.append(NewAnswer(answer))
            return entries

        self._arriving += len(requests)
        try:
            entries = await self._do(command)
        finally:
            self._arriving -= len(requests)
        if isinstance(entries, KeyUsed):
            raise entries
        self.work_to_do.set()
        return entries

    async def _answered(self, call: Call) -> list[Entry] | None:
        """What was answered to this call before. Raises KeyUsed."""
        fresh = self._fresh.get((call.owner, call.key))
        answer = fresh or await self._read(self._store.answer, call.owner, call.key)
        if answer is None:
            return None
        if fresh is not None:
            await self.settled()
        entries = answered(call, answer)
        if isinstance(entries, KeyUsed):
            raise entries
        return entries

    async def cancel(self, id_: int) -> Entry | None:
        """Take a request back; None if it is not there or over. Raises Busy and StoreUnavailable."""

        def command(changes: Changes) -> Entry | None:
            memory = self.memory
            if (entry := memory.entries.get(id_)) is None:
                return None
            now = self.now()
            if memory.book.cancel(str(id_), now):
                return memory.move(entry, changes, state=State.CANCELLED, ended=now)
            return memory.move(entry, changes, cancelling=True)

        return await self._do(command)

    # ------------------------------------------------- what the loop finds to do

    async def place(self) -> list[tuple[Dispatch, SlotRequest]]:
        """Start what fits, and tell others to leave: what comes back is to be submitted.

        Raises Busy and StoreUnavailable.
        """

        def command(changes: Changes) -> list[tuple[Dispatch, SlotRequest]]:
            memory, now = self.memory, self.now()
            moves = memory.book.schedule(now)
            for preemption in moves.preemptions:
                making_room.tell(memory, preemption, now, changes)
            for id_ in moves.resumed:
                dispatching.may_go_on(memory, id_, changes)
            making_room.time_is_up(memory, now, changes)
            memory.remember_use(changes)
            self._fresh = {k: answer for k, answer in self._fresh.items() if answer.created > now - _FRESH}
            begun = [
                carried
                for start in moves.starts
                if (carried := dispatching.begin(memory, start, now, changes)) is not None
            ]
            return begun + batch_queue.line_up(memory, now, changes)

        return await self._do(command)

    async def step(self, key: str, step: Step, ref: JobRef | None = None, started: int | None = None) -> bool:
        """Record that a dispatch has come as far as this; False if it is over or was further already."""

        def command(changes: Changes) -> bool:
            memory = self.memory
            dispatch = memory.dispatches.get(key)
            if dispatch is None or ORDER[dispatch.step] >= ORDER[step]:
                return False
            dispatching.progress(
                memory,
                dispatch,
                changes,
                step=step,
                ref=ref or dispatch.ref,
                started=started if started is not None else dispatch.started,
            )
            entry = memory.entries[dispatch.request]
            if step is Step.RUNNING and not executor_of(memory, entry):  # a machine has to boot first
                memory.move(entry, changes, state=State.RUNNING, started=started)
            return True

        return await self._do(command)

    async def found_at(self, key: str, nodes: Sequence[tuple[str, int]]) -> bool:
        """Record on which nodes a job runs, with so many cores there; False if it is over."""

        def found_at(memory: Memory, dispatch: Dispatch, changes: Changes) -> bool:
            batch_queue.found_at(memory, dispatch, nodes, changes)
            return True

        return await self._about(key, found_at)

    async def stopped(self, key: str) -> bool:
        """Record that a job stands still, as it was to; False if that is known."""
        return await self._about(key, dispatching.stop)

    async def goes_on(self, key: str) -> bool:
        """Record that a job runs again, as it was to; False if that is known."""
        return await self._about(key, dispatching.go_on)

    async def endings(self, backend: str, endings: Sequence[Ending], cursor: str) -> int:
        """Take in what accounting says; returns how many of our dispatches are over by it."""

        def command(changes: Changes) -> int:
            over = [ending for ending in endings if dispatching.is_ours(self.memory, ending)]
            for ending in over:
                if dispatching.is_ours(self.memory, ending):  # it may be told twice
                    dispatching.end(self.memory, ending, changes)
            changes.append(CursorChange(backend, cursor))
            return len(over)

        over = await self._do(command)
        if over:
            self.work_to_do.set()
        return over

    async def end(self, ending: Ending) -> None:
        """Take in how one job has ended, which accounting does not tell by itself."""

        def command(changes: Changes) -> None:
            if dispatching.is_ours(self.memory, ending):
                dispatching.end(self.memory, ending, changes)

        await self._do(command)
        self.work_to_do.set()

    async def refuse(self, key: str, message: str) -> None:
        """The batch system will not have it, or has lost it: the request has failed, or is taken back."""

        def refuse(memory: Memory, dispatch: Dispatch, changes: Changes) -> bool:
            if dispatching.vanished(memory, dispatch, changes):
                return True
            cancelling = memory.entries[dispatch.request].cancelling
            state = State.CANCELLED if cancelling else State.FAILED
            dispatching.release(memory, dispatch, changes, state, message=message)
            return True

        await self._about(key, refuse)
        self.work_to_do.set()

    async def give_up(self, key: str) -> None:
        """No job of this dispatch has appeared: its request waits again, or ends if it was cancelled."""

        def give_up(memory: Memory, dispatch: Dispatch, changes: Changes) -> bool:
            if not dispatching.vanished(memory, dispatch, changes):
                dispatching.wait_again(memory, dispatch, Step.GIVEN_UP, changes)
            return True

        await self._about(key, give_up)
        self.work_to_do.set()

    def see_nodes(self, nodes: Iterable[Node]) -> list[Node]:
        """Take in the nodes as a backend shows them; returns those that have changed."""
        memory = self.memory
        changed = [node for node in nodes if memory.nodes.get(node.name) != node]
        if changed:
            memory.nodes |= {node.name: node for node in changed}
            memory.book.advance(self.now())
            memory.book.set_nodes(changed)
            self.work_to_do.set()
        return changed

    async def see_natives(self, backend: str, natives: Iterable[Native]) -> list[str]:
        """Charge what users run past us to its shares; returns the ids of jobs that cannot be."""
        memory, shown = self.memory, list(natives)
        known = memory.natives.setdefault(backend, {})
        if not any(changed(known, shown)) and not any(native.request.id in self.orders for native in shown):
            return []

        def command(changes: Changes) -> list[str]:
            return dispatching.see_natives(memory, backend, shown, changes)

        uncharged = await self._do(command)
        self.work_to_do.set()
        return uncharged

    # ---------------------------------------------------- restart, reload, close

    async def recover(self, natives: NativesOf | None = None) -> None:
        """Make the memory anew from the store, with these native jobs. Raises StoreUnavailable."""
        await super().recover(natives)
        self._fresh.clear()

    async def reload(self, policy: CompiledPolicy, origin: str = "") -> None:
        """Go on under another policy; what waits and is not admitted by it is denied.

        `origin` says where it comes from. Raises Busy and StoreUnavailable; then the old policy goes on.
        """
        old, memory = self.policy, self.memory
        known = await self.policies()
        if known and known[-1].digest == policy.digest == old.digest and known[-1].origin == origin:
            return

        def command(changes: Changes) -> None:
            changes.append(new_policy(known, policy, self.now(), origin))
            take_up(memory, policy, as_stored(memory), self._log, "the policy was reloaded", changes)

        try:
            await self._do(command)
        except StoreUnavailable:
            memory.policy = old  # the memory is made anew under it
            raise
        self.work_to_do.set()

    async def note_policy(self) -> None:
        """Keep the policy that the daemon begins with, if it is another. Raises Busy and StoreUnavailable."""
        known = await self.policies()
        if not known or known[-1].digest != self.policy.digest:
            new = new_policy(known, self.policy, self.now(), "start")
            await self._do(lambda changes: changes.append(new))

    async def close(self) -> None:
        """Wait for the last write, and let go of the store."""
        self._estimates.close()
        self._writer.shutdown(wait=True)
        self.let_go()
