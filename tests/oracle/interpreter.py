"""The oracle: the meaning of a checked policy, computed slowly and plainly, to compare the engine with.

It walks the checked policy's own tree, keeps lists and dictionaries, and recomputes every figure from the
allocations and the queue each time. It shares no code with `compile` or `core` but the rolling of averages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from oracle import quotas
from oracle.averages import Change
from oracle.clock import in_force
from oracle.layouts import groups_of, layouts
from oracle.order import leaf_key, next_of
from oracle.placing import Budget, parts_in, place, size
from oracle.request import Asked, asked
from oracle.reservations import Reservation, delays, reserve
from oracle.state import Ended, Held, State, Waiting
from wnodes_engine.check.checked import UNLIMITED, Ceiling, CheckedPolicy, Place, Quota
from wnodes_engine.language.source import Span
from wnodes_engine.values import Code, Node, Outcome, Placement, Request


@dataclass(frozen=True)
class Why:
    """A reason, without its prose."""

    code: Code
    resource: str = ""
    limit: int | float | None = None
    current: int | float | None = None
    short: int | float | None = None
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Answer:
    """A decision, without its prose: `route` is the target and what it goes through."""

    outcome: Outcome
    share: str | None = None
    route: tuple[str, str | None] | None = None
    placement: tuple[Placement, ...] = ()
    reasons: tuple[Why, ...] = ()


@dataclass(frozen=True)
class Started:
    """What a pass started."""

    request: Request
    share: str
    placement: tuple[Placement, ...]


class Oracle:
    """The engine's state and answers, by definition rather than by cunning."""

    def __init__(self, policy: CheckedPolicy, nodes: Iterable[Node]) -> None:
        self.policy = policy
        self.state = State(policy, nodes)

    # ---------------------------------------------------------------- answers

    def admit(self, request: Request, now: int) -> Answer:
        """What denies the request: phases 1 to 4."""
        self.advance(now)
        wish = asked(self.policy, request, now)
        if wish.leaf is None:
            return Answer(Outcome.DENY, reasons=(Why(Code.UNASSIGNED),))
        share, route = self.policy.shares[wish.leaf].path, self.route(wish)
        reasons = tuple(self.denying(wish, now))
        if reasons:
            return Answer(Outcome.DENY, share, route, reasons=reasons)
        return Answer(Outcome.WAIT, share, route)

    def decide(self, request: Request, now: int) -> Answer:
        """What the engine answers to a request that waits, and so is admitted, or that nobody submitted."""
        self.advance(now)
        queued = self.state.queue.get(request.id)
        wish = asked(self.policy, request, now) if queued is None else queued.asked
        if queued is None and (admitted := self.admit(request, now)).outcome is Outcome.DENY:
            return admitted
        assert wish.leaf is not None
        share, route = self.policy.shares[wish.leaf].path, self.route(wish)
        reasons = [*self.over_quota(wish, now), *self.no_room(wish), *self.behind(wish, now)]
        placement = self.placement(self.state, wish)
        promises = self.promises(wish, now)
        if placement is not None and not reasons:
            placement = self.widest(wish, promises, now)
            if placement is not None:
                return Answer(Outcome.START, share, route, placement)
            placement = self.placement(self.state, wish)
        if placement is not None:
            broken = (promise for promise in promises if delays(self.state, wish, placement, promise, now))
            reasons += [Why(Code.RESERVED) for _ in broken]
        return Answer(Outcome.WAIT, share, route, reasons=tuple(reasons))

    # ----------------------------------------------------------------- events

    def advance(self, now: int) -> None:
        """It is so late now."""
        self.state.now = self.state.starting = now

    def submit(self, request: Request, now: int) -> Answer:
        """Admit and queue."""
        answer = self.admit(request, now)
        if answer.outcome is Outcome.WAIT:
            wish = asked(self.policy, request, now)
            assert wish.leaf is not None
            self.state.queue[request.id] = Waiting(wish, wish.leaf, self.next_in_sequence())
        return answer

    def start(self, request: Request, placement: tuple[Placement, ...], now: int) -> None:
        """Take up an allocation that exists."""
        wish = asked(self.policy, request, now)
        assert wish.leaf is not None
        wish = wish.of(sum(p.parts for p in placement))
        self._hold(Held(wish, wish.leaf, placement, now, self.next_in_sequence()), now)

    def finish(self, request_id: str, now: int) -> None:
        """An allocation ended."""
        held = self.state.held.pop(request_id)
        self.state.ended.append(Ended(held, now))
        taken = self.state.charge_of(held)
        self.state.changes.append(Change(now, held.asked, held.leaf, {r: -a for r, a in taken.items()}))

    def requeue(self, request_id: str, now: int) -> None:
        """An allocation lost its place and waits again."""
        held = self.state.held[request_id]
        self.finish(request_id, now)
        self.state.queue[request_id] = Waiting(held.asked.of(None), held.leaf, held.sequence)

    def cancel(self, request_id: str, now: int) -> bool:
        """Take a request out of the queue."""
        return self.state.queue.pop(request_id, None) is not None

    def set_node(self, node: Node) -> None:
        """A node appeared or changed."""
        self.state.nodes[node.name] = node

    def schedule(self, now: int) -> list[Started]:
        """One pass: whatever may start, in order."""
        self.advance(now)
        started: list[Started] = []
        tried: set[str] = set()
        closed: set[int] = set()
        reserved: dict[int, Reservation | None] = {}
        while (waiting := next_of(self.state, 0, tried, closed, now)) is not None:
            wish, leaf = waiting.asked, waiting.leaf
            tried.add(wish.request.id)
            if self.held_back(wish, now):
                continue
            if any(self.no_room(wish)):
                if self.policy.orders[leaf].strict:
                    closed.add(leaf)
                elif leaf not in reserved:
                    reserved[leaf] = reserve(self.state, waiting, now, self.fitting)
                continue
            placement = self.widest(wish, [r for r in reserved.values() if r is not None], now)
            if placement is None:
                if self.policy.orders[leaf].strict:
                    closed.add(leaf)
                continue
            del self.state.queue[wish.request.id]
            got = wish.of(sum(p.parts for p in placement))
            self._hold(Held(got, leaf, placement, now, waiting.sequence), now)
            started.append(Started(wish.request, self.policy.shares[leaf].path, placement))
        return started

    def next_in_sequence(self) -> int:
        """The place of the next newcomer."""
        self.state.sequence += 1
        return self.state.sequence

    def _hold(self, held: Held, now: int) -> None:
        self.state.held[held.asked.request.id] = held
        self.state.changes.append(Change(now, held.asked, held.leaf, self.state.charge_of(held)))

    # ----------------------------------------------------------- what denies

    def denying(self, wish: Asked, now: int) -> Iterator[Why]:
        """Every reason to deny, in order."""
        for cap in self.policy.caps:
            amount = wish.facts[cap.attribute]
            if amount > cap.value and self.state.applies(cap.condition, wish):
                known = None if cap.attribute == "walltime" and amount >= UNLIMITED else amount
                short = None if known is None else known - cap.value
                yield Why(Code.CAP, cap.attribute, cap.value, known, short, *at(cap.span))
        for rule in self.policy.denies:
            if self.state.applies(rule.condition, wish):
                yield Why(Code.RULE, file=rule.span.path, line=rule.span.line)
        if self.route(wish) is None:
            yield Why(Code.UNROUTED)
        yield from self.never(wish)
        for quota, ceiling, key in self.ceilings(wish):
            yield from self.exceeded(wish, quota, ceiling, key, now, denying=True)

    def never(self, wish: Asked) -> Iterator[Why]:
        """What the farm as it is configured could never give."""
        assert wish.leaf is not None
        for r, amount in self.state.ask(wish).items():
            most = self.state.most(wish.leaf, r)
            if amount > 0 and amount > most:
                yield Why(Code.NEVER_SHARE, r, most, amount, amount - most)
        parts = self.room_when_empty(wish, [])
        if parts < wish.count:
            yield Why(Code.NEVER_NODE, "parts", parts, wish.count, wish.count - parts)

    def route(self, wish: Asked) -> tuple[str, str | None] | None:
        """Who carries it out: the first route that matches."""
        for route in self.policy.routes:
            if wish.facts["kind"] in route.kinds and self.state.applies(route.condition, wish):
                return route.target, route.through
        return None

    # ------------------------------------------------------ what makes it wait

    def over_quota(self, wish: Asked, now: int) -> Iterator[Why]:
        """Every ceiling over which it would go now."""
        for quota, ceiling, key in self.ceilings(wish):
            yield from self.exceeded(wish, quota, ceiling, key, now, denying=False)

    def held_back(self, wish: Asked, now: int) -> bool:
        """Whether a quota holds it back, so that it blocks nobody.

        One for nodes does if all else has room, or if it would not even let it onto an empty farm.
        """
        ceilings = [(q, ceiling, key) for q, ceiling, key in self.ceilings(wish) if q.nodes is None]
        if any(any(self.exceeded(wish, *each, now, denying=False)) for each in ceilings):
            return True
        if self.placement(self.state, wish) is not None:
            return False
        if self.placement(self.state, wish, unlimited=True) is not None:
            return True
        under_quotas = self.room_when_empty(wish, self.state.budgets(wish))
        return under_quotas < wish.count <= self.room_when_empty(wish, [])

    def no_room(self, wish: Asked) -> Iterator[Why]:
        """What its share, and the nodes, cannot give now."""
        assert wish.leaf is not None
        tree, placement = self.state.tree(), self.placement(self.state, wish)
        ask = self.state.ask_on(wish, placement)
        for r, amount in ask.items():
            free = tree.free(wish.leaf, r)
            if amount > 0 and amount > free:
                use = tree.total_use(wish.leaf, r)
                yield Why(Code.SHARE, r, use + free, use, amount - free)
        if placement is None:
            room = self.room_for(wish)
            yield Why(Code.NODE, "parts", room, wish.count, wish.count - room)

    def behind(self, wish: Asked, now: int) -> Iterator[Why]:
        """Whether starting it would pass the head of its strict leaf."""
        assert wish.leaf is not None
        head = self.head(wish.leaf, now) if self.policy.orders[wish.leaf].strict else None
        own = self.state.queue.get(wish.request.id)
        if head is None or (own is not None and self.key(own, now) <= self.key(head, now)):
            return
        yield Why(Code.BEHIND)

    def promises(self, wish: Asked, now: int) -> list[Reservation]:
        """What is reserved for the blocked heads of best-effort leaves, but for the request itself."""
        leaves = [s.index for s in self.policy.shares if s.is_leaf and not self.policy.orders[s.index].strict]
        heads = [head for leaf in leaves if (head := self.head(leaf, now)) is not None]
        blocked = [
            head
            for head in heads
            if head.asked.request.id != wish.request.id and any(self.no_room(head.asked))
        ]
        reservations = (reserve(self.state, head, now, self.fitting) for head in blocked)
        return [reservation for reservation in reservations if reservation is not None]

    def widest(self, wish: Asked, promises: list[Reservation], now: int) -> tuple[Placement, ...] | None:
        """Where the most parts of a request may start for which there is room, down to the fewest."""
        for parts in range(wish.most, wish.least - 1, -1):
            some = wish.of(parts)
            if not any(self.over_quota(some, now)):
                placement = self.beside(some, promises, now)
                if placement is not None:
                    return placement
        return None

    def beside(self, wish: Asked, promises: list[Reservation], now: int) -> tuple[Placement, ...] | None:
        """Where a request may start, for which there is room, without delaying what is reserved.

        If it would be in the way on the nodes that it would get, those that are not reserved are tried.
        """
        kept = frozenset().union(*(promise.nodes for promise in promises if promise.concerns(wish, now)))
        for avoided in (frozenset[str](), kept):
            placement = self.fitting(self.state, wish, avoided)
            if placement is None:
                return None
            if not any(delays(self.state, wish, placement, promise, now) for promise in promises):
                return placement
        return None

    def head(self, leaf: int, now: int) -> Waiting | None:
        """The first of a leaf's queue that no quota holds back."""
        waiting = [w for w in self.state.queue.values() if w.leaf == leaf]
        free = [w for w in waiting if not self.held_back(w.asked, now)]
        return min(free, key=lambda w: self.key(w, now), default=None)

    def key(self, waiting: Waiting, now: int) -> tuple[float, ...]:
        """Where a request stands in its leaf."""
        return leaf_key(self.state, waiting, now)

    # ---------------------------------------------------------------- figures

    def room_for(self, wish: Asked) -> int:
        """How many of a request's parts have room now."""
        fewer = range(wish.count - 1, 0, -1)
        return next((parts for parts in fewer if self.placement(self.state, wish, parts)), 0)

    def room_when_empty(self, wish: Asked, budgets: list[Budget]) -> int:
        """How many parts all nodes would hold, empty and up, filled by name; in one group where they must."""
        names = sorted(node.name for node in self.state.nodes.values() if self.state.takes(node, wish))
        rule = self.place_rule(wish)
        if rule is None or not rule.in_one:
            return self._filled(wish, names, budgets)
        group = groups_of(self.state, rule)
        of_groups = ([n for n in names if group[n] == g] for g in range(len(rule.groups)))
        return max(self._filled(wish, names, budgets) for names in of_groups)

    def _filled(self, wish: Asked, names: list[str], budgets: list[Budget]) -> int:
        placed: dict[str, int] = {}
        for name in names:
            limits = [b.parts - sum(placed.get(n, 0) for n in b.nodes) for b in budgets if name in b.nodes]
            placed[name] = max(0, min([parts_in(size(self.state.nodes[name]), wish.part), *limits]))
        return sum(placed.values())

    def placement(
        self,
        state: State,
        wish: Asked,
        count: int | None = None,
        avoided: frozenset[str] = frozenset(),
        unlimited: bool = False,
    ) -> tuple[Placement, ...] | None:
        """Where the parts of a request (or only `count` of them) would go on a farm in that state.

        Not on the nodes `avoided`; `unlimited` by quotas for nodes, if so told.
        """
        nodes = [node for node in state.nodes.values() if node.up and state.takes(node, wish)]
        nodes = [node for node in nodes if not state.goes_down(node, wish)]
        room = {node.name: state.room(node) for node in nodes}
        rank = {node.name: state.rank(node, wish) for node in nodes}
        rule = self.place_rule(wish)
        spread, budgets = rule is not None and rule.spread, [] if unlimited else state.budgets(wish)
        for names, before in layouts(state, rule, room):
            free = {name: room[name] for name in names if name not in avoided}
            placed = place(free, wish.part, count or wish.count, spread, rank, budgets, before)
            if placed is not None:
                return placed
        return None

    def place_rule(self, wish: Asked) -> Place | None:
        """The first place rule that matches."""
        of_kind = (p for p in self.policy.places if wish.facts["kind"] in p.kinds)
        return next((p for p in of_kind if self.state.applies(p.condition, wish)), None)

    def fitting(
        self, state: State, wish: Asked, avoided: frozenset[str] = frozenset()
    ) -> tuple[Placement, ...] | None:
        """Where they would go, if the share has room too."""
        assert wish.leaf is not None
        tree, placement = state.tree(), self.placement(state, wish, avoided=avoided)
        ask = state.ask_on(wish, placement)
        full = any(amount > tree.free(wish.leaf, r) for r, amount in ask.items() if amount > 0)
        return None if full else placement

    def ceilings(self, wish: Asked) -> Iterator[tuple[Quota, Ceiling, quotas.Key]]:
        """The ceilings that limit a request, each with every key under which it counts."""
        for quota in self.policy.quotas:
            limits = in_force(self.policy, quota.condition, self.state.now)
            keys = quotas.keys(self.policy, quota, wish) if limits else []
            yield from ((quota, ceiling, key) for ceiling in quota.ceilings for key in keys)

    def exceeded(
        self, wish: Asked, quota: Quota, ceiling: Ceiling, key: quotas.Key, now: int, denying: bool
    ) -> Iterator[Why]:
        """The reason of one ceiling, if it is over: where it denies, or wherever it holds a request back."""
        state, r, bound = self.state, ceiling.resource, self.state.bound(ceiling)
        if quota.nodes is not None:
            # It limits where the parts go: a reason once there is no place, and no room for one more part.
            held, part = state.on_nodes(quota, r, wish)
            over = part > 0 and held + part > bound and (quota.denies or not denying)
            if over and self.placement(state, wish) is None:
                yield Why(Code.QUOTA, r, bound, held, held + part - bound, *at(ceiling.span))
            return
        if r == "waiting":
            waiting = state.waiting(quota, key)
            if denying and wish.request.id not in state.queue and waiting + 1 > bound:
                yield Why(Code.QUOTA, r, bound, waiting, waiting + 1 - bound, *at(ceiling.span))
            return
        if r == "core_hours":
            assert ceiling.window is not None
            hour, cores, walltime = 3600, wish.ask["cores"], wish.facts["walltime"]
            ask = quotas.core_seconds_ahead(cores, walltime, ceiling.window)
            held = state.core_seconds(quota, key, ceiling.window, now)
        else:
            charge = wish.charge if r != "hs23" else {r: self.state.ask(wish)[r]}
            hour, ask = 1, charge[r]
            held = sum(state.charge_of(h)[r] for h in state.counted(quota, key))
        if ask == 0:
            return
        ever = state.bound(ceiling, configured=True)
        if denying and ask > ever * hour and quota.condition.window is None:
            yield Why(Code.QUOTA, r, ever, up(ask, hour), up(ask - ever * hour, hour), *at(ceiling.span))
        elif held + ask > bound * hour and (quota.denies or not denying):
            short = up(held + ask - bound * hour, hour)
            yield Why(Code.QUOTA, r, bound, up(held, hour), short, *at(ceiling.span))


def up(amount: int, unit: int) -> int:
    """So many whole units, rounded up."""
    return -(-amount // unit)


def at(span: Span) -> tuple[str, int]:
    """Where a statement is."""
    return span.path, span.line
