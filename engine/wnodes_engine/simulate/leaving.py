"""Victims in a simulation: they leave when their time is up, and keep or lose what they have done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Final

from wnodes_engine.core import Allocation
from wnodes_engine.simulate.book import Book
from wnodes_engine.values import Preemption

_KEEPS_ITS_WORK: Final = frozenset({"checkpoint", "shelve", "suspend"})


@dataclass(frozen=True, slots=True)
class Left:
    """A victim has left: how long it had run this time, and whether that was in vain."""

    allocation: Allocation
    action: str
    ran: int
    lost: bool


@dataclass(slots=True)
class Leaving:
    """Who has been told to leave, by when; and of those that had to, what they have behind them, by request.

    `ran` is all the time that it ran before, `done` what of it lasts, `since` when it began again, `runs` how
    often it was stopped: the end that was foreseen for an earlier run is no end.
    """

    orders: list[tuple[int, int, Preemption]] = field(default_factory=list)
    ran: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    _told: Iterator[int] = field(default_factory=count)

    def tell(self, preemption: Preemption) -> None:
        """A victim is told to leave."""
        heappush(self.orders, (preemption.leave_by, next(self._told), preemption))

    def due(self, now: int) -> bool:
        """Whether somebody's time is up."""
        return bool(self.orders) and self.orders[0][0] <= now

    def next(self, book: Book, running: Mapping[str, Allocation], now: int) -> Left | None:
        """The next whose time is up has left; None if it had ended, or had been let off."""
        _, _, order = heappop(self.orders)
        allocation = running.get(order.victim)
        pledge = allocation.pledge if allocation is not None else None
        if allocation is None or pledge is None or pledge.waiter.request.id != order.beneficiary:
            return None
        key = order.victim
        ran = now - self.since.get(key, allocation.started)
        self.runs[key] = self.runs.get(key, 0) + 1
        self.ran[key] = self.ran.get(key, 0) + ran
        keeps = order.action in _KEEPS_ITS_WORK
        if keeps:
            self.done[key] = self.done.get(key, 0) + ran
        if order.action == "suspend":
            book.suspend(key, now)
        elif order.action == "delete":
            book.finish(key, now)
        else:
            book.requeue(key, now)
        return Left(allocation, order.action, ran, not keeps)

    def forget(self, key: str) -> None:
        """The request is over."""
        for table in (self.ran, self.done, self.since, self.runs):
            table.pop(key, None)
