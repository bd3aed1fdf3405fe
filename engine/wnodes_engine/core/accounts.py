"""Accounts: what a share, or somebody in it, holds now and on average, and how much of the share that is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from wnodes_engine.core.averages import AVERAGE_BITS, rolled
from wnodes_engine.language.vocabulary import RESOURCES

Asks = tuple[tuple[int, int], ...]
"""(resource index, amount) of what is charged."""

_RESOURCES: Final = range(len(RESOURCES))

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
        return rolled(self.average, self.held, tick - self.tick, half_life)

    def charge(self, asks: Asks, sign: int, tick: int, half_life: int) -> None:
        """Hold so much more (or less, by the sign) from this tick on."""
        if tick > self.tick:
            self.average = self.averages(tick, half_life)
            self.tick = tick
        held = self.held
        for resource, ask in asks:
            held[resource] += ask * sign


class ShareAverages:
    """What each share's subtree holds on average.

    What it holds now is what the share tree says, less what that expects.
    """

    __slots__ = ("_averages", "_expected", "_half_lives", "_held", "_seen", "ticks")

    def __init__(self, held: Sequence[Sequence[int]], half_lives: Sequence[int]) -> None:
        """`held` is the share tree's, by resource and share; half-lives in seconds, by share."""
        self._held = held
        self._half_lives = half_lives
        self._averages = [[0] * len(RESOURCES) for _ in half_lives]
        self.ticks = [0] * len(half_lives)
        """By share: the tick as of which its averages stand."""
        self._expected = [[0] * len(half_lives) for _ in RESOURCES]
        self._seen: list[tuple[int, int, list[int], list[int]]] = [(0, 0, [], []) for _ in half_lives]
        """By share, what was asked for last: (as of, tick, held, averages)."""

    def settle(self, path: Iterable[int], tick: int) -> None:
        """What these shares hold is about to change: what they have held until now goes into the averages."""
        for share in path:
            if tick > self.ticks[share]:
                self._averages[share] = self.at(share, tick)
                self.ticks[share] = tick

    def at(self, share: int, tick: int) -> list[int]:
        """The averages of one share at the tick, in 2^-20 of each unit."""
        as_of = self.ticks[share]
        if tick <= as_of:
            return self._averages[share]
        charged, expected = self._held, self._expected
        held = [charged[r][share] - expected[r][share] for r in _RESOURCES]
        seen = self._seen[share]
        if seen[0] == as_of and seen[1] == tick and seen[2] == held:
            return seen[3]
        averages = rolled(self._averages[share], held, tick - as_of, self._half_lives[share])
        self._seen[share] = as_of, tick, held, averages
        return averages

    def expect(self, path: Iterable[int], asks: Asks, sign: int) -> None:
        """The share tree is charged for what these shares do not hold yet, or, -1, hold still."""
        for resource, ask in asks:
            expected = self._expected[resource]
            for share in path:
                expected[share] += ask * sign

    def known(self, share: int) -> tuple[int, list[int]]:
        """The last tick as of which the averages of a share were worked out, and they then."""
        return self.ticks[share], self._averages[share]

    def restore(self, share: int, resource: int, average: int, tick: int) -> None:
        """Take up a past average, in 2^-20 of the unit, as of that tick."""
        self.settle((share,), tick)
        self.ticks[share] = tick
        self._averages[share][resource] = average
        self._seen[share] = (0, 0, [], [])


def ratio(averages: Sequence[int], amounts: Sequence[int], asks: Asks = ()) -> int:
    """The largest of average ÷ amount over the resources, in 2^-20; an amount of nothing comes last."""
    wanted = averages
    if asks:
        wanted = list(averages)
        for resource, ask in asks:
            wanted[resource] += ask << AVERAGE_BITS
    largest = 0
    for r, average in enumerate(wanted):
        if average:
            amount = amounts[r]
            if not amount:
                return _ENDLESS
            value = average // amount
            if value > largest:
                largest = value
    return largest
