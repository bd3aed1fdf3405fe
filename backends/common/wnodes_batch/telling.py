"""Telling each ending once, and again to somebody who comes back with an older cursor."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from wnodes_engine.backend import Ending, JobRef


class Telling:
    """What one backend has told, numbered in the order in which it did.

    A cursor holds `mark` and `count`: what had been told by then. Another backend's says nothing here.
    """

    def __init__(self) -> None:
        self.mark = secrets.token_hex(4)
        self.count = 0
        self._numbers: dict[tuple[JobRef, int], int] = {}

    def fresh(self, endings: Iterable[Ending], mark: str, told: int) -> list[Ending]:
        """Of these endings those that the owner of a cursor was not told yet."""
        known = told if mark == self.mark else 0
        fresh: list[Ending] = []
        for ending in endings:
            identity = (ending.ref, ending.ended_at)
            if not 0 < self._numbers.get(identity, 0) <= known:
                fresh.append(ending)
            if identity not in self._numbers:
                self.count += 1
                self._numbers[identity] = self.count
        return fresh

    def forget(self, before: int) -> None:
        """Forget the endings before a time: nobody will read about them again."""
        self._numbers = {each: number for each, number in self._numbers.items() if each[1] >= before}
