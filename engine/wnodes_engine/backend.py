"""What a batch backend must be: the interface of `wnodes.backends` and the values that cross it.

A driver is argv builders and pure parsers around one command runner. Every call has a time limit of the
driver's own. A failed query raises `BackendUnavailable`; it never returns an empty farm. What a backend
promises is written down as laws in `wnodes_engine.conformance`; docs/backends.md shows how to write one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

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
    """Where a job is in its life. `UNKNOWN` keeps the raw text in `Job.native_state`.

    `STARTING` holds its cores, but nothing of it was seen to run yet.
    """

    HELD = "held"
    PENDING = "pending"
    STARTING = "starting"
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


ENDED: Final = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
"""The states that a job does not leave again."""


class NodeAction(StrEnum):
    """What can be done to a node."""

    DRAIN = "drain"
    UNDRAIN = "undrain"


class Verdict(StrEnum):
    """How an action ended. Only `PASSING` may be repeated blindly; `UNKNOWN` must be looked up first.

    `REFUSED`: it will never be done as it was asked. `NO_ROOM`: a limit is reached, and may not be later.
    `CONFLICT`: what is there is not what was meant; nothing was touched. `PASSING`: it has certainly not
    been done, and may be next time. `UNKNOWN`: it may have been done, or may still be.
    """

    DONE = "done"
    REFUSED = "refused"
    NO_ROOM = "no room"
    CONFLICT = "conflict"
    PASSING = "passing"
    UNKNOWN = "unknown"


class Fate(StrEnum):
    """What a second look says of a job that is not listed any more. `UNKNOWN`: nothing, or it has ended.

    `NEVER_STARTED`: the batch system has lost it, and nothing of it has run. `VANISHED`: it has run, and how
    it has ended nobody will ever know.
    """

    UNKNOWN = "unknown"
    NEVER_STARTED = "never started"
    VANISHED = "vanished"


class JobRef(msgspec.Struct, frozen=True, gc=False):
    """Which job: ids are used again, so the key and the time of submission belong to its identity.

    All four stay the same for as long as the job lives, through requeues too. `key` is empty for jobs that
    did not come through us.
    """

    cluster: str
    id: str
    key: str
    submitted_at: int


class SlotRequest(msgspec.Struct, frozen=True, gc=False):
    """Cores to be won in the batch system, for a payload job or as a bait.

    `key` is random and ours: 1 to 32 lower case letters and digits. `user` is whom the payload runs as,
    empty for baits, which run as the service. `cores`, `memory` (MiB), `gpus` and `disk` (MiB) are those of
    one part, which stays on one node; there are `count` parts. `nodes` pins so many parts to each node, in
    the order of the placement; empty leaves the choice to the batch system, within `allowed` (empty: all)
    and without `excluded`. `walltime` in seconds, None for unlimited. `script` is what runs, by its `#!`;
    empty holds the cores for the walltime, or until it is cancelled. `held`: record the id first, release
    afterwards. `rerun`: the batch system may start it anew by itself, as after the failure of its node.
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
    rerun: bool = False


class Job(msgspec.Struct, frozen=True, gc=False):
    """One job as the batch system shows it, ours or native.

    `nodes` says how many cores it holds on which node; it is empty for a job that holds none. `reason` is
    the batch system's own. `restarts`: how often it was started anew. `project`: where the system
    knows projects.
    """

    ref: JobRef
    state: JobState
    native_state: str
    user: str
    cores: int
    memory: int
    group: str = ""
    account: str = ""
    queue: str = ""
    qos: str = ""
    gpus: int = 0
    walltime: int | None = None
    started_at: int | None = None
    nodes: tuple[tuple[str, int], ...] = ()
    reason: str = ""
    restarts: int = 0
    project: str = ""


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """The whole farm as the batch system saw it at `taken_at`: nodes, and the jobs that have not ended."""

    nodes: tuple[Node, ...]
    jobs: tuple[Job, ...]
    taken_at: int


