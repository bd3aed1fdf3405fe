"""Who makes room for whom: the rules that tell allocations to leave, tried one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oracle.clock import in_force
from oracle.expressions import Read, value
from oracle.fitting import fitting, place_rule, placement
from oracle.heights import height, is_over, path_below, path_between, stays_within
from oracle.layouts import groups_of
from oracle.order import priority
from oracle.placing import parts_in
from oracle.records import Held, Pledge, Told, Waiting
from oracle.request import reader
from oracle.reservations import Reservation, delays
from oracle.state import State
from wnodes_engine.check.checked import And, Expr, Preempt, VictimKey
from wnodes_engine.values import Placement

HOUR = 3600


@dataclass(frozen=True)
class Room:
    """What the rules gave a request: room, if `pledge`; `spoken` whether any of them spoke for it."""

    pledge: Pledge | None
    spoken: bool


def make_room(state: State, waiting: Waiting, promises: list[Reservation], now: int) -> Room:
    """What the first rule that finds victims finds for a request that has no room."""
    spoken = False
    for i, rule in enumerate(state.policy.preempts):
        if speaks_for(state, rule, waiting, now):
            spoken = True
            found = Search(state, rule, i, waiting, promises, now).find()
            if found is not None:
                return Room(found, spoken)
    return Room(None, spoken)


# ------------------------------------------------------------------ for whom


def speaks_for(state: State, rule: Preempt, waiting: Waiting, now: int) -> bool:
    """Whether a rule is for this request now, whoever the victims are."""
    if not in_force(state.policy, rule.taking.condition, now) or waiting.leaf not in rule.beneficiaries:
        return False
    read = reading(state, waiting, None, now)
    if not all(value(part, read) for part in parts_of(rule) if not reads_victim(part)):
        return False
    tree, ask = state.tree(), waiting.asked.ask
    if rule.how == "reclaim":
        return stays_within(tree, waiting.leaf, ask)
    if rule.how == "for" and not rule.borrowing:
        assert rule.beneficiary is not None
        path = path_between(state.policy.shares, waiting.leaf, rule.beneficiary)
        return all(stays_within(tree, n, ask) for n in path)
    return True


def parts_of(rule: Preempt) -> list[Expr]:
    """What `and` joins at the top of a rule's condition."""
    return list(joined(rule.taking.condition.expr)) if rule.taking.condition.expr is not None else []


def joined(expr: Expr) -> Iterator[Expr]:
    """The operands of an `and`, and of those in it; else the expression itself."""
    if not isinstance(expr, And):
        yield expr
        return
    for operand in expr.operands:
        yield from joined(operand)


def reads_victim(expr: Any) -> bool:
    """Whether an expression reads anything of the victim."""
    if isinstance(expr, tuple):
        return any(reads_victim(each) for each in expr)
    if not isinstance(expr, Expr):
        return False
    if str(getattr(expr, "name", "")).startswith("victim."):
        return True
    return any(reads_victim(getattr(expr, field)) for field in expr.__struct_fields__)


def reading(state: State, waiting: Waiting, victim: Held | None, now: int) -> Read:
    """How a condition reads the request that waits, the state, and the victim."""
    of_state = state.reader(waiting.asked)

    def read(name: str, site: bool) -> Any:
        if site:
            return of_state(name, site)
        if name == "waited":
            return max(0, now - waiting.asked.request.submitted)
        if name == "priority":
            return priority(state.policy, waiting, now)
        if victim is not None and name == "victim.priority":
            return victim.priority
        if victim is not None and name == "victim.runtime":
            return now - victim.started
        return of_state(name, site)

    return read


def reading_victim(state: State, victim: Held, now: int) -> Read:
    """How `sparing` reads the victim."""
    of_request = reader(state.policy, victim.asked.request, victim.asked.facts, victim.leaf)

    def read(name: str, site: bool) -> Any:
        if not site and name in ("priority", "runtime"):
            return victim.priority if name == "priority" else now - victim.started
        return of_request(name, site)

    return read


# ----------------------------------------------------------------- from whom


