"""Who waits, and in which order: one line to a leaf.

Requests with equal claims form a class. Classes that differ only in what cannot change their order (the
same accounts, base priority, growth and shape) stand in one track, by age for good; what moves with time
are the tracks. A class that a quota holds back sleeps in its track until the quota has room, and is then
woken one at a time, so that a pass never looks at those who could not start anyway.

The one that came last stands beside its line until somebody looks at it, or another one comes: most requests
start at once on a farm with room, and never stand in line.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Final

from wnodes_engine.check.checked import Order
from wnodes_engine.core.accounts import Account, ratio
from wnodes_engine.core.averages import TICK
from wnodes_engine.core.claim import Claim, priority_at
from wnodes_engine.core.tracks import At, Hold, Lane, Shape, Track, WaitClass, Waiter, shape_of
from wnodes_engine.values import Request

Key = tuple[int, ...]
"""A place in the line at one tick: smaller comes first."""

_AGE: Final = -1
_PRIORITY: Final = -2
_SIZE: Final = -3


class Lines:
    """What the lines of all leaves have in common: which of them have somebody, and who sleeps on what."""

    __slots__ = ("_below", "_leaves", "busy", "sleepers")

    def __init__(self) -> None:
        self._leaves: list[int] = []
        self._below: dict[int, list[int]] = {}
        self.busy: dict[int, LeafQueue] = {}
        """By leaf: the queues in which somebody is awake."""
        self.sleepers: dict[tuple[int, str | int], dict[tuple[Track, Hold], LeafQueue]] = {}
        """By meter and key: the tracks with classes that sleep on it."""

    def below(self, paths: Sequence[tuple[int, ...]]) -> Mapping[int, Sequence[int]]:
        """By share: the shares next below it in which somebody is awake; `paths` lead up from each share."""
        leaves = list(self.busy)
        if leaves != self._leaves:
            self._leaves, self._below = leaves, {}
            for leaf in leaves:
                for share, above in pairwise(paths[leaf]):
                    below = self._below.setdefault(above, [])
                    below.append(share)
                    if len(below) > 1:
                        break
        return self._below

    def wake(self, meter: int, key: str | int, room: int) -> None:
        """There is room in a quota: wake the first of each track's classes that ask no more than that."""
        for (track, hold), queue in list(self.sleepers.get((meter, key), {}).items()):
            if hold[2] <= room:
                queue.wake_next(track, hold)


