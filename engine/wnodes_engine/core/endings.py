"""When running work is expected to end: allocations in the order of their walltimes' ends."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from wnodes_engine.check.checked import UNLIMITED

if TYPE_CHECKING:
    from wnodes_engine.core.ledger import Allocation

_MINUTE: Final = 60


class Endings:
    """Allocations by the minute in which their walltime ends; those without a limit are left out."""

    __slots__ = ("_by_minute", "_minutes")

    def __init__(self) -> None:
        self._by_minute: dict[int, dict[int, Allocation]] = {}
        self._minutes: list[int] = []

    def add(self, allocation: Allocation) -> None:
        """One more that will end."""
        if allocation.claim.walltime < UNLIMITED:
            minute = (allocation.started + allocation.claim.walltime) // _MINUTE
            bucket = self._by_minute.get(minute)
            if bucket is None:
                bucket = self._by_minute[minute] = {}
                insort(self._minutes, minute)
            bucket[allocation.serial] = allocation

    def remove(self, allocation: Allocation) -> None:
        """One has ended, whenever that was expected."""
        if allocation.claim.walltime < UNLIMITED and allocation.rest is None:
            minute = (allocation.started + allocation.claim.walltime) // _MINUTE
            bucket = self._by_minute[minute]
            del bucket[allocation.serial]
            if not bucket:
                del self._by_minute[minute]
                self._minutes.remove(minute)

    def in_order(self, now: int) -> Iterator[tuple[int, Allocation]]:
        """(expected end, allocation), the first to end first; what is overdue ends a moment from now."""
        for minute in self._minutes:
            bucket = self._by_minute[minute]
            yield from sorted(
                ((allocation.expected_end(now), allocation) for allocation in bucket.values()),
                key=lambda entry: (entry[0], entry[1].serial),
            )
