"""Driving baits: a look at both schedulers, what is recorded, and then what is done, again and again."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    Job,
    JobState,
    NodeAction,
    Snapshot,
    Verdict,
)
from wnodes_engine.core.claim import Claim
from wnodes_engine.executor import (
    CloudView,
    Executor,
    ExecutorUnavailable,
    Gone,
    Host,
    Machine,
    Server,
    ServerRef,
    target_ballast,
)

from wnodes_daemon import dispatching
from wnodes_daemon.baits.farm import Servers, granted, stays_drained, uncovered, unfit_host
from wnodes_daemon.baits.life import advance, heed
from wnodes_daemon.baits.recording import executor_of, record
from wnodes_daemon.baits.records import HOLDING, Act, Bait, Seen, Stage, Then
from wnodes_daemon.baits.specs import spec_of, too_large
from wnodes_daemon.memory import Changes, Memory
from wnodes_daemon.orders import wishes_of
from wnodes_daemon.pacing import keep_looking
from wnodes_daemon.records import Dispatch, Entry, State, Step

if TYPE_CHECKING:
    from wnodes_daemon.loop import Line
    from wnodes_daemon.service import Service

R = TypeVar("R")

REAPED: Final = 3600
"""Seconds within which a compute service ends machines that the cloud has forgotten: twice Nova's own."""

WARNED: Final = 600
"""Seconds before its walltime is over in which a machine's request says so, also to those who watch it."""

_log: Final = logging.getLogger(__name__)
_LIMIT: Final = 120.0  # seconds for one answer of a cloud
_FRESH: Final = 30  # seconds for which a look at a batch system counts
_ATTEMPTS: Final = 5
_DONE: Final = ActionOutcome(Verdict.DONE)


