"""The engine alone, and a record of what it has done, kept as the oracle's state for laws to look at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import note
from oracle.averages import Change
from oracle.order import priority
from oracle.playing import Player, shown
from oracle.records import Departure, Ended, Held, Pledge, Told, Waiting
from oracle.request import asked
from oracle.state import State
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State as Engine
from wnodes_engine.core import decide
from wnodes_engine.values import Code, Decision, Node, Outcome, Placement, Request


class Mirror(Player):
    """The engine decides; `state` only notes it. It makes no choice of its own, and changes none."""

    def begin(self) -> None:
        self.engine = Engine(compile_policy(self.policy), self.nodes.values())
        self.state = State(self.policy, self.nodes.values())

    def submit(self, request: Request) -> None:
        note(f"submit {request}")
        if self.engine.submit(request, self.now).outcome is Outcome.WAIT:
            self.advance()
            wish = asked(self.policy, request, self.now)
            assert wish.leaf is not None
            self.state.sequence += 1
            self.state.queue[request.id] = Waiting(wish, wish.leaf, self.state.sequence)

    def decide(self, request: Request) -> Decision:
        note(f"decide {request}")
        self.advance()
        return decide(self.engine, request, self.now)

    def start(self, request: Request, placement: tuple[Placement, ...]) -> None:
        note(f"start {request} on {placement}")
        self.engine.start(request, placement, self.now, native=True)
        wish = asked(self.policy, request, self.now)
        assert wish.leaf is not None
        self.state.sequence += 1
        self._hold(Waiting(wish, wish.leaf, self.state.sequence), placement, native=True)

    def do(self, verb: str, request_id: str) -> None:
        note(f"{verb} {request_id}")
        getattr(self.engine, verb)(request_id, self.now)
        state = self.state
        if verb == "cancel":
            del state.queue[request_id]
            state.pledges.pop(request_id, None)
            return
        told = state.leaving()
        for name, pledge in state.pledges.items():
            left = tuple(t for t in pledge.victims if t.victim != request_id)
            if left != pledge.victims and verb != "finish":
                state.departures.append(Departure(request_id, name))
            state.pledges[name] = replace(pledge, victims=left)
        if verb == "suspend":
            assert told[request_id] == "suspend"
            state.held[request_id] = replace(state.held[request_id], stopped=self.now)
            return
        held = state.held.pop(request_id)
        state.ended.append(Ended(held, self.now if held.stopped is None else held.stopped))
        if verb == "requeue":
            state.queue[request_id] = Waiting(held.asked.of(None), held.leaf, held.sequence)

    def set_node(self, node: Node) -> None:
        note(f"set_node {node}")
        self.nodes[node.name] = node
        self.engine.set_node(node)
        self.state.nodes[node.name] = node
        self._drop_pledges()

    def schedule(self) -> Any:
        done = self.engine.schedule(self.now)
        note(f"schedule at {self.now}: {shown(done)}")
        self.advance()
        for start in done.starts:
            pledge = self.state.pledges.pop(start.request.id, None)
            waiting = self.state.queue[start.request.id] if pledge is None else pledge.waiting
            self._hold(waiting, start.decision.placement)
        for request_id in done.resumed:
            held = self.state.held[request_id]
            assert held.stopped is not None
            moved = held.started + self.now - held.stopped
            self.state.held[request_id] = replace(held, started=moved, stopped=None)
        self._drop_pledges()
        for order in done.preemptions:
            self._pledge(Told(order.victim, order.beneficiary, order.action, order.leave_by, order.rule))
        return done

    def advance(self) -> None:
        """It is so late now, in the record too."""
        self.state.now = self.state.starting = self.state.latest = self.now

    def _hold(self, waiting: Waiting, placement: tuple[Placement, ...], native: bool = False) -> None:
        wish = waiting.asked.of(sum(p.parts for p in placement))
        rank = priority(self.policy, waiting, self.now)
        held = Held(wish, waiting.leaf, placement, self.now, waiting.sequence, rank, native)
        self.state.queue.pop(waiting.id, None)
        self.state.held[waiting.id] = held
        self.state.changes.append(Change(self.now, wish, waiting.leaf, self.state.charge_of(held)))

    def _pledge(self, told: Told) -> None:
        """Note whom the engine makes room for; it tells where, if it is asked."""
        pledge = self.state.pledges.get(told.beneficiary)
        if pledge is None:
            waiting = self.state.queue[told.beneficiary]
            placement = decide(self.engine, waiting.asked.request, self.now).placement
            pledge = Pledge(waiting, placement, ())
        self.state.pledges[told.beneficiary] = replace(pledge, victims=(*pledge.victims, told))

    def _drop_pledges(self) -> None:
        """Note whose promise is off: who asks is told so."""
        for name, pledge in list(self.state.pledges.items()):
            answer = decide(self.engine, pledge.waiting.asked.request, self.now)
            if [reason.code for reason in answer.reasons] != [Code.LEAVING]:
                del self.state.pledges[name]
