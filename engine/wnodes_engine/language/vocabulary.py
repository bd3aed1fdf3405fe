"""The words a policy may use: types, resources, and every attribute with its type, trust and presence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Type(StrEnum):
    """The types of expressions."""

    NUMBER = "number"
    DURATION = "duration"
    SIZE = "size"
    PERCENT = "percentage"
    STRING = "string"
    TRUTH = "truth value"
    KIND = "kind"
    ORIGIN = "origin"
    WEEKDAY = "weekday"
    SHARE = "share"
    STRINGS = "set of strings"
    KINDS = "set of kinds"
    ORIGINS = "set of origins"
    WEEKDAYS = "set of weekdays"


ELEMENT_OF: Final = {
    Type.STRINGS: Type.STRING,
    Type.KINDS: Type.KIND,
    Type.ORIGINS: Type.ORIGIN,
    Type.WEEKDAYS: Type.WEEKDAY,
}
"""What a set type holds."""

MEMBERS: Final[dict[Type, tuple[str, ...]]] = {
    Type.KIND: ("job", "vmjob", "vm", "pool"),
    Type.ORIGIN: ("local", "grid", "cloud"),
    Type.WEEKDAY: ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
}
"""The words of each enumeration, in their own order."""

RESOURCES: Final = ("cores", "memory", "gpus", "disk", "hs23")
"""What a share has a part of. Memory and disk in MiB; hs23 in thousandths, as cores × the node's factor."""

HELD: Final = ("cores", "memory", "gpus", "disk", "hs23", "volumes", "running", "machines")
"""What a quota may limit of what is held now."""

QUOTA_RESOURCES: Final = (*HELD, "waiting", "core_hours")
"""Everything that a quota may limit; `core_hours` needs `per DURATION`."""

NODE_QUOTA_RESOURCES: Final = ("cores", "memory", "gpus", "disk", "volumes", "machines")
"""What a quota for nodes may limit: what each part of a request holds on the node it is on."""

SCOPE_KEYS: Final = (
    "user",
    "group",
    "project",
    "role",
    "share",
    "queue",
    "account",
    "image",
    "nodes",
    "kind",
    "origin",
)
"""Whom a quota may count; `each` works with all of them but `nodes`."""  # fmt: skip

ORDER_KEYS: Final = ("fairshare", "priority", "age", "size")
FAIRSHARE_OF: Final = ("user", "group", "project", "account")
ACTIONS: Final = ("requeue", "suspend", "checkpoint", "shelve", "delete")
TEMPLATE_FIELDS: Final = ("share", "leaf", "user", "group", "project", "origin", "kind", "queue", "account")
"""What may stand in braces in a route's texts; `share` is the dotted path, `leaf` its last part."""


class Trust(StrEnum):
    """Who says so."""

    CLAIMED = "claimed by the requester"
    VOUCHED = "vouched for by the site"
    STATE = "read from the farm"


class Phase(StrEnum):
    """Where in a policy an expression stands; it decides what may be read there."""

    DEFAULT = "default"
    ASSIGN = "assign"
    CAP = "cap"
    DENY = "deny"
    PRIORITY = "priority"
    QUOTA = "quota"
    BOUND = "a quota's bound"
    NODES = "nodes"
    PLACE = "place"
    ROUTE = "route"
    PREEMPT = "the condition of reclaim or preempt"
    SPARE = "sparing"


