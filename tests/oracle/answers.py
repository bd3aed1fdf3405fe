"""What the oracle answers: decisions without their prose, and what a pass has done."""

from __future__ import annotations

from dataclasses import dataclass

from oracle.records import Told
from wnodes_engine.language.source import Span
from wnodes_engine.values import Code, Outcome, Placement, Request


@dataclass(frozen=True)
class Why:
    """A reason, without its prose."""

    code: Code
    resource: str = ""
    limit: int | float | None = None
    current: int | float | None = None
    short: int | float | None = None
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Answer:
    """A decision, without its prose: `route` is the target and what it goes through."""

    outcome: Outcome
    share: str | None = None
    route: tuple[str, str | None] | None = None
    placement: tuple[Placement, ...] = ()
    reasons: tuple[Why, ...] = ()
    victims: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """What a pass started."""

    request: Request
    share: str
    placement: tuple[Placement, ...]


@dataclass
class Scheduled:
    """What a pass has done, each in its order; `resumed` and `reprieves` are ids."""

    starts: list[Started]
    resumed: list[str]
    preemptions: list[Told]
    reprieves: list[str]


def at(span: Span) -> tuple[str, int]:
    """Where a statement is."""
    return span.path, span.line
