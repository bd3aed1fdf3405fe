"""The simulated cloud as an executor: the interface, and the faults on the way."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

from wnodes_engine.backend import ActionOutcome, Health, Verdict
from wnodes_engine.executor import (
    BALLASTED,
    Ability,
    Amounts,
    CloudView,
    Event,
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
    target_ballast,
    unfit_machine,
)
from wnodes_engine.values import Image

from wnodes_simulated_cloud.cloud import SERVICE, Cloud
from wnodes_simulated_cloud.options import ImageOptions, read_options
from wnodes_simulated_cloud.parts import Box, CloudRefusal, Place, amounts_of

_LOST: Final = ActionOutcome(Verdict.UNKNOWN, "the answer did not arrive")
_DONE: Final = ActionOutcome(Verdict.DONE)
_TRIES: Final = 8


class SimulatedExecutor(Executor):
    """A whole cloud in one process. Time is the wall clock's unless another clock is given."""

    def __init__(
        self, name: str, options: Mapping[str, Any], *, clock: Callable[[], float] = time.time
    ) -> None:
        """Makes the cloud, with nothing in it. Raises ValueError."""
        super().__init__(name, options)
        self._options = read_options(name, options)
        self._faults = self._options.faults
        self._clock = clock
        self._chance = Random(f"{self._options.seed} answers")  # noqa: S311 - it has to be repeatable
        self.cloud = Cloud(self._options, clock())
        self._scratch: dict[tuple[str, str], Scratch] = {}

    @property
    def abilities(self) -> frozenset[Ability]:
        """Everything."""
        return frozenset(Ability)

    # ----------------------------------------------------------------- looking

    async def inventory(self) -> CloudView:
        """All hosts and servers."""
        now = await self._query("hosts and servers")
        hosts = tuple(self._host(place, now) for place in self.cloud.places.values())
        return CloudView(hosts, tuple(self._server(box) for box in self.cloud.servers.values()), int(now))

    async def host(self, name: str) -> Host | None:
        """One host."""
        now = await self._query(f"the host {name}")
        place = self.cloud.places.get(name)
        return self._host(place, now) if place is not None else None

    async def find(self, wanted: Mapping[str, str]) -> Mapping[str, tuple[Server, ...]]:
        """Our servers with these keys, in these projects."""
        await self._query("our servers")
        found: dict[str, tuple[Server, ...]] = {}
        for box in sorted(self.cloud.servers.values(), key=lambda box: (box.at, box.id)):
            if box.user == SERVICE and wanted.get(box.key) == box.project:
                found[box.key] = (*found.get(box.key, ()), self._server(box))
        return found

    async def look(self, ref: ServerRef) -> Server | Gone:
        """One server; the last act of one that is gone says whether its host knew."""
        await self._query("a server")
        if (box := self.cloud.servers.get(ref.id)) is not None:
            return self._server(box)
        record = self.cloud.records.get(ref.id)
        if record is None:
            return Gone(False, "there never was such a server")
        last = record.acts[-1]
        if not last.host:
            return Gone(True, "it was on no host")
        return Gone(last.confirmed is not None, f"{last.host}: {last.result or 'was not told'}")

    async def actions(self, ref: ServerRef) -> tuple[ServerAction, ...]:
        """What was done to a server."""
        await self._query("what was done to a server")
        record = self.cloud.records.get(ref.id)
        return tuple(
            ServerAction(
                act.action,
                act.user,
                int(act.at),
                f"req-{number}",
                events=(
                    Event(f"compute_{act.action}", act.host, int(act.at), int(act.confirmed), act.result),
                )
                if act.confirmed is not None
                else (),
            )
            for number, act in enumerate(record.acts if record is not None else ())
        )

    async def console(self, ref: ServerRef, lines: int = 100) -> str | ActionOutcome:
        """A line of what a machine would have printed."""
        await self._query("a console")
        box = self.cloud.servers.get(ref.id)
        if box is None or box.launched is None:
            return ActionOutcome(Verdict.REFUSED, f"the server {ref.id} has printed nothing")
        return "\n".join(["a simulated machine", f"{box.name} login:"][-lines:]) + "\n"

    # ------------------------------------------------------------------- doing

    async def prepare(self, spec: MachineSpec) -> Machine | ActionOutcome:
        """Find the image, the flavour and the networks."""
        await self._answer()
        options = self._options
        if said := unfit_machine(spec):
            return _refused(said)
        if options.projects and spec.project not in options.projects:
            return _refused(f"there is no project {spec.project!r}")
        if (image := options.images.get(spec.image)) is None:
            return _refused(f"there is no image {spec.image!r}")
        if image.status != "active":
            return _refused(f"the image {spec.image!r} is {image.status}, not active")
        if not image.approved:
            return _refused(f"the image {spec.image!r} is not approved at this site")
        for network in spec.networks:
            if network not in options.networks:
                return _refused(f"there is no network {network!r}")
        flavour = spec.flavour or self._smallest(spec)
        if flavour not in options.flavours:
            return _refused(f"there is no flavour {flavour!r}" if flavour else "no flavour is large enough")
        size = options.flavours[flavour]
        if (spec.boot_volume or size.disk) < image.min_disk or size.memory < image.min_memory:
            return _refused(f"the image {spec.image!r} does not fit into the flavour {flavour!r}")
        amounts = amounts_of(size.vcpus, size.memory, 0 if spec.boot_volume else size.disk)
        return Machine(spec, spec.project, _image(spec.image, image), flavour, amounts)

    async def create(self, machine: Machine, host: str) -> ServerRef | ActionOutcome:
        """Boot a machine on a host."""
        await self._answer()
        if self._happens(self._faults.passing):
            return ActionOutcome(Verdict.PASSING, "too busy to take in servers at the moment")
        spec = machine.spec
        try:
            box = self.cloud.boot(
                machine.amounts,
                self._advance(),
                project=machine.project,
                host=host,
                key=spec.key,
                user=SERVICE,
                name=spec.name,
            )
        except CloudRefusal as error:
            return _said(error)
        return _LOST if self._happens(self._faults.lost) else ServerRef(box.id, spec.key, box.project)

    async def delete(self, ref: ServerRef) -> ActionOutcome:
        """Have a server of ours deleted."""
        return await self._act(ref, lambda box, now: self.cloud.delete(box.id, now, SERVICE), gone=_DONE)

    async def shelve(self, ref: ServerRef) -> ActionOutcome:
        """Take a server of ours off its host."""

        def shelve(box: Box, now: float) -> None:
            if box.state not in {ServerState.SHELVED, ServerState.SHELVING}:
                self.cloud.shelve(box.id, now, SERVICE)

        return await self._act(ref, shelve)

    async def unshelve(self, ref: ServerRef, host: str) -> ActionOutcome:
        """Bring a server of ours back."""
        return await self._act(ref, lambda box, now: self.cloud.unshelve(box.id, host, now, SERVICE))

    async def migrate(self, ref: ServerRef, host: str) -> ActionOutcome:
        """Move a server of ours."""
        return await self._act(ref, lambda box, now: self.cloud.migrate(box.id, host, now, SERVICE))

    async def set_ballast(self, host: str, granted: Amounts) -> ActionOutcome:
        """Make all that was not granted ours."""
        await self._answer()
        if self._happens(self._faults.passing):
            return ActionOutcome(Verdict.PASSING, "too busy to take in allocations at the moment")
        self._advance()
        if (place := self.cloud.places.get(host)) is None:
            return _refused(f"there is no host {host!r}")
        for name in BALLASTED:
            if name in place.inventory and place.inventory[name].ratio != 1:
                return _refused(f"{host} has a ratio of {place.inventory[name].ratio} for {name}, not 1")
        try:
            target = target_ballast(place.inventory, granted)
        except ValueError as error:
            return _refused(f"{host}: {error}")
        outcome = self._put(place, target)
        return _LOST if self._happens(self._faults.lost) else outcome

    def _put(self, place: Place, target: Amounts) -> ActionOutcome:
        for _ in range(_TRIES):
            try:
                self.cloud.put_ballast(self._consumer(place), place.name, target, place.generation)
            except CloudRefusal as error:
                if str(error) != "placement.concurrent_update":
                    return ActionOutcome(Verdict.NO_ROOM, f"{place.name}: {error}")
            else:
                return _DONE
        return ActionOutcome(Verdict.CONFLICT, f"{place.name}: others keep writing")

    # ------------------------------------------------------------------ scratch

    async def make_scratch(self, project: str, key: str, quota: int) -> Scratch | ActionOutcome:
        """A container by name alone."""
        await self._answer()
        name = f"wnodes-{key}"
        return self._scratch.setdefault((project, key), Scratch(name, f"sim:///{project}/{name}", quota))

    async def drop_scratch(self, project: str, key: str) -> ActionOutcome:
        """Forget it."""
        await self._answer()
        self._scratch.pop((project, key), None)
        return _DONE

    # -------------------------------------------------------------------- rest

    async def images(self, project: str) -> Sequence[Image]:  # noqa: ARG002 - everybody sees all of them
        """The images that there are."""
        await self._query("images")
        return tuple(_image(name, image) for name, image in self._options.images.items())

    async def doctor(self) -> tuple[Health, ...]:
        """What to know of a cloud that is not real."""
        count = len(self.cloud.places)
        return (Health("cloud", True, f"{count} simulated hosts; nothing runs for real, nothing is kept"),)

    async def close(self) -> None:
        """There is nothing to let go of."""

    # ------------------------------------------------------------------- inside

    async def _act(
        self, ref: ServerRef, do: Callable[[Box, float], None], gone: ActionOutcome | None = None
    ) -> ActionOutcome:
        await self._answer()
        if self._happens(self._faults.passing):
            return ActionOutcome(Verdict.PASSING, "too busy at the moment")
        now = self._advance()
        box = self.cloud.servers.get(ref.id)
        if box is None:
            return gone or ActionOutcome(Verdict.CONFLICT, f"there is no server {ref.id}")
        if box.user != SERVICE or box.project != ref.project:
            return ActionOutcome(Verdict.CONFLICT, f"the server {ref.id} is not ours")
        try:
            do(box, now)
        except CloudRefusal as error:
            return _said(error)
        return _LOST if self._happens(self._faults.lost) else _DONE

    def _consumer(self, place: Place) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.name} {place.provider}"))

    def _smallest(self, spec: MachineSpec) -> str:
        fitting = [
            (size.vcpus, size.memory, size.disk, name)
            for name, size in self._options.flavours.items()
            if size.vcpus >= spec.cores and size.memory >= spec.memory and size.disk * 1024 >= spec.disk
        ]
        return min(fitting)[-1] if fitting else ""

    def _host(self, place: Place, now: float) -> Host:
        ballast = self.cloud.allocations[place.name].get(self._consumer(place), {})
        return Host(
            place.name,
            place.options.node or place.name,
            place.name,
            place.provider,
            dict(place.inventory),
            self.cloud.used(place.name),
            dict(ballast),
            self.cloud.is_up(place, now),
            int(now if place.failed_at is None else place.failed_at),
            place.disabled,
        )

    def _server(self, box: Box) -> Server:
        return Server(
            ServerRef(box.id, box.key, box.project),
            box.state,
            box.state.upper(),
            box.user == SERVICE,
            box.name,
            box.user,
            box.host,
            dict(box.amounts),
            int(box.at),
            None if box.launched is None else int(box.launched),
            box.fault,
        )

    async def _query(self, of_what: str) -> float:
        await self._answer()
        if self._happens(self._faults.unavailable):
            raise ExecutorUnavailable(f"the simulated cloud {self.name} did not answer: {of_what}")
        return self._advance()

    async def _answer(self) -> None:
        if self._happens(self._faults.slow):
            await asyncio.sleep(self._faults.slow_by)

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self._chance.random() < chance

    def _advance(self) -> float:
        now = self._clock()
        self.cloud.advance(now)
        return now


def _refused(message: str) -> ActionOutcome:
    return ActionOutcome(Verdict.REFUSED, message)


def _said(error: CloudRefusal) -> ActionOutcome:
    verdict = {403: Verdict.NO_ROOM, 404: Verdict.CONFLICT, 409: Verdict.CONFLICT}
    return ActionOutcome(verdict.get(error.status, Verdict.REFUSED), str(error))


def _image(name: str, image: ImageOptions) -> Image:
    return Image(
        name,
        name,
        approved=image.approved,
        status=image.status,
        min_disk=image.min_disk * 1024,
        min_memory=image.min_memory,
    )
