"""One scheduling pass: start everything that fits now, in the order that the policy sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from wnodes_engine.core.accounts import ratio
from wnodes_engine.core.averages import TICK
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Where
from wnodes_engine.core.fitting import held_back, nodes_for, nodes_now, widest
from wnodes_engine.core.ledger import Allocation
from wnodes_engine.core.limits import full_in, holding_back
from wnodes_engine.core.pausing import go_on
from wnodes_engine.core.placement import meets_downtime
from wnodes_engine.core.promises import keep, promise
from wnodes_engine.core.queue import LeafQueue
from wnodes_engine.core.reserve import Reservation, place_beside, reserve
from wnodes_engine.core.rights import could_speak
from wnodes_engine.core.tracks import Shape, Track, WaitClass
from wnodes_engine.core.victims import make_room, speaking
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.values import Preemption

if TYPE_CHECKING:
    from wnodes_engine.core.state import State

_Rank = tuple[bool, int, int, int]
"""How an offer stands among its siblings': above nominal, averaged use, submitted, serial; smaller first."""

_NOTHING: Final = -1
_NO_SHARES: Final[Mapping[int, Sequence[int]]] = {}
_NEVER: Final = 1 << 64
"""Later than any end, unlimited walltimes included."""


class Done(NamedTuple):
    """What a pass has done to the state, each in its order."""

    starts: list[Allocation]
    resumed: list[str]
    preemptions: list[Preemption]


def schedule(state: State, now: int) -> Done:
    """Keep what was promised, start what fits now, and make room where the policy says so."""
    state.advance(now)
    done = Done(keep(state, now) if state.pledges else [], go_on(state, now) if state.paused else [], [])
    busy = state.lines.busy
    if len(busy) == 1 and (allocation := _start_newest(state, now)) is not None:
        done.starts.append(allocation)
        return done
    while busy:
        may = {leaf for leaf in busy if leaf in state.rules_for and _may_make_room(state, leaf, now)}
        if not may and (_is_calm(state) or not any(state.farm.free_cores)):
            break
        turn = _Pass(state, now, may)
        done.starts.extend(turn.run())
        done.preemptions.extend(turn.preemptions)
        if not turn.preemptions:
            state.calm = Calm(state.version, turn.roomless) if turn.all_roomless else None
            break
    return done


def _start_newest(state: State, now: int) -> Allocation | None:
    """Start the newest request, where it is the only one awake and nothing is in its way."""
    (queue,) = state.lines.busy.values()
    waiter = queue.newest
    if waiter is None or queue.line:
        return None
    claim = waiter.claim
    where = nodes_now(state, claim, now)
    if where is None:
        return None
    if claim.most > claim.parts:
        _, where = widest(state, claim, where, lambda wider: nodes_now(state, wider, now))
    return state.begin(waiter, where, now)


def _may_make_room(state: State, leaf: int, now: int) -> bool:
    """Whether a rule could speak for anybody in the leaf's line, by what can be told of all at once."""
    oldest = state.queues[leaf].oldest
    if oldest is None or state.looked.get(leaf) == now // TICK:
        return False
    preempts, room = state.policy.checked.preempts, state.policy.room
    for index in state.rules_for[leaf]:
        rule = preempts[index]
        in_force = now - oldest >= room[index].patience and state.is_open(rule.taking.condition.window)
        if in_force and could_speak(state.tree, rule, leaf):
            return True
    return False


class Calm:
    """Nobody in line has room, nor would those of these shapes, by leaf, until the version is another one."""

    __slots__ = ("roomless", "version")

    def __init__(self, version: int, roomless: dict[int, set[Shape]]) -> None:
        self.version = version
        self.roomless = roomless


def _is_calm(state: State) -> bool:
    return state.calm is not None and state.calm.version == state.version


