"""TORQUE and PBS as a batch backend: which commands are run when, and what is made of their answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wnodes_batch import identity
from wnodes_batch.acting import DONE, NOT_THE_ONE
from wnodes_batch.bulk import chunks
from wnodes_batch.client import AT_ONCE, Run
from wnodes_batch.driver import Closed, Driver
from wnodes_batch.identity import Lookup, Means
from wnodes_batch.outcomes import outcome_of
from wnodes_batch.runner import run
from wnodes_batch.submitting import submission
from wnodes_engine.backend import (
    ENDED,
    Action,
    ActionOutcome,
    BackendUnavailable,
    Capability,
    Ending,
    Endings,
    Fate,
    Health,
    JobRef,
    JobState,
    NodeAction,
    SlotRequest,
    Snapshot,
    Verdict,
)

from wnodes_torque import commands, doctor, errors, jobs, logs
from wnodes_torque.client import Client
from wnodes_torque.history import History
from wnodes_torque.jobs import Row
from wnodes_torque.nodes import Seen, placed
from wnodes_torque.options import Dialect, read_options
from wnodes_torque.script import script_of

_ALWAYS: Final = frozenset({Capability.PIN, Capability.HOLD, Capability.FINISHED})
_PRIVILEGED: Final = frozenset({Capability.REQUEUE, Capability.SUSPEND, Capability.EXTEND, Capability.DRAIN})
_SLOW: Final = frozenset({Action.REQUEUE, Action.SUSPEND, Action.RESUME})
"""These go to the job's node, and took 5 to 11 s each: one command for each job, some at a time."""

_SIDE_BY_SIDE: Final = 8
_LOOK_AGAIN: Final = 30.0  # seconds for which what was seen of the nodes will do