REQUEST_PHASES: Final = frozenset(Phase) - {Phase.BOUND}
AFTER_ASSIGN: Final = REQUEST_PHASES - {Phase.DEFAULT, Phase.ASSIGN}
STATE_PHASES: Final = frozenset({Phase.DENY, Phase.CAP, Phase.PREEMPT})


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing an expression may read.

    `guard` names what `has` tests where the attribute may be absent (`project`, `image`), else None;
    `kinds` are the kinds that always have it, so that a test of the kind guards it too.
    """

    name: str
    type: Type
    trust: Trust
    doc: str
    phases: frozenset[Phase] = REQUEST_PHASES
    guard: str | None = None
    kinds: tuple[str, ...] = ()


def _claimed(name: str, type_: Type, doc: str, guard: str | None = None) -> Attribute:
    return Attribute(name, type_, Trust.CLAIMED, doc, guard=guard)


def _vouched(name: str, type_: Type, doc: str, guard: str | None = None) -> Attribute:
    return Attribute(name, type_, Trust.VOUCHED, doc, guard=guard)


def _image(name: str, type_: Type, doc: str) -> Attribute:
    return Attribute(f"image.{name}", type_, Trust.VOUCHED, doc, guard="image", kinds=("vmjob", "vm", "pool"))


def _state(name: str, type_: Type, doc: str, guard: str | None = None) -> Attribute:
    return Attribute(name, type_, Trust.STATE, doc, phases=STATE_PHASES, guard=guard)


def _use_of(scope: str, whom: str, guard: str | None = None) -> tuple[Attribute, ...]:
    return (
        _state(f"{scope}.cores", Type.NUMBER, f"cores that {whom} holds now", guard),
        _state(f"{scope}.memory", Type.SIZE, f"memory that {whom} holds now", guard),
        _state(f"{scope}.gpus", Type.NUMBER, f"GPUs that {whom} holds now", guard),
        _state(f"{scope}.disk", Type.SIZE, f"disk that {whom} holds now", guard),
        _state(f"{scope}.running", Type.NUMBER, f"requests of {whom} that run now", guard),
        _state(f"{scope}.machines", Type.NUMBER, f"machines that {whom} holds now", guard),
        _state(f"{scope}.waiting", Type.NUMBER, f"requests of {whom} that wait now", guard),
    )


_FARM: Final = STATE_PHASES | {Phase.BOUND}
_VICTIM: Final = frozenset({Phase.PREEMPT, Phase.SPARE})

_TABLE: Final = (
    Attribute("kind", Type.KIND, Trust.VOUCHED, "job, vmjob (a job inside a VM), vm, or pool"),
    _vouched("origin", Type.ORIGIN, "how the request came in: local, grid or cloud"),
    _vouched("user", Type.STRING, "who asks"),
    _vouched("group", Type.STRING, "the group, or virtual organisation, of who asks"),
    _vouched("project", Type.STRING, "the project that is charged", "project"),
    _vouched("roles", Type.STRINGS, "the roles that the site gives to who asks"),
    _claimed("cores", Type.NUMBER, "cores of one machine or task, on one node"),
    _claimed("memory", Type.SIZE, "memory of one machine or task"),
    _claimed("gpus", Type.NUMBER, "GPUs of one machine or task"),
    _claimed("disk", Type.SIZE, "local disk of one machine or task"),
    _claimed("volumes", Type.NUMBER, "volumes of one machine"),
    _claimed("count", Type.NUMBER, "how many machines or tasks of this size"),
    _claimed("at_least", Type.NUMBER, "with how few of them it would begin: all, if it does not say"),
    _claimed("walltime", Type.DURATION, "the longest it may run; may be unlimited"),
    _claimed("queue", Type.STRING, "the batch queue asked for", "queue"),
    _claimed("account", Type.STRING, "the batch account asked for", "account"),
    _claimed("flavour", Type.STRING, "the flavour asked for", "flavour"),
    _claimed("name", Type.STRING, "what the requester calls it", "name"),
    _claimed("tags", Type.STRINGS, "the requester's tags"),
    _image("id", Type.STRING, "the image's id"),
    _image("name", Type.STRING, "the image's name"),
    _image("approved", Type.TRUTH, "whether the site has approved the image"),
    _image("status", Type.STRING, "the image's status in Glance, such as active"),
    _image("visibility", Type.STRING, "public, community, shared or private"),
    _image("os", Type.STRING, "the operating system that the image declares"),
    _image("size", Type.SIZE, "the size of the image"),
    _image("min_disk", Type.SIZE, "the disk that the image needs"),
    _image("min_memory", Type.SIZE, "the memory that the image needs"),
    _image("tags", Type.STRINGS, "the image's tags"),
    Attribute("share", Type.SHARE, Trust.VOUCHED, "the leaf it was assigned to", phases=AFTER_ASSIGN),
    Attribute("waited", Type.DURATION, Trust.STATE, "how long it has waited", phases=frozenset({Phase.PREEMPT})),
    Attribute("priority", Type.NUMBER, Trust.STATE, "its priority now", phases=_VICTIM),
    Attribute("runtime", Type.DURATION, Trust.STATE, "how long the victim has run", phases=frozenset({Phase.SPARE})),
    Attribute("victim.priority", Type.NUMBER, Trust.STATE, "the victim's priority", phases=frozenset({Phase.PREEMPT})),
    Attribute("victim.runtime", Type.DURATION, Trust.STATE, "how long the victim has run", phases=frozenset({Phase.PREEMPT})),
    Attribute("time.hour", Type.NUMBER, Trust.STATE, "the hour, 0 to 23, in the site's time zone", phases=STATE_PHASES),
    Attribute("time.weekday", Type.WEEKDAY, Trust.STATE, "the day of the week there", phases=STATE_PHASES),
    *_use_of("share", "the request's share"),
    *_use_of("user", "the requester"),
    *_use_of("group", "the requester's group"),
    *_use_of("project", "the request's project", "project"),
    Attribute("farm.cores", Type.NUMBER, Trust.STATE, "cores of the nodes that are up", phases=_FARM),
    Attribute("farm.memory", Type.SIZE, Trust.STATE, "memory of the nodes that are up", phases=_FARM),
    Attribute("farm.gpus", Type.NUMBER, Trust.STATE, "GPUs of the nodes that are up", phases=_FARM),
    _state("farm.used.cores", Type.NUMBER, "cores in use on the whole farm"),
    _state("farm.waiting", Type.NUMBER, "requests that wait on the whole farm"),
    _state("share.nominal.cores", Type.NUMBER, "the share's nominal cores"),
)  # fmt: skip

ATTRIBUTES: Final = {attribute.name: attribute for attribute in _TABLE}
"""Every attribute of the engine's own, by its dotted name; a site adds more in `site.yaml`."""

DEFAULTABLE: Final = ("cores", "memory", "gpus", "disk", "volumes", "count", "walltime", "queue", "account", "project")  # fmt: skip
"""What `default` may fill in."""

CAPPABLE: Final = ("cores", "memory", "gpus", "disk", "volumes", "count", "walltime")
"""What `cap` may bound."""