class _Pass:
    """What a pass has to remember: where each line stands, what has no room, who is blocked."""

    def __init__(self, state: State, now: int, may: set[int]) -> None:
        """`may` are the leaves for which room may be made; those for which it cannot are taken out."""
        self.state = state
        self.now = now
        self.may = may
        self.preemptions: list[Preemption] = []
        """What victims are told: with that the pass is at its end."""
        self.tick = now // TICK
        self.cursor: dict[int, int] = {}
        self.turn = _NOTHING
        """The leaf that had the last turn."""
        self.offers: dict[int, int] = {}
        """By share in which somebody waits: the leaf whose offer is best below it, or `_NOTHING`."""
        self.ranks: dict[int, _Rank] = {}
        """By share: how its offer stands among its siblings'."""
        self.below: Mapping[int, Sequence[int]] = _NO_SHARES
        """By share: the shares next below it in which somebody waits."""
        self.blocked: dict[int, set[Shape]] = {}
        self.roomless: dict[int, set[Shape]] = {}
        """By leaf: the shapes for which there is no room, whoever comes and when."""
        self.all_roomless = True
        """Whether there is for nobody in line, as far as the pass has come."""
        self.left: dict[int, list[int]] = {}
        """By leaf: what its share had left of each resource when somebody found no room last."""
        self.no_nodes: set[Shape] = set()
        self.heads: list[Claim] = []
        self.headed: set[int] = set()
        self.skipped: list[tuple[int, Track]] = []
        self.reservations: list[Reservation] = []
        self.limits: dict[tuple[int, Shape], int] = {}
        """By leaf and shape: when a request has to end so that no head loses its part of the share tree."""
        self.shut: dict[tuple[int, Shape], int] = {}
        """By leaf and shape: when a request has to end, as somebody found who would have ended later."""
        self.as_of: dict[int, int] = {}
        """By leaf: the version of the state in which its next was looked at last."""

    def run(self) -> list[Allocation]:
        state, tick = self.state, self.tick
        for leaf, queue in list(state.lines.busy.items()):
            queue.refresh(tick)
            if queue.line:
                self.cursor[leaf] = 0
                self.blocked[leaf] = set()
                self.roomless[leaf] = set()
            else:
                state.lines.busy.pop(leaf, None)
        starts: list[Allocation] = []
        if not self.cursor:
            return starts
        turn = self._alone if len(self.cursor) == 1 else self._offer_of_all
        while not self.preemptions and (leaf := turn()) != _NOTHING:
            allocation = self._try(leaf)
            if allocation is not None:
                starts.append(allocation)
                if not self.may and not any(state.farm.free_cores):
                    self.all_roomless = False  # for all that is known
                    break
        for leaf, track in self.skipped:
            state.queues[leaf].skip(track, track.base)
        return starts

    # ------------------------------------------------------------ whose turn it is

    def _alone(self) -> int:
        """The only leaf with a queue, while it has an offer: it has nobody to compete with."""
        (leaf,) = self.cursor
        return leaf if self._has_next(leaf) else _NOTHING

    def _offer_of_all(self) -> int:
        """The leaf whose turn it is on the whole farm. Only the share that had the last turn has changed."""
        if self.turn == _NOTHING:
            self.below = self.state.lines.below(self.state.tree.paths)
            self._survey(0)
        else:
            for share in self.state.tree.paths[self.turn]:
                self.offers[share] = self._best(share)
                self.ranks.pop(share, None)
        self.turn = self.offers[0]
        return self.turn

    def _survey(self, share: int) -> None:
        for child in self.below.get(share, ()):
            self._survey(child)
        self.offers[share] = self._best(share)

    def _best(self, share: int) -> int:
        """The leaf below this share whose turn it is, from what its children offer."""
        children = self.below.get(share)
        if children is None:
            return share if self._has_next(share) else _NOTHING
        offers, best, first = self.offers, _NOTHING, _NOTHING
        for child in children:
            if offers[child] == _NOTHING:
                continue
            if best == _NOTHING or self._rank(child) < self._rank(first):
                best, first = offers[child], child
        return best

    def _rank(self, share: int) -> _Rank:
        rank = self.ranks.get(share)
        if rank is None:
            state = self.state
            members = self._next(self.offers[share]).first()
            rank = self.ranks[share] = (
                not state.tree.within_nominal(share, members.wish),
                ratio(state.averages.at(share, self.tick), state.nominal(share), members.wish),
                *members.at,
            )
        return rank

    def _has_next(self, leaf: int) -> bool:
        """Whether somebody in the line has a turn; the cursor then stands at its track."""
        at = self.cursor[leaf]
        if at == _NOTHING:
            return False
        queue, left, blocked = self.state.queues[leaf], self.left.get(leaf), self.blocked[leaf]
        line, may = queue.line, leaf in self.may
        if blocked and not may and queue.shapes.keys() <= blocked:
            at = len(line)
        while at < len(line):
            track = line[at][2]
            if left is not None and (track.shape in blocked or _asks_over(track.claim, left)):
                # It has no room either. For whom room may be made has its turn all the same.
                if not may:
                    at += 1
                    continue
                if not self._is_spoken_for(track.first()):
                    self._pass_by(leaf, track)
                    continue
            if self.shut and (limit := self.shut.get((leaf, track.shape))) is not None:
                first = self._first_to_end_by(track, limit)
                if first is None:
                    at += 1
                    continue
                if first > track.seen:
                    self._pass_by(leaf, track, first)
                    continue
            if not self._hold_back(leaf, queue, track):
                break
        self.cursor[leaf] = at
        self.as_of[leaf] = self.state.version
        return at < len(line)

    def _hold_back(self, leaf: int, queue: LeafQueue, track: Track) -> bool:
        """Whether a quota keeps the track's first class from starting: it has no turn then."""
        members = track.first()
        claim = members.claim
        hold = holding_back(self.state, claim)
        if hold is not None:
            queue.put_to_sleep(members, hold)
            return True
        if (claim.hours or claim.placed) and held_back(self.state, claim, self.now):
            self.all_roomless = False
            self._pass_by(leaf, track)
            return True
        return False

    def _is_spoken_for(self, members: WaitClass) -> bool:
        """Whether some rule speaks for the oldest of the class."""
        waiter = members.head()
        return any(speaking(self.state, waiter.request, waiter.claim, self.now))

    def _first_to_end_by(self, track: Track, limit: int) -> int | None:
        """The place of the track's first class that ends by then; None if all end later."""
        longest, awake = limit - self.now, track.awake
        places = range(track.seen, len(awake))
        return next((at for at in places if awake[at][1].claim.walltime <= longest), None)

    def _next(self, leaf: int) -> Track:
        """The track whose first class is the leaf's next; only where `_has_next`."""
        return self.state.queues[leaf].line[self.cursor[leaf]][2]

    # -------------------------------------------------------------- what it gets

    def _try(self, leaf: int) -> Allocation | None:
        """Start the first in the line, or note what blocks it."""
        state, now = self.state, self.now
        queue, track = state.queues[leaf], self._next(leaf)
        if self.as_of[leaf] != state.version and self._hold_back(leaf, queue, track):
            return None
        members = track.first()
        claim = members.claim
        where = None if full_in(state.tree, claim) >= 0 else self._nodes(claim, track.shape)
        if where is None:
            self._block(leaf, track)
            queue.settled(members)
            return None
        if self.heads:
            limit = self._limit(claim, track.shape)
            if now + claim.walltime > limit:
                self.shut[leaf, track.shape] = limit
                self._delays(leaf, queue)
                queue.settled(members)
                return None
            where = self._beside(claim, where)
            if where is None:
                self._delays(leaf, queue)
                self._pass_by(leaf, track)
                return None
        if claim.most > claim.parts:
            claim, where = widest(state, claim, where, self._with_more)
        allocation = state.begin(members.head(), where, now)
        for reservation in self.reservations:
            reservation.note(claim, where, now)
        self.limits.clear()
        return allocation

    def _with_more(self, claim: Claim) -> Where | None:
        """Where a claim could start with so many parts; None if it could not."""
        where = nodes_now(self.state, claim, self.now)
        return self._beside(claim, where) if self.heads and where is not None else where

    def _pass_by(self, leaf: int, track: Track, to: int | None = None) -> None:
        """Pass by the track's first class, or all before `to`: they have had their turn, or have none."""
        queue = self.state.queues[leaf]
        if track.seen == track.base:
            self.skipped.append((leaf, track))
        to = track.seen + 1 if to is None else to
        passed = [members for _, members in track.awake[track.seen : to]]
        queue.skip(track, to)
        for members in passed:
            queue.settled(members)

    def _nodes(self, claim: Claim, shape: Shape) -> Where | None:
        """Nodes for the claim; nothing is given back in a pass, so what found no room will find none."""
        if shape in self.no_nodes:
            return None
        where = nodes_for(self.state, claim, self.now)
        # What is short may be the share's hs23, or only the nodes that a downtime or a quota leaves.
        plain = not (self.state.policy.tracks_hs23 or claim.placed)
        if where is None and plain and not meets_downtime(self.state, claim, self.now):
            self.no_nodes.add(shape)
        return None if isinstance(where, str) else where

    def _block(self, leaf: int, track: Track) -> None:
        state, queue, members = self.state, self.state.queues[leaf], track.first()
        if leaf in self.may and self._make_room(leaf, members):
            return
        if queue.order.strict:
            self.all_roomless = False
            self.cursor[leaf] = _NOTHING
            return
        claim = members.claim
        if leaf not in self.headed:
            self.headed.add(leaf)
            self.heads.append(claim)
            self.limits.clear()
        self.left[leaf] = [state.tree.free(leaf, resource) for resource in range(len(RESOURCES))]
        if meets_downtime(state, claim, self.now):
            self.all_roomless = False
            self._pass_by(leaf, track)  # of the same shape a shorter request may still have room
        else:
            self.roomless[leaf].add(track.shape)
            self.blocked[leaf].add(track.shape)

    def _make_room(self, leaf: int, members: WaitClass) -> bool:
        """Tell victims to leave for the oldest of the class, if a rule says so."""
        state = self.state
        waiter = members.head()
        spoke, plan = make_room(state, waiter.request, waiter.claim, self.now, self._promises)
        if plan is not None:
            self.preemptions = promise(state, waiter, plan, self.now)
            return True
        if spoke:
            self.may.discard(leaf)
            state.looked[leaf] = self.tick
        return False

    def _limit(self, claim: Claim, shape: Shape) -> int:
        """When the claim would have to end, since some head needs what is left in the share tree."""
        known = self.limits.get((claim.leaf, shape))
        if known is None:
            starts = (r.start for r in self._promises() if r.shuts_out(claim))
            known = self.limits[claim.leaf, shape] = min(starts, default=_NEVER)
        return known

    def _delays(self, leaf: int, queue: LeafQueue) -> None:
        """The first in the line would delay a head: it goes on behind it, unless the leaf is strict."""
        self.all_roomless = False
        if queue.order.strict:
            self.cursor[leaf] = _NOTHING

    def _promises(self) -> list[Reservation]:
        """The reservations of the heads that are blocked, worked out when first asked for."""
        while len(self.reservations) < len(self.heads):
            head = self.heads[len(self.reservations)]
            reservation = reserve(self.state, head, self.now)
            if reservation is None:
                self.heads.remove(head)
            else:
                self.reservations.append(reservation)
        return self.reservations

    def _beside(self, claim: Claim, where: Where) -> Where | None:
        """The nodes that the claim may take without delaying the heads that are blocked."""
        return place_beside(self.state, claim, where, self._promises(), self.now)


def _asks_over(claim: Claim, left: Sequence[int]) -> bool:
    """Whether the claim asks more of some resource than is left of it."""
    for resource, amount in claim.asks:
        if amount > left[resource]:
            return True
    return False