class TorqueBackend(Driver[Row]):
    """A TORQUE or PBS server, reached by its commands on this machine."""

    JOB = commands.JOB
    NODE = commands.NODE

    def __init__(
        self,
        name: str,
        options: Mapping[str, Any],
        *,
        runner: Run = run,
        clock: Callable[[], float] = time.time,
        lookup: Lookup = identity.account,
        own: int | None = None,
    ) -> None:
        """Reads the options; nothing is asked of the server yet. Raises ValueError."""
        self._options = read_options(name, options)
        super().__init__(name, options, self._options, lookup, own)
        self._client = Client(name, self._options, clock, runner)
        self._history = History(self._client, self._options)
        self._seen: Seen | None = None
        self._seen_at = 0.0

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What is certain, until the server has told who may do what."""
        able = _ALWAYS | (_PRIVILEGED if self._client.privileged else frozenset())
        return able | {Capability.MEMORY} if self._keeps_to_memory() else able

    def _keeps_to_memory(self) -> bool:
        if self._options.memory is not None:
            return self._options.memory
        config = self._client.config
        return config is not None and config.dialect is Dialect.PBS

    # ----------------------------------------------------------------- looking

    async def snapshot(self) -> Snapshot:
        """All nodes, and the jobs that have not ended, by two commands."""
        await self._client.learn()
        taken_at = int(self._client.clock())
        seen, rows = await asyncio.gather(self._look(), self._client.jobs())
        rows = jobs.without_arrays(rows)
        self._history.saw(rows)
        return Snapshot(seen.nodes, await self._client.parsed(jobs.jobs, rows), taken_at)

    async def finished(self, cursor: str) -> Endings:
        """The endings since `cursor`, from the accounting log, or from qstat where there is none."""
        return await self._history.finished(cursor)

    async def look_again(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Fate | Ending]:
        """What the server and its accounting log know together of jobs that are not listed."""
        return await self._history.look_again([ref for ref in refs if commands.JOB.fullmatch(ref.id)])

    async def _look(self) -> Seen:
        self._seen = await self._client.nodes()
        self._seen_at = self._client.clock()
        return self._seen

    # -------------------------------------------------------------- submitting

    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        """Submit with one command, under a name that has the key and the time."""
        if said := self._unfit(slot):
            return ActionOutcome(Verdict.REFUSED, said)
        try:
            who, script = self._identities.resolve(slot.user), script_of(slot)
        except (identity.Unknown, ValueError) as error:
            return ActionOutcome(Verdict.REFUSED, str(error))
        folder = commands.folder_of(who, self._options)
        if slot.user and not commands.FOLDER.fullmatch(folder):
            return ActionOutcome(Verdict.REFUSED, f"qsub cannot be told to write to {folder!r}")
        try:
            dialect = await self._client.dialect()
            places = await self._places(slot)
        except BackendUnavailable as error:
            return ActionOutcome(Verdict.PASSING, str(error))
        if said := self._cannot(slot, dialect, places):
            return ActionOutcome(Verdict.REFUSED, said)
        submitted_at = int(self._client.clock())
        argv = commands.submit(dialect, slot, submitted_at, who, self._options, places)
        argv = self._identities.command(self._client.located(argv), who, self._client.env)
        answer = errors.submission(await self._client.run(argv, script))
        if not isinstance(answer, str):
            return answer
        ref = JobRef(self.name, answer, slot.key, submitted_at)
        self._history.submitted(ref, slot, who.name)
        return ref

    @classmethod
    def _unfit(cls, slot: SlotRequest) -> str:
        """Both systems, and shells, read more into a name than a name: `a:ppn=9+b`, `queue@server`, `a;b`."""
        if slot.queue is not None and not commands.QUEUE.fullmatch(slot.queue):
            return f"there is no queue {slot.queue!r}"
        if slot.account is not None and not commands.ACCOUNT.fullmatch(slot.account):
            return f"there is no account {slot.account!r}"
        return super()._unfit(slot)

    async def _places(self, slot: SlotRequest) -> Sequence[tuple[str, int]]:
        """Where the parts go: as they are pinned, or on nodes of our choice where only some are allowed."""
        if slot.nodes or not (slot.allowed or slot.excluded):
            return slot.nodes
        seen = self._seen
        if seen is None or not 0 <= self._client.clock() - self._seen_at < _LOOK_AGAIN:
            seen = await self._look()
        return placed(slot, seen)

    def _cannot(self, slot: SlotRequest, dialect: Dialect, places: Sequence[tuple[str, int]]) -> str:
        """Why this system cannot do what is asked; empty if it can."""
        if dialect is Dialect.PBS and self._options.submit_as is Means.UID:
            return "PBS cannot submit for others: submit_as must be runuser or sudo"
        if dialect is Dialect.PBS and slot.disk:
            return "PBS knows nothing of disk space"
        if (slot.allowed or slot.excluded) and not places:
            return "the nodes that are left to it are too small, or there are none"
        return ""

    # ------------------------------------------------------------------ acting

    async def _learn(self) -> object:
        return await self._client.learn()

    async def _of_users(self, users: Sequence[str]) -> Sequence[Row]:  # noqa: ARG002 - qstat shows all
        return await self._client.jobs()

    async def _with_ids(self, ids: Sequence[str]) -> Mapping[str, Row]:
        return await self._client.rows(ids)

    def _objection(self, action: Action, row: Row) -> ActionOutcome | None:
        return _held_by_others(action, row)

    async def _carry_out(
        self, action: Action, rows: Sequence[Row], walltime: int | None
    ) -> Mapping[JobRef, ActionOutcome]:
        by_id = {row.ref.id: row.ref for row in rows}
        outcomes: dict[JobRef, ActionOutcome] = {}
        gate = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def some(ids: Sequence[str]) -> None:
            these = [by_id[id_] for id_ in ids]
            async with gate:
                answer = await self._client.do(commands.act(action, these, walltime))
            told = errors.actions(action, these, answer)
            untold = [ref for ref in these if ref not in told]
            outcomes.update(told)
            outcomes.update(await self._seen_again(action, untold, walltime, errors.plain(answer.said)))

        at_once = 1 if action in _SLOW else AT_ONCE
        await asyncio.gather(*(some(ids) for ids in chunks(by_id, at_once)))
        return outcomes

    async def _seen_again(
        self, action: Action, refs: Sequence[JobRef], walltime: int | None, said: str
    ) -> Mapping[JobRef, ActionOutcome]:
        """What became of jobs of which a command that failed said nothing: some fail without a word."""
        if not refs:
            return {}
        try:
            rows = await self._client.rows(ref.id for ref in refs)
        except BackendUnavailable as error:
            return dict.fromkeys(refs, ActionOutcome(Verdict.UNKNOWN, f"{said}; then {error}"))
        return {ref: _now(action, ref, rows.get(ref.id), walltime, said) for ref in refs}

    async def _closed(self, node: str) -> Closed | None:
        seen = await self._client.node(node)
        if not any(shown.name == node for shown in seen.nodes):
            return None
        return Closed(node in seen.offline, seen.notes.get(node, ""))

    async def _set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        dialect = (await self._client.learn()).dialect
        answer = await self._client.do(commands.set_node(dialect, node, action, reason))
        if answer.status == 0 and answer.said:  # TORQUE tells an error, and exits with 0
            return ActionOutcome(errors.verdict(answer.said), errors.plain(answer.said))
        return outcome_of(answer, errors.verdict, errors.plain)

    # ------------------------------------------------------------------ doctor

    async def doctor(self) -> tuple[Health, ...]:
        """What the server's attributes mean for us."""
        client = self._client
        try:
            config = await client.learn()
            seen = await self._look()
            folder = await self._history.folder()
        except BackendUnavailable as error:
            return doctor.unreachable(str(error))
        fails = ""
        if folder is not None and not await asyncio.to_thread(logs.readable, folder):
            fails = f"there is no accounting log in {folder} that we can read"
        own, is_root = self._identities.own, self._identities.is_root
        itself = doctor.by_itself(config, own, client.privileged)
        means = self._options.submit_as
        looked = doctor.Looked(
            own=own,
            submission=await submission(means, "qsub", client.run, own=own, is_root=is_root, itself=itself),
            privileged=client.privileged,
            now=int(client.clock()),
            log=str(folder or ""),
            log_fails=fails,
            unread=self._history.unread,
            doubtful=self._history.doubtful,
            skew=self._history.skew,
            shown=doctor.shown_memory([(node.up, node.memory) for node in seen.nodes]),
        )
        return doctor.findings(config, self._options, looked)


def _held_by_others(action: Action, row: Row) -> ActionOutcome | None:
    """A hold that is not ours to undo: an operator's (o), the system's (s), or PBS's for a password (p)."""
    others = row.holds.replace("u", "").replace("n", "")
    if action is Action.RELEASE and row.state is JobState.HELD and others and "u" not in row.holds:
        return ActionOutcome(Verdict.REFUSED, f"it is held by somebody else (Hold_Types {row.holds})")
    return None


def _now(action: Action, ref: JobRef, row: Row | None, walltime: int | None, said: str) -> ActionOutcome:
    """What an action has come to, by what is seen of the job afterwards."""
    if row is None or row.ref != ref or row.state in ENDED:
        return DONE if action is Action.CANCEL else NOT_THE_ONE
    done = {
        Action.HOLD: row.state is JobState.HELD,
        Action.RELEASE: row.state is not JobState.HELD,
        Action.SUSPEND: row.state is JobState.SUSPENDED,
        Action.RESUME: row.state is JobState.RUNNING,
        Action.EXTEND: walltime is not None and row.walltime == walltime,
    }
    if done.get(action, False):
        return DONE
    return ActionOutcome(errors.verdict(said), said)
