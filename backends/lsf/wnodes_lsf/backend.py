"""LSF as a batch backend: which commands are run when, and what is made of their answers."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wnodes_batch import identity
from wnodes_batch.bulk import chunks, remembered
from wnodes_batch.client import AT_ONCE, Run
from wnodes_batch.driver import OURS, Closed, Driver
from wnodes_batch.identity import Lookup, group
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
from wnodes_engine.values import Node

from wnodes_lsf import commands, config, doctor, errors, hosts, jobs, listing
from wnodes_lsf.client import Client
from wnodes_lsf.history import History
from wnodes_lsf.options import read_options
from wnodes_lsf.script import script_of
from wnodes_lsf.states import AWAY, CLOSED

_ALWAYS: Final = frozenset(
    {
        Capability.PIN,
        Capability.HOLD,
        Capability.MEMORY,
        Capability.SUSPEND,
        Capability.REQUEUE,
        Capability.FINISHED,
    }
)


class LsfBackend(Driver[jobs.Row]):
    """An LSF cluster, reached by its commands on this machine."""

    JOB = re.compile(r"[0-9]{1,10}(?:\[[0-9]{1,7}\])?")
    NODE = re.compile(
        r"(?!(?:all|others|none|default|allremote)$)[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.IGNORECASE
    )

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
        self._uid = os.geteuid() if own is None else own
        super().__init__(name, options, self._options, lookup, self._uid)
        self._own = self._identities.own
        self._client = Client(name, self._options, clock, runner)
        self._history = History(self._client, self._options)
        self._nodes: dict[str, Node] = {}

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What is certain, until the cluster has told how it is set up and what we may do."""
        settings = self._client.config
        able = set(_ALWAYS)
        if self._privileged:
            able.add(Capability.DRAIN)
        if settings is not None and settings.extends:
            able.add(Capability.EXTEND)
        return frozenset(able)

    @property
    def _privileged(self) -> bool:
        settings = self._client.config
        return self._uid == 0 or (settings is not None and self._own in settings.administrators)

    # ----------------------------------------------------------------- looking

    async def snapshot(self) -> Snapshot:
        """All hosts, and the jobs that have not ended, by three or four commands."""
        client = self._client
        await client.learn()
        taken_at = int(client.clock())
        nodes, rows = await asyncio.gather(self._seen(), client.rows(commands.EVERYBODY))
        return Snapshot(nodes, await client.parsed(jobs.jobs, rows, remembered(self._group_of)), taken_at)

    def _group_of(self, user: str) -> str:
        """LSF knows no groups of the system: that of the user's account here."""
        who = self._lookup(user)
        return group(who.gid) if who is not None else ""

    async def finished(self, cursor: str) -> Endings:
        """The endings since `cursor`, from lsb.acct, or from what bjobs, bacct and bhist remember."""
        return await self._history.finished(cursor)

    async def look_again(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Fate | Ending]:
        """What is told of jobs that are not listed any more, each by its whole reference."""
        ours = [ref for ref in refs if ref.cluster == self.name and self.JOB.fullmatch(ref.id)]
        return dict.fromkeys(refs, Fate.UNKNOWN) | dict(await self._history.again(ours))

    async def _seen(self) -> tuple[Node, ...]:
        nodes = await self._client.nodes(self._nodes)
        self._nodes = {node.name: node for node in nodes}
        return nodes

    # -------------------------------------------------------------- submitting

    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        """Submit with one command, under a name that has the key and the time."""
        if said := self._unfit(slot):
            return ActionOutcome(Verdict.REFUSED, said)
        client = self._client
        try:
            settings = await client.learn()
            if (slot.allowed or slot.excluded) and not self._nodes:
                await self._seen()
        except BackendUnavailable as error:
            return ActionOutcome(Verdict.PASSING, str(error))
        submitted_at = int(client.clock())
        try:
            who = self._identities.resolve(slot.user)
            directory = None if settings.is_lsf or not slot.user else self._options.workdir or who.home
            script = script_of(slot, directory)
            argv = commands.submit(slot, submitted_at, who, self._options, settings, self._nodes)
        except (identity.Unknown, commands.Unplaceable, ValueError) as error:
            return ActionOutcome(Verdict.REFUSED, str(error))
        argv = self._identities.command(client.located(argv), who, client.env)
        answer = errors.submission(await client.run(commands.as_job(argv), script))
        return JobRef(self.name, answer, slot.key, submitted_at) if isinstance(answer, str) else answer

    # ------------------------------------------------------------------ acting

    async def _learn(self) -> object:
        return await self._client.learn()

    async def _of_users(self, users: Sequence[str]) -> Sequence[jobs.Row]:
        where = ("-u", *users) if len(users) == 1 else commands.EVERYBODY
        return await self._client.rows(where, in_full=False)

    async def _with_ids(self, ids: Sequence[str]) -> Mapping[str, jobs.Row]:
        return await self._client.by_id(ids)

    async def _carry_out(
        self, action: Action, rows: Sequence[jobs.Row], walltime: int | None
    ) -> Mapping[JobRef, ActionOutcome]:
        to_do: dict[str, list[JobRef]] = {}
        for row in rows:
            to_do.setdefault("" if self._privileged else row.user, []).append(row.ref)
        outcomes: dict[JobRef, ActionOutcome] = {}
        for user, meant in to_do.items():
            outcomes |= await self._act(action, user, meant, walltime)
        return outcomes

    async def _act(
        self, action: Action, user: str, refs: Sequence[JobRef], walltime: int | None
    ) -> Mapping[JobRef, ActionOutcome]:
        """Do it as this user, whose jobs they are; as ourselves if we may act on everybody's."""
        outcomes: dict[JobRef, ActionOutcome] = {}
        by_id = {ref.id: ref for ref in refs}
        for some in chunks(by_id, 1 if action is Action.EXTEND else AT_ONCE):
            argv = (
                commands.act(action, some)
                if walltime is None
                else commands.extend(some[0], -(-walltime // 60))
            )
            argv = self._client.located(argv)
            if user and user != self._own:
                try:
                    who = self._identities.resolve(user)
                except identity.Unknown as error:
                    return dict.fromkeys(refs, ActionOutcome(Verdict.REFUSED, str(error)))
                argv = self._identities.command(argv, who, self._client.env)
            meant = [by_id[id_] for id_ in some]
            outcomes |= errors.actions(action, meant, await self._client.run(argv))
        return outcomes

    async def _closed(self, node: str) -> Closed | None:
        client = self._client
        answer = await client.answer(argv := commands.one_host(node))
        if "Bad host name" in answer.said:
            return None
        if answer.status != 0:
            raise client.failed(argv, answer)
        shown = await client.parsed(listing.wide_hosts, answer.out.decode("utf-8", "replace"))
        if [each.host_name for each in shown] != [node]:  # a group of hosts, or another name for one
            return None
        status = shown[0].status
        if status not in CLOSED | AWAY:
            return Closed(False, "")
        why = hosts.comment(await client.text(commands.host_in_full(node)))
        return Closed(status in CLOSED or why.startswith(OURS), why)  # of one that is away only that tells

    async def _set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        opens = action is NodeAction.UNDRAIN
        argv = commands.open_host(node) if opens else commands.close_host(node, reason)
        return outcome_of(await self._client.do(argv), errors.verdict, errors.plain)

    # ------------------------------------------------------------------ doctor

    async def doctor(self) -> tuple[Health, ...]:
        """What the cluster's settings mean for us."""
        client = self._client
        try:
            settings = await client.learn()
            queues = config.queues(await client.text(commands.QUEUES))
            await client.rows(commands.EVERYBODY)
        except BackendUnavailable as error:
            return doctor.unreachable(str(error))
        path = self._options.accounting
        seen = doctor.Seen(
            own=self._own,
            submission=await submission(
                self._options.submit_as, "bsub", client.run, own=self._own, is_root=self._uid == 0
            ),
            privileged=self._privileged,
            form=client.form,
            tells_all=client.tells_all,
            readable=None if path is None else os.access(path, os.R_OK),
            broken=self._history.broken,
            lost=self._history.lost,
        )
        return doctor.findings(settings, queues, self._options, seen)
