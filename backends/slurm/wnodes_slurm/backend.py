"""Slurm as a batch backend: which commands are run when, and what is made of their answers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wnodes_batch import identity
from wnodes_batch.acting import DONE, NOT_THE_ONE, already, ours
from wnodes_batch.bulk import chunks
from wnodes_batch.identity import Identities, Lookup
from wnodes_batch.runner import run
from wnodes_batch.submitting import submission
from wnodes_engine.backend import (
    ENDED,
    Action,
    ActionOutcome,
    BackendUnavailable,
    BatchBackend,
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
    unfit,
)

from wnodes_slurm import commands, config, doctor, errors, jobs, nodes
from wnodes_slurm.client import AT_ONCE, Client, Run
from wnodes_slurm.history import History
from wnodes_slurm.options import read_options
from wnodes_slurm.script import script_of

_ID: Final = re.compile(r"[0-9]{1,10}")
_NODE: Final = re.compile(r"(?!ALL$)[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_OURS: Final = "wnodes"
"""How the reason of a drain of ours begins: others' are not undone."""

_FEW_USERS: Final = 50
_ALWAYS: Final = frozenset({Capability.PIN, Capability.HOLD, Capability.REQUEUE, Capability.FINISHED})
_PRIVILEGED: Final = frozenset({Capability.SUSPEND, Capability.EXTEND, Capability.DRAIN})
_NEEDS: Final = {Action.SUSPEND: Capability.SUSPEND, Action.RESUME: Capability.SUSPEND} | {
    Action.EXTEND: Capability.EXTEND
}


class SlurmBackend(BatchBackend):
    """A Slurm cluster, reached by its commands on this machine."""

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
        super().__init__(name, options)
        self._options = read_options(name, options)
        try:
            self._identities = Identities(
                self._options.submit_as, self._options.service_user, self._options.min_uid, lookup, own
            )
        except ValueError as error:
            raise ValueError(f"backends.{name}.options.{error}") from None
        self._lookup = lookup
        self._client = Client(name, self._options, clock, runner)
        self._history = History(self._client, self._options)
        self._nodes: frozenset[str] = frozenset()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What is certain, until the cluster has told how it is set up and what we may do."""
        able = _ALWAYS | (_PRIVILEGED if self._client.privileged else frozenset())
        settings = self._client.config
        return able | {Capability.MEMORY} if settings is not None and settings.tracks_memory else able

    def runs_as(self, user: str) -> str:
        """By their own names; the service has a user of its own."""
        return self._identities.runs_as(user)

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

    async def find(self, wanted: Mapping[str, str]) -> Mapping[str, JobRef]:
        """What of ours is there and has not ended, by key."""
        users = {self.runs_as(user) for user in wanted.values()}
        users = {user for user in users if self._lookup(user) is not None}
        if not users:
            return {}
        argv = commands.listing(users=sorted(users) if len(users) <= _FEW_USERS else ())
        return ours(await self._rows(argv), wanted, self.runs_as)

    async def finished(self, cursor: str) -> Endings:
        """The endings since `cursor`, from slurmdbd, or from the controller where there is none."""
        return await self._history.finished(cursor)

    async def look_again(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Fate | Ending]:
        """What the controller and accounting know together of jobs that are not listed."""
        return await self._history.look_again([ref for ref in refs if _ID.fullmatch(ref.id)])

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
        if said := unfit(slot) or _unfit_nodes(slot):
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

    async def act(
        self, action: Action, refs: Sequence[JobRef], *, walltime: int | None = None
    ) -> Mapping[JobRef, ActionOutcome]:
        """Look at the jobs, and do it to those that are the ones meant and not so already."""
        outcomes: dict[JobRef, ActionOutcome] = dict.fromkeys(refs, NOT_THE_ONE)
        if action is Action.EXTEND and (walltime is None or walltime < 1):
            return dict.fromkeys(refs, ActionOutcome(Verdict.REFUSED, "a walltime is needed to extend a job"))
        ids = {ref.id for ref in refs if ref.cluster == self.name and _ID.fullmatch(ref.id)}
        try:
            await self._client.learn()
            rows = await self._client.rows(sorted(ids))
        except BackendUnavailable as error:
            return dict.fromkeys(refs, ActionOutcome(Verdict.PASSING, str(error)))
        if (needed := _NEEDS.get(action)) is not None and needed not in self.capabilities:
            return dict.fromkeys(refs, ActionOutcome(Verdict.REFUSED, f"this cluster lets us not {action}"))
        to_do: list[JobRef] = []
        for ref in dict.fromkeys(refs):
            row = rows.get(ref.id)
            if row is None or row.ref != ref or row.state in ENDED:
                continue
            if (outcome := already(action, row.state)) is not None:
                outcomes[ref] = outcome
            else:
                to_do.append(ref)
        minutes = -(-walltime // 60) if walltime is not None else None
        by_id = {ref.id: ref for ref in to_do}
        for chunk in chunks(by_id, AT_ONCE):
            some = [by_id[id_] for id_ in chunk]
            answer = await self._client.run(commands.act(action, some, minutes))
            outcomes |= errors.actions(action, some, answer)
        return outcomes

    async def set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        """Drain a node with a reason of ours, or undo a drain of ours; those of others are left alone."""
        if not _NODE.fullmatch(node):
            return ActionOutcome(Verdict.REFUSED, f"there is no node {node!r}")
        answer = await self._client.run(commands.one_node(node))
        if "not found" in (answer.out.decode("utf-8", "replace") + answer.said):
            return ActionOutcome(Verdict.REFUSED, f"there is no node {node!r}")
        if answer.status != 0:
            return ActionOutcome(Verdict.PASSING, errors.plain(answer.said))
        shown = answer.out.decode("utf-8", "replace")
        drained, why = nodes.is_drained(shown), nodes.read(shown).reasons.get(node, "")
        if drained is (action is NodeAction.DRAIN):
            return DONE
        if action is NodeAction.DRAIN:
            said = _CONTROL.sub(" ", reason).strip()[:200]
            argv = commands.close_node(node, said if said.startswith(_OURS) else f"{_OURS}: {said}")
        elif not why.startswith(_OURS):
            return ActionOutcome(Verdict.CONFLICT, f"{node} was drained by somebody else: {why}")
        else:
            argv = commands.open_node(node)
        answer = await self._client.run(argv)
        if answer.status == 0:
            return DONE
        if answer.status is None:
            return ActionOutcome(Verdict.UNKNOWN, answer.said)
        return ActionOutcome(errors.verdict(answer.said), errors.plain(answer.said))

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

    async def close(self) -> None:
        """There is nothing to let go of: every command has ended."""


def _unfit_nodes(slot: SlotRequest) -> str:
    """Slurm reads lists of hosts: `n[1-9]` would be nine."""
    for name in (*(node for node, _ in slot.nodes), *slot.allowed, *slot.excluded):
        if not _NODE.fullmatch(name):
            return f"there is no node {name!r}"
    return ""
