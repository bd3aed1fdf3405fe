"""Choosing victims: no more than needed, so that a request really has room afterwards.

Nodes are cleared for one part after the other, each time the node on which that asks for the least in the
rule's order; where all parts have to be in one group, that is done for each group by itself. Then whoever
else has to go for the share tree's sake is taken. From the last to the first, each is put back without which
there is still room. Putting back only adds to what shares hold, so that whoever is left is still one that the
rule allows.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from wnodes_engine.check.checked import Preempt
from wnodes_engine.core.averages import TICK
from wnodes_engine.core.claim import Claim, Part, priority_at
from wnodes_engine.core.farm import Free, Where, fit, more
from wnodes_engine.core.ledger import Allocation
from wnodes_engine.core.reserve import Reservation
from wnodes_engine.core.rights import Gone, Law, is_entitled
from wnodes_engine.core.room import Given, Room, groups_of
from wnodes_engine.values import Request

if TYPE_CHECKING:
    from wnodes_engine.core.state import State


FIRST: Final = 250
"""Among so many candidates, in the rule's order, a node is looked for that asks for the least of them."""


class Plan(NamedTuple):
    """By this rule, these victims leave, and then the request has room there."""

    rule: int
    victims: tuple[Allocation, ...]
    where: Where


class Search(NamedTuple):
    """Whether some rule speaks for the request at all, and the plan by which it is given room, or None."""

    spoke: bool
    plan: Plan | None


def make_room(
    state: State, request: Request, claim: Claim, now: int, promised: Callable[[], Sequence[Reservation]]
) -> Search:
    """Look for victims, for a request that no quota holds back and that has no room.

    `promised` tells the reservations of heads that must not be delayed.
    """
    spoke = False
    for index, rule in speaking(state, request, claim, now):
        spoke = True
        plan = _Attempt(state, index, rule, request, claim, now, promised()).plan()
        if plan is not None:
            return Search(True, plan)
    return Search(spoke, None)


def speaking(state: State, request: Request, claim: Claim, now: int) -> Iterator[tuple[int, Preempt]]:
    """The rules that speak for a request now, whoever the victims are."""
    if not claim.takes:
        return
    waited, priority = _standing(request, claim, now)
    for index in state.rules_for.get(claim.leaf, ()):
        rule = state.policy.checked.preempts[index]
        if not (claim.takes >> index & 1 and state.is_open(rule.taking.condition.window)):
            continue
        if not is_entitled(state.tree, rule, claim.leaf, claim.asks):
            continue
        speaks = state.policy.room[index].speaks
        if speaks is None or speaks(request, claim, state, waited, priority):
            yield index, rule