class Ending(msgspec.Struct, frozen=True, gc=False):
    """A finished job, from accounting, ours or native.

    `exit_status` is None where the system does not tell, and 128 + N for a job that the signal N ended.
    `cores` and `memory` (MiB) were held; `cpu_seconds` and `memory_used` (MiB, the largest seen) were used,
    None where the system does not tell.
    """

    ref: JobRef
    state: JobState
    started_at: int | None
    ended_at: int
    exit_status: int | None
    nodes: tuple[tuple[str, int], ...] = ()
    native_state: str = ""
    user: str = ""
    group: str = ""
    account: str = ""
    queue: str = ""
    qos: str = ""
    cores: int = 0
    memory: int = 0
    gpus: int = 0
    cpu_seconds: int | None = None
    memory_used: int | None = None


class Endings(msgspec.Struct, frozen=True, gc=False):
    """Some of what has ended, and the `cursor` to go on from; `more`: it is worth asking again at once."""

    records: tuple[Ending, ...]
    cursor: str
    more: bool = False


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


def unfit(slot: SlotRequest) -> str:
    """Why a slot must not be handed on to any batch system, whatever it says; empty if it may be."""
    if not _KEY.fullmatch(slot.key):
        return "its key is not of 1 to 32 lower case letters and digits"
    nodes = (*(node for node, _ in slot.nodes), *slot.allowed, *slot.excluded)
    for word in (slot.name, slot.user, slot.queue, slot.account, *nodes):
        if word and not is_word(word):
            return f"{word!r} begins with '-', holds blanks or control characters, or is too long"
    if slot.cores < 1 or slot.count < 1 or min(slot.memory, slot.gpus, slot.disk) < 0:
        return "it asks for less than nothing"
    if slot.nodes and sum(parts for _, parts in slot.nodes) != slot.count:
        return f"{slot.count} parts are asked for, and others are pinned"
    return ""


def is_word(text: str) -> bool:
    """Whether a value can be nothing but a value: no option, no second word, no second line."""
    return _WORD.fullmatch(text) is not None


_KEY: Final = re.compile(r"[a-z0-9]{1,32}")
_WORD: Final = re.compile(r"(?!-)[^\x00-\x20\x7f-\xa0\u2028\u2029]{1,256}")


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

    def runs_as(self, user: str) -> str:
        """The batch system's user that a slot of `user` runs as; "" is the service itself.

        A job is ours only if it has our key and belongs to that user: anyone can name a job like ours.
        """
        return user

    @abstractmethod
    async def snapshot(self) -> Snapshot:
        """All nodes and jobs, by a few bulk commands; raises `BackendUnavailable`."""

    @abstractmethod
    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        """Submit under `slot.key`; an outcome instead of a reference says why there is none.

        Values that could be mistaken for something else (a leading `-`, control characters) are refused.
        """

    @abstractmethod
    async def find(self, wanted: Mapping[str, str]) -> Mapping[str, JobRef]:
        """What of ours is there and has not ended, by key; `wanted` says for each key which slot's user.

        Of several copies the first that was submitted counts. Raises `BackendUnavailable`.
        """

    @abstractmethod
    async def act(
        self, action: Action, refs: Sequence[JobRef], *, walltime: int | None = None
    ) -> Mapping[JobRef, ActionOutcome]:
        """Do one thing to many jobs, each verified to be the one meant.

        `walltime` belongs to `EXTEND`: seconds from the start of the job. To release a job that is free, or
        to hold one that is held, is `DONE`. What this system cannot do is `REFUSED`.
        """

    @abstractmethod
    async def set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        """Drain a node or take it back; to do what is done already is `DONE`."""

    @abstractmethod
    async def finished(self, cursor: str) -> Endings:
        """The endings since `cursor`; "" is as far back as is of use to anybody who begins now.

        None is left out, however late accounting hears of it; one may be told again after the backend was
        made anew. Raises `BackendUnavailable`.
        """

    async def look_again(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Fate | Ending]:
        """What became of jobs that were not listed for long, and whose end was not told.

        A controller that is killed may lose a job that it had taken, or forget whose an ending was. Raises
        `BackendUnavailable`.
        """
        return dict.fromkeys(refs, Fate.UNKNOWN)

    @abstractmethod
    async def doctor(self) -> tuple[Health, ...]:
        """Whether this system is set up so that our promises hold; never raises."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections and processes."""
