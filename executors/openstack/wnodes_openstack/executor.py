"""OpenStack as an executor: the interface, carried out in threads by the readers and calls beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import time
from typing import Any, Final, TypeVar
from urllib.parse import quote

from wnodes_engine.backend import ActionOutcome, Health, Verdict
from wnodes_engine.executor import (
    Ability,
    Amounts,
    CloudView,
    Executor,
    ExecutorUnavailable,
    Gone,
    Host,
    Machine,
    MachineSpec,
    Scratch,
    Server,
    ServerAction,
    ServerRef,
    ServerState,
)
from wnodes_engine.values import Image

from wnodes_openstack import doctor, flavours, machines, placement, scratch
from wnodes_openstack.connections import Connections, Link
from wnodes_openstack.errors import (
    NoSuchProject,
    NotLetIn,
    Unanswered,
    expected,
    message_of,
    outcome_of,
    outcome_of_silence,
)
from wnodes_openstack.hosts import Provider, join_hosts
from wnodes_openstack.images import Images
from wnodes_openstack.options import read_options
from wnodes_openstack.servers import FARM, how_it_went, read_actions, read_server

R = TypeVar("R")

_VERSION: Final = machines.VERSION
_UNSHELVES: Final = "2.91"
_HYPERVISORS: Final = "2.53"
"""Later ones ask every host for its uptime."""
_ACTIONS: Final = "2.84"
_KEYS_AT_ONCE: Final = 50
_PAGE: Final = 1000
_LONGEST_LOG: Final = 64 << 10
_DONE: Final = ActionOutcome(Verdict.DONE)


class OpenStackExecutor(Executor):
    """One cloud, as the service user of `clouds.yaml`; servers are made in the requesters' projects."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        """Reads `clouds.yaml`, and calls nobody yet. Raises ValueError."""
        super().__init__(name, options)
        self._options = read_options(name, options)
        self._connections = Connections(name, self._options)
        self._images = Images(self._options)
        self._providers: dict[str, Provider] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._abilities = frozenset({Ability.BALLAST, Ability.GROUPS, Ability.CONFIRM, Ability.MIGRATE})

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the services of the catalogue can do; what was not looked at yet is left out."""
        return self._abilities

    @property
    def calls(self) -> Mapping[str, int]:
        """How many calls were made so far, by service and method."""
        return dict(self._connections.counted)

    # ----------------------------------------------------------------- looking

    async def inventory(self) -> CloudView:
        """All hosts and servers; of providers only those that were written to since the last time."""
        began = int(time())
        listed, servers, _ = await asyncio.gather(
            self._query(self._list_hosts), self._query(self._list_servers), self._query(self._learn)
        )
        services, hypervisors, known = listed
        wanted = {str(each["id"]) for each in hypervisors}
        stale = [
            (uuid, name)
            for uuid, (name, generation) in known.items()
            if uuid in wanted
            and (uuid not in self._providers or self._providers[uuid].generation != generation)
        ]
        for provider in await asyncio.gather(
            *(self._query(partial(placement.look, uuid=uuid, name=name)) for uuid, name in stale)
        ):
            self._providers[provider.uuid] = provider
        self._providers = {uuid: self._providers[uuid] for uuid in wanted & known.keys()}
        hosts = join_hosts(services, hypervisors, self._providers, self._options.nodes, self._options.farm)
        return CloudView(hosts, servers, began)

    async def host(self, name: str) -> Host | None:
        """One host, with three or four calls."""

        def read(link: Link) -> Host | None:
            path = f"/os-services?binary=nova-compute&host={quote(name)}"
            services = expected(link.ask("compute", "GET", path, version=_VERSION), "the host")["services"]
            if not services:
                return None
            hypervisors = self._hypervisors(link)
            mine = [each for each in hypervisors if each["service"]["host"] == name]
            providers = {}
            for each in mine[:1]:
                uuid, called = str(each["id"]), str(each["hypervisor_hostname"])
                if placement.provider_named(link, called) == uuid:
                    providers[uuid] = placement.look(link, uuid, called)
            hosts = join_hosts(services, mine, providers, self._options.nodes, self._options.farm)
            return hosts[0]

        return await self._query(read)

    async def find(self, wanted: Mapping[str, str]) -> Mapping[str, tuple[Server, ...]]:
        """Ours by the tags that carry their keys, in all projects at one time."""
        found: dict[str, tuple[Server, ...]] = {}
        ids: dict[str, str] = {}
        for project in set(wanted.values()):
            with suppress(NotLetIn):  # nothing of ours can be where we have no role
                ids[project] = await self._query_as(project, lambda link: link.project)
        keys = sorted(wanted)
        for at in range(0, len(keys), _KEYS_AT_ONCE):
            tags = quote(",".join(keys[at : at + _KEYS_AT_ONCE]))
            servers = await self._query(partial(self._servers, query=f"&tags-any={tags}"))
            for server in sorted(servers, key=lambda each: (each.created_at, each.ref.id)):
                key = server.ref.key
                if server.ours and key in wanted and ids.get(wanted[key]) == server.ref.project:
                    found[key] = (*found.get(key, ()), server)
        return found

    async def look(self, ref: ServerRef) -> Server | Gone:
        """One server as its own project shows it; after a 404, what its host has said of its end."""

        def read(link: Link) -> Server | Gone:
            answer = link.ask("compute", "GET", f"/servers/{quote(ref.id)}", version=_VERSION)
            if answer.status == 404:
                return how_it_went(self._read_actions(link, ref))
            server = expected(answer, f"the server {ref.id}")["server"]
            return read_server(server, link.user, self._options.farm)

        return await self._query_in(ref.project, read)

    async def actions(self, ref: ServerRef) -> tuple[ServerAction, ...]:
        """What was done to a server, in which steps."""
        return await self._query_in(ref.project, lambda link: self._read_actions(link, ref))

    async def console(self, ref: ServerRef, lines: int = 100) -> str | ActionOutcome:
        """The end of its console log."""

        def read(link: Link) -> str | ActionOutcome:
            body = {"os-getConsoleOutput": {"length": min(max(lines, 1), 10_000)}}
            answer = link.ask(
                "compute", "POST", f"/servers/{quote(ref.id)}/action", version=_VERSION, json=body
            )
            if not answer.well:
                return outcome_of(answer, f"the console of {ref.id}")
            return str(answer.body.get("output") or "")[-_LONGEST_LOG:]

        return await self._said(f"the console of {ref.id}", ref.project, read)

    # ------------------------------------------------------------------- doing

    async def prepare(self, spec: MachineSpec) -> Machine | ActionOutcome:
        """Find and check all that a machine needs; a flavour may be made to measure."""
        own: dict[str, Any] = {}
        if spec.key_pair:

            def read(link: Link) -> dict[str, Any] | ActionOutcome:
                try:
                    return {"keys": (machines.read_key(link, spec),)}
                except machines.SpecError as error:
                    return ActionOutcome(Verdict.REFUSED, str(error))

            answer = await self._said("the key pair", "", read)
            if isinstance(answer, ActionOutcome):
                return answer
            own |= answer
        if self._options.measure and not spec.flavour and not spec.gpus and spec.memory:
            flavour = await self._said(
                "a flavour made to measure", "", lambda link: self._measured(link, spec)
            )
            if isinstance(flavour, ActionOutcome):
                return flavour
            own["flavour"] = flavour

        def check(link: Link) -> Machine | ActionOutcome:
            return machines.prepare(link, own, self._images, self._options, spec)

        return await self._said("this machine", spec.project, check)

    async def create(self, machine: Machine, host: str) -> ServerRef | ActionOutcome:
        """Boot a machine: one call, and two more for a pool's group."""
        spec = machine.spec

        def boot(link: Link) -> ServerRef | ActionOutcome:
            group = machines.make_group(link, spec) if spec.group else ""
            if isinstance(group, ActionOutcome):
                return group
            body = machines.body_of(machine, host, self._options.farm, group)
            answer = link.ask("compute", "POST", "/servers", version=_VERSION, json=body)
            if not answer.well:
                return outcome_of(answer, f"a server on {host}")
            return ServerRef(str(answer.body["server"]["id"]), spec.key, link.project)

        return await self._said(f"a server on {host}", machine.project, boot)

    async def delete(self, ref: ServerRef) -> ActionOutcome:
        """Have it deleted, if it is ours."""

        def delete(link: Link) -> ActionOutcome:
            server = self._ours(link, ref)
            if isinstance(server, ActionOutcome):
                return server
            if server is None or server.state is ServerState.DELETING:
                return _DONE
            answer = link.ask("compute", "DELETE", f"/servers/{ref.id}", version=_VERSION)
            return _DONE if answer.status == 404 else outcome_of(answer, f"to delete {ref.id}")

        return await self._touched(f"to delete {ref.id}", ref.project, delete)

    async def shelve(self, ref: ServerRef) -> ActionOutcome:
        """Have it shelved; Nova takes it off its host as its own configuration says, at once by default."""
        done = frozenset({ServerState.SHELVED, ServerState.SHELVING})
        return await self._act(ref, "to shelve", _VERSION, {"shelve": None}, done)

    async def unshelve(self, ref: ServerRef, host: str) -> ActionOutcome:
        """Have it brought back to that host."""
        return await self._act(ref, "to unshelve", _UNSHELVES, {"unshelve": {"host": host}})

    async def migrate(self, ref: ServerRef, host: str) -> ActionOutcome:
        """Have it moved; the scheduler's filters are asked, and so is Placement."""
        body = {"os-migrateLive": {"host": host, "block_migration": "auto"}}
        return await self._act(ref, "to migrate", _VERSION, body)

    async def set_ballast(self, host: str, granted: Amounts) -> ActionOutcome:
        """Make all that was not granted ours; one call at a time for a host."""

        def put(link: Link) -> ActionOutcome:
            try:
                hypervisors = [each for each in self._hypervisors(link) if each["service"]["host"] == host]
                uuid = str(hypervisors[0]["id"]) if hypervisors else ""
                if len(hypervisors) != 1:
                    return ActionOutcome(Verdict.REFUSED, f"{host} is not a host of one hypervisor")
                return placement.set_ballast(link, uuid, host, granted, self._options.farm)
            except ExecutorUnavailable as error:
                return ActionOutcome(Verdict.PASSING, f"ballast on {host}: {error}")

        async with self._locks.setdefault(host, asyncio.Lock()):
            return await self._said(f"ballast on {host}", "", put)

    # ------------------------------------------------------------------ scratch

    async def make_scratch(self, project: str, key: str, quota: int) -> Scratch | ActionOutcome:
        """A container in the project's own account, so that whoever belongs to it can use it."""
        if not 0 < quota <= self._options.scratch_quota:
            most = self._options.scratch_quota
            return ActionOutcome(
                Verdict.REFUSED, f"{quota} bytes of scratch: from 1 to {most} may be asked for"
            )
        name = scratch.name_of(self._options.farm, key)
        return await self._said("scratch", project, lambda link: scratch.make(link, name, quota))

    async def drop_scratch(self, project: str, key: str) -> ActionOutcome:
        """Delete it with everything in it."""
        name = scratch.name_of(self._options.farm, key)
        return await self._said("scratch", project, lambda link: scratch.drop(link, name))

    # -------------------------------------------------------------------- rest

    async def images(self, project: str) -> Sequence[Image]:
        """The images that the project can see."""
        return await self._query_in(project, self._images.seen_by)

    async def doctor(self) -> tuple[Health, ...]:
        """What an administrator has to know."""
        try:
            view = await self.inventory()
        except ExecutorUnavailable as error:
            return (doctor.unreachable(self._options, error),)
        try:
            return await self._query(lambda link: doctor.look(link, view, self._options))
        except ExecutorUnavailable as error:
            return (doctor.unreachable(self._options, error),)

    async def close(self) -> None:
        """Wait for the threads, and close their connections."""
        await asyncio.to_thread(self._connections.close)

    # ------------------------------------------------------------------- calls

    def _learn(self, link: Link) -> None:
        more = {
            Ability.VOLUMES: link.has("block_storage"),
            Ability.NETWORKS: link.has("network"),
            Ability.SCRATCH: link.has("object_store"),
            Ability.MEASURE: self._options.measure,
            Ability.UNSHELVE: _number(link.versions("compute")) >= _number(_UNSHELVES),
        }
        self._abilities = self._abilities | {ability for ability, there in more.items() if there}

    def _list_hosts(self, link: Link) -> tuple[list[Any], list[Any], dict[str, tuple[str, int]]]:
        answer = link.ask("compute", "GET", "/os-services?binary=nova-compute", version=_VERSION)
        services = expected(answer, "the compute services")["services"]
        return services, self._hypervisors(link), placement.list_providers(link)

    @staticmethod
    def _hypervisors(link: Link) -> list[Any]:
        found: list[Any] = []
        marker = ""
        while True:
            path = f"/os-hypervisors/detail?limit={_PAGE}{f'&marker={marker}' if marker else ''}"
            page = expected(link.ask("compute", "GET", path, version=_HYPERVISORS), "the hypervisors")
            found += page["hypervisors"]
            if len(page["hypervisors"]) < _PAGE:
                return found
            marker = page["hypervisors"][-1]["id"]

    def _list_servers(self, link: Link) -> tuple[Server, ...]:
        return self._servers(link, "")

    def _servers(self, link: Link, query: str) -> tuple[Server, ...]:
        found: list[Server] = []
        marker = ""
        while True:
            path = (
                f"/servers/detail?all_tenants=1&limit={_PAGE}{query}{f'&marker={marker}' if marker else ''}"
            )
            page = expected(link.ask("compute", "GET", path, version=_VERSION), "the servers")["servers"]
            found += (read_server(each, link.user, self._options.farm) for each in page)
            if len(page) < _PAGE:
                return tuple(found)
            marker = page[-1]["id"]

    def _read_actions(self, link: Link, ref: ServerRef) -> tuple[ServerAction, ...]:
        path = f"/servers/{quote(ref.id)}/os-instance-actions"
        answer = link.ask("compute", "GET", path, version=_ACTIONS)
        if answer.status == 404:
            return ()
        listed = expected(answer, f"the actions of {ref.id}")["instanceActions"]
        details = {}
        for each in listed:
            request = each["request_id"]
            shown = link.ask("compute", "GET", f"{path}/{request}", version=_ACTIONS)
            details[request] = expected(shown, f"the actions of {ref.id}")["instanceAction"]
        return read_actions(listed, details)

    def _ours(self, link: Link, ref: ServerRef) -> Server | ActionOutcome | None:
        """The server, if it is ours to touch; None if it is not there."""
        answer = link.ask("compute", "GET", f"/servers/{quote(ref.id)}", version=_VERSION)
        if answer.status == 404:
            return None
        if not answer.well:
            return ActionOutcome(Verdict.PASSING, f"{ref.id}: {message_of(answer.body)}")
        shown = answer.body["server"]
        other = (shown.get("metadata") or {}).get(FARM, self._options.farm)
        if shown["user_id"] != link.user or other != self._options.farm:
            return ActionOutcome(Verdict.CONFLICT, f"the server {ref.id} is not ours")
        return read_server(shown, link.user, self._options.farm)

    async def _act(
        self,
        ref: ServerRef,
        what: str,
        version: str,
        body: Mapping[str, Any],
        done: frozenset[ServerState] = frozenset(),
    ) -> ActionOutcome:
        def act(link: Link) -> ActionOutcome:
            server = self._ours(link, ref)
            if server is None:
                return ActionOutcome(Verdict.CONFLICT, f"there is no server {ref.id}")
            if isinstance(server, ActionOutcome):
                return server
            if server.state in done:
                return _DONE
            path = f"/servers/{ref.id}/action"
            return outcome_of(
                link.ask("compute", "POST", path, version=version, json=body), f"{what} {ref.id}"
            )

        return await self._touched(f"{what} {ref.id}", ref.project, act)

    def _measured(self, link: Link, spec: MachineSpec) -> Mapping[str, Any] | ActionOutcome | None:
        known = flavours.list_flavours(link)
        exact = next((each for each in known if flavours.fits_exactly(each, spec)), None)
        if exact is not None:
            return exact
        made, answer = flavours.make(link, flavours.measured(spec))
        return made if made is not None else outcome_of(answer, "a flavour made to measure")

    # ----------------------------------------------------------------- failures

    async def _touched(self, what: str, project: str, act: Callable[[Link], ActionOutcome]) -> ActionOutcome:
        """What an act on a server comes to; nothing of ours is in a project where we have no role."""
        try:
            return await self._connections.run(act, project)
        except NoSuchProject as error:
            return ActionOutcome(Verdict.CONFLICT, f"{what}: {error}")
        except (Unanswered, NotLetIn) as error:
            return outcome_of_silence(error, what)

    async def _said(
        self, what: str, project: str, call: Callable[[Link], R | ActionOutcome]
    ) -> R | ActionOutcome:
        """What a call comes to; what goes wrong on its way is an outcome, too."""
        try:
            return await self._connections.run(call, project)
        except (Unanswered, NotLetIn) as error:
            return outcome_of_silence(error, what)
        except ExecutorUnavailable as error:
            return ActionOutcome(Verdict.PASSING, f"{what}: {error}")

    async def _query(self, call: Callable[[Link], R]) -> R:
        return await self._query_in("", call)

    async def _query_in(self, project: str, call: Callable[[Link], R]) -> R:
        try:
            return await self._query_as(project, call)
        except NotLetIn as error:
            raise ExecutorUnavailable(f"the cloud {self._options.cloud}: {error}") from None

    def _query_as(self, project: str, call: Callable[[Link], R]) -> Awaitable[R]:
        return self._asked(self._connections.run(call, project))

    async def _asked(self, asked: Awaitable[R]) -> R:
        try:
            return await asked
        except Unanswered as error:
            raise ExecutorUnavailable(f"the cloud {self._options.cloud}: {error}") from None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
