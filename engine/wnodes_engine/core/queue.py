"""Who waits, and in which order: one line to a leaf.

Requests with equal claims form a class. Classes that differ only in what cannot change their order (the
same accounts, base priority, growth and shape) stand in one track, by age for good; what moves with time
are the tracks. A class that a quota holds back sleeps in its track until the quota has room, and is then
woken one at a time, so that a pass never looks at those who could not start anyway.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

from wnodes_engine.check.checked import Order
from wnodes_engine.core.accounts import Account, ratio
from wnodes_engine.core.averages import TICK
from wnodes_engine.core.claim import Claim, asks_of, priority_at
from wnodes_engine.core.farm import Part
from wnodes_engine.values import Request

Shape = tuple[Part, int, int, bool, int]
"""What decides whether there is room (downtimes aside): part, count, node rules met, its layout."""

Lane = tuple[Shape, tuple[str, ...], int, tuple[tuple[int, int], ...], int, int, tuple[Any, ...]]
"""What the classes of one track have in common: shape, accounts, base priority, growth, size, and what the
rules that make room look at."""

Key = tuple[int, ...]
"""A place in the line at one tick: smaller comes first."""

Hold = tuple[int, str | int, int]
"""What holds a class back: a meter, its key, and how much the class asks of it."""


def shape_of(claim: Claim) -> Shape:
    """What decides whether there is room for the claim."""
    return claim.part, claim.parts, claim.rules, claim.spread, claim.over


class Waiter:
    """One request in the queue; `serial` is the order of first submission, kept through requeues."""

    __slots__ = ("members", "request", "serial")

    def __init__(self, request: Request, members: WaitClass, serial: int) -> None:
        self.request = request
        self.members = members
        self.serial = serial

    @property
    def claim(self) -> Claim:
        """The claim, shared with all of its class."""
        return self.members.claim


class WaitClass:
    """The waiting requests with one claim, oldest first.

    `at` is where its oldest stands: (submitted, serial). `hold` is what it sleeps on, or was woken from.
    `wish` is what all parts ask of the share, where the claim is to those that it would begin with.
    """

    __slots__ = ("_heap", "_pushes", "asleep", "at", "claim", "hold", "live", "track", "wish")

    def __init__(self, claim: Claim, track: Track) -> None:
        self.claim = claim
        self.wish = asks_of(claim, claim.most)
        self.track = track
        self.live = 0
        self.at = (0, 0)
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

    def forget(self, waiting: dict[str, Waiter]) -> None:
        """Drop those taken out before their turn, once there are more of them than of those that wait."""
        if len(self._heap) > 2 * self.live + 16:
            self._heap = [entry for entry in self._heap if waiting.get(entry[3].request.id) is entry[3]]
            heapify(self._heap)

    def head(self, waiting: dict[str, Waiter]) -> Waiter:
        """The oldest one that still waits; what was taken out before is dropped on the way."""
        heap = self._heap
        while True:
            waiter = heap[0][3]
            if waiting.get(waiter.request.id) is waiter:
                return waiter
            heappop(heap)


_Entry = tuple[tuple[int, int], WaitClass]


class Track:
    """Classes whose order is their age for good: those awake, and those asleep by what holds them back."""

    __slots__ = ("asleep", "awake", "claim", "key", "lane", "number", "shape", "skip")

    def __init__(self, claim: Claim, lane: Lane, number: int) -> None:
        """`claim` is any of the track's: they are alike in all that makes up the order."""
        self.claim = claim
        self.lane = lane
        self.shape = lane[0]
        self.number = number
        self.key: Key = ()
        self.skip = 0
        """How many classes at the front a pass has looked at in vain."""
        self.awake: list[_Entry] = []
        self.asleep: dict[Hold, list[_Entry]] = {}

    def first(self) -> WaitClass:
        """The first class that is awake, beyond those to be skipped."""
        return self.awake[self.skip][1]


