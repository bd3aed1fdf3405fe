"""The form of a snapshot: columns of rows, and tables that the rows point into, as types with bounds.

The form of lines of decision logs rests on it, too: `schemas/decision-log.json`. Times are in seconds since
the epoch, memory and disk in MiB.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from wnodes_engine.values import Image, Kind, Origin

WIDEST: Final = 1 << 24
"""The most parts, cores and the like of one request."""

Text = Annotated[str, Meta(max_length=4096)]
Several = Annotated[int, Meta(ge=1, le=WIDEST)]
Count = Annotated[int, Meta(ge=0, le=WIDEST)]
Size = Annotated[int, Meta(ge=0, le=1 << 60)]
Seconds = Annotated[int, Meta(ge=0, le=1 << 62)]
Moment = Annotated[int, Meta(ge=0, le=253_370_764_800)]
Index = Annotated[int, Meta(ge=0, le=1 << 32)]
Texts = Annotated[frozenset[Text], Meta(max_length=1000)]
Key = Text | int
"""Whom a quota counts: a name, or the number of a share."""


class NodeRow(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """`Node`, within bounds."""

    name: Text
    cores: Annotated[int, Meta(ge=0, le=1_000_000)]
    memory: Size
    gpus: Annotated[int, Meta(ge=0, le=10_000)]
    disk: Size
    factor: Annotated[int, Meta(ge=0, le=1 << 40)]
    properties: Texts
    up: bool


class RequestRow(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """`Request`, within bounds."""

    id: Text
    kind: Kind
    origin: Origin
    user: Text
    group: Text
    submitted: Moment
    project: Text | None
    roles: Texts
    cores: Several | None
    memory: Size | None
    gpus: Count | None
    disk: Size | None
    volumes: Count | None
    count: Several | None
    at_least: Several | None
    walltime: Seconds | None
    queue: Text | None
    account: Text | None
    flavour: Text | None
    image: Image | None
    name: Text | None
    tags: Texts
    attributes: Annotated[dict[Text, Text | int | bool], Meta(max_length=1000)]


class PartRow(Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """`farm.Part`, within bounds."""

    cores: Count
    memory: Size
    gpus: Count
    disk: Size


class ClaimRow(Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """`Claim`, within bounds."""

    leaf: Index
    part: PartRow
    parts: Several
    least: Several
    most: Several
    volumes: Count
    walltime: Seconds
    asks: tuple[tuple[Annotated[int, Meta(ge=0, le=4)], int], ...]
    meters: tuple[tuple[Index, Key, int], ...]
    waits: tuple[tuple[Index, Key], ...]
    hours: tuple[tuple[Index, Key], ...]
    placed: tuple[tuple[Index, Key, int], ...]
    rules: Annotated[int, Meta(ge=0)]
    spread: bool
    over: Annotated[int, Meta(ge=-1, le=1 << 32)]
    base: int
    rates: tuple[tuple[int, Annotated[int, Meta(ge=1)]], ...]
    accounts: tuple[Text, ...]
    project: Text | None
    queue: Text | None
    account: Text | None
    route: Annotated[int, Meta(ge=-1, le=1 << 32)]
    takes: Annotated[int, Meta(ge=0)]
    reads: tuple[Text | int | bool | Texts | Image | None, ...]


class Nodes(Struct, frozen=True, tag="nodes", tag_field="of", forbid_unknown_fields=True):
    """Nodes, in the order of their names; rows point to them by their number."""

    nodes: tuple[NodeRow, ...]


class Claims(Struct, frozen=True, tag="claims", tag_field="of", forbid_unknown_fields=True):
    """More entries of the table of claims; rows point to them by their number."""

    claims: tuple[ClaimRow, ...]


class Requests(Struct, frozen=True, tag="requests", tag_field="of", forbid_unknown_fields=True):
    """More entries of the table of requests: each without its id and its time of submission."""

    requests: tuple[RequestRow, ...]


class Rows(Struct, frozen=True, tag_field="of", forbid_unknown_fields=True):
    """What all rows of requests have."""

    id: tuple[Text, ...]
    submitted: tuple[Moment, ...]
    request: tuple[Index, ...]
    claim: tuple[Index, ...]
    serial: tuple[Index, ...]


Places = tuple[tuple[Index, Several], ...]
"""(node, parts)."""


class Running(Rows, frozen=True, tag="running"):
    """Allocations. `where` is a node's number for one part on one node; `priority` is that of the start."""

    started: tuple[Moment, ...]
    where: tuple[Index | Places, ...]
    priority: tuple[int, ...]
    native: tuple[bool, ...]


