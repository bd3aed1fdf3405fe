"""The one object that owns the memory and the store; the API and the loop both go through it.

Whatever changes anything is a command: a plain function that moves the memory and says what to write. The
commands that arrive together run one after another, are committed together, and are answered only then. If
the commit fails, none of them has happened: the memory is made anew from the store, as after a restart.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec
from wnodes_engine import core
from wnodes_engine.backend import Ending, JobRef, SlotRequest
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.decision_log.log import Log
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.simulate.forecast import Estimate
from wnodes_engine.site import Plugin
from wnodes_engine.values import Decision, Node, Request, ShareUse

from wnodes_daemon import batch_queue, dispatching, making_room
from wnodes_daemon.answering import Call, KeyUsed, answered
from wnodes_daemon.baits.recording import executor_of, how_far
from wnodes_daemon.estimating import Estimates
from wnodes_daemon.grouping import Busy, Grouped
from wnodes_daemon.memory import Changes, Memory
from wnodes_daemon.natives import Native, changed
from wnodes_daemon.reading import Reader
from wnodes_daemon.records import (
    ORDER,
    Answer,
    CursorChange,
    Dispatch,
    Entry,
    Leave,
    NewAnswer,
    Order,
    State,
    Step,
    Stored,
)
from wnodes_daemon.store import Store, StoreUnavailable
from wnodes_daemon.taking_up import as_stored, new_policy, take_up

R = TypeVar("R")
NativesOf = Callable[[Mapping[str, Dispatch]], Mapping[str, Sequence[Native]]]
"""The native jobs by backend, given which dispatches are ours."""

_log: Final = logging.getLogger(__name__)
_FRESH: Final = 600
"""Seconds after which an answer is certainly seen by whoever reads the store."""


class Service(Reader):
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
        super().__init__(store)
        self.memory = Memory(policy, nodes, backends, clock)
        self.memory.shared = shared
        self.memory.executors = frozenset(executors)
        self.work_to_do = asyncio.Event()
        self.broken = ""
        """Why the store cannot be written now; empty while it can."""
        self._log = log
        self._log_questions = log_questions
        self._most_waiting = most_waiting
        self._clock = clock
        self._tell = tell
        self._arriving = 0
        self._fresh: dict[tuple[str, str], Answer] = {}
        """Answers that are not in the store yet, or only just."""
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._estimates = Estimates()
        self._commands: Grouped[Callable[[Changes], Any], Any] = Grouped(self._perform, most=256)

    # ------------------------------------------------------------------ reading

    @property
    def policy(self) -> CompiledPolicy:
        """The policy in force."""
        return self.memory.policy

    @property
    def state(self) -> core.State:
        """What decisions are made on; to be read only."""
        return self.memory.state

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes, by name."""
        return self.memory.nodes

    @property
    def entries(self) -> Mapping[int, Entry]:
        """The requests that are not over."""
        return self.memory.entries

    @property
    def dispatches(self) -> Mapping[str, Dispatch]:
        """The dispatches that are not over, by key."""
        return self.memory.dispatches

    @property
    def given_up(self) -> Mapping[str, Dispatch]:
        """Those of which no job has appeared, by key."""
        return self.memory.given_up

    @property
    def orders(self) -> Mapping[str, Order]:
        """Who has been told to leave, by id."""
        return self.memory.orders

    def now(self) -> int:
        """Seconds since the epoch; it never goes back, whatever the clock does."""
        return self.memory.now()

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

    async def submit(self, requests: Sequence[Request], call: Call | None = None) -> list[Entry]:
        """Take requests in, in their order; ids and times of submission are given here.

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
        loop, memory, changes = asyncio.get_running_loop(), self.memory, Changes()
        stored = await loop.run_in_executor(self._writer, self._load)
        if natives is not None:
            shown = natives({dispatch.key: dispatch for dispatch in stored.dispatches})
            stopped = {o.victim for o in stored.orders if o.step in {Leave.STOPPED, Leave.RETURNING}}
            memory.natives = {
                name: {n.request.id: n for n in each if not n.suspended or n.request.id in stopped}
                for name, each in shown.items()
            }
        take_up(memory, self.policy, stored, self._log, "taken up from the store", changes)
        if self.broken:  # that it can be read does not say that it can be written
            changes.append(CursorChange("", str(self.now())))
        if changes:
            await loop.run_in_executor(self._writer, self._store.commit, changes)
        self._fresh.clear()
        self.broken = ""
        self.work_to_do.set()

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

    async def settled(self) -> None:
        """Return when all that was asked for until now is on the disk. Raises Busy and StoreUnavailable."""
        await self._do(lambda _: None)

    async def close(self) -> None:
        """Wait for the last write, and let go of the store."""
        self._estimates.close()
        self._writer.shutdown(wait=True)
        self.let_go()

    def _load(self) -> Stored:
        return self._store.load(int(self._clock()), dispatching.REMEMBERED)

    # -------------------------------------------------------------------- commands

    async def change(self, command: Callable[[Memory, Changes], R]) -> R:
        """Run a command of another room; returns when it is on the disk. Raises Busy and StoreUnavailable."""
        return await self._do(lambda changes: command(self.memory, changes))

    async def _about(self, key: str, do: Callable[[Memory, Dispatch, Changes], bool]) -> bool:
        """Do something about a dispatch; False if it is over."""

        def command(changes: Changes) -> bool:
            dispatch = self.memory.dispatches.get(key)
            return dispatch is not None and do(self.memory, dispatch, changes)

        return await self._do(command)

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
            making_room.follow(self.memory, changes)
            if changes:
                began = time.perf_counter()
                await asyncio.get_running_loop().run_in_executor(self._writer, self._store.commit, changes)
                self._tell(changes, time.perf_counter() - began)
        except Exception as error:  # whatever it was, the memory is ahead of the store now
            self.broken = str(error) or type(error).__name__
            if not isinstance(error, StoreUnavailable):
                _log.exception("a command went wrong")
            self.work_to_do.set()
            raise StoreUnavailable(self.broken) from error
        return results