class LeafQueue:
    """The line of one leaf: its tracks in the policy's order, as of the current tick."""

    def __init__(self, leaf: int, order: Order, lines: Lines, amounts: Callable[[], list[int]]) -> None:
        """`amounts` tells the leaf's nominal amounts."""
        self.order = order
        self.line: list[tuple[Key, int, Track]] = []
        self.shapes: dict[Shape, int] = {}
        self.half_lives = [key.half_life or TICK for key in order.keys if key.key == "fairshare"]
        """The half-life of each fairshare key, in seconds."""
        self.accounts: list[dict[str, Account]] = [{} for _ in self.half_lives]
        self.live = 0
        self.oldest: int | None = None
        """When the oldest that no quota holds back was submitted, or before; None where nobody waits."""
        self.newest: Waiter | None = None
        """The one that came last, if it does not stand in line yet."""
        self._leaf = leaf
        self._lines = lines
        self._amounts = amounts
        self._classes: dict[Claim, WaitClass] = {}
        self._tracks: dict[Lane, Track] = {}
        self._made = 0
        self._tick = -1
        self._ratios: list[dict[str, int]] = [{} for _ in self.half_lives]
        """By fairshare key: the ratios of accounts at this tick, as far as anybody has asked."""
        self.stale = False
        """Whether the shares' amounts have changed, by which the averages are measured."""
        self._keys = _codes(order)
        self._by_age = self._keys == (_AGE,)

    # ---------------------------------------------------------------- who waits

    def add(self, request: Request, claim: Claim, serial: int) -> Waiter:
        """Let one more wait, at its place."""
        if self.newest is not None:
            self.line_up()
        if not self.line:
            self._lines.busy[self._leaf] = self
        self.live += 1
        self.newest = waiter = Waiter(request, claim, serial)
        if self.oldest is None or request.submitted < self.oldest:
            self.oldest = request.submitted
        return waiter

    def line_up(self) -> None:
        """Let the one that came last stand in line."""
        waiter = self.newest
        if waiter is None:
            return
        self.newest = None
        claim, at = waiter.claim, (waiter.request.submitted, waiter.serial)
        members = self._classes.get(claim)
        if members is None:
            members = self._classes[claim] = WaitClass(claim, self._track(claim), at)
            self._enter(members)
        elif at < members.at:
            self._move(members, at)
        members.add(waiter)
        waiter.members = members
        if not self.line:
            self._lines.busy.pop(self._leaf, None)

    def remove(self, waiter: Waiter) -> None:
        """One waits no longer."""
        self.live -= 1
        waiter.gone = True
        members = waiter.members
        if members is None:
            self.newest = None
        else:
            members.live -= 1
            self.settled(members)
            members.forget()
            if not members.live:
                self._leave(members)
                del self._classes[waiter.claim]
                if members.track.is_empty():
                    del self._tracks[members.track.lane]
            elif members.at == (waiter.request.submitted, waiter.serial):
                head = members.head()
                self._grow_younger(members, (head.request.submitted, head.serial))
        if not self.line and self.newest is None:
            self._lines.busy.pop(self._leaf, None)

    def refresh(self, tick: int) -> None:
        """Put the line in order as of this tick: averages have moved, priorities have grown."""
        if tick != self._tick or self.stale:
            self._tick, self.stale = tick, False
            for ratios in self._ratios:
                ratios.clear()
            ages = [track.awake[track.base][0][0] for track in self._tracks.values() if track.is_awake()]
            if self.newest is not None:
                ages.append(self.newest.request.submitted)
            self.oldest = min(ages, default=None)
            if self.line and self._moves():
                tracks = [track for _, _, track in self.line]
                for track in tracks:
                    track.key = self._key(track.claim, track.first().at)
                self.line = [(track.key, track.number, track) for track in tracks]
                self.line.sort()
        self.line_up()

    def first_free(self, held_back: Callable[[Claim], bool], tick: int) -> tuple[Key, WaitClass] | None:
        """The first class in the line that nothing but room can hold back, and its place; None if all are."""
        self.refresh(tick)
        best: tuple[Key, WaitClass] | None = None
        for key, _, track in self.line:
            if best is not None and best[0] < key:
                break
            for i in range(track.base, len(track.awake)):
                at, members = track.awake[i]
                if not held_back(members.claim):
                    place = self._key(members.claim, at)
                    if best is None or place < best[0]:
                        best = (place, members)
                    break
        return best

    def place(self, waiter: Waiter) -> Key:
        """Where a waiting request stands in the line, as of the last refresh."""
        return self._key(waiter.claim, (waiter.request.submitted, waiter.serial))

    # ------------------------------------------------------------- what a pass does

    def skip(self, track: Track, to: int) -> None:
        """Let a pass see nothing of the track before its class at `to`; its base shows all again."""
        self._unlink(track)
        track.seen = to
        self._link(track)

    def put_to_sleep(self, members: WaitClass, hold: Hold) -> None:
        """A quota holds this class back: leave it out of the line until there is room in that quota."""
        woken = members.hold
        self._leave(members)
        members.hold, members.asleep = hold, True
        self._enter(members)
        if woken is not None and woken != hold:
            self.wake_next(members.track, woken)

    def settled(self, members: WaitClass) -> None:
        """A class that was woken has had its turn: the next one that slept on the same quota wakes."""
        hold = members.hold
        if hold is not None and not members.asleep:
            members.hold = None
            self.wake_next(members.track, hold)

    def holds(self) -> Iterator[tuple[Claim, Hold, bool]]:
        """What classes sleep on, or were woken from and have had no turn since; and whether they sleep."""
        for members in sorted(self._classes.values(), key=attrgetter("at")):
            if members.hold is not None:
                yield members.claim, members.hold, members.asleep

    def restore_hold(self, claim: Claim, hold: Hold, asleep: bool) -> None:
        """Let a class sleep, or have been woken, as `holds` told it."""
        self.line_up()
        members = self._classes[claim]
        if asleep:
            self.put_to_sleep(members, hold)
        else:
            members.hold = hold

    def wake_next(self, track: Track, hold: Hold) -> None:
        """Wake the first of the track's classes that sleep on this, if any does."""
        sleeping = track.asleep.get(hold)
        if sleeping:
            members = sleeping[0][1]
            self._leave(members)
            members.asleep = False
            self._enter(members)

    # ------------------------------------------------------------------ the line

    def _track(self, claim: Claim) -> Track:
        size = claim.part.cores * claim.most if _SIZE in self._keys else 0
        lane = (
            shape_of(claim), claim.accounts, claim.base, claim.rates, size, claim.takes, claim.reads,
        )  # fmt: skip
        track = self._tracks.get(lane)
        if track is None:
            self._made += 1
            track = self._tracks[lane] = Track(claim, lane, self._made)
        return track

    def _enter(self, members: WaitClass) -> None:
        track, hold = members.track, members.hold
        if members.asleep and hold is not None:
            track.lie_down(members, hold)
            self._lines.sleepers.setdefault(hold[:2], {})[track, hold] = self
            return
        if self.oldest is None or members.at[0] < self.oldest:
            self.oldest = members.at[0]
        linked = track.in_line()
        if track.enter(members):
            if linked:
                self._unlink(track)
            self._link(track)

    def _leave(self, members: WaitClass) -> None:
        track, hold = members.track, members.hold
        if members.asleep and hold is not None:
            if track.rise(members, hold):
                tracks = self._lines.sleepers[hold[:2]]
                del tracks[track, hold]
                if not tracks:
                    del self._lines.sleepers[hold[:2]]
        elif track.in_line() and track.first() is members:
            self._unlink(track)
            track.leave(members)
            self._link(track)
        else:
            track.leave(members)

    def _grow_younger(self, members: WaitClass, at: At) -> None:
        """The oldest of a class has gone, and the next one stands there."""
        track = members.track
        if members.asleep or not track.in_line() or track.first() is not members:
            self._move(members, at)
            return
        before = bisect_left(self.line, (track.key, track.number))
        if track.grow_younger(members, at):
            del self.line[before]
            track.key = self._key(track.claim, at)
            insort(self.line, (track.key, track.number, track))
        else:
            self._move(members, at)

    def _move(self, members: WaitClass, at: At) -> None:
        """The oldest of a class is another one, who stands there."""
        self._leave(members)
        members.at = at
        self._enter(members)

    def _link(self, track: Track) -> None:
        """Put a track into the line where its first class belongs, if any is awake."""
        if track.in_line():
            if not self.line:
                self._lines.busy[self._leaf] = self
            track.key = self._key(track.claim, track.first().at)
            insort(self.line, (track.key, track.number, track))
            self.shapes[track.shape] = self.shapes.get(track.shape, 0) + 1

    def _unlink(self, track: Track) -> None:
        if track.in_line():
            del self.line[bisect_left(self.line, (track.key, track.number))]
            left = self.shapes[track.shape] - 1
            if left:
                self.shapes[track.shape] = left
            else:
                del self.shapes[track.shape]

    def _moves(self) -> bool:
        """Whether time puts the line in another order."""
        if self.half_lives:
            return True
        return _PRIORITY in self._keys and any(track.claim.rates for _, _, track in self.line)

    def _key(self, claim: Claim, at: At) -> Key:
        """The place of a request with this claim and age; the serial at the end makes it unique."""
        if self._by_age:
            return at[0], at[0], at[1]
        values = []
        for key in self._keys:
            if key >= 0:
                name = claim.accounts[key]
                value = self._ratios[key].get(name)
                if value is None:
                    value = self._ratios[key][name] = self.account_ratio(key, name, self._tick)
            elif key == _PRIORITY:
                value = -priority_at(claim, at[0], self._tick * TICK)
            elif key == _SIZE:
                value = claim.part.cores * claim.most
            else:
                value = at[0]
            values.append(value)
        return (*values, *at)

    # ------------------------------------------------------------ its accounts

    def account_ratio(self, fairshare: int, name: str, tick: int) -> int:
        """How much of the leaf an account has had, on average."""
        account = self.accounts[fairshare].get(name)
        if account is None:
            return 0
        return ratio(account.averages(tick, self.half_lives[fairshare]), self._amounts())

    def charge(self, claim: Claim, sign: int, tick: int) -> None:
        """The claim's accounts hold so much more (or less, by the sign) from this tick on."""
        asks = claim.asks
        for fairshare, name in enumerate(claim.accounts):
            self.account(fairshare, name).charge(asks, sign, tick, self.half_lives[fairshare])

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
        self.stale = True

    def account(self, fairshare: int, name: str) -> Account:
        """The account of that name, opened with nothing on it where there is none."""
        accounts = self.accounts[fairshare]
        account = accounts.get(name)
        if account is None:
            account = accounts[name] = Account()
        return account


def _codes(order: Order) -> tuple[int, ...]:
    """The keys of an order as numbers: fairshare keys count up from 0, the others are below."""
    others = {"age": _AGE, "priority": _PRIORITY, "size": _SIZE}
    codes, fairshare = [], 0
    for key in order.keys:
        if key.key == "fairshare":
            codes.append(fairshare)
            fairshare += 1
        else:
            codes.append(others[key.key])
    return tuple(codes)
