"""The values that travel between the rooms: requests, nodes, images, decisions and their reasons.

Units: cores and counts as they are, memory and disk in MiB, times in seconds since the epoch (UTC),
durations in seconds, benchmark factors in thousandths of HS23 per core.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

Kind = Literal["job", "vmjob", "vm", "pool"]
Origin = Literal["local", "grid", "cloud"]


class Image(msgspec.Struct, frozen=True, gc=False):
    """A machine image as Glance and the site describe it."""

    id: str
    name: str
    approved: bool = False
    status: str = "active"
    visibility: str = "private"
    os: str = ""
    size: int = 0
    min_disk: int = 0
    min_memory: int = 0
    tags: frozenset[str] = frozenset()


class Request(msgspec.Struct, frozen=True, gc=False):
    """What somebody asks for, as it was asked: `None` is what the request left out.

    `cores`, `memory`, `gpus`, `disk` and `volumes` are those of one part (one task of a job, one machine
    of a pool), which always stays on one node; `count` says how many parts, `at_least` with how few of them
    it would begin. What is left out and not filled in by the policy is 1 core, count 1, all of the count,
    0 of the rest, and an unlimited walltime.
    An `UNLIMITED` walltime is `checked.UNLIMITED`. `submitted` decides the age.
    """

    id: str
    kind: Kind
    origin: Origin
    user: str
    group: str
    submitted: int
    project: str | None = None
    roles: frozenset[str] = frozenset()
    cores: int | None = None
    memory: int | None = None
    gpus: int | None = None
    disk: int | None = None
    volumes: int | None = None
    count: int | None = None
    at_least: int | None = None
    walltime: int | None = None
    queue: str | None = None
    account: str | None = None
    flavour: str | None = None
    image: Image | None = None
    name: str | None = None
    tags: frozenset[str] = frozenset()
    attributes: dict[str, str | int | bool] = {}


class Node(msgspec.Struct, frozen=True, gc=False):
    """A worker node. A node that is not `up` counts as configured, but takes nothing new."""

    name: str
    cores: int
    memory: int
    gpus: int = 0
    disk: int = 0
    factor: int = 1000
    properties: frozenset[str] = frozenset()
    up: bool = True


class Placement(msgspec.Struct, frozen=True, gc=False):
    """So many parts of a request on that node."""

    node: str
    parts: int


class Outcome(StrEnum):
    """What the engine answers."""

    START = "start"
    WAIT = "wait"
    DENY = "deny"
    PREEMPT = "preempt"


class Code(StrEnum):
    """Why not: the kinds of reason. The first group denies, the second waits, `QUOTA` does either."""

    RULE = "rule"
    CAP = "cap"
    UNASSIGNED = "unassigned"
    UNROUTED = "unrouted"
    NEVER_SHARE = "never-fits-share"
    NEVER_NODE = "never-fits-node"
    ERROR = "evaluation-error"
    QUOTA = "quota"
    SHARE = "share-full"
    NODE = "no-node"
    BEHIND = "behind"
    RESERVED = "reserved"
    LEAVING = "leaving"


class Reason(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One thing that stands in the way, and the numbers that make it so.

    `rule` is the statement as the policy has it (`quota for each user`), with `file` and `line`; for limits
    of the farm itself they are empty. `limit`, `current` and `short` are in the resource's unit.
    """

    code: Code
    message: str
    rule: str = ""
    file: str = ""
    line: int = 0
    resource: str = ""
    limit: int | None = None
    current: int | None = None
    short: int | None = None


Action = Literal["requeue", "suspend", "checkpoint", "shelve", "delete"]


class Preemption(msgspec.Struct, frozen=True, gc=False):
    """What a victim is to be told: to leave by then, and how it is dealt with. `rule` counts from 0."""

    victim: str
    beneficiary: str
    action: Action
    leave_by: int
    rule: int


class Route(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Who carries the request out, with the names filled in."""

    target: str
    through: str | None = None
    queue: str | None = None
    account: str | None = None
    image: str | None = None
    flavour: str | None = None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The engine's answer to one request; see `schemas/decision.json`.

    `node` is the first node of the `placement`; both are empty unless the outcome is `start` or `preempt`.
    """

    outcome: Outcome
    policy_digest: str
    share: str | None = None
    route: Route | None = None
    node: str | None = None
    placement: tuple[Placement, ...] = ()
    victims: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()


class ShareUse(msgspec.Struct, frozen=True, gc=False):
    """What one share was promised and holds now, by resource; `waiting` and `running` count requests."""

    path: str
    leaf: bool
    nominal: dict[str, int]
    used: dict[str, int]
    free: dict[str, int]
    average: dict[str, int]
    running: int
    waiting: int