class LeafQueue:
    """The line of one leaf: its tracks in the policy's order, as of the current tick."""

    def __init__(self, order: Order, amounts: Callable[[], list[int]]) -> None:
        """`amounts` tells the leaf's nominal amounts."""
        self.order = order
        self.line: list[tuple[Key, int, Track]] = []
        self.shapes: dict[Shape, int] = {}
        self.accounts: list[dict[str, Account]] = [{} for key in order.keys if key.key == "fairshare"]
        self.half_lives = [key.half_life or TICK for key in order.keys if key.key == "fairshare"]
        """The half-life of each fairshare key, in seconds."""
        self.live = 0
        self.oldest: int | None = None
        """When the oldest that no quota holds back was submitted, or before; None where nobody waits."""
        self.sleepers: dict[tuple[int, str | int], dict[tuple[int, Hold], Track]] = {}
        """By meter and key: the tracks with classes that sleep on it."""
        self._amounts = amounts
        self._classes: dict[Claim, WaitClass] = {}
        self._tracks: dict[Lane, Track] = {}
        self._made = 0
        self._tick = -1
        self.stale = False
        """Whether the shares' amounts have changed, by which the averages are measured."""
        keys = {key.key for key in order.keys}
        self._ages, self._grows, self._sized = "fairshare" in keys, "priority" in keys, "size" in keys

    # ---------------------------------------------------------------- who waits

    def add(self, request: Request, claim: Claim, serial: int) -> Waiter:
        """Let one more wait, at its place."""
        at = (request.submitted, serial)
        self.live += 1
        members = self._classes.get(claim)
        if members is None:
            members = self._classes[claim] = WaitClass(claim, self._track(claim))
            members.at = at
            self._enter(members.track, members)
        elif at < members.at:
            self._leave(members.track, members)
            members.at = at
            self._enter(members.track, members)
        waiter = Waiter(request, members, serial)
        members.add(waiter)
        return waiter

    def remove(self, waiter: Waiter, waiting: dict[str, Waiter]) -> None:
        """One waits no longer; it has already left `waiting`."""
        members = waiter.members
        members.live -= 1
        self.live -= 1
        track = members.track
        self.settled(members)
        members.forget(waiting)
        if not members.live:
            self._leave(track, members)
            del self._classes[waiter.claim]
            if not track.awake and not track.asleep:
                del self._tracks[track.lane]
        elif members.at == (waiter.request.submitted, waiter.serial):
            self._leave(track, members)
            head = members.head(waiting)
            members.at = (head.request.submitted, head.serial)
            self._enter(track, members)

    def refresh(self, tick: int) -> None:
        """Put the line in order as of this tick: averages have moved, priorities have grown."""
        if tick != self._tick or self.stale:
            self._tick, self.stale = tick, False
            awake = (track.awake[0][0][0] for track in self._tracks.values() if track.awake)
            self.oldest = min(awake, default=None)
            if self._ages or (self._grows and any(track.claim.rates for _, _, track in self.line)):
                ratios: dict[tuple[int, str], int] = {}
                tracks = [track for _, _, track in self.line]
                for track in tracks:
                    track.key = self._key(track.claim, track.first().at, ratios)
                self.line = [(track.key, track.number, track) for track in tracks]
                self.line.sort()

    def first_free(self, held_back: Callable[[Claim], bool], tick: int) -> tuple[Key, WaitClass] | None:
        """The first class in the line that nothing but room can hold back, and its place; None if all are."""
        self.refresh(tick)
        best: tuple[Key, WaitClass] | None = None
        for key, _, track in self.line:
            if best is not None and best[0] < key:
                break
            for at, members in track.awake:
                if not held_back(members.claim):
                    place = self._key(members.claim, at, {})
                    if best is None or place < best[0]:
                        best = (place, members)
                    break
        return best

    def place(self, waiter: Waiter) -> Key:
        """Where a waiting request stands in the line, as of the last refresh."""
        return self._key(waiter.claim, (waiter.request.submitted, waiter.serial), {})

    # ------------------------------------------------------------- what a pass does

    def skip(self, track: Track, to: int) -> None:
        """Let a pass see nothing of the track before its class number `to`; 0 shows all again."""
        self._unlink(track)
        track.skip = to
        self._link(track)

    def put_to_sleep(self, track: Track, members: WaitClass, hold: Hold) -> None:
        """A quota holds this class back: leave it out of the line until there is room in that quota."""
        woken = members.hold
        self._leave(track, members)
        members.hold, members.asleep = hold, True
        self._enter(track, members)
        if woken is not None and woken != hold:
            self._wake_next(track, woken)

    def settled(self, members: WaitClass) -> None:
        """A class that was woken has had its turn: the next one that slept on the same quota wakes."""
        hold = members.hold
        if hold is not None and not members.asleep:
            members.hold = None
            self._wake_next(members.track, hold)

    def wake(self, meter: int, key: str | int, room: int) -> None:
        """There is room in a quota: wake the first of each track's classes that ask no more than that."""
        for (_, hold), track in list(self.sleepers.get((meter, key), {}).items()):
            if hold[2] <= room:
                self._wake_next(track, hold)

    def _wake_next(self, track: Track, hold: Hold) -> None:
        sleeping = track.asleep.get(hold)
        if sleeping:
            members = sleeping[0][1]
            self._leave(track, members)
            members.asleep = False
            self._enter(track, members)

    # ------------------------------------------------------------------ the line

    def _lane(self, claim: Claim) -> Lane:
        size = claim.part.cores * claim.most if self._sized else 0
        return (
            shape_of(claim), claim.accounts, claim.base, claim.rates, size, claim.takes, claim.reads,
        )  # fmt: skip

    def _track(self, claim: Claim) -> Track:
        lane = self._lane(claim)
        track = self._tracks.get(lane)
        if track is None:
            self._made += 1
            track = self._tracks[lane] = Track(claim, lane, self._made)
        return track

    def _enter(self, track: Track, members: WaitClass) -> None:
        if members.asleep and members.hold is not None:
            hold = members.hold
            insort(track.asleep.setdefault(hold, []), (members.at, members))
            self.sleepers.setdefault(hold[:2], {})[track.number, hold] = track
        else:
            if self.oldest is None or members.at[0] < self.oldest:
                self.oldest = members.at[0]
            self._unlink(track)
            # Who is older than what a pass has skipped will be looked at by the next pass.
            if track.skip and members.at < track.awake[track.skip - 1][0]:
                track.skip += 1
            insort(track.awake, (members.at, members))
            self._link(track)

    def _leave(self, track: Track, members: WaitClass) -> None:
        if members.asleep and members.hold is not None:
            hold = members.hold
            sleeping = track.asleep[hold]
            del sleeping[bisect_left(sleeping, (members.at,))]
            if not sleeping:
                del track.asleep[hold]
                tracks = self.sleepers[hold[:2]]
                del tracks[track.number, hold]
                if not tracks:
                    del self.sleepers[hold[:2]]
        else:
            self._unlink(track)
            at = bisect_left(track.awake, (members.at,))
            del track.awake[at]
            if at < track.skip:
                track.skip -= 1
            self._link(track)

    def _link(self, track: Track) -> None:
        """Put a track into the line where its first class belongs, if any is awake."""
        if track.skip < len(track.awake):
            track.key = self._key(track.claim, track.first().at, {})
            insort(self.line, (track.key, track.number, track))
            self.shapes[track.shape] = self.shapes.get(track.shape, 0) + 1

    def _unlink(self, track: Track) -> None:
        if track.skip < len(track.awake):
            del self.line[bisect_left(self.line, (track.key, track.number))]
            left = self.shapes[track.shape] - 1
            if left:
                self.shapes[track.shape] = left
            else:
                del self.shapes[track.shape]

    def _key(self, claim: Claim, at: tuple[int, int], ratios: dict[tuple[int, str], int]) -> Key:
        """The place of a request with this claim and age; the serial at the end makes it unique."""
        values = []
        fairshare = 0
        submitted, serial = at
        for key in self.order.keys:
            if key.key == "fairshare":
                name = claim.accounts[fairshare]
                known = ratios.get((fairshare, name))
                if known is None:
                    known = ratios[fairshare, name] = self.account_ratio(fairshare, name, self._tick)
                values.append(known)
                fairshare += 1
            elif key.key == "priority":
                values.append(-priority_at(claim, submitted, self._tick * TICK))
            elif key.key == "size":
                values.append(claim.part.cores * claim.most)
            else:
                values.append(submitted)
        return (*values, submitted, serial)

    # ------------------------------------------------------------ its accounts

    def account_ratio(self, fairshare: int, name: str, tick: int) -> int:
        """How much of the leaf an account has had, on average."""
        account = self.accounts[fairshare].get(name)
        if account is None:
            return 0
        return ratio(account.averages(tick, self.half_lives[fairshare]), self._amounts())

    def charge(self, claim: Claim, sign: int, tick: int) -> None:
        """The claim's accounts hold so much more (or less, by the sign) from this tick on."""
        for fairshare, (name, half_life) in enumerate(zip(claim.accounts, self.half_lives, strict=True)):
            self.account(fairshare, name).charge(claim.asks, sign, tick, half_life)

    def restore(self, of: str, name: str, resource: int, average: int, tick: int) -> None:
        """Take up a past average, in 2^-20 of the unit, as of that tick. KeyError if no key is `of` that."""
        keys = [key.of for key in self.order.keys if key.key == "fairshare"]
        if of not in keys:
            raise KeyError(of)
        for fairshare, key in enumerate(keys):
            if key == of:
                account = self.account(fairshare, name)
                account.charge((), 0, tick, self.half_lives[fairshare])
                account.tick = tick
                account.average[resource] = average

    def account(self, fairshare: int, name: str) -> Account:
        """The account of that name, opened with nothing on it where there is none."""
        accounts = self.accounts[fairshare]
        account = accounts.get(name)
        if account is None:
            account = accounts[name] = Account()
        return account