class Paused(Struct, frozen=True, tag="paused", tag_field="of", forbid_unknown_fields=True):
    """Which of the allocations are suspended, and since when."""

    id: tuple[Text, ...]
    stopped: tuple[Moment, ...]


class Waiting(Rows, frozen=True, tag="waiting"):
    """Requests in line."""


class Held(Struct, frozen=True, tag="held", tag_field="of", forbid_unknown_fields=True):
    """The claims that a quota holds back: its meter, its key, and what they ask of it.

    Those that are not asleep were woken, and have had no turn since.
    """

    claim: tuple[Index, ...]
    meter: tuple[Index, ...]
    key: tuple[Key, ...]
    asked: tuple[int, ...]
    asleep: tuple[bool, ...]


class Promised(Rows, frozen=True, tag="promised"):
    """Requests for which room was made, by the rule of that number; those that were told to leave by then.

    `number` counts the promises, `victims` have what each gives of hs23.
    """

    number: tuple[Index, ...]
    rule: tuple[Index, ...]
    leave_by: tuple[Moment, ...]
    where: tuple[Index | Places, ...]
    victims: tuple[tuple[tuple[Text, int], ...], ...]


class History(Struct, frozen=True, tag="history", tag_field="of", forbid_unknown_fields=True):
    """What is known of requests: how often they had to leave, who left for them, who pushed them out."""

    id: tuple[Text, ...]
    left: tuple[Index, ...]
    made_room: tuple[tuple[Text, ...], ...]
    pushed_by: tuple[tuple[Text, ...], ...]


class Told(Struct, frozen=True, tag="told", tag_field="of", forbid_unknown_fields=True):
    """Which rule told whom to leave in the hour before, and when; rules without a budget are left out."""

    rule: tuple[Index, ...]
    time: tuple[Moment, ...]
    victim: tuple[Text, ...]


class Use(Struct, frozen=True, tag="use", tag_field="of", forbid_unknown_fields=True):
    """Averages of past use, in 2^-20 of each resource's unit, as of a tick (a minute since the epoch).

    Of a whole share where `fairshare` is below 0, else of the account of that name in a leaf, under the
    fairshare key of that number.
    """

    share: tuple[Index, ...]
    fairshare: tuple[Annotated[int, Meta(ge=-1, le=100)], ...]
    name: tuple[Text, ...]
    tick: tuple[Index, ...]
    average: tuple[tuple[int, ...], ...]


class Ended(Struct, frozen=True, tag="ended", tag_field="of", forbid_unknown_fields=True):
    """Core-seconds of ended work inside the windows of quotas on use: by meter and key, (bucket, amount)."""

    meter: tuple[Index, ...]
    key: tuple[Key, ...]
    buckets: tuple[tuple[tuple[int, int], ...], ...]


Part = Nodes | Claims | Requests | Running | Paused | Waiting | Held | Promised | History | Told | Use | Ended


class Clock(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where a state stands: the minute that it has reached (below 0: none), its counters, and what it awaits.

    `serial` and `promised` are the last ones given away. `preempts` tells that it makes room at all; `looked`
    in which leaves it could make none in this minute; `let_off` whom the next pass is to tell that they may
    stay.
    """

    minute: Annotated[int, Meta(ge=-1, le=1 << 32)]
    serial: Index
    preempts: bool
    promised: Index = 0
    looked: tuple[Index, ...] = ()
    let_off: tuple[Text, ...] = ()
