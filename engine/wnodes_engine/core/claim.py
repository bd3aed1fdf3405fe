"""A claim: everything that the limits need to know of a request, once the rules have spoken.

Requests with equal claims are alike to the scheduler: they wait in one class, and one that is blocked blocks
them all for that pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from wnodes_engine.core.meters import MeterSpec


class Part(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What one part of a request takes on its node."""

    cores: int
    memory: int
    gpus: int
    disk: int


class Claim(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What an admitted request would hold, whom it is charged to, and how it is carried out.

    `parts` are those that it would begin with, the `least` of them, or, once it runs, those that it got;
    `most` is how many it asks for. All amounts are those of `parts`.

    `asks` are (resource index, total amount) of what the share tree charges, without hs23. `meters` are
    (meter, key, amount) of what it would hold of each quota, `waits` (meter, key) of the quotas on what
    waits, `hours` (meter, key) of those on use over time, and `placed` (meter, key, amount of one part) of
    those that depend on the nodes it gets: hs23, and quotas for some nodes. `rules` has a bit for each node
    rule whose condition it meets. `over` is the place rule whose groups it is laid out over, or -1. `rates`
    are (amount, seconds): what its priority gains per so long a wait. `accounts` are the names that its
    leaf's fairshare keys charge, in their order. `takes` has a bit for each rule by which room may be made
    for it, `reads` the attributes that those rules will ask for.
    """

    leaf: int
    part: Part
    parts: int
    least: int
    most: int
    volumes: int
    walltime: int
    asks: tuple[tuple[int, int], ...]
    meters: tuple[tuple[int, str | int, int], ...]
    waits: tuple[tuple[int, str | int], ...]
    hours: tuple[tuple[int, str | int], ...]
    placed: tuple[tuple[int, str | int, int], ...]
    rules: int
    spread: bool
    over: int
    base: int
    rates: tuple[tuple[int, int], ...]
    accounts: tuple[str, ...]
    project: str | None
    queue: str | None
    account: str | None
    route: int
    takes: int = 0
    reads: tuple[Any, ...] = ()


def with_parts(claim: Claim, parts: int, meters: Sequence[MeterSpec]) -> Claim:
    """The same claim to so many parts; `meters` are those of its policy."""
    had = claim.parts
    if parts == had:
        return claim
    return replace(
        claim,
        parts=parts,
        asks=asks_of(claim, parts),
        meters=tuple(
            (meter, key, amount if meters[meter].resource == "running" else amount // had * parts)
            for meter, key, amount in claim.meters
        ),
    )


def asks_of(claim: Claim, parts: int) -> tuple[tuple[int, int], ...]:
    """What so many parts of the claim ask of the share tree, as `asks`."""
    if parts == claim.parts:
        return claim.asks
    return tuple((resource, ask // claim.parts * parts) for resource, ask in claim.asks)


def priority_at(claim: Claim, submitted: int, tick_start: int) -> int:
    """The priority at the beginning of a tick: the base and what the wait has added so far."""
    priority = claim.base
    waited = tick_start - submitted
    if waited > 0:
        for amount, per in claim.rates:
            priority += amount * (waited // per)
    return priority
