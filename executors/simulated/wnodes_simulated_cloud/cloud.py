"""The cloud itself: hosts, allocations, servers, and what happens to them as time goes on; time is passed in.

Everything follows from the seed, the calls and their times. Allocations are what Placement believes;
`domains` are the machines that really run on a host, which may outlive their server and their allocation.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from wnodes_engine.executor import ServerState

from wnodes_simulated_cloud.options import Options
from wnodes_simulated_cloud.parts import Act, Box, CloudRefusal, Place, amounts_of, place_of

NO_HOST: Final = "No valid host was found. "
SERVICE: Final = "wnodes"
_OTHER: Final = "somebody"


class Cloud:
    """The simulated control plane."""

    def __init__(self, options: Options, origin: float) -> None:
        self.places = {host.name: place_of(host) for host in options.hosts}
        self.servers: dict[str, Box] = {}
        self.records: dict[str, Box] = {}
        self.allocations: dict[str, dict[str, dict[str, int]]] = {name: {} for name in self.places}
        self._options = options
        self._faults = options.faults
        self._draw = Random(f"{options.seed} cloud")  # noqa: S311 - a simulation has to be repeatable
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._events = 0
        for place in self.places.values():
            self._plan_failure(place, origin)
        if self._faults.intruders:
            self._plan(origin + self._wait(self._faults.intruders), self._intrude)
        if self._faults.owner_acts:
            self._plan(origin + self._wait(self._faults.owner_acts), self._owner_acts)

    # ------------------------------------------------------------- what is there

    def advance(self, now: float) -> None:
        """Let everything happen that is due by `now`."""
        while self._due and self._due[0][0] <= now:
            at, _, happen = heapq.heappop(self._due)
            happen(at)

    def used(self, host: str) -> dict[str, int]:
        """What is allocated on a host, by class."""
        total: dict[str, int] = {}
        for amounts in self.allocations[host].values():
            for name, amount in amounts.items():
                total[name] = total.get(name, 0) + amount
        return total

    def running(self, host: str) -> dict[str, int]:
        """What really runs on a host, whatever the control plane believes."""
        total: dict[str, int] = {}
        for amounts in self.places[host].domains.values():
            for name, amount in amounts.items():
                total[name] = total.get(name, 0) + amount
        return total

    def is_up(self, place: Place, now: float) -> bool:
        """Whether a compute service is shown as up: one that has failed is, for a while."""
        return place.failed_at is None or now - place.failed_at < self._options.silence

    # -------------------------------------------------------------------- calls

    def boot(
        self,
        amounts: Mapping[str, int],
        now: float,
        *,
        project: str,
        host: str = "",
        key: str = "",
        user: str = _OTHER,
        name: str = "server",
    ) -> Box:
        """Take in a server; without a host the scheduler looks for one. Raises CloudRefusal."""
        if host and host not in self.places:
            raise CloudRefusal(400, f"Compute host {host} could not be found.")
        quota = self._options.quota
        held = sum(box.amounts["VCPU"] for box in self.servers.values() if box.project == project)
        if quota and held + amounts["VCPU"] > quota:
            asked = amounts["VCPU"]
            raise CloudRefusal(
                403, f"Quota exceeded for cores: Requested {asked}, but already used {held} of {quota} cores"
            )
        id_ = str(uuid.UUID(int=self._draw.getrandbits(128), version=4))
        box = Box(id_, key, project, user, name, dict(amounts), now)
        box.acts.append(Act("create", user, now))
        self.servers[id_] = self.records[id_] = box
        self._schedule(box, host, now)
        return box

    def delete(self, id_: str, now: float, user: str = _OTHER) -> None:
        """Have a server ended. With its compute service down it is forgotten at once, its host untold."""
        box = self.box(id_)
        if box.state is ServerState.DELETING:
            return
        box.stint += 1
        box.acts.append(Act("delete", user, now, box.host))
        if not box.host:
            self._forget(box)
        elif not self.is_up(self.places[box.host], now):
            self.allocations[box.host].pop(box.id, None)
            self._touch(box.host)
            self._forget(box)
        else:
            box.state = ServerState.DELETING
            self._plan(now + self._options.leaves, lambda at: self._leave(box, at, None))

    def shelve(self, id_: str, now: float, user: str = _OTHER) -> None:
        """Take a server off its host. Raises CloudRefusal."""
        box = self.box(id_)
        self._expect(box, ServerState.ACTIVE, ServerState.STOPPED)
        if not self.is_up(self.places[box.host], now):
            raise CloudRefusal(409, f"the compute service of {box.host} is down")
        box.state, box.stint = ServerState.SHELVING, box.stint + 1
        box.acts.append(Act("shelve", user, now, box.host))
        stint = box.stint

        def off(at: float) -> None:
            if box.stint == stint:
                self._leave(box, at, ServerState.SHELVED)

        self._plan(now + self._options.leaves, off)

    def unshelve(self, id_: str, host: str, now: float, user: str = _OTHER) -> None:
        """Bring a server back; without room it stays shelved, without a word. Raises CloudRefusal."""
        box = self.box(id_)
        self._expect(box, ServerState.SHELVED)
        if host and host not in self.places:
            raise CloudRefusal(400, f"Compute host {host} could not be found.")
        box.acts.append(Act("unshelve", user, now, host))
        self._schedule(box, host, now)

    def migrate(self, id_: str, host: str, now: float, user: str = _OTHER) -> None:
        """Move a running server. Raises CloudRefusal."""
        box = self.box(id_)
        self._expect(box, ServerState.ACTIVE)
        if host not in self.places:
            raise CloudRefusal(400, f"Compute host {host} could not be found.")
        if not self._admit(box.id, host, box.amounts, now):
            raise CloudRefusal(400, NO_HOST)
        box.acts.append(Act("live-migration", user, now, host))
        box.state, box.stint = ServerState.MOVING, box.stint + 1
        source, stint = box.host, box.stint

        def moved(at: float) -> None:
            self.places[source].domains.pop(box.id, None)
            self.allocations[source].pop(box.id, None)
            self._touch(source)
            if box.stint == stint:
                box.host, box.state = host, ServerState.ACTIVE
                self.places[host].domains[box.id] = dict(box.amounts)
                box.acts[-1].confirmed = at

        self._plan(now + self._options.boots, moved)

    def put_ballast(self, consumer: str, host: str, amounts: Mapping[str, int], generation: int) -> None:
        """Set what a consumer of ours holds on a host; nothing deletes it. Raises CloudRefusal (409)."""
        if self._happens(self._faults.generation):
            self._touch(host)
        if generation != self.places[host].generation:
            raise CloudRefusal(409, "placement.concurrent_update")
        before = self.allocations[host].pop(consumer, None)
        grows = any(amount > (before or {}).get(name, 0) for name, amount in amounts.items())
        if grows and not self._fits(host, amounts):
            if before is not None:
                self.allocations[host][consumer] = before
            raise CloudRefusal(409, "The requested amount would exceed the capacity.")
        if amounts:
            self.allocations[host][consumer] = dict(amounts)
        self._touch(host)

    def box(self, id_: str) -> Box:
        """A server that is there. Raises CloudRefusal."""
        if (box := self.servers.get(id_)) is None:
            raise CloudRefusal(404, f"Instance {id_} could not be found.")
        return box

    # ------------------------------------------------------- hosts come and go

    def fail(self, host: str, now: float, *, lost: bool = False) -> None:
        """A compute service ends; with the whole host all that runs there ends, too."""
        place = self.places[host]
        if place.failed_at is None:
            place.failed_at, place.failures = now, place.failures + 1
        if lost:
            place.domains.clear()
            for box in self.servers.values():
                if box.host == host and box.state is ServerState.ACTIVE:
                    box.state = ServerState.STOPPED

    def repair(self, host: str) -> None:
        """A compute service is back, and ends the domains of servers that are no more."""
        place = self.places[host]
        place.failed_at = None
        for id_ in [id_ for id_ in place.domains if id_ not in self.servers]:
            del place.domains[id_]

    # ------------------------------------------------------------------- inside

    def _schedule(self, box: Box, host: str, now: float) -> None:
        shelved = box.state is ServerState.SHELVED
        names = [host] if host else sorted(self.places, key=lambda name: sum(self.used(name).values()))
        chosen = next((name for name in names if self._admit(box.id, name, box.amounts, now)), None)
        if chosen is None:
            if not shelved:
                box.state, box.fault = ServerState.ERROR, NO_HOST
            return
        box.host, box.state, box.stint = chosen, ServerState.BUILDING, box.stint + 1
        stint = box.stint

        def up(at: float) -> None:
            if box.stint == stint:
                self._started(box, at)

        self._plan(now + self._options.boots, up)

    def _started(self, box: Box, at: float) -> None:
        place = self.places[box.host]
        if place.failed_at is not None:
            return  # it stays as it is until somebody deletes it
        if self._happens(self._faults.failed_boot):
            self.allocations[box.host].pop(box.id, None)
            self._touch(box.host)
            box.state, box.host = ServerState.ERROR, ""
            box.fault = "Build of instance was aborted: it failed on its host"
            return
        place.domains[box.id] = dict(box.amounts)
        box.state, box.launched = ServerState.ACTIVE, at
        box.acts[-1].confirmed, box.acts[-1].host = at, box.host

    def _leave(self, box: Box, at: float, then: ServerState | None) -> None:
        place = self.places[box.host]
        if place.failed_at is not None:  # the host was told, and does it once it is back
            self._plan(at + max(self._options.leaves, 1.0), lambda later: self._leave(box, later, then))
            return
        place.domains.pop(box.id, None)
        self.allocations[box.host].pop(box.id, None)
        self._touch(box.host)
        box.acts[-1].confirmed, box.acts[-1].result = at, "Success"
        if then is None:
            self._forget(box)
        else:
            box.state, box.host, box.launched = then, "", None

    def _forget(self, box: Box) -> None:
        box.gone = True
        del self.servers[box.id]

    def _admit(self, consumer: str, host: str, amounts: Mapping[str, int], now: float) -> bool:
        place = self.places[host]
        if place.disabled or not self.is_up(place, now):
            return False
        if not self._fits(host, amounts) and not self._happens(self._faults.overcommit):
            return False
        self.allocations[host][consumer] = dict(amounts)
        self._touch(host)
        return True

    def _fits(self, host: str, amounts: Mapping[str, int]) -> bool:
        used, inventory = self.used(host), self.places[host].inventory
        return all(
            used.get(name, 0) + amount <= (inventory[name].capacity if name in inventory else 0)
            for name, amount in amounts.items()
        )

    def _touch(self, host: str) -> None:
        self.places[host].generation += 1

    @staticmethod
    def _expect(box: Box, *states: ServerState) -> None:
        if box.state not in states:
            raise CloudRefusal(409, f"Cannot do this while it is in vm_state {box.state}")

    # ------------------------------------------------------------------- others

    def _intrude(self, at: float) -> None:
        """Somebody boots the smallest flavour straight into whatever hole there is."""
        self._plan(at + self._wait(self._faults.intruders), self._intrude)
        flavour = min(self._options.flavours.values(), key=lambda each: each.vcpus)
        amounts = amounts_of(flavour.vcpus, flavour.memory, flavour.disk)
        try:
            box = self.boot(amounts, at, project="intruders")
        except CloudRefusal:
            return
        if box.state is ServerState.ERROR:
            self._forget(box)
            return
        self._plan(at + self._wait(self._faults.intruder_lives), lambda then: self._go(box, then))

    def _go(self, box: Box, at: float) -> None:
        if not box.gone:
            self.delete(box.id, at)

    def _owner_acts(self, at: float) -> None:
        """The owner of some server of ours does with it what an owner may."""
        self._plan(at + self._wait(self._faults.owner_acts), self._owner_acts)
        ours = [
            box for box in self.servers.values() if box.user == SERVICE and box.state is ServerState.ACTIVE
        ]
        if ours:
            box = self._draw.choice(sorted(ours, key=lambda box: box.id))
            act = self._draw.choice((self.delete, self.shelve, self.resize, self.untag))
            try:
                act(box.id, at)
            except CloudRefusal:
                return

    def untag(self, id_: str, now: float) -> None:  # noqa: ARG002 - the acts of an owner are alike
        """The owner takes the key off a server."""
        self.box(id_).key = ""

    def resize(self, id_: str, now: float) -> None:
        """The owner asks for twice as much, on whichever host has the room. Raises CloudRefusal."""
        box = self.box(id_)
        self._expect(box, ServerState.ACTIVE)
        larger = {name: 2 * amount for name, amount in box.amounts.items()}
        box.acts.append(Act("resize", box.project, now))
        for host in self.places:
            if host != box.host and self._admit(box.id, host, larger, now):
                source = box.host
                self.places[source].domains.pop(box.id, None)
                self.allocations[source].pop(box.id, None)
                self._touch(source)
                box.host, box.amounts = host, larger
                self.places[host].domains[box.id] = dict(larger)
                return
        raise CloudRefusal(400, NO_HOST)

    def _plan_failure(self, place: Place, after: float) -> None:
        if self._faults.compute_failure:
            at = after + self._wait(self._faults.compute_failure)
            self._plan(at, lambda then: self._fail(place, then))

    def _fail(self, place: Place, at: float) -> None:
        self.fail(place.name, at, lost=self._happens(self._faults.host_lost))

        def back(then: float) -> None:
            self.repair(place.name)
            self._plan_failure(place, then)

        self._plan(at + self._faults.repair, back)

    def _wait(self, mean: float) -> float:
        return self._draw.expovariate(1 / mean)

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self._draw.random() < chance

    def _plan(self, at: float, happen: Callable[[float], None]) -> None:
        self._events += 1
        heapq.heappush(self._due, (at, self._events, happen))
