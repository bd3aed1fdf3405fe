"""Whom a quota counts, and how much of it is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oracle.expressions import holds
from oracle.request import Asked, reader
from oracle.tree import Amounts
from wnodes_engine.check.checked import CheckedPolicy, Quota, Share

Key = Any
"""Whom a quota counts: a name, or the index of a share."""


@dataclass(frozen=True)
class Use:
    """What an allocation used: `cores` from `begin` to `end`, in seconds since the epoch."""

    cores: int
    begin: int
    end: int


def keys(policy: CheckedPolicy, quota: Quota, asked: Asked) -> list[Key]:
    """The keys under which a request counts for a quota; none if it does not count."""
    if asked.leaf is None or (quota.within is not None and asked.leaf not in quota.within):
        return []
    if not holds(quota.condition, reader(policy, asked.request, asked.facts, asked.leaf)):
        return []
    own = own_keys(policy.shares, quota, asked, asked.leaf)
    if quota.value is None:
        return own
    return [quota.value] if quota.value in own else []


def own_keys(shares: tuple[Share, ...], quota: Quota, asked: Asked, leaf: int) -> list[Key]:
    """What the request is, in the quota's kind of key."""
    facts = asked.facts
    if quota.key == "nodes":
        return [None]
    if quota.key == "share":
        return [leaf] if quota.value is None else above(shares, leaf)
    if quota.key == "role":
        return sorted(facts["roles"])
    if quota.key == "image":
        image = facts["image"]
        if image is None:
            return []
        return [image.id] if quota.value is None else [image.id, image.name]
    return [] if facts[quota.key] is None else [facts[quota.key]]


def above(shares: tuple[Share, ...], leaf: int) -> list[int]:
    """The leaf and every share above it."""
    parent = shares[leaf].parent
    return [leaf] if parent is None else [leaf, *above(shares, parent)]


def core_seconds_ahead(cores: int, walltime: int, window: int) -> int:
    """What a running or new request is committed to inside a window, in core-seconds."""
    return cores * min(walltime, window)


def core_seconds_past(uses: list[Use], window: int, now: int) -> int:
    """What was used inside the window by what has ended, in core-seconds, by whole buckets."""
    length = max(1, window // 720)
    total = 0
    for use in uses:
        first = max(use.begin, now - window - length) // length
        for bucket in range(first, use.end // length + 1):
            begin, end = bucket * length, (bucket + 1) * length
            if end > now - window:
                total += use.cores * max(0, min(end, use.end) - max(begin, use.begin))
    return total


def summed(amounts: list[Amounts], r: str) -> int:
    """The sum of one resource."""
    return sum(each.get(r, 0) for each in amounts)
