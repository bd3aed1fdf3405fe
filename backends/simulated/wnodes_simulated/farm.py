"""The farm itself: nodes, jobs, and what happens to them as time goes on; time is passed in, nothing is read.

Everything follows from the commands and their times: the same commands make the same history. Each job's
length and each node's failures are drawn from the seed and their own number.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

import msgspec
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    Fate,
    JobRef,
    JobState,
    SlotRequest,
    Verdict,
    unfit,
)
from wnodes_engine.values import Node

from wnodes_simulated.accounting import Accounting
from wnodes_simulated.job import FarmJob, ending_of, read_script
from wnodes_simulated.options import Options

_DONE: Final = ActionOutcome(Verdict.DONE)
_NO_SUCH_JOB: Final = ActionOutcome(
    Verdict.CONFLICT, "there is no such job: another id, key or time of submission"
)
_KILLED: Final = 271

Tell = Callable[[str, float, str], None]
"""Hears what happened (`start`, `end`, `down`, `back`), when, and to which job's key or which node."""


@dataclass(slots=True)
class _Place:
    node: Node
    free: list[int]  # cores, memory, gpus, disk
    drained: bool = False
    failed: bool = False
    failures: int = 0

    @property
    def is_open(self) -> bool:
        return self.node.up and not self.failed and not self.drained

    @property
    def whole(self) -> list[int]:
        return _whole(self.node)

    def fits(self, slot: SlotRequest) -> int:
        """How many parts of the slot fit into what is free."""
        return _parts(slot, self.free)


