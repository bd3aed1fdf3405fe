"""wnodesd: reads the site, takes up where it left off, serves the API and runs the loop until it is ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, cast

import uvloop
from wnodes_engine import __version__
from wnodes_engine.backend import ActionOutcome, BackendUnavailable, BatchBackend, Snapshot
from wnodes_engine.commands.inputs import complain
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.decision_log.log import Log
from wnodes_engine.documents import DocumentError
from wnodes_engine.drivers import DriverError, load_backends, load_executors
from wnodes_engine.garbage import collected_in_small_steps
from wnodes_engine.site import load_site
from wnodes_engine.wire import Known

from wnodes_daemon import listen, logs
from wnodes_daemon.access.door import Door
from wnodes_daemon.application import application
from wnodes_daemon.assembling import (
    Parts,
    StartError,
    assemble,
    check_actions,
    check_routes,
    machine_targets,
)
from wnodes_daemon.baits.driving import Machines
from wnodes_daemon.connections import Calls, most_connections
from wnodes_daemon.context import Context, no_console
from wnodes_daemon.database import is_url
from wnodes_daemon.decision_log import DecisionLogError
from wnodes_daemon.differences import everywhere
from wnodes_daemon.grouping import Busy
from wnodes_daemon.leading import Leader, Lease
from wnodes_daemon.live_policy import LivePolicy, PolicyRefused, at_start, from_files
from wnodes_daemon.loop import Line, Loop
from wnodes_daemon.memory import Changes
from wnodes_daemon.metrics import Metrics
from wnodes_daemon.natives import natives_in
from wnodes_daemon.reading import Reader
from wnodes_daemon.service import Service
from wnodes_daemon.service_manager import ServiceManager
from wnodes_daemon.serving import Doors, Server, server
from wnodes_daemon.standing_by import standing_by
from wnodes_daemon.steady import SteadyClock
from wnodes_daemon.store import StoreError, StoreUnavailable
from wnodes_daemon.views import BackendView, DifferenceView
from wnodes_daemon.watching import Watches

_log: Final = logging.getLogger(__name__)
_LONGEST_PAUSE: Final = 30.0
_LOOKED_FOR: Final = 0.4
"""Seconds between two looks whether anybody leads."""

_LOOKED_AT: Final = 0.1
"""Seconds between two looks of a leader whether it still does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; 0 when it was told to end, 1 when it cannot start, 2 for misuse."""
    parser = ArgumentParser("wnodesd", description="Hold a site's requests, decide, and carry decisions out.")
    parser.add_argument("--config", metavar="FILE", required=True, help="the site's description, site.yaml")
    parser.add_argument("--version", action="version", version=f"wnodesd {__version__}")
    args = parser.parse_args(argv)
    try:
        parts = assemble(load_site(args.config))
    except DocumentError as error:
        return complain(error)
    except (StartError, DriverError, StoreError, DecisionLogError, listen.ListenError) as error:
        sys.stderr.write(f"wnodesd: {error}\n")
        return 1
    logs.set_up(parts.site.daemon.log)
    try:
        uvloop.run(_Running(parts).run())
    except StoreUnavailable as error:
        _log.critical("cannot start", extra={"error": str(error)})
        return 1
    except Exception:
        _log.critical("the daemon has failed", exc_info=True)
        return 1
    return 0


class _Running:
    """One daemon from its start to its end."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._site = parts.site
        self._known = Known.of(parts.site)
        self._backends = parts.backends
        self._executors = parts.executors
        self._metrics = Metrics()
        self._lines = self._lines_to(parts.backends, lambda: True)
        place = parts.site.daemon.store
        self._lease = Lease(place, parts.address) if is_url(place) else None
        self._leader = Leader("", "")
        self._doors = Doors()
        self._serving: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._servers: list[Server] = []
        self._service: Service | None = None
        self._door = Door(parts.site.daemon.access, parts.site.daemon.limits.connections)
        self._manager = ServiceManager()
        self._watches = Watches(4 * parts.site.daemon.limits.connections)
        self._reloads: set[asyncio.Task[None]] = set()

    def _lines_to(self, backends: Mapping[str, BatchBackend], leads: Callable[[], bool]) -> dict[str, Line]:
        said = self._site.backends
        return {
            name: Line(backend, leads, said[name].patience, self._metrics)
            for name, backend in backends.items()
        }

    async def run(self) -> None:
        """Until a signal says so."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)  # what has just been read need not be read anew
        alive = asyncio.create_task(self._manager.keep_telling())
        serving = asyncio.create_task(self._serve())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            _log.info("ending")
            self._manager.tell("STOPPING=1")
            self._watches.end()
            if not self._servers:
                serving.cancel()
            for server_ in self._servers:
                server_.should_exit = True  # it answers the calls that are under way
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        alive.cancel()

    async def _serve(self) -> None:
        try:
            try:
                if self._lease is not None and not await self._stand_by(self._lease):
                    self._parts.store.close()
                    return
                looks = await self._first_look()
            except BaseException:
                self._parts.store.close()
                raise
            await self._work(looks)
        finally:
            if self._lease is not None:
                await asyncio.to_thread(self._lease.give_back)
            for line in self._lines.values():
                await line.backend.close()
            for executor in self._executors.values():
                await executor.close()
            listen.unbind(self._parts.endpoints)
            if self._parts.decisions is not None:
                await asyncio.to_thread(self._parts.decisions.close)
            _log.info("ended")

    async def _stand_by(self, lease: Lease) -> bool:
        """Serve what can be read until this daemon leads; False if it was told to end before."""
        reader = cast("Service", Reader(self._parts.store))
        context = self._context(reader)
        self._doors.application = standing_by(application(context), lambda: self._leader)
        serving, told = self._open(), ""
        while not serving.done():
            try:
                if await asyncio.to_thread(lease.take):
                    break
                self._leader = await asyncio.to_thread(lease.leader)
                if self._leader.holder != told:
                    told = self._leader.holder
                    _log.info("standing by", extra={"leader": told, "on": self._parts.address})
                    self._manager.tell(f"STATUS=standing by: {told or 'nobody'} leads")
            except StoreUnavailable as error:
                _log.warning("standing by without a database", extra={"error": str(error)})
            await asyncio.sleep(_LOOKED_FOR)
        else:
            return False
        _log.info("leading", extra={"term": lease.term})
        self._parts.store.fence = lease.fence
        for backend in self._backends.values():
            await backend.close()
        for executor in self._executors.values():
            await executor.close()
        self._backends = load_backends(self._site)  # whatever they had known is of another time
        self._executors = load_executors(self._site)
        self._lines = self._lines_to(self._backends, lease.holds)
        return True

    async def _hold_on(self, lease: Lease) -> None:
        """Begin anew as one who stands by, as soon as this daemon does not lead any more."""
        while lease.holds():  # noqa: ASYNC110 - nothing happens when a lease runs out
            await asyncio.sleep(_LOOKED_AT)
        _log.critical("another daemon leads, or the database is away: beginning anew, to stand by")
        with suppress(TimeoutError):
            if self._parts.decisions is not None:
                await asyncio.wait_for(asyncio.to_thread(self._parts.decisions.close), 1)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves

    def _open(self) -> asyncio.Task[None]:
        """Serve, if that has not begun yet."""
        if self._serving is None:
            endpoints = self._parts.endpoints
            most = most_connections(self._site.daemon.limits.connections) // len(endpoints)
            calls = Calls(self._doors, self._site.daemon.limits.connections)
            self._servers = [server(calls, most, endpoint.tls) for endpoint in endpoints]
            self._serving = asyncio.create_task(self._listen())
            self._manager.tell("READY=1")
        return self._serving

    async def _listen(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for server_, endpoint in zip(self._servers, self._parts.endpoints, strict=True):
                # A copy, which the server closes: ours keeps the address until all is written.
                tasks.create_task(server_.serve(sockets=[endpoint.bound.dup()]))

    async def _work(self, looks: Mapping[str, Snapshot]) -> None:
        parts, daemon = self._parts, self._site.daemon
        decisions = parts.decisions
        policy = at_start(self._site, await self._files(), await asyncio.to_thread(parts.store.policies))
        service = Service(
            policy,
            {node.name: node for look in looks.values() for node in look.nodes}.values(),
            parts.store,
            tuple(self._lines),
            most_waiting=daemon.limits.waiting,
            log=Log(decisions) if decisions is not None else None,
            log_questions=daemon.decisions is not None and daemon.decisions.questions,
            clock=SteadyClock(),
            shared={name: plugin for name, plugin in self._site.backends.items() if plugin.shared},
            tell=self._told,
            executors=self._executors,
        )
        machines = Machines(
            service,
            self._lines,
            self._executors,
            tick=daemon.tick,
            leads=self._lease.holds if self._lease is not None else lambda: True,
        )
        work = Loop(
            service,
            self._lines,
            tick=daemon.tick,
            settle=daemon.settle,
            passed=self._metrics.passed,
            machines=machines,
        )
        policies = LivePolicy(self._site, service, self._check)
        context = self._context(
            service,
            policies,
            lambda: everywhere(service.memory, self._lines, machines.views),
            machines.console,
        )
        try:
            await service.recover(
                lambda ours: {
                    name: natives_in(look, self._lines[name].backend, ours, service.now())
                    for name, look in looks.items()
                }
            )
            await service.note_policy()
            self._service = service
            self._metrics.serve(service)
            self._manager.tell(f"STATUS=serving policy {policy.checked.name}")
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._begin_reload, policies)
            _log.info(
                "serving",
                extra={
                    "on": [endpoint.address for endpoint in parts.endpoints],
                    "policy": policy.checked.name,
                    "digest": policy.digest,
                    "waiting": len(service.state.waiting),
                    "running": len(service.state.running),
                },
            )
            for name in {dispatch.backend for dispatch in service.dispatches.values()} - self._lines.keys():
                _log.error("work of ours is at a backend that the site has no more", extra={"backend": name})
            for target in set(machine_targets(policy)) - self._executors.keys():
                _log.warning("machines win their cores, but nothing boots them", extra={"executor": target})
            async with asyncio.TaskGroup() as tasks:
                working = tasks.create_task(work.run())
                watching = tasks.create_task(policies.watch())
                held = tasks.create_task(self._hold_on(self._lease)) if self._lease is not None else None
                self._doors.application = application(context)
                with collected_in_small_steps():
                    await self._open()
                working.cancel()
                watching.cancel()
                if held is not None:
                    held.cancel()
        finally:
            await work.close()
            await service.close()

    def _told(self, changes: Changes, seconds: float) -> None:
        self._metrics.committed(changes, seconds)
        self._watches.tell(changes)

    def _why_unready(self) -> str:
        if self._stop.is_set():
            return "it is ending"
        if self._service is None:
            return "it stands by" if self._lease is not None else "it has not begun"
        return f"the store cannot be written: {broken}" if (broken := self._service.broken) else ""

    def _context(
        self,
        service: Service,
        policies: LivePolicy | None = None,
        differing: Callable[[], Iterable[DifferenceView]] = tuple,
        console: Callable[[int, int], Awaitable[str | ActionOutcome]] = no_console,
    ) -> Context:
        return Context(
            service=service,
            known=self._known,
            limits=self._site.daemon.limits,
            backends=self._backend_views,
            door=self._door,
            watches=self._watches,
            metrics=self._metrics,
            unready=self._why_unready,
            log_problem=self._log_problem,
            differences=differing,
            console=console,
            policies=policies,
        )

    async def _first_look(self) -> dict[str, Snapshot]:
        """What all backends show: without it nothing can be decided, so this is waited for."""
        looks: dict[str, Snapshot] = {}
        for line in self._lines.values():
            pause = 0.5
            while True:
                try:
                    looks[line.name] = await line.snapshot(int(time.time()))
                except BackendUnavailable as error:
                    line.complain(str(error))
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                else:
                    break
        return looks

    async def _files(self) -> CompiledPolicy:
        """The policy to begin with; whoever stood by reads it anew, if it is sound."""
        if self._lease is None:
            return self._parts.policy
        try:
            policy = await asyncio.to_thread(from_files, self._site)
            self._check(policy)
        except PolicyRefused as error:
            _log.error("the new policy is not taken", extra={"error": str(error)})
            return self._parts.policy
        return policy

    def _check(self, policy: CompiledPolicy) -> None:
        """Raises PolicyRefused for a policy that nothing here can carry out."""
        try:
            check_routes(policy, self._backends)
            check_actions(policy, self._backends)
        except StartError as error:
            raise PolicyRefused(str(error)) from None

    def _begin_reload(self, policies: LivePolicy) -> None:
        task = asyncio.create_task(self._reload(policies))
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self, policies: LivePolicy) -> None:
        """Take up the policy as it is now, if it is sound; else the old one goes on, which was told."""
        for server_ in self._servers:
            try:
                server_.renew()
            except OSError as error:  # ssl.SSLError is one
                _log.error("the new certificate is not taken", extra={"error": str(error)})
        with suppress(PolicyRefused, StoreUnavailable, Busy):
            await policies.reload()

    def _log_problem(self) -> str:
        return self._parts.decisions.problem if self._parts.decisions is not None else ""

    def _backend_views(self) -> tuple[BackendView, ...]:
        return tuple(
            BackendView(line.name, not line.last_error, line.last_error, len(line.missing))
            for line in self._lines.values()
        )
