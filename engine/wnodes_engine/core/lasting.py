"""How much of its walltime work has used, by leaf: what estimates of starts rest on, and no decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from wnodes_engine.check.checked import UNLIMITED

_ENOUGH: Final = 10
"""So many endings tell something."""

_REMEMBERED: Final = 1024
"""Once so many of a leaf have ended at one percentage, each counts half: what was long ago fades."""

_ALL: Final = -1
"""All leaves together, where a leaf's own are too few."""


_PERCENTS: Final = 101
"""From none of the walltime to all of it."""


class Lasting:
    """Counts of endings by percent of the walltime, by leaf."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[int, list[int]] = {}

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return sum(self._counts.get(_ALL, ())) >= _ENOUGH

    def counts(self) -> Iterator[tuple[int, list[int]]]:
        """The counts by leaf; -1 is all leaves together."""
        return ((leaf, list(counts)) for leaf, counts in self._counts.items())

    def restore(self, leaf: int, counts: Sequence[int]) -> None:
        """Take up what `counts` told; anything that cannot be that is passed over."""
        if len(counts) == _PERCENTS and min(counts) >= 0:
            self._counts[leaf] = list(counts)

    def copy(self) -> Lasting:
        """The same, to go on with by itself."""
        twin = Lasting()
        for leaf, counts in self.counts():
            twin.restore(leaf, counts)
        return twin

    def note(self, leaf: int, ran: int, walltime: int) -> None:
        """Work has ended after so many seconds of those that it had asked for."""
        if not 0 < walltime < UNLIMITED:
            return
        percent = min(100, 100 * ran // walltime)
        for key in (leaf, _ALL):
            counts = self._counts.get(key)
            if counts is None:
                counts = self._counts[key] = [0] * _PERCENTS
            counts[percent] += 1
            if counts[percent] >= _REMEMBERED:
                counts[:] = [count >> 1 for count in counts]

    def percent(self, leaf: int, part: int, beyond: int) -> int | None:
        """Of work that has used `beyond` percent already: how much the first `part` percent of it used.

        None where too little is known, of the leaf and of all.
        """
        for key in (leaf, _ALL):
            counts = self._counts.get(key, ())[beyond:]
            total = sum(counts)
            if total >= _ENOUGH:
                seen = accumulate(counts)
                return beyond + next(i for i, count in enumerate(seen) if 100 * count >= part * total)
        return None
