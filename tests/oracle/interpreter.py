"""The oracle: the meaning of a checked policy, computed slowly and plainly, to compare the engine with.

It walks the checked policy's own tree, keeps lists and dictionaries, and recomputes every figure from the
allocations and the queue each time. It shares no code with `compile` or `core` but the rolling of averages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from oracle.answers import Answer, Scheduled, Started, Why, at
from oracle.averages import Change
from oracle.ceilings import ceilings, exceeded, held_back, over_quota
from oracle.fitting import (
    has_room,
    quota_is_full,
    room_for,
    room_when_empty,
    share_is_full,
    standing,
    ways,
)
from oracle.making_room import make_room, speaks_for
from oracle.order import leaf_key, priority
from oracle.pledges import can_go_on, is_due, is_vain
from oracle.records import Departure, Ended, Held, Pledge, Telling, Waiting
from oracle.request import Asked, asked
from oracle.reservations import Reservation, broken, delays, kept, reserve
from oracle.state import COMPUTING, State
from oracle.tree import Amounts
from oracle.turns import Turns
from wnodes_engine.check.checked import UNLIMITED, CheckedPolicy
from wnodes_engine.core.averages import TICK
from wnodes_engine.values import Code, Node, Outcome, Placement, Request


class Oracle:
    """The engine's state and answers, by definition rather than by cunning."""

    def __init__(self, policy: CheckedPolicy, nodes: Iterable[Node]) -> None:
        self.policy = policy
        self.state = State(policy, nodes)
        self.let_off: list[str] = []
        self.looked: dict[int, int] = {}
        """By leaf: the minute in which a rule last spoke for one of its requests, and no room was made."""

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
        if (pledge := self.state.pledges.get(request.id)) is not None:
            return preempting(share, route, pledge, [Why(Code.LEAVING)])
        behind = list(self.behind(wish, now))
        reasons = [*over_quota(self.state, wish, now), *self.no_room(wish), *behind]
        found = standing(self.state, wish)
        promises = self.promises(wish, now)
        if found is not None and not reasons:
            there = self.widest(wish, promises, now)
            if there is not None:
                return Answer(Outcome.START, share, route, there)
        if found is not None:
            reasons += [Why(Code.RESERVED) for _ in broken(self.state, wish, found, promises, now)]
        if not (behind or held_back(self.state, wish, now) or has_room(self.state, wish)):
            waiting = queued or Waiting(wish, wish.leaf, self.state.sequence + 1)
            pledge = make_room(self.state, waiting, promises, now).pledge
            if pledge is not None:
                return preempting(share, route, pledge, reasons)
        return Answer(Outcome.WAIT, share, route, reasons=tuple(reasons))

    # ----------------------------------------------------------------- events

    def advance(self, now: int) -> None:
        """It is so late now."""
        self.state.now = self.state.starting = self.state.latest = now

    def submit(self, request: Request, now: int) -> Answer:
        """Admit and queue."""
        answer = self.admit(request, now)
        if answer.outcome is Outcome.WAIT:
            wish = asked(self.policy, request, now)
            assert wish.leaf is not None
            self.state.queue[request.id] = Waiting(wish, wish.leaf, self.next_in_sequence())
        return answer

    def start(
        self, request: Request, placement: tuple[Placement, ...], now: int, native: bool = False
    ) -> None:
        """Take up an allocation that exists."""
        self.advance(now)
        self._withdraw(request.id)
        wish = asked(self.policy, request, now)
        assert wish.leaf is not None
        self._begin(Waiting(wish, wish.leaf, self.next_in_sequence()), placement, now, native)

    def finish(self, request_id: str, now: int) -> None:
        """An allocation ended."""
        self._release(request_id, now)
        self._forget(request_id)

    def requeue(self, request_id: str, now: int) -> None:
        """An allocation lost its place and waits again."""
        self._depart(request_id)
        held = self._release(request_id, now)
        self.state.queue[request_id] = Waiting(held.asked.of(None), held.leaf, held.sequence)

    def suspend(self, request_id: str, now: int) -> None:
        """An allocation that was told to leave by suspension has stopped."""
        assert self.state.leaving()[request_id] == "suspend"
        self._depart(request_id)
        held = self.state.held[request_id]
        self._change(held, of_computing(self.state.charge_of(held)), -1, now)
        self.state.held[request_id] = replace(held, stopped=now)

    def cancel(self, request_id: str, now: int) -> bool:
        """Take a request out of the queue."""
        found = self._withdraw(request_id)
        if found:
            self._forget(request_id)
        return found

    def set_node(self, node: Node) -> None:
        """A node appeared or changed; what is pledged there is off if it goes down."""
        self.state.nodes[node.name] = node
        for request_id, pledge in list(self.state.pledges.items()):
            if not node.up and any(p.node == node.name for p in pledge.placement):
                self._call_off(request_id)

    def next_in_sequence(self) -> int:
        """The place of the next newcomer."""
        self.state.sequence += 1
        return self.state.sequence

    def _begin(
        self, waiting: Waiting, placement: tuple[Placement, ...], now: int, native: bool = False
    ) -> Started:
        """The request holds resources from now on."""
        state, wish = self.state, waiting.asked.of(sum(p.parts for p in placement))
        rank = priority(self.policy, waiting, now)
        held = Held(wish, waiting.leaf, placement, now, waiting.sequence, rank, native)
        state.queue.pop(waiting.id, None)
        state.held[waiting.id] = held
        self._change(held, state.charge_of(held), 1, now)
        state.departures = [
            replace(d, served=True) if d.beneficiary == waiting.id else d for d in state.departures
        ]
        return Started(wish.request, self.policy.shares[waiting.leaf].path, placement)

    def _release(self, request_id: str, now: int) -> Held:
        """An allocation holds nothing any more; what it was suspended for, it has not used."""
        self._leave(request_id)
        held = self.state.held.pop(request_id)
        self.state.ended.append(Ended(held, now if held.stopped is None else held.stopped))
        self._change(held, self.state.charge_of(held), -1, now)
        return held

    def _change(self, held: Held, charge: Amounts, sign: int, now: int) -> None:
        delta = {r: a * sign for r, a in charge.items()}
        self.state.changes.append(Change(now, held.asked, held.leaf, delta))

    def _depart(self, request_id: str) -> None:
        """Who had been told to leave has left: that counts."""
        told = self._leave(request_id)
        self.state.departures += [Departure(request_id, beneficiary) for beneficiary in told]

    def _leave(self, request_id: str) -> list[str]:
        """Nobody waits for this allocation to leave any more; for whom it was told to."""
        waited_for = []
        for beneficiary, pledge in self.state.pledges.items():
            left = tuple(told for told in pledge.victims if told.victim != request_id)
            if left != pledge.victims:
                waited_for.append(beneficiary)
                self.state.pledges[beneficiary] = replace(pledge, victims=left)
        return waited_for

    def _call_off(self, request_id: str) -> None:
        """A pledge is over: who is still there is let off, and did not have to leave."""
        pledge = self.state.pledges.pop(request_id)
        for told in pledge.victims:
            self.let_off.append(told.victim)
            mine = [t for t in self.state.tellings if (t.rule, t.victim) == (told.rule, told.victim)]
            self.state.tellings.remove(mine[-1])

    def _withdraw(self, request_id: str) -> bool:
        """Take a request out of the queue, and what is pledged to it back."""
        if request_id in self.state.pledges:
            self._call_off(request_id)
        return self.state.queue.pop(request_id, None) is not None

    def _forget(self, request_id: str) -> None:
        """A request is over, and with it what was pushed out, by it or itself; others did have to leave."""
        self.state.departures = [
            replace(d, beneficiary="") if d.beneficiary == request_id else d
            for d in self.state.departures
            if d.victim != request_id
        ]

    # ------------------------------------------------------------------- passes

    def schedule(self, now: int) -> Scheduled:
        """One pass: who starts, goes on, or is told to leave, in order."""
        self.advance(now)
        done = Scheduled([], [], [], [])
        self._keep_pledges(done, now)
        self._go_on(done, now)
        while self._round(done, now):
            pass
        done.reprieves, self.let_off = self.let_off, []
        return done

    def _keep_pledges(self, done: Scheduled, now: int) -> None:
        """Start those for whom room has been made, in the order in which it was pledged; or call it off."""
        for request_id, pledge in list(self.state.pledges.items()):
            if is_due(self.state, pledge):
                self._call_off(request_id)
                done.starts.append(self._begin(pledge.waiting, pledge.placement, now))
            elif is_vain(self.state, pledge):
                self._call_off(request_id)

    def _go_on(self, done: Scheduled, now: int) -> None:
        """What is suspended goes on where there is room for it."""
        stopped = [held for held in self.state.held.values() if held.stopped is not None]
        for held in sorted(stopped, key=lambda held: (-held.priority, held.started, held.id)):
            if can_go_on(self.state, held):
                assert held.stopped is not None
                again = replace(held, started=held.started + now - held.stopped, stopped=None)
                self.state.held[held.id] = again
                self._change(again, of_computing(self.state.charge_of(again)), 1, now)
                done.resumed.append(held.id)

    def _round(self, done: Scheduled, now: int) -> bool:
        """Start whatever may start, in order, until room is made for somebody; whether it was."""
        reserved: dict[int, Reservation | None] = {}
        turns = Turns(self.state, now, lambda waiting: self._spoken_for(waiting, now))
        while (waiting := turns.next()) is not None:
            wish, leaf = waiting.asked, waiting.leaf
            strict = self.policy.orders[leaf].strict
            promises = [r for r in reserved.values() if r is not None]
            if turns.held_back(waiting):
                pass
            elif not has_room(self.state, wish):
                if self.looked.get(leaf) != now // TICK:
                    room = make_room(self.state, waiting, promises, now)
                    if room.pledge is not None:
                        self._pledge(room.pledge, done, now)
                        return True
                    if room.spoken:
                        self.looked[leaf] = now // TICK
                if strict:
                    turns.close(leaf)
                elif leaf not in reserved:
                    reserved[leaf] = reserve(self.state, waiting, now)
                turns.no_room(waiting)
            else:
                there = self.widest(wish, promises, now)
                if there is not None:
                    done.starts.append(self._begin(waiting, there, now))
                else:
                    turns.delays(waiting, promises)
                    if strict:
                        turns.close(leaf)
            turns.had(waiting)
        return False

    def _spoken_for(self, waiting: Waiting, now: int) -> bool:
        """Whether room may be made for it in this pass."""
        if self.looked.get(waiting.leaf) == now // TICK:
            return False
        return any(speaks_for(self.state, rule, waiting, now) for rule in self.policy.preempts)

    def _pledge(self, pledge: Pledge, done: Scheduled, now: int) -> None:
        self.state.pledges[pledge.waiting.id] = pledge
        self.state.tellings += [Telling(told.rule, now, told.victim) for told in pledge.victims]
        done.preemptions += pledge.victims

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
        for limit in ceilings(self.state, wish):
            yield from exceeded(self.state, wish, *limit, now, denying=True)

    def never(self, wish: Asked) -> Iterator[Why]:
        """What the farm as it is configured could never give."""
        assert wish.leaf is not None
        for r, amount in self.state.ask(wish).items():
            most = self.state.most(wish.leaf, r)
            if amount > 0 and amount > most:
                yield Why(Code.NEVER_SHARE, r, most, amount, amount - most)
        parts = room_when_empty(self.state, wish, [])
        if parts < wish.count:
            yield Why(Code.NEVER_NODE, "parts", parts, wish.count, wish.count - parts)

    def route(self, wish: Asked) -> tuple[str, str | None] | None:
        """Who carries it out: the first route that matches."""
        for route in self.policy.routes:
            if wish.facts["kind"] in route.kinds and self.state.applies(route.condition, wish):
                return route.target, route.through
        return None

    # ------------------------------------------------------ what makes it wait

    def no_room(self, wish: Asked) -> Iterator[Why]:
        """What its share, and the nodes, cannot give now."""
        assert wish.leaf is not None
        tree, found = self.state.tree(), standing(self.state, wish)
        ask = self.state.ask_on(wish, found)
        for r, amount in ask.items():
            free = tree.free(wish.leaf, r)
            if amount > 0 and amount > free:
                use = tree.total_use(wish.leaf, r)
                yield Why(Code.SHARE, r, use + free, use, amount - free)
        if found is None:
            room = room_for(self.state, wish)
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
            head for head in heads if head.id != wish.request.id and not has_room(self.state, head.asked)
        ]
        reservations = (reserve(self.state, head, now) for head in blocked)
        return [reservation for reservation in reservations if reservation is not None]

    def widest(self, wish: Asked, promises: list[Reservation], now: int) -> tuple[Placement, ...] | None:
        """Where the most parts of a request may start for which there is room, down to the fewest."""
        for parts in range(wish.most, wish.least - 1, -1):
            some = wish.of(parts)
            if not any(over_quota(self.state, some, now)):
                there = self.beside(some, promises, now)
                if there is not None:
                    return there
        return None

    def beside(self, wish: Asked, promises: list[Reservation], now: int) -> tuple[Placement, ...] | None:
        """Where a request may start, for which there is room, without delaying what is reserved.

        If it would be in the way on the nodes that it would get, other ways are tried, and then all of them
        on the nodes that are not reserved.
        """
        for avoided in (frozenset[str](), kept(wish, promises, now)):
            for found in ways(self.state, wish, avoided=avoided):
                full = share_is_full(self.state, wish, found) or quota_is_full(self.state, wish, found)
                if not full and not any(delays(self.state, wish, found, p, now) for p in promises):
                    return found
        return None

    def head(self, leaf: int, now: int) -> Waiting | None:
        """The first of a leaf's queue that no quota holds back."""
        waiting = [w for w in self.state.line() if w.leaf == leaf]
        free = [w for w in waiting if not held_back(self.state, w.asked, now)]
        return min(free, key=lambda w: self.key(w, now), default=None)

    def key(self, waiting: Waiting, now: int) -> tuple[float, ...]:
        """Where a request stands in its leaf."""
        return leaf_key(self.state, waiting, now)


def preempting(
    share: str, route: tuple[str, str | None] | None, pledge: Pledge, reasons: list[Why]
) -> Answer:
    """The answer to who has room made."""
    victims = tuple(told.victim for told in pledge.victims)
    return Answer(Outcome.PREEMPT, share, route, pledge.placement, tuple(reasons), victims)


def of_computing(charge: Amounts) -> Amounts:
    """Of what is charged, what is given back by suspension."""
    return {r: amount if r in COMPUTING else 0 for r, amount in charge.items()}
