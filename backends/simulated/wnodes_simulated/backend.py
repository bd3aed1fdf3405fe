"""The simulated farm as a batch backend: the interface, the faults, and the way back after a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

import msgspec
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BackendUnavailable,
    BatchBackend,
    Capability,
    Ending,
    Endings,
    Fate,
    Health,
    Job,
    JobRef,
    JobState,
    NodeAction,
    SlotRequest,
    Snapshot,
    Verdict,
)
from wnodes_engine.documents import DocumentError
from wnodes_engine.state_file import load_farm

from wnodes_simulated.farm import Farm
from wnodes_simulated.job import FarmJob
from wnodes_simulated.options import read_options
from wnodes_simulated.record import Line, Record

_LOST: Final = ActionOutcome(Verdict.UNKNOWN, "the answer did not arrive")
_MOST_ENDINGS: Final = 1000


class SimulatedBackend(BatchBackend):
    """A whole farm in one process. Time is the wall clock's; `speed` makes jobs shorter, not time faster."""

    def __init__(
        self, name: str, options: Mapping[str, Any], *, clock: Callable[[], float] = time.time
    ) -> None:
        """Reads the farm, and repeats what its record holds. Raises ValueError."""
        super().__init__(name, options)
        self._options = read_options(name, options)
        self._faults = self._options.faults
        self._clock = clock
        self._chance = Random(f"{self._options.seed} faults")  # noqa: S311 - a simulation has to be repeatable
        try:
            nodes = load_farm(self._options.farm)
            self._record = Record(self._options.record)
        except DocumentError as error:
            at = error.findings[0].span
            raise ValueError(f"backends.{name}.options.farm: {at.path}:{at.line}: {error}") from None
        except OSError as error:
            raise ValueError(f"backends.{name}.options.record: {error.filename}: {error.strerror}") from None
        self._told = self._telling = 0
        lines = self._record.lines()
        first = next(lines, None)
        origin = clock() if first is None else first.at
        self._farm_id = f"{origin:.6f}"
        self._farm = Farm(name, nodes, self._options, origin, self._tell)
        if first is None:
            self._record.write(Line("farm", origin, name))
        else:
            self._repeat([first, *lines])

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Everything but reservations."""
        return frozenset(Capability) - {Capability.RESERVE}

    async def snapshot(self) -> Snapshot:
        """All nodes, and the jobs that have not ended."""
        now = await self._query("the queue")
        jobs = tuple(_shown(job) for job in self._farm.jobs)
        return Snapshot(self._farm.nodes, jobs, int(now))

    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        """Take a job; the faults decide whether the answer arrives."""
        await self._answer()
        if self._happens(self._faults.passing):
            return ActionOutcome(Verdict.PASSING, "too busy to take jobs at the moment")
        now = self._advance()
        late = self._happens(self._faults.late)
        appears_at = now + self._faults.late_by if late else now
        forgotten = self._happens(self._faults.forgotten)
        answer = self._submit(slot, now, appears_at, forgotten=forgotten)
        if self._happens(self._faults.strangers):
            self._submit(msgspec.structs.replace(slot, user="stranger", held=False), now, now, stranger=True)
        if isinstance(answer, JobRef) and (late or self._happens(self._faults.lost)):
            return _LOST
        return answer

    async def find(self, wanted: Mapping[str, str]) -> Mapping[str, JobRef]:
        """The jobs with these keys and users that have not ended."""
        await self._query("our jobs")
        found = {key: self._farm.find(key) for key in wanted}
        return {
            key: job.ref for key, job in found.items() if job is not None and job.slot.user == wanted[key]
        }

    async def act(
        self, action: Action, refs: Sequence[JobRef], *, walltime: int | None = None
    ) -> Mapping[JobRef, ActionOutcome]:
        """Do one thing to each of these jobs."""
        await self._answer()
        now = self._advance()
        outcomes = {ref: self._act(action, ref, now, walltime) for ref in refs}
        return dict.fromkeys(refs, _LOST) if self._happens(self._faults.lost_actions) else outcomes

    async def set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        """Drain a node or take it back; the reason goes into the record."""
        await self._answer()
        now = self._advance()
        self._record.write(Line(action, now, node, reason=reason))
        return self._farm.set_drained(node, action is NodeAction.DRAIN, now)

    async def finished(self, cursor: str) -> Endings:
        """The endings since `cursor`, at most 1,000 at a time."""
        await self._query("accounting")
        farm, _, count = cursor.partition(":")
        since = int(count) if farm == self._farm_id else 0  # a farm that was forgotten begins anew
        endings = self._farm.endings.since(since, _MOST_ENDINGS)
        told = since + len(endings)
        return Endings(endings, f"{self._farm_id}:{told}", more=told < self._farm.endings.count)

    async def look_again(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Fate | Ending]:
        """What became of jobs that are not shown."""
        await self._query("jobs that are missing")
        return {ref: self._farm.fate(ref) for ref in refs}

    async def doctor(self) -> tuple[Health, ...]:
        """What to know of a farm that is not real."""
        return (
            Health("farm", True, f"{len(self._farm.nodes)} simulated nodes; nothing runs for real"),
            Health(
                "record",
                self._options.record is not None,
                self._options.record or "none: the farm forgets its jobs when the daemon ends",
                "" if self._options.record else f"set backends.{self.name}.options.record to a file",
            ),
        )

    async def close(self) -> None:
        """Let go of the record."""
        self._record.close()

    # ------------------------------------------------------- commands, recorded

    def _submit(
        self, slot: SlotRequest, at: float, appears_at: float, forgotten: bool = False, stranger: bool = False
    ) -> JobRef | ActionOutcome:
        line = Line(
            "submit",
            at,
            slot.key,
            slot=slot,
            appears_at=appears_at,
            forgotten=forgotten,
            stranger=stranger,
        )
        self._record.write(line)
        return self._farm.submit(slot, at, appears_at, forgotten=forgotten, stranger=stranger)

    def _act(self, action: Action, ref: JobRef, at: float, walltime: int | None) -> ActionOutcome:
        line = Line(action, at, ref.key, id=ref.id, submitted_at=ref.submitted_at, walltime=walltime)
        self._record.write(line)
        return self._farm.act(action, ref, at, walltime)

    def _tell(self, event: str, at: float, what: str) -> None:
        self._told += 1
        if self._told > self._telling:  # what is told again after a restart is in the record already
            self._record.write(Line(event, at, what))

    def _repeat(self, lines: Sequence[Line]) -> None:
        commands = {"submit", *Action, *NodeAction}
        self._telling = sum(line.event not in commands for line in lines[1:])
        farm = self._farm
        for line in lines:
            if line.event not in commands:
                continue
            farm.advance(line.at)
            if line.slot is not None:
                farm.submit(
                    line.slot, line.at, line.appears_at, forgotten=line.forgotten, stranger=line.stranger
                )
            elif line.event in set(NodeAction):
                farm.set_drained(line.what, line.event == NodeAction.DRAIN, line.at)
            else:
                ref = JobRef(self.name, line.id, line.what, line.submitted_at)
                farm.act(Action(line.event), ref, line.at, line.walltime)

    # ------------------------------------------------------------------ faults

    async def _query(self, of_what: str) -> float:
        await self._answer()
        if self._happens(self._faults.unavailable):
            raise BackendUnavailable(
                f"the simulated farm {self.name} did not answer when asked for {of_what}"
            )
        return self._advance()

    async def _answer(self) -> None:
        if self._happens(self._faults.slow):
            await asyncio.sleep(self._faults.slow_by)

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self._chance.random() < chance

    def _advance(self) -> float:
        now = self._clock()
        self._farm.advance(now)
        return now


def _shown(job: FarmJob) -> Job:
    running = job.state in {JobState.RUNNING, JobState.SUSPENDED}
    return Job(
        ref=job.ref,
        state=job.state,
        native_state=job.state.upper(),
        user=job.slot.user,
        cores=job.slot.cores * job.slot.count,
        memory=job.slot.memory * job.slot.count,
        account=job.slot.account or "",
        queue=job.slot.queue or "",
        gpus=job.slot.gpus * job.slot.count,
        walltime=job.walltime,
        started_at=job.started_at,
        nodes=tuple((node, parts * job.slot.cores) for node, parts in job.nodes) if running else (),
        reason=job.reason,
    )