def _standing(request: Request, claim: Claim, now: int) -> tuple[int, int]:
    """For how long the request has waited, in seconds, and its priority."""
    return max(0, now - request.submitted), priority_at(claim, request.submitted, now // TICK * TICK)


class _Attempt:
    """One rule's search for one request."""

    def __init__(
        self,
        state: State,
        index: int,
        rule: Preempt,
        request: Request,
        claim: Claim,
        now: int,
        promised: Sequence[Reservation],
    ) -> None:
        self.state = state
        self.index = index
        self.rule = rule
        self.request = request
        self.claim = claim
        self.now = now
        self.waited, self.priority = _standing(request, claim, now)
        self.lasting = replace(claim, walltime=claim.walltime + rule.taking.after)
        """The claim until the latest end that it may come to."""
        self.promised = [r for r in promised if now + self.lasting.walltime > r.start]
        self.kept = frozenset[int]().union(*(r.nodes() for r in self.promised))
        self.room = Room(state, self.lasting, now, self.kept)
        self.law = Law(state.tree, rule, claim)
        self.leaves = self.law.leaves()
        """The leaves of which anything may be taken."""
        self.excepted = state.history.above(request.id) | state.history.made_room(request.id)
        """Those that may not be taken for this request, whatever the rule says."""
        self.seen: list[Allocation] = []
        """The candidates as far as anybody looked, in their order."""

    def plan(self) -> Plan | None:
        """The victims, if there are some and the budget allows as many."""
        left = self.state.budget_left(self.index, self.now)
        if left == 0 or self.room.enough():  # once all that were told to leave have left
            return None
        taken = self._take(self._candidates())
        victims = self._needed(taken) if taken is not None else []
        if not victims or (left is not None and len(victims) > left):
            return None
        where = self.room.place()
        if where is None or any(self._delays(promise, where) for promise in self.promised):
            return None
        return Plan(self.index, tuple(victims), where)

    def _candidates(self) -> Iterator[Allocation]:
        """Whom the rule may take, as far as their shares do not matter, the first first."""
        state = self.state
        begun = self.now - state.policy.room[self.index].least_run
        return filter(self._may_be_taken, state.runners.in_order(self.index, self.leaves, begun))

    def _may_be_taken(self, victim: Allocation) -> bool:
        """Whether the rule takes it, as far as its share does not matter."""
        state, taking, theirs = self.state, self.rule.taking, victim.request
        if victim.pledge is not None or theirs.kind not in taking.actions or theirs.id in self.excepted:
            return False
        if victim.claim.leaf not in self.leaves or (victim.native and not taking.native):
            return False
        if taking.per_victim is not None and state.history.left(theirs.id) >= taking.per_victim:
            return False
        up = state.farm.up
        if not all(up[node] for node, _ in victim.where):
            return False
        tests, runtime = state.policy.room[self.index], self.now - victim.started
        if tests.spares is not None and tests.spares(theirs, victim.claim, state, victim.priority, runtime):
            return False
        return tests.suits is None or tests.suits(
            self.request, self.claim, state, self.waited, self.priority, victim.priority, runtime
        )

    def _take(self, candidates: Iterator[Allocation]) -> list[Allocation] | None:
        """Take victims until the request has room, on the nodes first; None if it comes to none."""
        room, law = self.room, self.law
        taken = self._on_nodes(candidates)
        if taken is None:
            return None
        if not room.enough():
            for victim in self._in_order(taken, candidates):
                given = Given(self.state, victim, self._action(victim))
                if law.allows(room.tree, victim, given, {}):
                    room.take(victim, self._action(victim))
                    taken[victim.request.id] = victim
                    if room.enough():
                        break
            else:
                return None
        return list(taken.values())

    def _on_nodes(self, candidates: Iterator[Allocation]) -> dict[str, Allocation] | None:
        """Take victims until the nodes, or those of one group, have room for all parts; None if never."""
        groups = groups_of(self.state, self.lasting, self.now)
        if not groups:
            return self._clear_all(self.room, candidates)
        found: list[dict[str, Allocation]] = []
        for kinds in groups:
            there = Room(self.state, self.lasting, self.now, self.kept, kinds)
            taken = self._clear_all(there, candidates)
            if taken is not None:
                found.append(taken)
        best = self._first(found)
        for victim in best.values() if best else ():
            self.room.take(victim, self._action(victim))
        return best

    def _first(self, found: list[dict[str, Allocation]]) -> dict[str, Allocation] | None:
        """Those whose last victim comes first in the rule's order, the first of equals; or nobody."""
        sort, rule, last = self.state.runners.sort, self.index, []
        for taken in found:
            if not taken:
                return taken
            last.append(sort(rule, taken.values())[-1])
        return found[last.index(sort(rule, last)[0])] if found else None

    def _clear_all(self, room: Room, candidates: Iterator[Allocation]) -> dict[str, Allocation] | None:
        """Take victims until the nodes of a room hold all parts, one node after the other; None if never."""
        taken: dict[str, Allocation] = {}
        while not room.on_nodes():
            cleared = self._clear(room, taken, candidates)
            if cleared is None:
                return None
            for victim in cleared:
                room.take(victim, self._action(victim))
                taken[victim.request.id] = victim
        return taken

    def _clear(
        self, room: Room, taken: Container[str], candidates: Iterator[Allocation]
    ) -> list[Allocation] | None:
        """The victims of the node on which there is room for one part more the soonest, or on any."""
        nodes: dict[int, Clearing] = {}
        first = islice(self._in_order(taken, candidates), FIRST)
        for looked, victim in enumerate(first, 1):
            where = victim.where if len(victim.where) == 1 else sorted(victim.where)
            for node, parts in where:
                clearing = nodes.get(node)
                if clearing is None:
                    if not room.may_use(node):
                        continue
                    clearing = nodes[node] = Clearing(room.free(node), self.claim.part)
                if self._clears(room, clearing, victim, parts):
                    return clearing.victims
            if looked == FIRST:
                return self._clear_any(room, taken)
        return None

    def _clear_any(self, room: Room, taken: Container[str]) -> list[Allocation] | None:
        """The victims of the first node that can be cleared, the emptiest first."""
        state = self.state
        for node in room.nodes():
            clearing = Clearing(room.free(node), self.claim.part)
            there = (victim for victim in state.runners.on(node) if victim.request.id not in taken)
            for victim in state.runners.sort(self.index, filter(self._may_be_taken, there)):
                parts = next(parts for at, parts in victim.where if at == node)
                if self._clears(room, clearing, victim, parts):
                    return clearing.victims
        return None

    def _clears(self, room: Room, clearing: Clearing, victim: Allocation, parts: int) -> bool:
        """Take the victim, if its shares allow that; whether one part more fits on its node then."""
        given = Given(self.state, victim, self._action(victim))
        if not self.law.allows(room.tree, victim, given, clearing.gone):
            return False
        clearing.take(victim, given, parts)
        self.law.note(victim.claim.leaf, given, clearing.gone)
        return clearing.fits(self.claim.part)

    def _in_order(self, taken: Container[str], candidates: Iterator[Allocation]) -> Iterator[Allocation]:
        """The candidates from the first on, without those that are taken."""
        yield from [victim for victim in self.seen if victim.request.id not in taken]
        for victim in candidates:
            self.seen.append(victim)
            yield victim

    def _action(self, victim: Allocation) -> str:
        return self.rule.taking.actions[victim.request.kind]

    def _needed(self, taken: list[Allocation]) -> list[Allocation]:
        """Put back from the last to the first whoever is not needed; whoever is left, in the order taken.

        Where putting back can only cost room, ever more are put back at a time, until that is too much.
        """
        room, needed = self.room, []
        left, size = len(taken), 1
        while left:
            batch = taken[max(0, left - size) : left]
            room.put_back(batch)
            if room.enough():
                left -= len(batch)
                size = 2 * size if room.plain else 1
                continue
            for victim in batch:
                room.take(victim, self._action(victim))
            if len(batch) == 1:
                needed.append(batch[0])
                left -= 1
            size = 1
        return needed[::-1]

    def _delays(self, promise: Reservation, where: Where) -> bool:
        return not promise.without(self.room.taken(), self.now).admits(self.lasting, where, self.now)


class Clearing:
    """What would be free on one node without the victims that stand there, taken one after the other."""

    __slots__ = ("before", "free", "gone", "victims")

    def __init__(self, free: Free, part: Part) -> None:
        self.free = free
        self.before = fit(part, *free)
        self.victims: list[Allocation] = []
        self.gone: Gone = {}

    def take(self, victim: Allocation, given: Given, parts: int) -> None:
        """One more is gone."""
        self.victims.append(victim)
        self.free = more(self.free, given.part, parts)

    def fits(self, part: Part) -> bool:
        """Whether a part more fits than before."""
        return part.cores <= self.free[0] and fit(part, *self.free) > self.before
