"""LSF as a batch backend: which commands are run when, and what is made of their answers."""

from __future__ import annotations

import asyncio
import os
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
from wnodes_engine.values import Node

from wnodes_lsf import commands, config, doctor, errors, hosts, jobs, listing
from wnodes_lsf.client import AT_ONCE, Client, Run
from wnodes_lsf.history import History
from wnodes_lsf.listing import Unreadable
from wnodes_lsf.options import read_options
from wnodes_lsf.script import script_of
from wnodes_lsf.states import AWAY, CLOSED

_ID: Final = re.compile(r"[0-9]{1,10}(?:\[[0-9]{1,7}\])?")
_HOST: Final = re.compile(
    r"(?!(?:all|others|none|default|allremote)$)[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.IGNORECASE
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_OURS: Final = "wnodes"
"""How the comment of a host that we have closed begins: others' are not undone."""

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


class LsfBackend(BatchBackend):
    """An LSF cluster, reached by its commands on this machine."""

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
        self._uid = os.geteuid() if own is None else own
        try:
            self._identities = Identities(
                self._options.submit_as, self._options.service_user, self._options.min_uid, lookup, self._uid
            )
        except ValueError as error:
            raise ValueError(f"backends.{name}.options.{error}") from None
        self._own = self._identities.own
        self._lookup = lookup
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

    def runs_as(self, user: str) -> str:
        """By their own names; the service has a user of its own."""
        return self._identities.runs_as(user)

    # ----------------------------------------------------------------- looking

    async def snapshot(self) -> Snapshot:
        """All hosts, and the jobs that have not ended, by three or four commands."""
        client = self._client
        await client.learn()
        taken_at = int(client.clock())
        nodes, rows = await asyncio.gather(self._seen(), client.rows(commands.EVERYBODY))
        return Snapshot(nodes, jobs.jobs(rows), taken_at)

    async def find(self, wanted: Mapping[str, str]) -> Mapping[str, JobRef]:
        """What of ours is there and has not ended, by key."""
        users = {self.runs_as(user) for user in wanted.values()}
        users = {user for user in users if self._lookup(user) is not None}
        if not users:
            return {}
        where = ("-u", *users) if len(users) == 1 else commands.EVERYBODY
        return ours(await self._client.rows(where, in_full=False), wanted, self.runs_as)

    async def finished(self, cursor: str) -> Endings:
        """The endings since `cursor`, from lsb.acct, or from what bjobs, bacct and bhist remember."""
        return await self._history.finished(cursor)

    async def look_again(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Fate | Ending]:
        """What is told of jobs that are not listed any more, each by its whole reference."""
        ours = [ref for ref in refs if ref.cluster == self.name and _ID.fullmatch(ref.id)]
        return dict.fromkeys(refs, Fate.UNKNOWN) | dict(await self._history.again(ours))

    async def _seen(self) -> tuple[Node, ...]:
        nodes = await self._client.nodes(self._nodes)
        self._nodes = {node.name: node for node in nodes}
        return nodes

    # -------------------------------------------------------------- submitting

    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        """Submit with one command, under a name that has the key and the time."""
        if said := unfit(slot) or _unfit_hosts(slot):
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
            rows = await self._client.by_id(sorted(ids))
        except BackendUnavailable as error:
            return dict.fromkeys(refs, ActionOutcome(Verdict.PASSING, str(error)))
        if action is Action.EXTEND and Capability.EXTEND not in self.capabilities:
            return dict.fromkeys(
                refs, ActionOutcome(Verdict.REFUSED, "this cluster extends no job that runs")
            )
        to_do: dict[str, list[JobRef]] = {}
        for ref in dict.fromkeys(refs):
            row = rows.get(ref.id)
            if row is None or row.ref != ref or row.state in ENDED:
                continue
            if (outcome := already(action, row.state)) is not None:
                outcomes[ref] = outcome
            else:
                to_do.setdefault("" if self._privileged else row.user, []).append(ref)
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

    async def set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        """Close a host with a comment of ours, or undo that; what others have closed is left alone."""
        client = self._client
        missing = ActionOutcome(Verdict.REFUSED, f"there is no host {node!r}")
        if not _HOST.fullmatch(node):
            return missing
        answer = await client.answer(commands.one_host(node))
        if "Bad host name" in answer.said:
            return missing
        if answer.status != 0:
            return ActionOutcome(Verdict.PASSING, errors.plain(answer.said))
        try:
            shown = listing.wide_hosts(answer.out.decode("utf-8", "replace"))
        except Unreadable as error:
            return ActionOutcome(Verdict.PASSING, str(error))
        if [each.host_name for each in shown] != [node]:  # a group of hosts, or another name for one
            return missing
        status = shown[0].status
        if action is NodeAction.DRAIN:
            if status in CLOSED:
                return DONE
            said = _CONTROL.sub(" ", reason).strip()[:200]
            argv = commands.close_host(node, said if said.startswith(_OURS) else f"{_OURS}: {said}")
        else:
            if status not in CLOSED | AWAY:
                return DONE
            in_full = await client.answer(commands.host_in_full(node))
            if in_full.status != 0:
                return ActionOutcome(Verdict.PASSING, errors.plain(in_full.said))
            why = hosts.comment(in_full.out.decode("utf-8", "replace"))
            if not why.startswith(_OURS):
                closed = ActionOutcome(Verdict.CONFLICT, f"{node} was closed by somebody else: {why}")
                return closed if status in CLOSED else DONE
            argv = commands.open_host(node)
        answer = await client.run(client.located(argv))
        if answer.status == 0:
            return DONE
        if answer.status is None:
            return ActionOutcome(Verdict.UNKNOWN if answer.began else Verdict.PASSING, answer.said)
        return ActionOutcome(errors.verdict(answer.said), errors.plain(answer.said))

    # ------------------------------------------------------------------ doctor

    async def doctor(self) -> tuple[Health, ...]:
        """What the cluster's settings mean for us."""
        client = self._client
        try:
            settings = await client.learn()
            queues = config.queues(await client.ask(commands.QUEUES))
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

    async def close(self) -> None:
        """There is nothing to let go of: every command has ended."""


def _unfit_hosts(slot: SlotRequest) -> str:
    """LSF reads words among hosts, and groups: `all` would be all of them."""
    for name in (*(node for node, _ in slot.nodes), *slot.allowed, *slot.excluded):
        if not _HOST.fullmatch(name):
            return f"there is no host {name!r}"
    return ""
