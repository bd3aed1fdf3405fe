"""A farm under two schedulers, as small as it can be: cores alone, and everything that goes wrong on demand.

`World` believes nothing of what the daemon records: jobs and domains are what really uses cores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from wnodes_daemon.baits.farm import granted, stays_drained
from wnodes_daemon.baits.life import advance, heed
from wnodes_daemon.baits.records import Act, Bait, Seen, Stage
from wnodes_engine.backend import ActionOutcome, Job, JobRef, JobState, Verdict
from wnodes_engine.executor import Gone, Server, ServerRef, ServerState

DONE = ActionOutcome(Verdict.DONE)
NO_ROOM = ActionOutcome(Verdict.NO_ROOM, "others hold it")


@dataclass(slots=True)
class Machine:
    """A server as the cloud has it; `key` is empty for one of somebody else."""

    ref: ServerRef
    cores: int
    host: str
    state: ServerState = ServerState.BUILDING


@dataclass(slots=True)
class Node:
    """A host that is a node. `jobs` and `domains` really use cores; `booked` is what Placement believes.

    `taken`: a bait was ended by others while what was in its hole could not be ended with it.
    """

    name: str
    cores: int
    jobs: dict[str, int] = field(default_factory=dict)
    domains: dict[str, int] = field(default_factory=dict)
    booked: dict[str, int] = field(default_factory=dict)
    up: bool = True
    drained: bool = False
    away: bool = False
    taken: bool = False


class World:
    """All nodes, and the baits of a daemon that keeps nothing but what it has recorded."""

    def __init__(self, cores: tuple[int, ...]) -> None:
        self.nodes = {f"n{i}": Node(f"n{i}", many, booked={"us": many}) for i, many in enumerate(cores)}
        self.baits: dict[str, Bait] = {}
        self.jobs: dict[str, Job] = {}
        self.over: set[str] = set()
        self.machines: dict[str, Machine] = {}
        self.gone: dict[str, Gone] = {}
        self.count = 0
        self.stages: set[Stage] = set()

    # ------------------------------------------------------------- the batch system

    def free(self, node: Node) -> int:
        """The cores that the batch system gives away."""
        return 0 if node.drained or node.away else node.cores - sum(node.jobs.values())

    def start(self, node: Node, cores: int) -> bool:
        """A job of somebody starts where there is room."""
        if cores > self.free(node):
            return False
        self.count += 1
        node.jobs[f"job{self.count}"] = cores
        return True

    def finish(self, node: Node) -> None:
        """The oldest job that is no bait ends."""
        if (job := next((name for name in node.jobs if name.startswith("job")), None)) is not None:
            del node.jobs[job]

    def win(self, node: Node, cores: int) -> str:
        """A bait is seen to run, and recorded; its key, or nothing where there is no room."""
        if cores > self.free(node):
            return ""
        self.count += 1
        key = f"k{self.count}"
        ref = JobRef("farm", key, key, 0)
        job = Job(
            ref, JobState.RUNNING, "R", "wnodes", cores, 0, started_at=self.count, nodes=((node.name, cores),)
        )
        node.jobs[key], self.jobs[key] = cores, job
        self.baits[key] = Bait(
            key, self.count, {"VCPU": cores}, node.name, node.name, ref, started=self.count
        )
        return key

    def take(self, key: str, to: Node | None = None) -> None:
        """Others end a bait, or have it begin anew elsewhere; the epilogue ends its machine before that."""
        if (job := self.jobs.pop(key, None)) is None:
            return
        ((name, cores),) = job.nodes
        node = self.nodes[name]
        building = any(m.ref.key == key and m.state is ServerState.BUILDING for m in self.machines.values())
        strangers = any(id_.rpartition("/")[2] not in node.jobs for id_ in node.domains)
        node.taken |= building or strangers
        self._epilogue(node, key)
        if to is not None and cores <= self.free(to):
            to.jobs[key] = cores
            self.jobs[key] = msgspec.structs.replace(
                job, nodes=((to.name, cores),), restarts=job.restarts + 1
            )
        else:
            self.over.add(key)

    def _epilogue(self, node: Node, key: str) -> None:
        for id_ in [id_ for id_ in node.domains if id_.endswith(f"/{key}")]:
            del node.domains[id_]
        node.jobs.pop(key, None)

    # -------------------------------------------------------------------- the cloud

    def boot(self, node: Node, cores: int, key: str = "") -> ServerRef:
        """Take in a server; where there is no room for it, it fails."""
        self.count += 1
        ref = ServerRef(f"s{self.count}/{key}", key, "p")
        machine = self.machines[ref.id] = Machine(ref, cores, node.name)
        if node.up and sum(node.booked.values()) + cores <= node.cores:
            node.booked[ref.id] = cores
        else:
            machine.state, machine.host = ServerState.ERROR, ""
            if not key:
                del self.machines[ref.id]
        return ref

    def go_on(self, machine: Machine, *, fails: bool = False) -> None:
        """What is under way with a server comes to its end, if its host can do it."""
        node = self.nodes.get(machine.host)
        if node is None or not node.up:
            return
        id_ = machine.ref.id
        if machine.state is ServerState.BUILDING and fails:
            del node.booked[id_]
            machine.state, machine.host = ServerState.ERROR, ""
        elif machine.state is ServerState.BUILDING:
            machine.state = ServerState.ACTIVE
            node.domains[id_] = machine.cores
        elif machine.state in {ServerState.DELETING, ServerState.SHELVING}:
            node.domains.pop(id_, None)
            del node.booked[id_]
            if machine.state is ServerState.SHELVING:
                machine.state, machine.host = ServerState.SHELVED, ""
            else:
                self._forget(machine, confirmed=True)

    def delete(self, machine: Machine) -> None:
        """Have a server ended; with its host down it is forgotten at once, and the host untold."""
        node = self.nodes.get(machine.host)
        if node is None:
            self._forget(machine, confirmed=True)
        elif node.up:
            machine.state = ServerState.DELETING
        else:
            del node.booked[machine.ref.id]
            self._forget(machine, confirmed=False)

    def shelve(self, machine: Machine) -> None:
        """An owner takes a server off its host."""
        if machine.state is ServerState.ACTIVE:
            machine.state = ServerState.SHELVING

    def move(self, machine: Machine, to: Node) -> None:
        """Somebody moves a server to where the cloud sees room."""
        source = self.nodes.get(machine.host)
        room = sum(to.booked.values()) + machine.cores <= to.cores and to.up
        if (
            machine.state is ServerState.ACTIVE
            and source is not None
            and source.up
            and to is not source
            and room
        ):
            id_ = machine.ref.id
            to.booked[id_], machine.host = source.booked.pop(id_), to.name
            if source.domains.pop(id_, None) is not None:
                to.domains[id_] = machine.cores

    def _forget(self, machine: Machine, *, confirmed: bool) -> None:
        del self.machines[machine.ref.id]
        self.gone[machine.ref.id] = Gone(confirmed)

    def fail(self, node: Node) -> None:
        """A compute service ends; until it is shown as down the daemon has looked at all that is there."""
        self._look_at(node)
        node.up = False

    def _look_at(self, node: Node) -> None:
        for key in [bait.key for bait in self.baits.values() if bait.node == node.name]:
            self.step(key)

    def repair(self, node: Node) -> None:
        """A compute service is back, and ends the domains of servers that are no more.

        Until a node that was lost is back the daemon has looked at all that was there.
        """
        if node.away:
            self._look_at(node)
        node.up, node.away = True, False
        for id_ in [id_ for id_ in node.domains if id_ not in self.machines]:
            del node.domains[id_]

    def lose(self, node: Node) -> None:
        """A node goes down with all that runs on it, and comes back empty."""
        node.domains.clear()
        node.up, node.away = False, True
        for name in list(node.jobs):
            node.jobs.pop(name)
            if self.jobs.pop(name, None) is not None:
                self.over.add(name)

    # ------------------------------------------------------------------- the daemon

    def step(self, key: str, answers: Callable[[], str] = lambda: "") -> None:
        """One look at a bait, and what follows.

        `answers` says of each act: "" is done and told, `lost` done and not told, `passing` not done, `crash`
        neither this one nor those after it.
        """
        bait = self.baits[key]
        move = advance(bait, self.seen(bait), epilogue=True)
        self.record(move.bait)
        for act in move.acts:
            how = answers()
            if how == "crash":
                return
            if how == "passing":
                continue
            answer = self.do(self.baits[key], act)
            if how != "lost":
                self.record(heed(self.baits[key], act, answer))

    def unwant(self, key: str) -> None:
        """Its request was taken back, or its time is up."""
        self.baits[key] = msgspec.structs.replace(self.baits[key], wanted=False)

    def undrain(self, node: Node) -> None:
        """An administrator who has looked takes a node back on which nothing of ours is left."""
        if not any(bait.node == node.name for bait in self.baits.values()):
            node.drained = False

    def record(self, bait: Bait) -> None:
        """What is on the disk."""
        self.stages.add(bait.stage)
        if bait.stage is Stage.BAIT_ENDED:
            del self.baits[bait.key]
        else:
            self.baits[bait.key] = bait

    def seen(self, bait: Bait) -> Seen:
        """One look at both schedulers."""
        node = self.nodes[bait.node]
        server: Server | Gone | None = None
        if bait.server is not None:
            machine = self.machines.get(bait.server.id)
            server = _shown(machine) if machine is not None else self.gone[bait.server.id]
        elif bait.stage in {Stage.BOOTING, Stage.ENDING}:
            server = next((_shown(m) for m in self.machines.values() if m.ref.key == bait.key), None)
        own = server.ref.id if isinstance(server, Server) else ""
        copies = ()
        if bait.stage in {Stage.BOOTING, Stage.ACTIVE}:
            copies = tuple(m.ref for m in self.machines.values() if m.ref.key == bait.key and m.ref.id != own)
        strangers = any(
            m.host == node.name and (m.ref.key not in self.baits or self.baits[m.ref.key].node != node.name)
            for m in self.machines.values()
        )
        return Seen(
            self.jobs.get(bait.key),
            bait.key in self.over,
            "" if node.up else "its compute service is down",
            True,
            server,
            copies,
            strangers,
            node.up,
        )

    def do(self, bait: Bait, act: Act) -> ServerRef | ActionOutcome:
        """Carry one act out."""
        node = self.nodes[bait.node]
        match act:
            case Act.OPEN | Act.CLOSE:
                without = bait.key if act is Act.CLOSE else ""
                return self._ballast(node, granted(self.baits.values(), node.name, without=without))
            case Act.BOOT:
                return self.boot(node, bait.amounts["VCPU"], bait.key)
            case Act.DELETE | Act.DELETE_COPIES:
                own = bait.server.id if bait.server is not None else ""
                for machine in [m for m in self.machines.values() if m.ref.key == bait.key]:
                    if (machine.ref.id == own) is (act is Act.DELETE):
                        self.delete(machine)
            case Act.END:
                if (job := self.jobs.pop(bait.key, None)) is not None:
                    self._epilogue(self.nodes[job.nodes[0][0]], bait.key)
                    self.over.add(bait.key)
            case Act.DRAIN | Act.UNDRAIN:
                still = stays_drained(self.baits.values(), node.name, without=bait.key)
                node.drained = act is Act.DRAIN or still
        return DONE

    def _ballast(self, node: Node, amounts: dict[str, int]) -> ActionOutcome:
        target = node.cores - amounts.get("VCPU", 0)
        others = sum(many for name, many in node.booked.items() if name != "us")
        if target > node.booked["us"] and target + others > node.cores:
            return NO_ROOM
        node.booked["us"] = target
        return DONE

    # ------------------------------------------------------------------- the promise

    def used(self, node: Node) -> int:
        """The cores in use: by jobs that are no baits, and by machines."""
        jobs = sum(many for name, many in node.jobs.items() if name.startswith("job"))
        return jobs + sum(node.domains.values())

    def overcommitted(self, node: Node) -> bool:
        """Whether more is in use than there is, and nobody else has taken a bait's cores away."""
        over = self.used(node) > node.cores
        if not over and node.taken:
            here = {id_ for id_, machine in self.machines.items() if machine.host == node.name}
            node.taken = any(id_.rpartition("/")[2] not in node.jobs for id_ in here | node.domains.keys())
        return over and not node.taken


def _shown(machine: Machine) -> Server:
    name = machine.state
    return Server(machine.ref, name, name, bool(machine.ref.key), "vm", "u", machine.host, {}, 0)
