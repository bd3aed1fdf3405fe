"""Averages of what was held, rolled anew from everything that ever started or ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from oracle.request import Asked
from oracle.tree import Amounts
from wnodes_engine.core.averages import TICK, roll


@dataclass(frozen=True)
class Change:
    """At `time`, what is held changed by so much."""

    time: int
    asked: Asked
    leaf: int
    delta: Amounts


def average(changes: Iterable[Change], r: str, half_life: int, now: int) -> int:
    """The average of what these changes add up to, in 2^-20 of the resource's unit."""
    value = held = tick = 0
    for change in changes:
        value = roll(value, held, change.time // TICK - tick, half_life)
        tick = change.time // TICK
        held += change.delta[r]
    return roll(value, held, now // TICK - tick, half_life)
