"""Those who wait, alike ones together: requests with equal claims in a class, classes in tracks."""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heapify, heappop, heappush
from typing import Any, Final

from wnodes_engine.core.claim import Claim, Part, asks_of
from wnodes_engine.values import Request

Shape = tuple[Part, int, int, bool, int]
"""What decides whether there is room (downtimes aside): part, count, node rules met, its layout."""

Lane = tuple[Shape, tuple[str, ...], int, tuple[tuple[int, int], ...], int, int, tuple[Any, ...]]
"""What the classes of one track have in common: shape, accounts, base priority, growth, size, and what the
rules that make room look at."""

At = tuple[int, int]
"""Where a request stands by age: (submitted, serial)."""

Hold = tuple[int, str | int, int]
"""What holds a class back: a meter, its key, and how much the class asks of it."""

_GONE: Final = 64
"""How many classes at the front of a track may have gone before their places are given up."""


def shape_of(claim: Claim) -> Shape:
    """What decides whether there is room for the claim."""
    return claim.part, claim.parts, claim.rules, claim.spread, claim.over


class Waiter:
    """One request in the queue; `serial` is the order of first submission, kept through requeues.

    It has no class yet while nobody has come after it.
    """

    __slots__ = ("claim", "gone", "members", "request", "serial")

    def __init__(self, request: Request, claim: Claim, serial: int) -> None:
        self.request = request
        self.claim = claim
        self.serial = serial
        self.members: WaitClass | None = None
        self.gone = False
        """Whether it waits no longer, at least not as this."""


class WaitClass:
    """The waiting requests with one claim, oldest first.

    `at` is where its oldest stands. `hold` is what it sleeps on, or was woken from.
    `wish` is what all parts ask of the share, where the claim is to those that it would begin with.
    """

    __slots__ = ("_heap", "_pushes", "asleep", "at", "claim", "hold", "live", "track", "wish")

    def __init__(self, claim: Claim, track: Track, at: At) -> None:
        self.claim = claim
        self.wish = asks_of(claim, claim.most)
        self.track = track
        self.live = 0
        self.at = at
        self.hold: Hold | None = None
        self.asleep = False
        self._pushes = 0
        self._heap: list[tuple[int, int, int, Waiter]] = []

    def add(self, waiter: Waiter) -> None:
        """One more of them waits."""
        # The count of pushes tells a requeued request from its own stale entry.
        self._pushes += 1
        heappush(self._heap, (waiter.request.submitted, waiter.serial, self._pushes, waiter))
        self.live += 1

    def forget(self) -> None:
        """Drop those taken out before their turn, once there are more of them than of those that wait."""
        if len(self._heap) > 2 * self.live + 16:
            self._heap = [entry for entry in self._heap if not entry[3].gone]
            heapify(self._heap)

    def head(self) -> Waiter:
        """The oldest one that still waits; what was taken out before is dropped on the way."""
        heap = self._heap
        while heap[0][3].gone:
            heappop(heap)
        return heap[0][3]


Entry = tuple[At, WaitClass]


class Track:
    """Classes whose order is their age for good: those awake, and those asleep by what holds them back.

    The first that are awake go one after the other, and behind the last others come: so the list keeps the
    places of those that have gone, up to `base`, and gives them up together.
    """

    __slots__ = ("asleep", "awake", "base", "claim", "key", "lane", "number", "seen", "shape")

    def __init__(self, claim: Claim, lane: Lane, number: int) -> None:
        """`claim` is any of the track's: they are alike in all that makes up the order."""
        self.claim = claim
        self.lane = lane
        self.shape = lane[0]
        self.number = number
        self.key: tuple[int, ...] = ()
        """Where its first class stands in the line."""
        self.awake: list[Entry] = []
        self.base = 0
        self.seen = 0
        """The place of the first class that a pass has not looked at in vain."""
        self.asleep: dict[Hold, list[Entry]] = {}

    def first(self) -> WaitClass:
        """The first class that is awake and has not been passed over; only where there is one."""
        return self.awake[self.seen][1]

    def in_line(self) -> bool:
        """Whether it has such a class."""
        return self.seen < len(self.awake)

    def is_awake(self) -> bool:
        """Whether somebody waits in it whom no quota holds back."""
        return self.base < len(self.awake)

    def is_empty(self) -> bool:
        """Whether nobody waits in it."""
        return not self.asleep and not self.is_awake()

    def enter(self, members: WaitClass) -> bool:
        """Let a class that is awake in; whether it is the first now."""
        entry = (members.at, members)
        awake = self.awake
        if not awake or awake[-1][0] < members.at:
            at = len(awake)
            awake.append(entry)
        else:
            at = bisect_left(awake, (members.at,), self.base)
            awake.insert(at, entry)
        if at < self.seen:
            self.seen += 1  # older than what the pass has passed over: the next one will look at it
            return False
        return at == self.seen

    def grow_younger(self, members: WaitClass, at: At) -> bool:
        """The oldest of the first class has gone, the next stands `at`; whether it is the first still."""
        awake, seen = self.awake, self.seen
        if seen + 1 < len(awake) and awake[seen + 1][0] < at:
            return False
        members.at = at
        awake[seen] = (at, members)
        return True

    def leave(self, members: WaitClass) -> None:
        """A class is awake here no longer."""
        awake = self.awake
        at = bisect_left(awake, (members.at,), self.base)
        if at == self.base:
            self.base += 1
            self.seen = max(self.seen, self.base)
            if self.base > _GONE and 2 * self.base > len(awake):
                del awake[: self.base]
                self.seen -= self.base
                self.base = 0
        else:
            del awake[at]
            self.seen -= at < self.seen

    def lie_down(self, members: WaitClass, hold: Hold) -> None:
        """A class sleeps on a quota."""
        insort(self.asleep.setdefault(hold, []), (members.at, members))

    def rise(self, members: WaitClass, hold: Hold) -> bool:
        """A class sleeps no longer; whether it was the last that slept on that."""
        sleeping = self.asleep[hold]
        del sleeping[bisect_left(sleeping, (members.at,))]
        if sleeping:
            return False
        del self.asleep[hold]
        return True
