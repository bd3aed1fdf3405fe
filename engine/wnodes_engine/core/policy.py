"""A compiled policy, as the core sees it: one function for the rules, and tables for the limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.meters import MeterSpec
from wnodes_engine.core.tree import Amounts
from wnodes_engine.values import Request, Route

if TYPE_CHECKING:
    from wnodes_engine.core.state import State


class Refused(IntEnum):
    """Which rules refuse a request; the numbers are the order in which reasons are given."""

    UNASSIGNED = 0
    CAP = 1
    RULE = 2
    UNROUTED = 3


Refusal = tuple[int, int, int]
"""(`Refused`, index of the statement, what was asked)."""


class Capacity(NamedTuple):
    """So much of each resource, as what a quota's bound reads of a farm."""

    up: Amounts


Admit = Callable[[Request, "State"], tuple[Claim | None, list[Refusal] | None]]
"""The rules: the claim (None if no share was assigned), and what refuses it (None if nothing does)."""


class RoomTests(NamedTuple):
    """What one rule that makes room asks in a pass; None where it asks nothing.

    Of a request, its claim and the state: `speaks(r, c, s, waited, priority)`, whether it speaks for the one
    that waits; `suits(r, c, s, waited, priority, victim_priority, victim_runtime)`, whether a victim is one
    for it; and of the victim's: `spares(r, c, s, priority, runtime)`. It speaks for nobody that has waited
    less than `patience` seconds, and spares all that have run less than `least_run`.
    """

    speaks: Callable[..., bool] | None
    suits: Callable[..., bool] | None
    spares: Callable[..., bool] | None
    patience: int
    least_run: int


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """What the compiler makes of a checked policy.

    `bounds` evaluates the limit of every meter for a farm, `routes` fill in the names of each route, `room`
    has what each rule that makes room asks, `source` is the generated module's text, without its tables.
    """

    checked: CheckedPolicy
    admit: Admit
    bounds: Callable[[State | Capacity], list[int]]
    routes: tuple[Callable[[Request, Claim], Route], ...]
    room: tuple[RoomTests, ...]
    meters: tuple[MeterSpec, ...]
    tracks_hs23: bool
    source: str
    words: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)
    """By meter: what reasons say of it, once it has been put together; see `reasons`."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the policy's text: what every decision names."""
        return self.checked.digest
