"""Slurm as a batch backend: which commands are run when, and what is made of their answers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wnodes_batch import identity
from wnodes_batch.bulk import chunks
from wnodes_batch.client import AT_ONCE, Run
from wnodes_batch.driver import Closed, Driver
from wnodes_batch.identity import Lookup
from wnodes_batch.outcomes import outcome_of
from wnodes_batch.runner import run
from wnodes_batch.submitting import submission
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BackendUnavailable,
    Capability,
    Ending,
    Endings,
    Fate,
    Health,
    JobRef,
    NodeAction,
    SlotRequest,
    Snapshot,
    Verdict,
)

from wnodes_slurm import commands, config, doctor, errors, jobs, nodes
from wnodes_slurm.client import Client
from wnodes_slurm.history import History
from wnodes_slurm.options import read_options
from wnodes_slurm.script import script_of

_FEW_USERS: Final = 50
_ALWAYS: Final = frozenset({Capability.PIN, Capability.HOLD, Capability.REQUEUE, Capability.FINISHED})
_PRIVILEGED: Final = frozenset({Capability.SUSPEND, Capability.EXTEND, Capability.DRAIN})


class SlurmBackend(Driver[jobs.Row]):
    """A Slurm cluster, reached by its commands on this machine."""

    JOB = re.compile(r"[0-9]{1,10}")
    NODE = re.compile(r"(?!ALL$)[A-Za-z0-9][A-Za-z0-9._-]{0,254}")

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
        """Reads the options; nothing is asked of the cluster yet. Raises ValueError."""
        self._options = read_options(name, options)
        super().__init__(name, options, self._options, lookup, own)
        self._client = Client(name, self._options, clock, runner)
        self._history = History(self._client, self._options)
        self._nodes: frozenset[str] = frozenset()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What is certain, until the cluster has told how it is set up and what we may do."""
        able = _ALWAYS | (_PRIVILEGED if self._client.privileged else frozenset())
        settings = self._client.config
        return able | {Capability.MEMORY} if settings is not None and settings.tracks_memory else able

    # ----------------------------------------------------------------- looking

    async def snapshot(self) -> Snapshot:
        """All nodes, and the jobs that have not ended, by two commands."""
        client = self._client
        await client.learn()
        taken_at = int(client.clock())
        shown, rows = await asyncio.gather(self._seen(), self._rows(commands.listing()))
        cut = [row.ref.id for row in rows if row.cut]
        lists: dict[str, str] = {}
        for some in chunks(cut, AT_ONCE):
            lists |= await client.parsed(jobs.read_nodes, await client.ask(commands.node_lists(some)))
        made = await client.parsed(jobs.jobs, rows, lists, shown.allocated)
        return Snapshot(shown.nodes, made, taken_at)

    async def finished(self, cursor: str) -> Endings:
        """The endings since `cursor`, from slurmdbd, or from the controller where there is none."""
        return await self._history.finished(cursor)

    async def look_again(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Fate | Ending]:
        """What the controller and accounting know together of jobs that are not listed."""
        return await self._history.look_again([ref for ref in refs if self.JOB.fullmatch(ref.id)])

    async def _rows(self, argv: tuple[str, ...]) -> list[jobs.Row]:
        return await self._client.parsed(jobs.read, await self._client.ask(argv), self.name)

    async def _seen(self) -> nodes.Seen:
        listing = await self._client.ask(commands.NODES)
        reserved = self._options.reservation is not None
        seen = await self._client.parsed(nodes.read, listing.decode("utf-8", "replace"), reserved)
        if not seen.nodes:
            raise BackendUnavailable(f"{self.name}: scontrol shows no nodes")
        self._nodes = frozenset(node.name for node in seen.nodes)
        return seen

    # -------------------------------------------------------------- submitting

    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        """Submit with one command, under a name that has the key and the time."""
        if said := self._unfit(slot):
            return ActionOutcome(Verdict.REFUSED, said)
        try:
            who, script = self._identities.resolve(slot.user), script_of(slot)
        except (identity.Unknown, ValueError) as error:
            return ActionOutcome(Verdict.REFUSED, str(error))
        if slot.allowed and not self._nodes:
            try:
                await self._seen()
            except BackendUnavailable as error:
                return ActionOutcome(Verdict.PASSING, str(error))
        submitted_at = int(self._client.clock())
        argv = commands.submit(slot, submitted_at, who, self._options, self._nodes)
        argv = self._identities.command(argv, who, self._client.env)
        answer = errors.submission(await self._client.run(argv, script))
        return JobRef(self.name, answer, slot.key, submitted_at) if isinstance(answer, str) else answer

    # ------------------------------------------------------------------ acting

    async def _learn(self) -> object:
        return await self._client.learn()

    async def _of_users(self, users: Sequence[str]) -> Sequence[jobs.Row]:
        return await self._rows(commands.listing(users=users if len(users) <= _FEW_USERS else ()))

    async def _with_ids(self, ids: Sequence[str]) -> Mapping[str, jobs.Row]:
        return await self._client.rows(ids)

    async def _carry_out(
        self, action: Action, rows: Sequence[jobs.Row], walltime: int | None
    ) -> Mapping[JobRef, ActionOutcome]:
        outcomes: dict[JobRef, ActionOutcome] = {}
        minutes = -(-walltime // 60) if walltime is not None else None
        by_id = {row.ref.id: row.ref for row in rows}
        for chunk in chunks(by_id, AT_ONCE):
            some = [by_id[id_] for id_ in chunk]
            answer = await self._client.run(commands.act(action, some, minutes))
            outcomes |= errors.actions(action, some, answer)
        return outcomes

    async def _closed(self, node: str) -> Closed | None:
        answer = await self._client.answer(commands.one_node(node))
        shown = answer.out.decode("utf-8", "replace")
        if "not found" in shown + answer.said:
            return None
        if answer.status != 0:
            raise self._client.failed(("scontrol",), answer)
        seen = await self._client.parsed(nodes.read, shown)
        return Closed(nodes.is_drained(shown), seen.reasons.get(node, ""))

    async def _set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        opens = action is NodeAction.UNDRAIN
        argv = commands.open_node(node) if opens else commands.close_node(node, reason)
        return outcome_of(await self._client.run(argv), errors.verdict, errors.plain)

    # ------------------------------------------------------------------ doctor

    async def doctor(self) -> tuple[Health, ...]:
        """What the cluster's settings mean for us."""
        client = self._client
        try:
            settings = await client.learn()
            partitions = config.partitions((await client.ask(commands.PARTITIONS)).decode("utf-8", "replace"))
        except BackendUnavailable as error:
            return doctor.unreachable(str(error))
        own, is_root = self._identities.own, self._identities.is_root
        itself = Health(
            "submission", is_root, f"sbatch --uid is for root, and we are {own}", "submit_as: sudo"
        )
        means = self._options.submit_as
        return doctor.findings(
            settings,
            partitions,
            own=own,
            submission=await submission(means, "sbatch", client.run, own=own, is_root=is_root, itself=itself),
            privileged=client.privileged,
            now=int(client.clock()),
        )
