"""The accounting of the simulated farm."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final

from wnodes_engine.backend import Ending

_KEPT: Final = 10_000
"""Endings that are kept after they were read: fates are looked up in them."""


class Accounting:
    """What has ended, by its number; what was read long ago is dropped."""

    def __init__(self) -> None:
        self._kept: deque[Ending] = deque()
        self._first = 0

    def __iter__(self) -> Iterator[Ending]:
        """Those that are kept, oldest first."""
        return iter(self._kept)

    @property
    def count(self) -> int:
        """How many there were in all."""
        return self._first + len(self._kept)

    def add(self, ending: Ending) -> None:
        """One more."""
        self._kept.append(ending)

    def since(self, number: int, most: int) -> tuple[Ending, ...]:
        """Those from this number on, at most so many; who asks has read what was before."""
        while self._first < number - _KEPT:
            self._kept.popleft()
            self._first += 1
        begin = max(0, number - self._first)
        return tuple(islice(self._kept, begin, begin + most))
