"""The scheduling loop: places what fits, carries it out through the backends, and watches what becomes of it.

A dispatch is recorded before it is submitted, submitted held, its id recorded, and only then released.
Nothing here keeps the API waiting: every call of a backend has a time limit and a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BackendUnavailable,
    BatchBackend,
    Ending,
    Fate,
    JobRef,
    SlotRequest,
    Snapshot,
    Verdict,
)
from wnodes_engine.values import Node

from wnodes_daemon.baits.driving import Machines, holds
from wnodes_daemon.grouping import Busy, Grouped
from wnodes_daemon.metrics import Metrics
from wnodes_daemon.natives import natives_in
from wnodes_daemon.orders import native_actions, wishes_of
from wnodes_daemon.pacing import LONGEST_PAUSE, keep_looking
from wnodes_daemon.reconcile import Plan, compare
from wnodes_daemon.records import Dispatch, Step
from wnodes_daemon.service import Service
from wnodes_daemon.store import StoreUnavailable

R = TypeVar("R")

_log: Final = logging.getLogger(__name__)
_LIMIT: Final = 60.0  # seconds for one answer of a backend
_AT_ONCE: Final = 32  # submissions under way to one backend
_REST: Final = 0.02  # seconds between two passes, so that arrivals share one
_UNTOLD: Final = ActionOutcome(Verdict.UNKNOWN, "the backend did not say")
_SHORTEST_PAUSE: Final = 0.5


class Line:
    """One backend as the daemon sees it: the way there, and how it has answered."""

    def __init__(
        self,
        backend: BatchBackend,
        leads: Callable[[], bool] = lambda: True,
        patience: int = 900,
        metrics: Metrics | None = None,
    ) -> None:
        """`leads` tells whether this daemon may still ask anything of it.

        A job that does not start within `patience` seconds is withdrawn.
        """
        self.backend = backend
        self.patience = patience
        self._leads = leads
        self._metrics = metrics
        self.name = backend.name
        self.answering_since: int | None = None
        self.last_error = ""
        self.in_hand: set[str] = set()
        self.tried: dict[str, int] = {}
        """When submissions were made of which nobody knows what became of them, by key."""
        self.missing: dict[str, int] = {}
        """Since when jobs of ours are not shown, by key."""
        self.refused: set[tuple[Action, JobRef]] = set()
        """What it would not do to jobs when it was asked last."""
        self.plan = Plan()
        """What was to be done after the last look."""
        self.slots = asyncio.Semaphore(_AT_ONCE)
        self.release: Grouped[JobRef, ActionOutcome] = Grouped(self._release)
        self._nodes: dict[str, Node] = {}

    async def ask(self, answer: Coroutine[Any, Any, R], what: str) -> R:
        """An answer of the backend within the time limit. Raises BackendUnavailable."""
        if not self._leads():
            answer.close()
            raise BackendUnavailable(f"{self.name}: {what}: this daemon does not lead any more")
        began, well = time.perf_counter(), False
        try:
            async with asyncio.timeout(_LIMIT):
                answered = await answer
            well = True
        except TimeoutError:
            raise BackendUnavailable(f"{self.name}: {what}: no answer within {_LIMIT:.0f} s") from None
        except BackendUnavailable:
            raise
        except Exception as error:
            raise BackendUnavailable(f"{self.name}: {what}: {type(error).__name__}: {error}") from error
        finally:
            if self._metrics is not None:
                self._metrics.answered(self.name, what, time.perf_counter() - began, well=well)
        return answered

    async def _release(self, refs: list[JobRef]) -> Sequence[ActionOutcome]:
        outcomes = await self.ask(self.backend.act(Action.RELEASE, refs), "release")
        return [outcomes.get(ref, _UNTOLD) for ref in refs]

    async def snapshot(self, now: int) -> Snapshot:
        """Ask for the whole farm; a node that is not shown any more is down. Raises BackendUnavailable."""
        try:
            snapshot = await self.ask(self.backend.snapshot(), "snapshot")
        except BackendUnavailable:
            self.answering_since = None
            raise
        if self.answering_since is None:
            _log.info("a backend answers", extra={"backend": self.name, "nodes": len(snapshot.nodes)})
            self.answering_since = now
        gone = {name: msgspec.structs.replace(node, up=False) for name, node in self._nodes.items()}
        self._nodes = gone | {node.name: node for node in snapshot.nodes}
        return msgspec.structs.replace(snapshot, nodes=tuple(self._nodes.values()))

    def complain(self, error: str) -> None:
        """Remember what it did not answer, "" for nothing; it is told once, until all is well again."""
        if error and not self.last_error:
            _log.warning("a backend does not answer", extra={"backend": self.name, "error": error})
        self.last_error = error


class Loop:
    """Runs until it is cancelled. `settle` is how long a lost submission may take to appear, in seconds."""

    def __init__(
        self,
        service: Service,
        lines: Mapping[str, Line],
        *,
        tick: float,
        settle: int,
        passed: Callable[[float], None] = lambda _: None,
        machines: Machines | None = None,
    ) -> None:
        """`passed` hears how many seconds each pass took; `machines` drives baits, where there are any."""
        self._service = service
        self._passed = passed
        self._lines = lines
        self._tick = tick
        self._settle = settle
        self._machines = machines
        self._carrying: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Place and watch, without end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._placing())
            for line in self._lines.values():
                tasks.create_task(
                    keep_looking(line.name, partial(self._watch, line), line.complain, self._tick)
                )
            if self._machines is not None:
                tasks.create_task(self._machines.run())

    async def close(self) -> None:
        """Let the submissions under way come to their end, as far as they do in time."""
        if self._carrying:
            await asyncio.wait(self._carrying, timeout=5)
        for task in self._carrying:
            task.cancel()

    # ----------------------------------------------------------------- placing

    async def _placing(self) -> None:
        work = self._service.work_to_do
        pause = _SHORTEST_PAUSE
        while True:
            try:
                async with asyncio.timeout(self._tick):
                    await work.wait()
            except TimeoutError:
                pass  # waiting alone changes priorities and opens windows
            work.clear()
            try:
                if self._service.broken:
                    await self._service.recover()
                    _log.info("the store can be written again")
                began = time.perf_counter()
                placed = await self._service.place()
                self._passed(time.perf_counter() - began)
                for dispatch, slot in placed:
                    self._carry_out(dispatch, slot)
                pause = _SHORTEST_PAUSE
                await asyncio.sleep(_REST)
            except (StoreUnavailable, Busy) as error:
                _log.error("nothing can be started now", extra={"error": str(error)})
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _carry_out(self, dispatch: Dispatch, slot: SlotRequest) -> None:
        line = self._lines[dispatch.backend]
        line.in_hand.add(dispatch.key)
        self._service.memory.beginning.discard(dispatch.key)
        task = asyncio.create_task(self._carry(line, dispatch, slot))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, line: Line, dispatch: Dispatch, slot: SlotRequest) -> None:
        said = {"request": dispatch.request, "key": dispatch.key, "backend": line.name}
        try:
            async with line.slots:
                if dispatch.key not in self._service.dispatches:
                    return
                refusal = await self._machines.refusal(dispatch) if self._machines is not None else None
                if dispatch.user:  # whom a payload runs as; a bait holds its cores, and that is all
                    payload = await self._service.payload(dispatch.request)
                    slot = msgspec.structs.replace(slot, script=payload.script)
                answer = refusal or await self._submit(line, dispatch, slot)
            if answer is None:
                await self._service.give_up(dispatch.key)
            elif isinstance(answer, JobRef):
                if await self._service.step(dispatch.key, Step.HELD, ref=answer):
                    await self._release(line, dispatch, answer)
                _log.info("dispatched", extra={**said, "job": answer.id, "nodes": slot.nodes})
            elif answer.verdict is Verdict.REFUSED:
                said_no = f"{line.name} refused the job: {answer.message}"
                await self._service.refuse(dispatch.key, refusal.message if refusal is not None else said_no)
                _log.warning("refused", extra={**said, "error": answer.message})
            elif answer.verdict is Verdict.NO_ROOM:
                _log.info("no room for it at the moment", extra={**said, "error": answer.message})
                await asyncio.sleep(LONGEST_PAUSE)  # it keeps its place meanwhile, and is looked at anew
                await self._service.give_up(dispatch.key)
            else:
                line.tried[dispatch.key] = self._service.now()
                _log.warning("a submission is unknown", extra={**said, "error": answer.message})
        except (BackendUnavailable, StoreUnavailable, Busy) as error:
            _log.warning("a dispatch is unfinished", extra={**said, "error": str(error)})
        except Exception:
            _log.exception("a dispatch went wrong", extra=said)
        finally:
            line.in_hand.discard(dispatch.key)

    async def _submit(
        self, line: Line, dispatch: Dispatch, slot: SlotRequest
    ) -> JobRef | ActionOutcome | None:
        """Submit; what was turned away for the moment is tried again, until it is taken back: None."""
        pause = _SHORTEST_PAUSE
        while True:
            try:
                answer = await line.ask(line.backend.submit(slot), "submit")
            except BackendUnavailable as error:
                return ActionOutcome(Verdict.UNKNOWN, str(error))
            if isinstance(answer, JobRef) or answer.verdict is not Verdict.PASSING:
                return answer
            if self._service.is_taken_back(dispatch.request):
                return None
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _release(self, line: Line, dispatch: Dispatch, ref: JobRef) -> None:
        """Let a held job start, unless its request was taken back meanwhile, or waits again."""
        if dispatch.key not in self._service.dispatches or self._service.is_taken_back(dispatch.request):
            return
        outcome = await line.release(ref)
        if outcome.verdict is Verdict.DONE:
            await self._service.step(dispatch.key, Step.RELEASED)

    # ---------------------------------------------------------------- watching

    async def _watch(self, line: Line) -> None:
        """Look once. Accounting is read after the snapshot, so that what ended in between is seen to have."""
        service = self._service
        recorded = [
            dispatch.key
            for dispatch in service.dispatches.values()
            if dispatch.backend == line.name
            and dispatch.key not in line.in_hand
            and dispatch.key not in service.memory.beginning
            and not ((bait := service.memory.baits.get(dispatch.key)) and bait.ending)
        ]
        before = dict(service.dispatches)
        snapshot = await line.snapshot(service.now())
        if self._machines is not None:
            self._machines.saw(line.name, snapshot)
        await self._take_in_endings(line)
        for node in service.see_nodes(snapshot.nodes):
            _log.info("a node has changed", extra={"node": node.name, "up": node.up})
        service.memory.said[line.name] = {
            job.ref.key: job.reason for job in snapshot.jobs if job.ref.key and not job.nodes and job.reason
        }
        natives = natives_in(snapshot, line.backend, before | dict(service.dispatches), service.now())
        for id_ in await service.see_natives(line.name, natives):
            _log.warning("a native job cannot be charged", extra={"backend": line.name, "job": id_})
        dispatches = [service.dispatches[key] for key in recorded if key in service.dispatches]
        line.tried = {key: at for key, at in line.tried.items() if key in service.dispatches}
        wishes, kept = wishes_of(service.orders.values()), holds(service.memory)
        plan = compare(
            dispatches,
            service.given_up,
            snapshot.jobs,
            cancelling={
                d.request
                for d in dispatches
                if service.entries[d.request].cancelling or d.request in wishes.ending
            }
            - kept,
            stopping=wishes.stopping - kept,
            returning=wishes.returning,
            tried=line.tried,
            missing_since=line.missing,
            answering_since=line.answering_since or service.now(),
            now=service.now(),
            settle=self._settle,
            patience=line.patience,
            runs_as=line.backend.runs_as,
        )
        line.plan = plan
        await self._follow(line, plan)
        known = service.memory.natives.get(line.name, {})
        by_action = native_actions(service.orders.values(), known, {n.request.id: n for n in natives})
        for action, refs in by_action.items():
            await self._act(line, action, refs)

    async def _take_in_endings(self, line: Line) -> None:
        cursor = await self._service.cursor(line.name)
        while True:
            told = await line.ask(line.backend.finished(cursor), "finished")
            if told.records or told.cursor != cursor:
                await self._service.endings(line.name, told.records, told.cursor)
            if not told.more:
                return
            cursor = told.cursor

    async def _follow(self, line: Line, plan: Plan) -> None:
        service = self._service
        steps: list[Awaitable[object]] = []
        for dispatch, ref in plan.found:
            _log.info("a lost submission was found", extra={"request": dispatch.request, "job": ref.id})
            steps.append(service.step(dispatch.key, Step.HELD, ref=ref))
        for dispatch in plan.give_up:
            _log.warning("a submission never appeared", extra={"request": dispatch.request})
            steps.append(service.give_up(dispatch.key))
        steps += [service.step(dispatch.key, Step.RELEASED) for dispatch in plan.released]
        steps += [service.found_at(dispatch.key, nodes) for dispatch, nodes in plan.moved]
        steps += [service.step(dispatch.key, Step.RUNNING, started=at) for dispatch, at in plan.running]
        for dispatch in plan.late:
            _log.info("not started in time", extra={"request": dispatch.request, "key": dispatch.key})
            steps.append(service.step(dispatch.key, Step.WITHDRAWING))
        steps += [service.stopped(dispatch.key) for dispatch in plan.stopped]
        steps += [service.goes_on(dispatch.key) for dispatch in plan.returned]
        steps += [self._release(line, dispatch, dispatch.ref) for dispatch in plan.release if dispatch.ref]
        await asyncio.gather(*steps)
        await self._act(line, Action.HOLD, plan.hold)
        await self._act(line, Action.CANCEL, plan.cancel)
        await self._act(line, Action.SUSPEND, [d.ref for d in plan.suspend if d.ref is not None])
        await self._act(line, Action.RESUME, [d.ref for d in plan.resume if d.ref is not None])
        for dispatch in plan.missing:
            if dispatch.key not in line.missing:
                _log.warning("a job is not shown any more", extra={"request": dispatch.request})
        now = service.now()
        line.missing = {dispatch.key: line.missing.get(dispatch.key, now) for dispatch in plan.missing}
        if plan.lost:
            await self._look_again(line, plan.lost)

    async def _act(self, line: Line, action: Action, refs: Sequence[JobRef]) -> None:
        """Do something to jobs; what has not come to be is done again after the next look."""
        if not refs:
            return
        outcomes = await line.ask(line.backend.act(action, refs), f"{action}")
        refused = {ref: o.message for ref, o in outcomes.items() if o.verdict is Verdict.REFUSED}
        for ref, message in refused.items():
            if (action, ref) not in line.refused:
                said = {"backend": line.name, "job": ref.id, "action": action, "error": message}
                _log.error("the batch system will not do this to a job", extra=said)
        asked = {(action, ref) for ref in refs}
        line.refused = (line.refused - asked) | {(action, ref) for ref in refused}

    async def _look_again(self, line: Line, lost: Sequence[Dispatch]) -> None:
        """What never ran waits again, what has run and left no trace has failed; all else stays unknown."""
        refs = [dispatch.ref for dispatch in lost if dispatch.ref is not None]
        fates = await line.ask(line.backend.look_again(refs), "second look")
        for dispatch in lost:
            fate = fates.get(dispatch.ref) if dispatch.ref is not None else None
            said = {"request": dispatch.request, "key": dispatch.key, "backend": line.name}
            if isinstance(fate, Ending):
                await self._service.end(fate)
            elif fate is Fate.NEVER_STARTED:
                _log.warning("the batch system has lost a job that had not started", extra=said)
                await self._service.give_up(dispatch.key)
            elif fate is Fate.VANISHED:
                _log.error("the batch system has lost a job that had started", extra=said)
                await self._service.refuse(dispatch.key, f"{line.name} has lost the job while it ran")
            else:
                line.missing[dispatch.key] = self._service.now()  # not asked again at each look
