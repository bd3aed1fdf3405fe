"""When running work is expected to end: allocations in the order of their walltimes' ends."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from wnodes_engine.check.checked import UNLIMITED

if TYPE_CHECKING:
    from wnodes_engine.core.ledger import Allocation
    from wnodes_engine.core.room import Given

    Change = tuple[int, Allocation, Given | None, int]
    """The end at which it is given back, or, -1, no longer; with `Given`, that part of it."""

_MINUTE: Final = 60
_REMEMBERED: Final = 4096
"""How many changes are kept for those who have not looked for a while."""


class Endings:
    """Allocations by the minute in which their walltime ends; those without a limit are left out.

    What changes is written down, so that who has summed up what ends by some moment can go on from there.
    """

    __slots__ = ("_by_minute", "_changes", "_forgotten", "_minutes")

    def __init__(self) -> None:
        self._by_minute: dict[int, dict[int, tuple[int, Allocation]]] = {}
        """By minute and serial: (end, allocation)."""
        self._minutes: list[int] = []
        self._changes: list[Change] = []
        self._forgotten = 0

    # ------------------------------------------------------------ what changes

    def add(self, allocation: Allocation) -> None:
        """One more that will end."""
        if allocation.claim.walltime < UNLIMITED:
            end = allocation.started + allocation.claim.walltime
            minute = end // _MINUTE
            bucket = self._by_minute.get(minute)
            if bucket is None:
                bucket = self._by_minute[minute] = {}
                insort(self._minutes, minute)
            bucket[allocation.serial] = (end, allocation)
            self._note((end, allocation, None, 1))

    def remove(self, allocation: Allocation) -> None:
        """One has ended, whenever that was expected."""
        if allocation.claim.walltime < UNLIMITED and allocation.rest is None:
            end = allocation.started + allocation.claim.walltime
            minute = end // _MINUTE
            bucket = self._by_minute[minute]
            del bucket[allocation.serial]
            if not bucket:
                del self._by_minute[minute]
                del self._minutes[bisect_left(self._minutes, minute)]
            self._note((end, allocation, None, -1))

    def promise(self, allocation: Allocation, given: Given, sign: int) -> None:
        """Its share has given that back already, or, -1, gives it back at the end after all."""
        if allocation.claim.walltime < UNLIMITED:
            end = allocation.started + allocation.claim.walltime
            self._note((end, allocation, given, -sign))

    def forget(self) -> None:
        """The nodes are others: whoever has summed up has to begin anew."""
        self._forgotten += len(self._changes) + 1
        self._changes.clear()

    def _note(self, change: Change) -> None:
        changes = self._changes
        changes.append(change)
        if len(changes) > _REMEMBERED:
            del changes[: _REMEMBERED // 2]
            self._forgotten += _REMEMBERED // 2

    # ------------------------------------------------------------ what is asked

    def written(self) -> int:
        """How many changes there have been."""
        return self._forgotten + len(self._changes)

    def since(self, written: int) -> Sequence[Change] | None:
        """The changes since there were so many; None where they are not kept any more."""
        at = written - self._forgotten
        return self._changes[at:] if at >= 0 else None

    def after(self, moment: int) -> int | None:
        """The first end after the moment."""
        for at in range(bisect_left(self._minutes, moment // _MINUTE), len(self._minutes)):
            bucket = self._by_minute[self._minutes[at]]
            ends = [end for end, _ in bucket.values() if end > moment]
            if ends:
                return min(ends)
        return None

    def before(self, moment: int) -> int | None:
        """The last end before the moment."""
        for at in range(bisect_right(self._minutes, moment // _MINUTE) - 1, -1, -1):
            bucket = self._by_minute[self._minutes[at]]
            ends = [end for end, _ in bucket.values() if end < moment]
            if ends:
                return max(ends)
        return None

    def between(self, begin: int, end: int) -> Iterator[Allocation]:
        """Those that end after `begin`, and not after `end`."""
        last = end // _MINUTE
        for at in range(bisect_left(self._minutes, begin // _MINUTE), len(self._minutes)):
            if self._minutes[at] > last:
                return
            for then, allocation in self._by_minute[self._minutes[at]].values():
                if begin < then <= end:
                    yield allocation