class Farm:
    """The simulated batch system: first come, first served, passing over jobs that do not fit now."""

    def __init__(self, name: str, nodes: Iterable[Node], options: Options, origin: float, tell: Tell) -> None:
        self.endings = Accounting()
        self._name = name
        self._options = options
        self._tell = tell
        self._places = {
            node.name: _Place(node, _whole(node)) for node in sorted(nodes, key=lambda node: node.name)
        }
        self._jobs: dict[str, FarmJob] = {}
        self._keys: dict[str, FarmJob] = {}
        self._unseen: dict[str, FarmJob] = {}  # by id: taken, but not there yet
        self._pending: dict[int, FarmJob] = {}
        self._vanished: set[JobRef] = set()
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._events = 0
        self._submitted = 0
        for place in self._places.values():
            self._plan_failure(place, origin)

    # ------------------------------------------------------------ what is there

    def advance(self, now: float) -> None:
        """Let everything happen that is due by `now`."""
        while self._due and self._due[0][0] <= now:
            at, _, happen = heapq.heappop(self._due)
            happen(at)
            self._start_what_fits(at)

    @property
    def jobs(self) -> Iterable[FarmJob]:
        """The jobs that have not ended, in no particular order."""
        return self._jobs.values()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes; those that failed or are drained are not up."""
        return tuple(
            place.node if place.is_open else msgspec.structs.replace(place.node, up=False)
            for place in self._places.values()
        )

    def find(self, key: str) -> FarmJob | None:
        """The job with this key, if it has not ended."""
        return self._keys.get(key)

    def fate(self, ref: JobRef) -> Fate:
        """What became of a job: the farm remembers everything but what it has forgotten."""
        if ref in self._vanished:
            return Fate.VANISHED
        known = (
            job is not None and job.ref == ref for job in (self._jobs.get(ref.id), self._unseen.get(ref.id))
        )
        if any(known) or any(ending.ref == ref for ending in self.endings):
            return Fate.UNKNOWN
        return Fate.NEVER_STARTED

    # ---------------------------------------------------------------- commands

    def submit(
        self,
        slot: SlotRequest,
        at: float,
        appears_at: float,
        *,
        forgotten: bool = False,
        stranger: bool = False,
    ) -> JobRef | ActionOutcome:
        """Take a job, which is to be seen from `appears_at` on, or is `forgotten` at once.

        A `stranger` may take a name that is taken.
        """
        if refusal := self._refusal(slot):
            return ActionOutcome(Verdict.REFUSED, refusal)
        if slot.key in self._keys and not stranger:
            return ActionOutcome(Verdict.CONFLICT, f"there is a job with the key {slot.key}")
        if len(self._jobs) + len(self._unseen) == self._options.ids:
            return ActionOutcome(Verdict.PASSING, "every job id is in use")
        number, options = self._submitted + 1, self._options
        if forgotten:
            return JobRef(self._name, self._free_id(number), slot.key, int(appears_at))
        self._submitted = number
        draw = Random(f"{options.seed} job {number}")  # noqa: S311 - a simulation has to be repeatable
        least, most = options.runs
        fraction, fails = least + (most - least) * draw.random(), draw.random() < options.faults.job_failure
        length, status = read_script(slot.script)
        if length is None:
            length = options.unlimited if slot.walltime is None else slot.walltime * fraction
        limit = float("inf") if slot.walltime is None else slot.walltime / options.speed
        job = FarmJob(
            number=number,
            ref=JobRef(self._name, self._free_id(number), slot.key, int(appears_at)),
            slot=slot,
            length=length / options.speed * (0.5 if fails else 1.0),
            limit=limit,
            walltime=slot.walltime,
            status=1 if fails else status,
            vanishes=draw.random() < options.faults.vanish,
            state=JobState.HELD if slot.held else JobState.PENDING,
        )
        if appears_at > at:
            self._unseen[job.ref.id] = job
            self._plan(appears_at, lambda _: self._appear(job))
        else:
            self._appear(job)
            self._start_what_fits(at)
        return job.ref

    def act(self, action: Action, ref: JobRef, at: float, walltime: int | None) -> ActionOutcome:
        """Do one thing to one job, if it is the one that is meant."""
        job = self._jobs.get(ref.id)
        if job is None or job.ref != ref:
            return _NO_SUCH_JOB
        outcome = self._act(action, job, at, walltime)
        self._start_what_fits(at)
        return outcome

    def set_drained(self, node: str, drained: bool, at: float) -> ActionOutcome:
        """Keep new jobs off a node, or let them in again."""
        if (place := self._places.get(node)) is None:
            return ActionOutcome(Verdict.REFUSED, f"there is no node {node}")
        place.drained = drained
        self._start_what_fits(at)
        return _DONE

    def _act(self, action: Action, job: FarmJob, at: float, walltime: int | None) -> ActionOutcome:
        match action, job.state:
            case Action.CANCEL, _:
                self._end(job, JobState.CANCELLED, None, at)
            case Action.HOLD, JobState.PENDING | JobState.HELD:
                self._pending.pop(job.number, None)
                job.state = JobState.HELD
            case Action.RELEASE, JobState.HELD:
                self._queue(job)
            case Action.RELEASE, _:
                pass  # released before: the same wish again
            case Action.REQUEUE, JobState.RUNNING | JobState.SUSPENDED:
                self._stop(job, at)
                job.ran, job.started_at, job.nodes = 0.0, None, ()
                self._queue(job)
            case Action.SUSPEND, JobState.RUNNING:
                self._stop(job, at)
                job.state = JobState.SUSPENDED
            case Action.RESUME, JobState.SUSPENDED:
                if not self._has_room(job.slot, job.nodes):
                    return ActionOutcome(Verdict.NO_ROOM, "its nodes have no room for it now")
                self._run(job, job.nodes, at)
            case Action.EXTEND, _ if walltime is not None:
                job.walltime, job.limit = walltime, walltime / self._options.speed
                if job.state is JobState.RUNNING:
                    self._plan_end(job, at)
            case _:
                return ActionOutcome(Verdict.REFUSED, f"cannot {action} a job that is {job.state}")
        return _DONE

    # ------------------------------------------------------------ what happens

    def _appear(self, job: FarmJob) -> None:
        self._unseen.pop(job.ref.id, None)
        self._jobs[job.ref.id] = job
        self._keys.setdefault(job.ref.key, job)
        if job.state is JobState.PENDING:
            self._queue(job)

    def _queue(self, job: FarmJob) -> None:
        job.state, job.reason = JobState.PENDING, "waits for room"
        self._pending[job.number] = job

    def _start_what_fits(self, at: float) -> None:
        for job in [self._pending[number] for number in sorted(self._pending)]:
            if nodes := self._choose(job.slot):
                del self._pending[job.number]
                self._run(job, nodes, at)
                self._tell("start", at, job.ref.key)

    def _run(self, job: FarmJob, nodes: tuple[tuple[str, int], ...], at: float) -> None:
        self._take(job.slot, nodes, 1)
        job.state, job.nodes, job.reason = JobState.RUNNING, nodes, ""
        job.running_since = at
        job.started_at = int(at) if job.started_at is None else job.started_at
        self._plan_end(job, at)

    def _stop(self, job: FarmJob, at: float) -> None:
        """Give back what a job holds, and void its end."""
        if job.state is JobState.RUNNING:
            self._take(job.slot, job.nodes, -1)
            job.ran += at - job.running_since
        job.stint += 1

    def _plan_end(self, job: FarmJob, now: float) -> None:
        job.stint += 1
        stint = job.stint
        killed = job.length > job.limit
        state = JobState.FAILED if killed or job.status else JobState.DONE
        status = _KILLED if killed else job.status

        def end(at: float) -> None:
            if job.stint == stint:
                self._end(job, state, status, at)

        ran = job.ran + now - job.running_since
        self._plan(now + max(0.0, min(job.length, job.limit) - ran), end)

    def _end(self, job: FarmJob, state: JobState, status: int | None, at: float) -> None:
        self._stop(job, at)
        self._pending.pop(job.number, None)
        self._forget(job)
        job.state = state
        if job.vanishes and state is not JobState.CANCELLED:
            self._vanished.add(job.ref)
            return
        self.endings.add(ending_of(job, status, int(at)))
        self._tell("end", at, job.ref.key)

    def _forget(self, job: FarmJob) -> None:
        del self._jobs[job.ref.id]
        if self._keys.get(job.ref.key) is job:
            del self._keys[job.ref.key]

    def _plan_failure(self, place: _Place, after: float) -> None:
        faults = self._options.faults
        if faults.node_failure:
            draw = Random(f"{self._options.seed} node {place.node.name} {place.failures}")  # noqa: S311
            self._plan(after + draw.expovariate(1 / faults.node_failure), lambda at: self._fail(place, at))

    def _fail(self, place: _Place, at: float) -> None:
        place.failed, place.failures = True, place.failures + 1
        self._tell("down", at, place.node.name)
        for job in list(self._jobs.values()):
            if job.state is JobState.RUNNING and any(node == place.node.name for node, _ in job.nodes):
                self._end(job, JobState.FAILED, None, at)
        self._plan(at + self._options.faults.repair, lambda at: self._repair(place, at))

    def _repair(self, place: _Place, at: float) -> None:
        place.failed = False
        self._tell("back", at, place.node.name)
        self._plan_failure(place, at)

    def _plan(self, at: float, happen: Callable[[float], None]) -> None:
        self._events += 1
        heapq.heappush(self._due, (at, self._events, happen))

    # -------------------------------------------------------------------- room

    def _refusal(self, slot: SlotRequest) -> str | None:
        """Why this could never run here, whatever ends."""
        if said := unfit(slot):
            return said
        for node in (*(node for node, _ in slot.nodes), *slot.allowed, *slot.excluded):
            if node not in self._places:
                return f"there is no node {node}"
        pinned = dict(slot.nodes)
        most = {name: _parts(slot, self._places[name].whole) for name in pinned or self._eligible(slot)}
        if any(most[node] < parts for node, parts in pinned.items()):
            return "a node that it is pinned to is too small for it"
        if sum(most.values()) < slot.count:
            return "no node here is large enough for it"
        return None

    def _eligible(self, slot: SlotRequest) -> Iterable[str]:
        excluded = set(slot.excluded)
        return (name for name in slot.allowed or self._places if name not in excluded)

    def _choose(self, slot: SlotRequest) -> tuple[tuple[str, int], ...]:
        """Where the job can start now: its own nodes, or the first that have room; empty if nowhere."""
        if slot.nodes:
            return slot.nodes if self._has_room(slot, slot.nodes) else ()
        chosen: list[tuple[str, int]] = []
        missing = slot.count
        for name in self._eligible(slot):
            place = self._places[name]
            if place.is_open and (parts := min(missing, place.fits(slot))):
                chosen.append((name, parts))
                missing -= parts
                if not missing:
                    return tuple(chosen)
        return ()

    def _has_room(self, slot: SlotRequest, nodes: tuple[tuple[str, int], ...]) -> bool:
        return all(
            self._places[name].is_open and self._places[name].fits(slot) >= parts for name, parts in nodes
        )

    def _take(self, slot: SlotRequest, nodes: tuple[tuple[str, int], ...], sign: int) -> None:
        for name, parts in nodes:
            free = self._places[name].free
            for at, part in enumerate((slot.cores, slot.memory, slot.gpus, slot.disk)):
                free[at] -= sign * parts * part

    def _free_id(self, number: int) -> str:
        """Ids come round again, but never to two jobs at one time."""
        ids = self._options.ids
        while (
            found := str(number if ids is None else (number - 1) % ids + 1)
        ) in self._jobs or found in self._unseen:
            number += 1
        return found


def _whole(node: Node) -> list[int]:
    return [node.cores, node.memory, node.gpus, node.disk]


def _parts(slot: SlotRequest, free: list[int]) -> int:
    asked = zip((slot.cores, slot.memory, slot.gpus, slot.disk), free, strict=True)
    return max(0, min((have // ask for ask, have in asked if ask), default=slot.count))