@dataclass(frozen=True)
class Search:
    """The search for victims of one rule, for one request."""

    state: State
    rule: Preempt
    index: int
    waiting: Waiting
    promises: list[Reservation]
    now: int

    @property
    def leave_by(self) -> int:
        """Until when victims would have to leave, so that the request can start."""
        return self.now + self.rule.taking.after

    def find(self) -> Pledge | None:
        """The room that the rule makes, with its victims; None if it makes none."""
        if self.room([]) is not None:
            return None
        candidates = sorted(filter(self.may_be_taken, self.state.held.values()), key=self.rank)
        taken = self.on_nodes(candidates)
        taken = None if taken is None else self.in_tree(candidates, taken)
        if taken is None:
            return None
        victims = self.needed(taken)
        there = self.room(victims)
        assert there is not None
        most = self.rule.taking.per_hour
        if most is not None and self.told_lately() + len(victims) > most:
            return None
        without = self.without(victims)
        if any(delays(without, self.waiting.asked, there, p, self.now) for p in self.promises):
            return None
        told = [Told(v.id, self.waiting.id, self.action(v), self.leave_by, self.index) for v in victims]
        return Pledge(self.waiting, there, tuple(told))

    def on_nodes(self, candidates: list[Held]) -> list[Held] | None:
        """Who is taken until all parts have nodes, in one group where they must; None if they never have."""
        found = [self.cleared(candidates, elsewhere) for elsewhere in self.elsewhere()]
        able = [taken for taken in found if taken is not None]
        return min(able, key=lambda taken: max(map(self.rank, taken), default=()), default=None)

    def elsewhere(self) -> list[frozenset[str]]:
        """For each group of which one has to hold all parts, the nodes that are not in it."""
        rule = place_rule(self.state, self.waiting.asked)
        if rule is None or not rule.in_one:
            return [frozenset()]
        group = groups_of(self.state, rule)
        return [frozenset(name for name in group if group[name] != g) for g in range(len(rule.groups))]

    def cleared(self, candidates: list[Held], elsewhere: frozenset[str]) -> list[Held] | None:
        """Who is taken, one node after the other, until all parts have nodes that are not elsewhere."""
        taken: list[Held] = []
        while self.nodes(taken, elsewhere) is None:
            usable = [name for name in self.usable() if name not in elsewhere]
            walks = {name: self.walk(name, candidates, taken) for name in usable}
            able = {name: walk for name, walk in walks.items() if walk is not None}
            if not able:
                return None
            best = min(able, key=lambda name: (self.rank(able[name][-1]), name))
            taken += able[best]
        return taken

    def walk(self, name: str, candidates: list[Held], taken: list[Held]) -> list[Held] | None:
        """Who would be taken of one node until one part more fits there; None if none does."""
        node, part = self.state.nodes[name], self.waiting.asked.part
        before = parts_in(self.without(taken).room(node), part)
        more: list[Held] = []
        for victim in candidates:
            there = any(p.node == name for p in victim.placement)
            if there and victim not in taken and self.allowed(victim, taken + more):
                more.append(victim)
                if parts_in(self.without(taken + more).room(node), part) > before:
                    return more
        return None

    def in_tree(self, candidates: list[Held], taken: list[Held]) -> list[Held] | None:
        """Who is taken until the share has room too; None if it never has."""
        for victim in candidates:
            if self.room(taken) is not None:
                break
            if victim not in taken and self.allowed(victim, taken):
                taken = [*taken, victim]
        return taken if self.room(taken) is not None else None

    def needed(self, taken: list[Held]) -> list[Held]:
        """Those without whom there would be no room."""
        victims = list(taken)
        for victim in reversed(taken):
            fewer = [v for v in victims if v is not victim]
            if self.room(fewer) is not None:
                victims = fewer
        return victims

    def without(self, victims: list[Held]) -> State:
        """The farm without them and all who have been told to leave, for the request to start then."""
        gone: Mapping[str, str] = {victim.id: self.action(victim) for victim in victims}
        return self.state.tried({**self.state.leaving(), **gone}, self.now, self.leave_by)

    def room(self, victims: list[Held]) -> tuple[Placement, ...] | None:
        """Where the request would go if they had left, if there is room in its share too."""
        return fitting(self.without(victims), self.waiting.asked, self.kept)

    def nodes(self, victims: list[Held], elsewhere: frozenset[str]) -> tuple[Placement, ...] | None:
        """Where the request would go if they had left, as far as nodes are concerned."""
        return placement(self.without(victims), self.waiting.asked, avoided=self.kept | elsewhere)

    @property
    def kept(self) -> frozenset[str]:
        """The nodes that heads of lines were promised and that the request would still hold then."""
        wish = self.waiting.asked
        return frozenset[str]().union(*(p.nodes for p in self.promises if p.concerns(wish, self.leave_by)))

    def usable(self) -> list[str]:
        """The nodes on which parts of the request may go."""
        wish, then = self.waiting.asked, self.without([])
        nodes = [node for node in then.nodes.values() if node.up and then.takes(node, wish)]
        return [n.name for n in nodes if n.name not in self.kept and not then.goes_down(n, wish)]

    def action(self, victim: Held) -> str:
        """What is done to a victim."""
        return self.rule.taking.actions[victim.asked.facts["kind"]]

    def told_lately(self) -> int:
        """How many the rule has told to leave in the hour before."""
        mine = (telling.time for telling in self.state.tellings if telling.rule == self.index)
        return sum(time > self.now - HOUR for time in mine)

    def may_be_taken(self, victim: Held) -> bool:
        """Whether an allocation can be a victim at all, whatever the shares hold."""
        state, taking, departures = self.state, self.rule.taking, self.state.departures
        if (victim.native and not taking.native) or victim.stopped is not None:
            return False
        if victim.leaf not in self.rule.victims or victim.asked.facts["kind"] not in taking.actions:
            return False
        if (victim.leaf == self.waiting.leaf) is not (self.rule.how == "self"):
            return False
        if victim.id in state.leaving() or any(not state.nodes[p.node].up for p in victim.placement):
            return False
        if taking.sparing is not None and value(taking.sparing, reading_victim(state, victim, self.now)):
            return False
        read = reading(state, self.waiting, victim, self.now)
        if not all(value(part, read) for part in parts_of(self.rule) if reads_victim(part)):
            return False
        often = sum(d.victim == victim.id for d in departures)
        if taking.per_victim is not None and often >= taking.per_victim:
            return False
        in_vain = any(
            d.victim == victim.id and d.beneficiary == self.waiting.id and not d.served for d in departures
        )
        return not in_vain and victim.id not in pushed_out(state, self.waiting.id)

    def rank(self, victim: Held) -> tuple[object, ...]:
        """Where a victim stands in the order of `taking`; the smallest is taken first."""
        keys = [end(victim, key, self.now) for key in self.rule.taking.order]
        return *keys, victim.priority, -victim.started, victim.id

    def allowed(self, victim: Held, taken: list[Held]) -> bool:
        """Whether the shares allow to take it, after these have been taken."""
        if self.rule.how == "self" or self.rule.below_nominal:
            return True
        shares, leaf = self.state.policy.shares, self.waiting.leaf
        ask, freed = self.waiting.asked.ask, self.state.freed(victim, self.action(victim))
        tree = self.without(taken).tree()
        if self.rule.how == "for":
            assert self.rule.victim is not None
            path = path_between(shares, victim.leaf, self.rule.victim)
            return all(is_over(tree, n, ask, freed) for n in path)
        theirs, mine = path_below(shares, victim.leaf, leaf), path_below(shares, leaf, victim.leaf)
        if not all(is_over(tree, n, ask, freed) for n in theirs):
            return False
        before = self.state.tree()
        if self.rule.how == "reclaim":
            return all(stays_within(before, n, ask) for n in mine)
        after = self.without([*taken, victim]).tree()
        with_request = before.with_more(leaf, ask)
        return height(self.state, with_request, mine[-1]) <= height(self.state, after, theirs[-1])


def end(victim: Held, key: VictimKey, now: int) -> int:
    """One key of the order of `taking`; the smallest is taken first."""
    amount = {
        "priority": victim.priority,
        "runtime": now - victim.started,
        "start": victim.started,
        "size": victim.asked.ask["cores"],
    }[key.of]
    return -amount if key.extreme in ("highest", "longest", "latest", "largest") else amount


def pushed_out(state: State, request_id: str) -> set[str]:
    """Who pushed out the request, and who pushed out those, and so on, of those that wait or run."""
    found: set[str] = set()
    at = {request_id}
    while at:
        by = {d.beneficiary for d in state.departures if d.victim in at}
        at = {x for x in by if x in state.held or x in state.queue} - found
        found |= at
    return found
