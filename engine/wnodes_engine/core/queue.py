"""Who waits, and in which order: one line to a leaf, made of classes of requests that are alike."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Final

from wnodes_engine.check.checked import UNLIMITED, Order
from wnodes_engine.core.averages import AVERAGE_BITS, TICK, roll
from wnodes_engine.core.claim import Claim, priority_at
from wnodes_engine.core.farm import Part
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.values import Request

Shape = tuple[Part, int, int, bool, int]
"""What decides whether there is room: part, count, node rules met, spread, and walltime where it matters."""

Key = tuple[int, ...]

_ENDLESS: Final = 1 << 200
"""The ratio of an average to an amount of nothing."""


class Waiter:
    """One request in the queue; `serial` is the order of first submission, kept through requeues."""

    __slots__ = ("claim", "request", "serial")

    def __init__(self, request: Request, claim: Claim, serial: int) -> None:
        self.request = request
        self.claim = claim
        self.serial = serial


class WaitClass:
    """The waiting requests with one claim, oldest first."""

    __slots__ = ("_heap", "_pushes", "claim", "key", "live", "shape")

    def __init__(self, claim: Claim, shape: Shape) -> None:
        self.claim = claim
        self.shape = shape
        self.key: Key = ()
        self.live = 0
        self._pushes = 0
        self._heap: list[tuple[int, int, int, Waiter]] = []

    def add(self, waiter: Waiter) -> None:
        """One more of them waits."""
        # The count of pushes tells a requeued request from its own stale entry.
        self._pushes += 1
        heappush(self._heap, (waiter.request.submitted, waiter.serial, self._pushes, waiter))
        self.live += 1

    def head(self, waiting: dict[str, Waiter]) -> Waiter:
        """The oldest one that still waits; what was taken out before is dropped on the way."""
        heap = self._heap
        while True:
            waiter = heap[0][3]
            if waiting.get(waiter.request.id) is waiter:
                return waiter
            heappop(heap)

    def members(self, waiting: dict[str, Waiter]) -> Iterator[Waiter]:
        """All that wait, oldest first."""
        return (entry[3] for entry in sorted(self._heap) if waiting.get(entry[3].request.id) is entry[3])


class Account:
    """What one user, group or project holds in a leaf, now and on average."""

    __slots__ = ("average", "held", "tick")

    def __init__(self) -> None:
        self.average = [0] * len(RESOURCES)
        self.held = [0] * len(RESOURCES)
        self.tick = 0

    def averages(self, tick: int, half_life: int) -> list[int]:
        """The averages at the tick, in 2^-20 of each unit."""
        ticks = tick - self.tick
        return [roll(a, h, ticks, half_life) for a, h in zip(self.average, self.held, strict=True)]

    def charge(self, resource: int, amount: int, tick: int, half_life: int) -> None:
        """Hold so much more of a resource from this tick on."""
        if tick > self.tick:
            self.average = self.averages(tick, half_life)
            self.tick = tick
        self.held[resource] += amount


def ratio(averages: list[int], amounts: list[int], asks: tuple[tuple[int, int], ...] = ()) -> int:
    """The largest of average ÷ amount over the resources, in 2^-20; an amount of nothing comes last."""
    wanted = averages
    if asks:
        wanted = averages.copy()
        for resource, ask in asks:
            wanted[resource] += ask << AVERAGE_BITS
    largest = 0
    for average, amount in zip(wanted, amounts, strict=True):
        if average:
            if not amount:
                return _ENDLESS
            value = average // amount
            if value > largest:
                largest = value
    return largest


class LeafQueue:
    """The line of one leaf: its classes in the policy's order, as of the current tick."""

    def __init__(self, order: Order, amounts: Callable[[], list[int]], by_walltime: bool) -> None:
        """`amounts` tells the leaf's nominal amounts.

        `by_walltime`: the walltime is part of the shape, since downtimes make it matter for room.
        """
        self.order = order
        self.line: list[tuple[Key, int, WaitClass]] = []
        self.shapes: dict[Shape, int] = {}
        self.accounts: list[dict[str, Account]] = [{} for key in order.keys if key.key == "fairshare"]
        self.live = 0
        self._amounts = amounts
        self._by_walltime = by_walltime
        self._classes: dict[Claim, WaitClass] = {}
        self._tick = -1
        self._ages = any(key.key == "fairshare" for key in order.keys)
        self._grows = any(key.key == "priority" for key in order.keys)

    # ---------------------------------------------------------------- the line

    def add(self, waiter: Waiter, waiting: dict[str, Waiter], tick: int) -> None:
        """Let one more wait, at its place."""
        claim = waiter.claim
        members = self._classes.get(claim)
        if members is None:
            shape = self.shape(claim)
            members = self._classes[claim] = WaitClass(claim, shape)
            self.shapes[shape] = self.shapes.get(shape, 0) + 1
        elif members.live:
            self._unlink(members)
        members.add(waiter)
        self.live += 1
        self._link(members, waiting, tick)

    def remove(self, waiter: Waiter, waiting: dict[str, Waiter], tick: int) -> None:
        """One waits no longer; it has already left `waiting`."""
        members = self._classes[waiter.claim]
        self._unlink(members)
        members.live -= 1
        self.live -= 1
        if members.live:
            self._link(members, waiting, tick)
        else:
            del self._classes[waiter.claim]
            left = self.shapes[members.shape] - 1
            if left:
                self.shapes[members.shape] = left
            else:
                del self.shapes[members.shape]

    def refresh(self, waiting: dict[str, Waiter], tick: int) -> None:
        """Put the line in order as of this tick: averages have moved, priorities have grown."""
        if tick != self._tick:
            self._tick = tick
            if self._ages or (self._grows and any(entry[2].claim.rates for entry in self.line)):
                members = [entry[2] for entry in self.line]
                self.line = []
                ratios: dict[tuple[int, str], int] = {}
                for wait_class in members:
                    head = wait_class.head(waiting)
                    wait_class.key = self._key(wait_class.claim, head, tick, ratios)
                    self.line.append((wait_class.key, head.serial, wait_class))
                self.line.sort()

    def shape(self, claim: Claim) -> Shape:
        """What decides whether there is room for the claim."""
        walltime = claim.walltime if self._by_walltime else UNLIMITED
        return claim.part, claim.parts, claim.rules, claim.spread, walltime

    def _link(self, members: WaitClass, waiting: dict[str, Waiter], tick: int) -> None:
        head = members.head(waiting)
        members.key = self._key(members.claim, head, tick, {})
        insort(self.line, (members.key, head.serial, members))

    def _unlink(self, members: WaitClass) -> None:
        # (key,) sorts before (key, serial, class), and keys of two classes are never equal.
        del self.line[bisect_left(self.line, (members.key,))]

    def _key(self, claim: Claim, head: Waiter, tick: int, ratios: dict[tuple[int, str], int]) -> Key:
        """The head's place: smaller comes first; the serial at the end makes it unique."""
        values = []
        fairshare = 0
        for key in self.order.keys:
            if key.key == "fairshare":
                name = claim.accounts[fairshare]
                known = ratios.get((fairshare, name))
                if known is None:
                    known = ratios[fairshare, name] = self.account_ratio(fairshare, name, tick)
                values.append(known)
                fairshare += 1
            elif key.key == "priority":
                values.append(-priority_at(claim, head.request.submitted, tick * TICK))
            elif key.key == "size":
                values.append(claim.part.cores * claim.parts)
            else:
                values.append(head.request.submitted)
        return (*values, head.request.submitted, head.serial)

    # ------------------------------------------------------------ its accounts

    def half_lives(self) -> list[int]:
        """The half-life of each fairshare key, in seconds."""
        return [key.half_life or TICK for key in self.order.keys if key.key == "fairshare"]

    def account_ratio(self, fairshare: int, name: str, tick: int) -> int:
        """How much of the leaf an account has had, on average."""
        account = self.accounts[fairshare].get(name)
        if account is None:
            return 0
        return ratio(account.averages(tick, self.half_lives()[fairshare]), self._amounts())

    def charge(self, claim: Claim, resource: int, amount: int, tick: int) -> None:
        """The claim's accounts hold so much more from this tick on."""
        for fairshare, (name, half_life) in enumerate(zip(claim.accounts, self.half_lives(), strict=True)):
            self.account(fairshare, name).charge(resource, amount, tick, half_life)

    def account(self, fairshare: int, name: str) -> Account:
        """The account of that name, opened with nothing on it where there is none."""
        accounts = self.accounts[fairshare]
        account = accounts.get(name)
        if account is None:
            account = accounts[name] = Account()
        return account
