"""The state that decisions are made on: the ledger, and who waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import NamedTuple

from wnodes_engine.core.averages import AVERAGE_BITS, TICK
from wnodes_engine.core.claim import Claim, with_parts
from wnodes_engine.core.decide import admit, started, submit
from wnodes_engine.core.farm import Where
from wnodes_engine.core.fitting import has_room, held_back
from wnodes_engine.core.history import History
from wnodes_engine.core.lasting import Lasting
from wnodes_engine.core.ledger import Allocation, Ledger
from wnodes_engine.core.pausing import pause
from wnodes_engine.core.policy import Capacity, CompiledPolicy
from wnodes_engine.core.promises import Pledge, gone, take_back
from wnodes_engine.core.queue import LeafQueue, Lines
from wnodes_engine.core.reserve import Reservation, reserve
from wnodes_engine.core.runners import Runners
from wnodes_engine.core.schedule import Calm, schedule
from wnodes_engine.core.tracks import Waiter, shape_of
from wnodes_engine.core.tree import INFINITE
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.values import Decision, Node, Placement, Preemption, Reason, Request, ShareUse


class Waiting(Mapping[str, Request]):
    """The requests that wait, in line or for their victims to leave, by id: a view."""

    def __init__(self, waiters: dict[str, Waiter], pledges: dict[str, Pledge]) -> None:
        self._waiters = waiters
        self._pledges = pledges

    def __getitem__(self, id_: str) -> Request:
        pledge = self._pledges.get(id_)
        return (self._waiters[id_] if pledge is None else pledge.waiter).request

    def __contains__(self, id_: object) -> bool:
        return id_ in self._waiters or id_ in self._pledges

    def __iter__(self) -> Iterator[str]:
        return chain(self._waiters, self._pledges)

    def __len__(self) -> int:
        return len(self._waiters) + len(self._pledges)


class Start:
    """One request that a pass has started."""

    __slots__ = ("_state", "allocation", "request")

    def __init__(self, state: State, allocation: Allocation) -> None:
        self._state = state
        self.allocation = allocation
        self.request = allocation.request

    @property
    def decision(self) -> Decision:
        """The decision that started it."""
        return started(self._state, self.request, self.allocation.claim, self.allocation.where)


class Moves(NamedTuple):
    """What a pass does: who starts, in order; who goes on, is told to leave, and is let off."""

    starts: tuple[Start, ...]
    resumed: tuple[str, ...]
    preemptions: tuple[Preemption, ...]
    reprieves: tuple[str, ...]


class State(Ledger):
    """The ledger of a farm under one policy, and its queue.

    Whoever calls gives the time, in seconds since the epoch; it should not go backwards.
    """

    def __init__(self, policy: CompiledPolicy, nodes: Iterable[Node], *, preempts: bool = True) -> None:
        """Without `preempts` no room is made for anybody: for those who cannot tell victims to leave."""
        self.lines = Lines()
        super().__init__(policy, nodes)
        self.waiters: dict[str, Waiter] = {}
        """Those in line."""
        self.pledges: dict[str, Pledge] = {}
        """Room that was made for requests, by their ids, the oldest first."""
        self.promised = 0
        """How often room was made."""
        self.waiting = Waiting(self.waiters, self.pledges)
        self.paused: dict[str, Allocation] = {}
        self.runners = Runners(policy.checked)
        rules = enumerate(policy.checked.preempts)
        self.history = History(index for index, rule in rules if rule.taking.per_hour is not None)
        self.let_off: list[str] = []
        """Whom the next pass is to tell that they may stay."""
        self.lasting = Lasting()
        self.preempts = preempts
        self.rules_for: dict[int, list[int]] = {}
        """By leaf: the rules by which room may be made there."""
        for index, rule in enumerate(policy.checked.preempts if preempts else ()):
            for leaf in sorted(rule.beneficiaries):
                self.rules_for.setdefault(leaf, []).append(index)
        self.looked: dict[int, int] = {}
        """By leaf: the last minute in which somebody was given no room."""
        self.calm: Calm | None = None
        """What the last pass knows of those whom it did not start."""
        self.running: Mapping[str, Allocation] = self.allocations
        self.serial = 0
        """The last one given away: serials tell in which order requests came."""
        self._reserved: tuple[tuple[int, int], list[Reservation]] | None = None
        self.queues = {
            share.index: LeafQueue(
                share.index,
                policy.checked.orders[share.index],
                self.lines,
                partial(self.nominal, share.index),
            )
            for share in policy.checked.shares
            if share.is_leaf
        }
        self.resize()

    def resize(self) -> None:
        """Work out what every share is worth and every quota's bound anew."""
        super().resize()
        self.bounds = self.policy.bounds(self)
        self.ever_bounds = self.policy.bounds(Capacity(self.farm.configured()))
        """The bounds with every node up: only by these a request is told that it asks too much by itself."""
        for spec in self.policy.meters:
            window = spec.quota.condition.window if spec.quota else None
            if window is not None and not self.time.open >> window & 1:
                self.bounds[spec.index] = INFINITE
            if window is not None:
                self.ever_bounds[spec.index] = INFINITE
        for queue in self.queues.values():
            queue.stale = True
        for meter, key in list(self.lines.sleepers):
            self._wake(meter, key)

    def nominal(self, share: int) -> list[int]:
        """The nominal amounts of a share, children included, by resource."""
        return [amount[share] for amount in self.tree.live.amount]

    # --------------------------------------------------------------- the queue

    def enqueue(self, request: Request, claim: Claim, serial: int | None = None) -> None:
        """Let an admitted request wait. `serial` keeps the place of one that waited before."""
        if serial is None:
            self.serial += 1
            serial = self.serial
        self.waiters[request.id] = self.queues[claim.leaf].add(request, claim, serial)
        if self.calm is not None and self.calm.version == self.version:
            known = self.calm.roomless.get(claim.leaf)
            if known and shape_of(claim) in known:
                self.calm.version += 1
        self.version += 1
        for meter, key in claim.waits:
            self.meters[meter][key] = self.meters[meter].get(key, 0) + 1

    def dequeue(self, waiter: Waiter) -> None:
        """One waits no longer."""
        self.set_aside(waiter)
        self.stop_waiting(waiter.claim)

    def set_aside(self, waiter: Waiter) -> None:
        """One still waits, but not in line."""
        self.version += 1
        del self.waiters[waiter.request.id]
        self.queues[waiter.claim.leaf].remove(waiter)

    def line_up(self, waiter: Waiter) -> None:
        """One that was set aside is in line again, in its old place."""
        self.version += 1
        claim, serial = waiter.claim, waiter.serial
        self.waiters[waiter.request.id] = self.queues[claim.leaf].add(waiter.request, claim, serial)

    def stop_waiting(self, claim: Claim) -> None:
        """Take one off the quotas on what waits."""
        for meter, key in claim.waits:
            left = self.meters[meter][key] - 1
            if left:
                self.meters[meter][key] = left
            else:
                del self.meters[meter][key]

    def cancel(self, id_: str, now: int) -> bool:
        """Take a waiting request out of the queue; False where it is not waiting."""
        self.advance(now)
        if id_ in self.pledges:
            take_back(self, self.pledges[id_])
        waiter = self.waiters.get(id_)
        if waiter is None:
            return False
        self.dequeue(waiter)
        self.history.forget(id_)
        return True

    def submit(self, request: Request, now: int) -> Decision:
        """Admit a request and let it wait; see `decide.submit`."""
        return submit(self, request, now)

    def schedule(self, now: int) -> Moves:
        """Start everything that fits now, in order, and make room where the policy says so."""
        started, resumed, preemptions = schedule(self, now)
        let_off, self.let_off = self.let_off, []
        starts = tuple(Start(self, allocation) for allocation in started)
        return Moves(starts, tuple(resumed), tuple(preemptions), tuple(let_off))

    def ahead(self, request: Request, claim: Claim, now: int) -> Request | None:
        """Who is ahead of the request in a strict leaf, and only waits for room; None if nobody."""
        queue = self.queues[claim.leaf]
        if not queue.live or not queue.order.strict:
            return None
        first = queue.first_free(partial(self._held_back, now), now // TICK)
        waiter = self.waiters.get(request.id)
        if first is None or (waiter is not None and queue.place(waiter) <= first[0]):
            return None
        return first[1].head().request

    def is_head(self, id_: str, leaf: int, now: int) -> bool:
        """Whether the request is the first in its line that no quota holds back."""
        queue = self.queues[leaf]
        first = queue.first_free(partial(self._held_back, now), now // TICK) if queue.live else None
        return first is not None and first[1].head().request.id == id_

    def _held_back(self, now: int, claim: Claim) -> bool:
        return held_back(self, claim, now)

    def reservations(self, now: int) -> list[Reservation]:
        """What is reserved for the blocked heads of the leaves that order by best effort."""
        if self._reserved is None or self._reserved[0] != (self.version, now):
            found = []
            for queue in self.queues.values():
                head = self._blocked_head(queue, now) if queue.live and not queue.order.strict else None
                reservation = reserve(self, head, now) if head is not None else None
                if reservation is not None:
                    reservation.settle()  # it is kept for later, and somebody else may ask for the leaf
                    found.append(reservation)
            self._reserved = ((self.version, now), found)
        return self._reserved[1]

    def _blocked_head(self, queue: LeafQueue, now: int) -> Claim | None:
        """The claim of the first in line that no quota holds back, if there is no room for it."""
        first = queue.first_free(partial(self._held_back, now), now // TICK)
        if first is None or has_room(self, first[1].claim, now):
            return None
        return first[1].claim

    # -------------------------------------------------------------- allocations

    def _charge(self, allocation: Allocation, sign: int, now: int) -> None:
        super()._charge(allocation, sign, now)
        claim = allocation.charged
        if claim.accounts:
            self.queues[claim.leaf].charge(claim, sign, now // TICK)
        if sign < 0 and self.lines.sleepers:
            for meter, key, _ in claim.meters:
                self._wake(meter, key)

    def _wake(self, meter: int, key: str | int) -> None:
        """A quota may have more room."""
        if (meter, key) in self.lines.sleepers:
            self.lines.wake(meter, key, self.bounds[meter] - self.meters[meter].get(key, 0))

    def earmark(self, claim: Claim, where: Where, sign: int) -> None:
        """Set aside, or give back, what a claim will hold on these nodes; nobody uses it yet."""
        super().earmark(claim, where, sign)
        if sign < 0:
            for meter, key, _ in claim.meters:
                self._wake(meter, key)

    def recharge(self, allocation: Allocation, rest: Claim | None, now: int) -> None:
        """Let an allocation hold only `rest` from now on, or, None, all of its claim."""
        self._charge(allocation, -1, now)
        allocation.rest = rest
        self._charge(allocation, 1, now)

    def _renumber(self, numbers: Mapping[int, int]) -> None:
        super()._renumber(numbers)
        self.runners.renumber(numbers)

    def hold(self, allocation: Allocation, now: int) -> None:
        """Charge an allocation to its nodes, its share and the quotas that count it."""
        super().hold(allocation, now)
        if self.rules_for:
            self.runners.add(allocation)
            self.history.ran(allocation.request.id)

    def release(self, allocation: Allocation, now: int) -> None:
        """Give back all that an allocation holds; what it used stays on record."""
        was_paused = self.paused.pop(allocation.request.id, None) is not None
        if self.rules_for:
            gone(self, allocation)
            if not was_paused:
                self.runners.remove(allocation)
        super().release(allocation, now)
        allocation.rest = None

    def begin(self, waiter: Waiter, where: Where, now: int) -> Allocation:
        """Start a waiting request on these nodes, with as many of its parts as stand on them."""
        self.dequeue(waiter)
        claim = with_parts(waiter.claim, sum(parts for _, parts in where), self.policy.meters)
        allocation = Allocation(waiter.request, claim, where, now, waiter.serial, self)
        self.hold(allocation, now)
        return allocation

    def start(
        self, request: Request, placement: Iterable[Placement], now: int, *, native: bool = False
    ) -> Allocation:
        """Take up an allocation that exists already: it is charged, and never refused.

        `native`: it was submitted past us. It has as many parts as are placed; without a placement it waits
        in a batch system's own queue, and holds no node. A request that waits waits no longer, and keeps its
        age. Raises KeyError for an unknown node; ValueError for a request that runs already, that asks for
        more parts than are placed, or fewer, or that no share takes.
        """
        self.advance(now)
        if request.id in self.allocations:
            raise ValueError(f"request {request.id} runs already")
        claim, refusals = admit(self, request)
        if claim is None:
            why = refusals.message if isinstance(refusals, Reason) else "it belongs to no share"
            raise ValueError(f"request {request.id}: {why}")
        placement = tuple(placement)
        parts = sum(place.parts for place in placement) or claim.parts
        if not claim.least <= parts <= claim.most:
            raise ValueError(f"request {request.id} has {claim.most} parts, not as many as are placed")
        claim = with_parts(claim, parts, self.policy.meters)
        where = tuple((self.farm.index[place.node], place.parts) for place in placement)
        if request.id in self.pledges:
            take_back(self, self.pledges[request.id])
        if (waiter := self.waiters.get(request.id)) is not None:
            self.dequeue(waiter)
            serial = waiter.serial
        else:
            self.serial += 1
            serial = self.serial
        allocation = Allocation(request, claim, where, now, serial, self, native)
        self.hold(allocation, now)
        return allocation

    def finish(self, id_: str, now: int) -> None:
        """An allocation has ended; raises KeyError where there is none of that id."""
        self.advance(now)
        allocation = self.allocations[id_]
        end = now if allocation.rest is None else allocation.stopped
        if allocation.where:
            self.lasting.note(allocation.claim.leaf, end - allocation.started, allocation.claim.walltime)
        self.release(allocation, now)
        self.history.forget(id_)

    def requeue(self, id_: str, now: int) -> None:
        """An allocation has lost its place: it waits again, for all its parts and with its age.

        Raises KeyError where there is none of that id.
        """
        allocation = self.allocations[id_]
        self.advance(now)
        self._had_to_leave(allocation)
        self.release(allocation, now)
        claim = with_parts(allocation.claim, allocation.claim.least, self.policy.meters)
        self.enqueue(allocation.request, claim, allocation.serial)

    def suspend(self, id_: str, now: int) -> None:
        """An allocation has stopped where it is, and gives back its cores; KeyError where none runs."""
        allocation = self.allocations[id_]
        if id_ in self.paused:
            raise KeyError(id_)
        self.advance(now)
        self._had_to_leave(allocation)
        gone(self, allocation)
        pause(self, allocation, now)

    def _had_to_leave(self, allocation: Allocation) -> None:
        if allocation.pledge is not None:
            self.history.leave(allocation.request.id, allocation.pledge.waiter.request.id)

    def budget_left(self, rule: int, now: int) -> int | None:
        """How many more victims a rule may tell to leave now; None where nothing limits that."""
        most = self.policy.checked.preempts[rule].taking.per_hour
        return None if most is None else max(0, most - self.history.told(rule, now))

    def is_open(self, window: int | None) -> bool:
        """Whether what stands in this window, if in any, is in force."""
        return window is None or bool(self.time.open >> window & 1)

    def set_nodes(self, nodes: Iterable[Node]) -> None:
        """Nodes appeared, changed, went up or down; those not named stay as they are."""
        pledges = [(pledge, self.placement(pledge.where)) for pledge in self.pledges.values()]
        for pledge, _ in pledges:
            self.earmark(pledge.waiter.claim, pledge.where, -1)
        super().set_nodes(nodes)
        for pledge, placement in pledges:
            pledge.where = tuple((self.farm.index[place.node], place.parts) for place in placement)
            self.earmark(pledge.waiter.claim, pledge.where, 1)
            if not all(self.farm.up[node] for node, _ in pledge.where):
                take_back(self, pledge)

    def restore_use(self, share: str, of: str, name: str, resource: str, average: int) -> None:
        """Take up a past average, in the resource's unit, as of the current time.

        `of` is "share" for the share itself (with `name` empty), else one of the leaf's fairshare keys.
        Raises KeyError for a share, account or resource that the policy does not know.
        """
        index = {node.path: node.index for node in self.tree.shares}[share]
        r = RESOURCES.index(resource) if resource in RESOURCES else -1
        if r < 0:
            raise KeyError(resource)
        self.averages.settle(self.tree.paths[index], self.minute)
        if of == "share":
            self.averages.restore(index, r, average << AVERAGE_BITS, self.minute)
        else:
            self.queues[index].restore(of, name, r, average << AVERAGE_BITS, self.minute)

    # ------------------------------------------------------------------ reading

    def shares(self, now: int) -> tuple[ShareUse, ...]:
        """What each share was promised and holds, the farm first, then in the policy's order."""
        tree = self.tree
        running = [0] * len(tree.shares)
        waiting = [0] * len(tree.shares)
        for allocation in self.allocations.values():
            for n in tree.paths[allocation.claim.leaf]:
                running[n] += 1
        for leaf, queue in self.queues.items():
            for n in tree.paths[leaf]:
                waiting[n] += queue.live
        for pledge in self.pledges.values():
            for n in tree.paths[pledge.waiter.claim.leaf]:
                waiting[n] += 1
        resources = [
            (r, name) for r, name in enumerate(RESOURCES) if name != "hs23" or self.policy.tracks_hs23
        ]
        rows = []
        for share in tree.shares:
            n = share.index
            averages = self.averages.at(n, now // TICK)
            rows.append(
                ShareUse(
                    path=share.path,
                    leaf=share.is_leaf,
                    nominal={name: tree.live.amount[r][n] for r, name in resources},
                    used={name: tree.held[r][n] for r, name in resources},
                    free={name: tree.free(n, r) for r, name in resources},
                    average={name: averages[r] >> AVERAGE_BITS for r, name in resources},
                    running=running[n],
                    waiting=waiting[n],
                )
            )
        return tuple(rows)
