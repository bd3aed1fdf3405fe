"""The executor that is put to the test, and what the laws do with it: boot, look, wait, tidy up."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, TypeVar

from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.conformance.subject import Broken, NotHere, expect
from wnodes_engine.executor import (
    BALLASTED,
    Ability,
    Executor,
    Gone,
    Host,
    Machine,
    MachineSpec,
    Server,
    ServerRef,
    ServerState,
)

R = TypeVar("R")

_AGAIN: Final = frozenset({Verdict.PASSING, Verdict.UNKNOWN})


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """How to use the cloud: whose machines are booted, from which image, how long to wait for anything."""

    project: str
    image: str
    networks: tuple[str, ...] = ()
    patience: float = 60.0
    pause: float = 0.2


@dataclass(slots=True)
class CloudSubject:
    """One executor under test, and the servers and ballast that have to be undone afterwards."""

    executor: Executor
    settings: CloudSettings
    booted: dict[str, str] = field(default_factory=dict)  # key -> project
    scratched: list[str] = field(default_factory=list)
    ballasted: set[str] = field(default_factory=set)

    # ---------------------------------------------------------------- booting

    def spec(self, **fields: Any) -> MachineSpec:
        """A machine of one core, with these fields instead."""
        given: dict[str, Any] = {
            "key": secrets.token_hex(12),
            "name": "wnodes-conformance",
            "project": self.settings.project,
            "image": self.settings.image,
            "networks": self.settings.networks,
            "cores": 1,
        }
        return MachineSpec(**given | fields)

    async def machine(self, **fields: Any) -> Machine:
        """Such a machine, prepared."""
        answer = await self.again(lambda: self.executor.prepare(self.spec(**fields)))
        if isinstance(answer, ActionOutcome):
            raise Broken(f"a machine could not be prepared: {_shown(answer)}")
        return answer

    async def create(self, machine: Machine, host: str) -> ServerRef:
        """Boot it, and be sure that it is there, and there once."""
        key, project = machine.spec.key, machine.project
        self.booted[key] = project

        async def taken() -> ServerRef | None:
            found = (await self.executor.find({key: project})).get(key, ())
            if found:
                return found[0].ref
            answer = await self.executor.create(machine, host)
            if isinstance(answer, ServerRef):
                return answer
            expect(answer.verdict in _AGAIN, f"a boot came to {_shown(answer)}")
            return None

        ref = await self.until(taken, "boots are turned away again and again")
        expect((ref.key, ref.project) == (key, project), f"booted under {key}, and the reference is {ref}")
        return ref

    async def run(self, host: str, **fields: Any) -> Server:
        """Prepare a machine, boot it, and wait until it runs."""
        return await self.reach(await self.create(await self.machine(**fields), host), ServerState.ACTIVE)

    # ----------------------------------------------------------------- looking

    async def reach(self, ref: ServerRef, *states: ServerState) -> Server:
        """Wait until the server is in one of these states."""
        last: list[str] = ["nothing"]

        async def there() -> Server | None:
            seen = await self.executor.look(ref)
            last[0] = f"{seen.state} {seen.fault}" if isinstance(seen, Server) else str(seen)
            return seen if isinstance(seen, Server) and seen.state in states else None

        return await self.until(there, lambda: f"wanted {' or '.join(states)}, last seen: {last[0]}")

    async def gone(self, ref: ServerRef) -> Gone:
        """Wait until the server is gone."""

        async def away() -> Gone | None:
            seen = await self.executor.look(ref)
            return seen if isinstance(seen, Gone) else None

        return await self.until(away, f"the server {ref.id} is never gone")

    async def hosts(self, count: int = 1) -> list[Host]:
        """Hosts that are up and empty; raises NotHere if there are too few."""
        hosts = [
            host
            for host in (await self.executor.inventory()).hosts
            if host.up and not host.disabled and not any(host.used.get(name) for name in BALLASTED)
        ]
        if len(hosts) < count:
            raise NotHere(f"it takes {count} hosts that are up and empty")
        return hosts[:count]

    async def host(self, name: str) -> Host:
        """One host, read anew."""
        host = await self.executor.host(name)
        if host is None:
            raise Broken(f"the host {name} was listed, and is not there")
        return host

    def needs(self, *abilities: Ability) -> None:
        """Raises NotHere if the executor cannot do one of these."""
        if lacking := set(abilities) - self.executor.abilities:
            raise NotHere(f"this executor has no {', '.join(sorted(lacking))}")

    # ------------------------------------------------------------------- doing

    async def ballast(self, host: str, **granted: int) -> ActionOutcome:
        """What setting the ballast of a host comes to, once it is known."""
        self.needs(Ability.BALLAST)
        self.ballasted.add(host)
        return await self.again(lambda: self.executor.set_ballast(host, granted))

    async def fill(self, host: str, **granted: int) -> None:
        """Set the ballast, which has to succeed."""

        async def done() -> bool | None:
            outcome = await self.ballast(host, **granted)
            expect(outcome.verdict in {Verdict.DONE, Verdict.NO_ROOM}, f"ballast came to {_shown(outcome)}")
            return outcome.verdict is Verdict.DONE or None

        await self.until(done, "there is never room for the ballast")

    async def do(self, call: Callable[[], Awaitable[ActionOutcome]]) -> None:
        """Do something that has to succeed."""
        outcome = await self.again(call)
        expect(outcome.verdict is Verdict.DONE, f"it came to {_shown(outcome)}")

    async def again(self, call: Callable[[], Awaitable[R | ActionOutcome]]) -> R | ActionOutcome:
        """What a call comes to that may be repeated, whatever has become of it before."""

        async def answered() -> R | ActionOutcome | None:
            answer = await call()
            again = isinstance(answer, ActionOutcome) and answer.verdict in _AGAIN
            return None if again else answer

        return await self.until(answered, "it is turned away again and again")

    async def until(self, look: Callable[[], Awaitable[R | None]], failing: str | Callable[[], str]) -> R:
        """What `look` comes to, once it is something. Raises Broken after the settings' patience."""
        deadline = monotonic() + self.settings.patience
        while (seen := await look()) is None:
            if monotonic() > deadline:
                raise Broken(failing if isinstance(failing, str) else failing())
            await asyncio.sleep(self.settings.pause)
        return seen

    async def tidy(self) -> None:
        """Delete whatever is left of the servers that were booted, and take the ballast off."""
        if self.booted:
            for servers in (await self.executor.find(self.booted)).values():
                for server in servers:
                    await self.do(lambda ref=server.ref: self.executor.delete(ref))  # type: ignore[misc]
                    await self.gone(server.ref)
        for key in self.scratched:
            await self.do(lambda key=key: self.executor.drop_scratch(self.settings.project, key))  # type: ignore[misc]
        for name in self.ballasted:
            inventory = (await self.host(name)).inventory
            await self.fill(
                name, **{each: inventory[each].capacity for each in BALLASTED if each in inventory}
            )


def _shown(outcome: ActionOutcome) -> str:
    return f"{outcome.verdict}: {outcome.message or 'no message'}"
