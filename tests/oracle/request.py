"""A request with everything that it left out filled in, and what it asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from oracle.clock import in_force
from oracle.expressions import Read, holds
from oracle.tree import Amounts
from wnodes_engine.check.checked import UNLIMITED, CheckedPolicy
from wnodes_engine.values import Request

ENGINE_DEFAULTS: dict[str, Any] = {
    "cores": 1,
    "memory": 0,
    "gpus": 0,
    "disk": 0,
    "volumes": 0,
    "count": 1,
    "walltime": UNLIMITED,
}
PLAIN = ("kind", "origin", "user", "group", "roles", "tags", "name", "image")
FILLED = (*ENGINE_DEFAULTS, "at_least", "project", "queue", "account", "flavour")
MACHINES = ("vm", "vmjob", "pool")


@dataclass(frozen=True)
class Asked:
    """A request after the defaults phase; `facts` by attribute, `leaf` None where no assignment matches.

    `since` is when it was asked: what stands in a `during` speaks to what comes in while that is open.
    `count` is how many of its parts this is about: those that it would begin with, unless others are said.
    """

    request: Request
    facts: dict[str, Any]
    leaf: int | None
    since: int
    parts: int | None = None

    @cached_property
    def part(self) -> Amounts:
        """What one part asks of its node."""
        return {r: self.facts[r] for r in ("cores", "memory", "gpus", "disk")}

    @property
    def count(self) -> int:
        """How many parts."""
        return self.least if self.parts is None else self.parts

    @property
    def least(self) -> int:
        """With how few parts it would begin."""
        return fewest(self.facts)

    @property
    def most(self) -> int:
        """How many parts it asks for."""
        most: int = self.facts["count"]
        return most

    def of(self, parts: int | None) -> Asked:
        """The same request, with so many of its parts; None for those that it would begin with."""
        return replace(self, parts=parts)

    @cached_property
    def ask(self) -> Amounts:
        """What all parts ask of the share, without hs23."""
        return {r: amount * self.count for r, amount in self.part.items()}

    @cached_property
    def charge(self) -> Amounts:
        """What it is charged by quotas, without what depends on the nodes or on time."""
        machines = self.count if self.facts["kind"] in MACHINES else 0
        volumes = self.facts["volumes"] * self.count
        return self.ask | {"volumes": volumes, "running": 1, "machines": machines}


def asked(policy: CheckedPolicy, request: Request, now: int) -> Asked:
    """Defaults, then assignment."""
    facts: dict[str, Any] = {name: getattr(request, name) for name in (*PLAIN, *FILLED)}
    for default in policy.defaults:
        read = reader(policy, request, facts, None)
        open_now = in_force(policy, default.condition, now)
        if facts[default.attribute] is None and open_now and holds(default.condition, read):
            facts[default.attribute] = default.value
    facts = {name: ENGINE_DEFAULTS.get(name) if fact is None else fact for name, fact in facts.items()}
    read = reader(policy, request, facts, None)
    leaf = next((assign.share for assign in policy.assigns if holds(assign.condition, read)), None)
    return Asked(request, facts, leaf, now)


def fewest(facts: dict[str, Any]) -> int:
    """With how few parts a request would begin that says this: all of them, if it does not say."""
    count: int = ENGINE_DEFAULTS["count"] if facts["count"] is None else facts["count"]
    return count if facts["at_least"] is None else min(facts["at_least"], count)


def reader(policy: CheckedPolicy, request: Request, facts: dict[str, Any], leaf: int | None) -> Read:
    """How an expression reads the attributes of the request itself."""
    site_defaults = {attribute.name: attribute.default for attribute in policy.attributes}

    def read(name: str, site: bool) -> Any:
        if site:
            return request.attributes.get(name, site_defaults[name])
        if name == "share":
            return leaf
        if name == "at_least":
            return fewest(facts)
        if name.startswith("image."):
            return getattr(facts["image"], name.removeprefix("image."))
        fact = facts[name]
        return ENGINE_DEFAULTS.get(name) if fact is None else fact

    return read
