"""What every driver is: who submits, who of those that are listed is ours, and what is done to which job.

A driver adds how its system is asked, and the command for each thing that can be done.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from re import Pattern
from typing import Any, ClassVar, Final, Generic, TypeVar

import msgspec
from wnodes_engine.backend import (
    ENDED,
    Action,
    ActionOutcome,
    BackendUnavailable,
    BatchBackend,
    Capability,
    JobRef,
    NodeAction,
    SlotRequest,
    Verdict,
    unfit,
)

from wnodes_batch.acting import DONE, NOT_THE_ONE, Shown, already, ours
from wnodes_batch.identity import Identities, Lookup
from wnodes_batch.options import CommonOptions

R = TypeVar("R", bound=Shown)

OURS: Final = "wnodes"
"""How the reason of a drain of ours begins: others' are not undone."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_NEEDS: Final = {
    Action.REQUEUE: Capability.REQUEUE,
    Action.SUSPEND: Capability.SUSPEND,
    Action.RESUME: Capability.SUSPEND,
    Action.EXTEND: Capability.EXTEND,
}


class Closed(msgspec.Struct, frozen=True):
    """Whether a node is closed to new work, by whom ever, and the reason that was given."""

    is_so: bool
    why: str


class Driver(BatchBackend, Generic[R]):
    """A batch system that is reached by its commands; `R` is a job as it lists them."""

    JOB: ClassVar[Pattern[str]]
    """What an id has to look like to stand in a command."""

    NODE: ClassVar[Pattern[str]]
    """What a node's name has to look like: no list of nodes, no group of them, no option."""

    def __init__(
        self, name: str, options: Mapping[str, Any], said: CommonOptions, lookup: Lookup, own: int | None
    ) -> None:
        """`said` are the options as they were read, `own` is the daemon's uid (None: as it is).

        Raises ValueError.
        """
        super().__init__(name, options)
        try:
            self._identities = Identities(said.submit_as, said.service_user, said.min_uid, lookup, own)
        except ValueError as error:
            raise ValueError(f"backends.{name}.options.{error}") from None
        self._lookup = lookup

    def runs_as(self, user: str) -> str:
        """By their own names; the service has a user of its own."""
        return self._identities.runs_as(user)

    async def find(self, wanted: Mapping[str, str]) -> Mapping[str, JobRef]:
        """What of ours is there and has not ended, by key."""
        users = {self.runs_as(user) for user in wanted.values()}
        known = sorted(user for user in users if self._lookup(user) is not None)
        return ours(await self._of_users(known), wanted, self.runs_as) if known else {}

    async def act(
        self, action: Action, refs: Sequence[JobRef], *, walltime: int | None = None
    ) -> Mapping[JobRef, ActionOutcome]:
        """Look at the jobs, and do it to those that are the ones meant and not so already."""
        if action is Action.EXTEND and (walltime is None or walltime < 1):
            return dict.fromkeys(refs, ActionOutcome(Verdict.REFUSED, "a walltime is needed to extend a job"))
        outcomes: dict[JobRef, ActionOutcome] = dict.fromkeys(refs, NOT_THE_ONE)
        ids = {ref.id for ref in refs if ref.cluster == self.name and self.JOB.fullmatch(ref.id)}
        if not ids:
            return outcomes
        try:
            await self._learn()
            rows = await self._with_ids(sorted(ids))
        except BackendUnavailable as error:
            return dict.fromkeys(refs, ActionOutcome(Verdict.PASSING, str(error)))
        if (needed := _NEEDS.get(action)) is not None and needed not in self.capabilities:
            return dict.fromkeys(
                refs, ActionOutcome(Verdict.REFUSED, f"this batch system lets us {action} no job")
            )
        to_do: list[R] = []
        for ref in outcomes:
            row = rows.get(ref.id)
            if row is None or row.ref != ref or row.state in ENDED:
                continue
            if (outcome := already(action, row.state) or self._objection(action, row)) is not None:
                outcomes[ref] = outcome
            else:
                to_do.append(row)
        if to_do:
            outcomes |= await self._carry_out(action, to_do, walltime)
        return outcomes

    async def set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        """Close a node with a reason of ours, or undo that; what others have closed is left alone."""
        missing = ActionOutcome(Verdict.REFUSED, f"there is no node {node!r}")
        if not self.NODE.fullmatch(node):
            return missing
        try:
            await self._learn()
            closed = await self._closed(node)
        except BackendUnavailable as error:
            return ActionOutcome(Verdict.PASSING, str(error))
        if closed is None:
            return missing
        if closed.is_so is (action is NodeAction.DRAIN):
            return DONE
        if action is NodeAction.UNDRAIN and not closed.why.startswith(OURS):
            said = f"{node} was closed by somebody else: {closed.why or 'nothing says why'}"
            return ActionOutcome(Verdict.CONFLICT, said)
        said = _CONTROL.sub(" ", reason).strip()[:200]
        return await self._set_node(node, action, said if said.startswith(OURS) else f"{OURS}: {said}")

    async def close(self) -> None:
        """There is nothing to let go of: every command has ended."""

    @abstractmethod
    async def _learn(self) -> object:
        """Find out how the system is set up, and so what it can do. Raises BackendUnavailable."""

    @abstractmethod
    async def _of_users(self, users: Sequence[str]) -> Sequence[R]:
        """The jobs of these users, and of others maybe. Raises BackendUnavailable."""

    @abstractmethod
    async def _with_ids(self, ids: Sequence[str]) -> Mapping[str, R]:
        """The jobs with these ids, by id, as far as they are there. Raises BackendUnavailable."""

    @abstractmethod
    async def _carry_out(
        self, action: Action, rows: Sequence[R], walltime: int | None
    ) -> Mapping[JobRef, ActionOutcome]:
        """Do it to these jobs, which are the ones meant."""

    @abstractmethod
    async def _closed(self, node: str) -> Closed | None:
        """Whether a node is closed; None if it is not there. Raises BackendUnavailable."""

    @abstractmethod
    async def _set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        """Close the node, or open it."""

    def _objection(self, action: Action, row: R) -> ActionOutcome | None:  # noqa: ARG002 - most have none
        """Why it is not for us to do it, if it is not."""
        return None

    @classmethod
    def _unfit(cls, slot: SlotRequest) -> str:
        """Why a slot must not come near a command; empty if it may. A node is one, and no list of them."""
        for name in (*(node for node, _ in slot.nodes), *slot.allowed, *slot.excluded):
            if not cls.NODE.fullmatch(name):
                return f"there is no node {name!r}"
        return unfit(slot)