class Machines:
    """All baits of a daemon.

    `epilogue`: batch systems end a bait's machine before they use its cores again. Without, a server that the
    cloud has forgotten is gone once its host has said so, or has been up for long enough.
    """

    def __init__(
        self,
        service: Service,
        lines: Mapping[str, Line],
        executors: Mapping[str, Executor],
        *,
        tick: float,
        reaped: int = REAPED,
        epilogue: bool = False,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """A host that was up for `reaped` seconds has ended the machines that the cloud has forgotten."""
        self._service = service
        self._lines = lines
        self._executors = executors
        self._tick = tick
        self._reaped = reaped
        self._epilogue = epilogue
        self._leads = leads
        self.views: dict[str, CloudView] = {}
        """What was seen at the last look at each cloud."""
        self._jobs: dict[str, tuple[int, dict[str, Job]]] = {}
        self._ready: dict[str, Machine] = {}
        self._up_since: dict[tuple[str, str], int] = {}
        self._failed: dict[str, int] = {}
        self._attempts: dict[int, int] = {}
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Look at every cloud, without end."""
        async with asyncio.TaskGroup() as tasks:
            for name in self._executors:
                look, tell = partial(self.look, name), partial(self._tell, name)
                tasks.create_task(keep_looking(name, look, tell, self._tick))

    def saw(self, backend: str, snapshot: Snapshot) -> None:
        """What a batch system has just shown."""
        runs_as = self._lines[backend].backend.runs_as("")
        jobs = {job.ref.key: job for job in snapshot.jobs if job.ref.key and job.user == runs_as}
        self._jobs[backend] = (self._service.now(), jobs)

    async def refusal(self, dispatch: Dispatch) -> ActionOutcome | None:
        """Why no cores need to be won for a request: what it asks of the cloud is not to be had."""
        name = executor_of(self._service.memory, self._service.entries[dispatch.request])
        if not name:
            return None
        try:
            machine = await self._prepare(name, dispatch)
        except ExecutorUnavailable:
            return None  # it is asked again before the boot
        if isinstance(machine, ActionOutcome):
            return machine if machine.verdict in {Verdict.REFUSED, Verdict.NO_ROOM} else None
        return None

    async def console(self, request: int, lines: int) -> str | ActionOutcome:
        """The end of what the machine of a request has printed. Raises ExecutorUnavailable."""
        for bait in self._service.memory.baits.values():
            if bait.request == request and bait.server is not None:
                return await self._ask(
                    self._executors[bait.executor].console(bait.server, lines), "a console"
                )
        return ActionOutcome(Verdict.REFUSED, f"request {request} has no machine at the moment")

    # ---------------------------------------------------------------- watching

    async def look(self, name: str) -> None:
        """Look at one cloud once. Raises ExecutorUnavailable, BackendUnavailable, StoreUnavailable, Busy."""
        executor, memory = self._executors[name], self._service.memory
        view = await self._ask(executor.inventory(), f"{name}: hosts and servers")
        self.views[name] = view
        hosts = {host.node: host for host in view.hosts}
        self._note_hosts(name, view)
        await self._keep_ballast(executor, view)
        for dispatch in list(memory.dispatches.values()):
            if dispatch.step is Step.RUNNING and dispatch.key not in memory.baits:
                entry = memory.entries[dispatch.request]
                if executor_of(memory, entry) == name and self._is_wanted(entry):
                    await self._begin(name, dispatch, hosts)
        by_host: defaultdict[str, list[str]] = defaultdict(list)
        for bait in memory.baits.values():
            if bait.executor == name:
                by_host[bait.host].append(bait.key)
        servers = Servers(view)
        steps = [self._step_each(executor, keys, servers, hosts) for keys in by_host.values()]
        for error in await asyncio.gather(*steps, return_exceptions=True):
            if error is not None:
                raise error

    async def _step_each(
        self, executor: Executor, keys: list[str], servers: Servers, hosts: Mapping[str, Host]
    ) -> None:
        """One after the other what is on one host: its ballast has one writer."""
        for key in keys:
            bait = self._service.memory.baits[key]
            await self._step(executor, bait, await self._seen(executor, bait, servers, hosts.get(bait.node)))

    def _note_hosts(self, name: str, view: CloudView) -> None:
        now = self._service.now()
        for host in view.hosts:
            if not host.up:
                self._up_since.pop((name, host.name), None)
            else:
                self._up_since.setdefault((name, host.name), now)

    async def _keep_ballast(self, executor: Executor, view: CloudView) -> None:
        """Every host that is a node carries all that was not granted, but where that is just changing."""
        baits = self._service.memory.baits.values()
        changing = {bait.host for bait in baits if bait.stage in {Stage.HOLE_OPEN, Stage.SERVER_GONE}}
        for host in view.hosts:
            if host.node not in self._service.memory.nodes or host.name in changing:
                continue
            if unfit_host(msgspec.structs.replace(host, up=True, disabled=""), 0):
                continue
            amounts = granted(baits, host.name)
            if host.ballast != target_ballast(host.inventory, amounts):
                outcome = await self._ask(executor.set_ballast(host.name, amounts), f"ballast of {host.name}")
                well = outcome.verdict is Verdict.DONE
                self._tell(f"ballast of {host.name}", "" if well else outcome.message)

    # -------------------------------------------------------------------- baits

    async def _begin(self, name: str, dispatch: Dispatch, hosts: Mapping[str, Host]) -> None:
        """A bait was seen to run: record where, and what its machine will hold there."""
        job = self._job(dispatch.backend, dispatch.key)
        if job is None or job.state is not JobState.RUNNING or not job.nodes or dispatch.ref is None:
            return
        node = job.nodes[0][0]
        host = hosts.get(node)
        machine = await self._prepare(name, dispatch)
        bait = Bait(
            dispatch.key,
            dispatch.request,
            machine.amounts if isinstance(machine, Machine) else {},
            node,
            host.name if host is not None else "",
            dispatch.ref,
            name,
            job.started_at,
            job.restarts,
        )
        if isinstance(machine, ActionOutcome):
            if machine.verdict not in {Verdict.REFUSED, Verdict.NO_ROOM}:
                return
            then = Then.FAILED if machine.verdict is Verdict.REFUSED else Then.AGAIN
            bait = msgspec.structs.replace(bait, stage=Stage.BALLAST_RESTORED, then=then, why=machine.message)

        def begin(memory: Memory, changes: Changes) -> None:
            if dispatch.key in memory.dispatches:
                record(memory, bait, changes)

        await self._service.change(begin)

    async def _seen(self, executor: Executor, bait: Bait, servers: Servers, host: Host | None) -> Seen:
        server: Server | Gone | None = None
        copies: tuple[ServerRef, ...] = ()
        asked = False
        if bait.server is not None:
            server = servers.by_id.get(bait.server.id) or await self._ask(
                executor.look(bait.server), "a server"
            )
            alike = servers.ours_by_key.get(bait.key, ())
            copies = tuple(other.ref for other in alike if other.ref.id != bait.server.id)
        elif bait.stage in {Stage.BOOTING, Stage.ENDING}:
            project = self._project(bait)
            if project is not None:
                found = await self._ask(executor.find({bait.key: project}), "a server by its key")
                ours = found.get(bait.key, ())
                server = ours[0] if ours else None
                copies = tuple(other.ref for other in ours[1:])
                asked = True
        memory, now = self._service.memory, self._service.now()
        since = self._up_since.get((executor.name, bait.host), now)
        return Seen(
            self._job(memory.dispatches[bait.key].backend, bait.key),
            bait.ending is not None,
            unfit_host(host, self._failed.get(bait.host, 0)),
            asked,
            server,
            copies,
            bait.host in uncovered(servers.by_host.get(bait.host, ()), memory.baits.values()),
            now - since >= self._reaped,
        )

    async def _step(self, executor: Executor, bait: Bait, seen: Seen) -> None:
        if not self._is_wanted(self._service.entries[bait.request], bait.started):
            bait = msgspec.structs.replace(bait, wanted=False)
        move = advance(bait, seen, epilogue=self._epilogue)
        bait = await self._record(bait, move.bait)
        for act in move.acts:
            answer = await self._do(executor, bait, act)
            if isinstance(answer, ActionOutcome) and answer.verdict is not Verdict.DONE:
                said = {"request": bait.request, "act": act, "verdict": answer.verdict}
                _log.info("a step of a bait is not done", extra={**said, "error": answer.message})
            bait = await self._record(bait, heed(bait, act, answer))

    async def _record(self, before: Bait, bait: Bait) -> Bait:
        """Have it on the disk before the next step; a bait whose job ended meanwhile stays so."""
        if bait.then is Then.AGAIN and before.then is not Then.AGAIN:
            tried = self._attempts[bait.request] = self._attempts.get(bait.request, 0) + 1
            if tried >= _ATTEMPTS:
                bait = msgspec.structs.replace(
                    bait, then=Then.FAILED, why=f"{tried} attempts, the last: {bait.why}"
                )
        if bait.stage is not before.stage:
            self._count(before, bait)
            said = {"request": bait.request, "key": bait.key, "node": bait.node, "why": bait.why}
            _log.info("a bait has moved on", extra={**said, "stage": bait.stage})

        def change(memory: Memory, changes: Changes) -> Bait:
            known = memory.baits[bait.key]
            moved = msgspec.structs.replace(bait, ending=known.ending)
            if moved != known:
                record(memory, moved, changes)
            entry = memory.entries[bait.request]
            if moved.stage is Stage.ACTIVE and moved.server is not None:
                where = f"server {moved.server.id} on {moved.host}"
                message = ": ".join(filter(None, (where, ", ".join(moved.addresses))))
                ends = dispatching.ends(memory, entry)
                if ends is not None and ends - memory.now() <= WARNED:
                    message += f"; it ends at {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M:%S} UTC"
                if entry.state is State.STARTING:
                    memory.move(entry, changes, state=State.RUNNING, started=memory.now(), message=message)
                elif entry.message != message:
                    memory.move(entry, changes, message=message)
            elif moved.stage is Stage.BAIT_ENDED:
                dispatching.bait_ended(memory, moved, changes)
            return moved

        moved = await self._service.change(change)
        if moved.stage is Stage.BAIT_ENDED:
            self._ready.pop(moved.key, None)
            self._service.work_to_do.set()
        return moved

    def _count(self, before: Bait, bait: Bait) -> None:
        if bait.stage is Stage.ACTIVE:
            self._failed.pop(bait.host, None)
            self._attempts.pop(bait.request, None)
        elif before.stage is Stage.BOOTING and bait.then is Then.AGAIN and not bait.lost:
            self._failed[bait.host] = self._failed.get(bait.host, 0) + 1

    async def _do(self, executor: Executor, bait: Bait, act: Act) -> ServerRef | ActionOutcome:
        memory = self._service.memory
        line = self._lines[memory.dispatches[bait.key].backend]
        baits = memory.baits.values()
        match act:
            case Act.OPEN | Act.CLOSE:
                amounts = granted(baits, bait.host, without=bait.key if act is Act.CLOSE else "")
                return await self._ask(executor.set_ballast(bait.host, amounts), act)
            case Act.BOOT:
                machine = await self._prepare(executor.name, memory.dispatches[bait.key])
                if isinstance(machine, ActionOutcome):
                    return machine
                if machine.amounts != bait.amounts:
                    return ActionOutcome(Verdict.REFUSED, f"the flavour {machine.flavour} has changed")
                return await self._ask(executor.create(machine, bait.host), act)
            case Act.DELETE if bait.server is not None:
                return await self._ask(executor.delete(bait.server), act)
            case Act.DELETE_COPIES:
                return await self._delete_copies(executor, bait)
            case Act.END:
                outcomes = await line.ask(line.backend.act(Action.CANCEL, [bait.ref]), act)
                return outcomes.get(bait.ref, _DONE)
            case Act.DRAIN:
                return await line.ask(line.backend.set_node(bait.node, NodeAction.DRAIN, _reason(bait)), act)
            case Act.UNDRAIN if not stays_drained(baits, bait.node, without=bait.key):
                done = line.backend.set_node(bait.node, NodeAction.UNDRAIN, _reason(bait))
                return await line.ask(done, act)
        return _DONE

    async def _delete_copies(self, executor: Executor, bait: Bait) -> ActionOutcome:
        project = self._project(bait)
        found = await self._ask(executor.find({bait.key: project or ""}), "copies of a server")
        for server in found.get(bait.key, ()):
            if bait.server is not None and server.ref.id != bait.server.id:
                await self._ask(executor.delete(server.ref), Act.DELETE_COPIES)
        return _DONE

    # ------------------------------------------------------------------- inside

    async def _prepare(self, name: str, dispatch: Dispatch) -> Machine | ActionOutcome:
        if (ready := self._ready.get(dispatch.key)) is not None:
            return ready
        memory = self._service.memory
        entry, claim = memory.entries[dispatch.request], self._claim(dispatch.request)
        assert entry.decision is not None  # noqa: S101 - executor_of has looked
        assert entry.decision.route is not None  # noqa: S101
        payload = await self._service.payload(dispatch.request)
        spec = spec_of(dispatch, entry.request, claim, entry.decision.route, payload.machine)
        if isinstance(spec, ActionOutcome):
            return spec
        machine = await self._ask(self._executors[name].prepare(spec), "what a machine needs")
        if isinstance(machine, Machine):
            if why := too_large(machine, claim):
                return ActionOutcome(Verdict.REFUSED, why)
            self._ready[dispatch.key] = machine
        return machine

    def _claim(self, request: int) -> Claim:
        return self._service.state.running[str(request)].claim

    def _project(self, bait: Bait) -> str | None:
        """The project in which the cloud knows the machine."""
        if (ready := self._ready.get(bait.key)) is not None:
            return ready.project
        return self._service.entries[bait.request].request.project

    def _job(self, backend: str, key: str) -> Job | None:
        at, jobs = self._jobs.get(backend, (0, {}))
        return jobs.get(key) if self._service.now() - at <= _FRESH else None

    def _is_wanted(self, entry: Entry, started: int | None = None) -> bool:
        """Whether a machine is to be there: its request was not taken back, and has time and place left."""
        wishes = wishes_of(self._service.memory.orders.values())
        over = started is not None and self._service.now() - started >= self._claim(entry.id).walltime
        return not (entry.cancelling or over or entry.id in wishes.ending | wishes.stopping)

    async def _ask(self, answer: Coroutine[Any, Any, R], what: str) -> R:
        """An answer of a cloud within the time limit. Raises ExecutorUnavailable."""
        if not self._leads():
            answer.close()
            raise ExecutorUnavailable(f"{what}: this daemon does not lead any more")
        try:
            async with asyncio.timeout(_LIMIT):
                return await answer
        except TimeoutError:
            raise ExecutorUnavailable(f"{what}: no answer within {_LIMIT:.0f} s") from None

    def _tell(self, what: str, error: str) -> None:
        """Say what is wrong, once, until all is well again."""
        if error and not self._told.get(what):
            _log.warning("a cloud does not do as it should", extra={"what": what, "error": error})
        self._told[what] = error


def holds(memory: Memory) -> set[int]:
    """The requests whose job must not be ended yet: a machine is there, or a hole for one."""
    return {bait.request for bait in memory.baits.values() if bait.stage in {*HOLDING, Stage.GRANTED}}


def _reason(bait: Bait) -> str:
    return f"wnodes: the machine of request {bait.request}"
