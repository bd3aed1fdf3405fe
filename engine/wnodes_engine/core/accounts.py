"""Accounts: what a share, or somebody in it, holds now and on average, and how much of the share that is."""

from __future__ import annotations

from typing import Final

from wnodes_engine.core.averages import AVERAGE_BITS, roll
from wnodes_engine.language.vocabulary import RESOURCES

Asks = tuple[tuple[int, int], ...]
"""(resource index, amount) of what is charged."""

_ENDLESS: Final = 1 << 200
"""The ratio of an average to an amount of nothing."""


class Account:
    """What one user, group or project holds in a leaf, now and on average."""

    __slots__ = ("average", "held", "tick")

    def __init__(self) -> None:
        self.average = [0] * len(RESOURCES)
        self.held = [0] * len(RESOURCES)
        self.tick = 0

    def averages(self, tick: int, half_life: int) -> list[int]:
        """The averages at the tick, in 2^-20 of each unit."""
        ticks = tick - self.tick
        return [roll(a, h, ticks, half_life) for a, h in zip(self.average, self.held, strict=True)]

    def charge(self, asks: Asks, sign: int, tick: int, half_life: int) -> None:
        """Hold so much more (or less, by the sign) from this tick on."""
        if tick > self.tick:
            self.average = self.averages(tick, half_life)
            self.tick = tick
        held = self.held
        for resource, ask in asks:
            held[resource] += ask * sign


def ratio(averages: list[int], amounts: list[int], asks: Asks = ()) -> int:
    """The largest of average ÷ amount over the resources, in 2^-20; an amount of nothing comes last."""
    wanted = averages
    if asks:
        wanted = averages.copy()
        for resource, ask in asks:
            wanted[resource] += ask << AVERAGE_BITS
    largest = 0
    for average, amount in zip(wanted, amounts, strict=True):
        if average:
            if not amount:
                return _ENDLESS
            value = average // amount
            if value > largest:
                largest = value
    return largest
