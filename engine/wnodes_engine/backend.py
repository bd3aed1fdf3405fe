"""What a batch backend must be: the interface of `wnodes.backends` and the values that cross it.

A driver is argv builders and pure parsers around one command runner. Every call has a time limit of the
driver's own. A failed query raises `BackendUnavailable`; it never returns an empty farm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from wnodes_engine.values import Node


class BackendUnavailable(Exception):  # noqa: N818 - it names a condition, as the design does
    """The batch system did not answer, or answered nonsense; the message says what was tried."""


class Capability(StrEnum):
    """What a backend can do, in this version and as it is configured."""

    PIN = "pin"
    HOLD = "hold"
    EXTEND = "extend"
    MEMORY = "memory"
    SUSPEND = "suspend"
    REQUEUE = "requeue"
    RESERVE = "reserve"
    FINISHED = "finished"
    DRAIN = "drain"


class JobState(StrEnum):
    """Where a job is in its life. `UNKNOWN` keeps the raw text in `Job.native_state`."""

    HELD = "held"
    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    ENDING = "ending"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What can be done to a job."""

    CANCEL = "cancel"
    REQUEUE = "requeue"
    SUSPEND = "suspend"
    RESUME = "resume"
    HOLD = "hold"
    RELEASE = "release"
    EXTEND = "extend"


class NodeAction(StrEnum):
    """What can be done to a node."""

    DRAIN = "drain"
    UNDRAIN = "undrain"


class Verdict(StrEnum):
    """How an action ended. Only `PASSING` may be repeated blindly; `UNKNOWN` must be looked up first."""

    DONE = "done"
    REFUSED = "refused"
    NO_ROOM = "no room"
    CONFLICT = "conflict"
    PASSING = "passing"
    UNKNOWN = "unknown"


class JobRef(msgspec.Struct, frozen=True, gc=False):
    """Which job: ids are used again, so the key and the time of submission belong to its identity."""

    cluster: str
    id: str
    key: str
    submitted_at: int


class SlotRequest(msgspec.Struct, frozen=True, gc=False):
    """Cores to be won in the batch system, for a payload job or as a bait.

    `key` is random and ours; `user` is whom the payload runs as, empty for baits, which run as the
    service. `nodes` pins the parts to nodes, in the order of the placement; empty leaves the choice to the
    batch system, within `allowed` (empty: all) and without `excluded`. `walltime` in seconds, None for
    unlimited. `held`: record the id first, release afterwards.
    """

    key: str
    name: str
    user: str
    cores: int
    memory: int
    count: int = 1
    gpus: int = 0
    disk: int = 0
    walltime: int | None = None
    queue: str | None = None
    account: str | None = None
    script: str = ""
    nodes: tuple[tuple[str, int], ...] = ()
    allowed: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    held: bool = True


class Job(msgspec.Struct, frozen=True, gc=False):
    """One job as the batch system shows it, ours or native; `nodes` says how many cores on which node."""

    ref: JobRef
    state: JobState
    native_state: str
    user: str
    cores: int
    memory: int
    group: str = ""
    account: str = ""
    queue: str = ""
    gpus: int = 0
    walltime: int | None = None
    started_at: int | None = None
    nodes: tuple[tuple[str, int], ...] = ()
    reason: str = ""


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """The whole farm as the batch system saw it at `taken_at`."""

    nodes: tuple[Node, ...]
    jobs: tuple[Job, ...]
    taken_at: int


class Ending(msgspec.Struct, frozen=True, gc=False):
    """A finished job, from accounting. `exit_status` is None where the system does not tell."""

    ref: JobRef
    state: JobState
    started_at: int | None
    ended_at: int
    exit_status: int | None
    nodes: tuple[tuple[str, int], ...] = ()


class ActionOutcome(msgspec.Struct, frozen=True, gc=False):
    """How an action ended, and what the batch system said."""

    verdict: Verdict
    message: str = ""


class Health(msgspec.Struct, frozen=True, gc=False):
    """One thing that `doctor` looked at: whether it is well, what was found, and how to mend it."""

    check: str
    well: bool
    found: str
    mend: str = ""


class BatchBackend(ABC):
    """A batch system. One instance serves one cluster; its methods may be called concurrently."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        """`name` is the backend's name in `site.yaml`, `options` what stands there.

        Raises ValueError, with the option's name, where an option is unknown or unusable.
        """
        self.name = name
        self.options = options

    @property
    @abstractmethod
    def capabilities(self) -> frozenset[Capability]:
        """What this batch system can do, in this version, as configured."""

    @abstractmethod
    async def snapshot(self) -> Snapshot:
        """All nodes and jobs, by a few bulk commands; raises `BackendUnavailable`."""

    @abstractmethod
    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        """Submit under `slot.key`; an outcome instead of a reference says why there is none."""

    @abstractmethod
    async def find(self, keys: Sequence[str]) -> Mapping[str, JobRef]:
        """What of ours is there, by key; raises `BackendUnavailable`."""

    @abstractmethod
    async def act(
        self, action: Action, refs: Sequence[JobRef], *, walltime: int | None = None
    ) -> Mapping[JobRef, ActionOutcome]:
        """Do one thing to many jobs, each verified to be the one meant; `walltime` belongs to `EXTEND`."""

    @abstractmethod
    async def set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        """Drain a node or take it back."""

    @abstractmethod
    async def finished(self, cursor: str) -> tuple[tuple[Ending, ...], str]:
        """The endings since `cursor` ("" is the beginning), and the next cursor.

        Raises `BackendUnavailable`.
        """

    @abstractmethod
    async def doctor(self) -> tuple[Health, ...]:
        """Whether this system is set up so that our promises hold."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections and processes."""
