"""A stream played to a state, or to one that is recorded."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from strategies import streams
from wnodes_engine.core import Allocation, State, decide
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.values import Decision, Node, Placement, Preemption, Request, ShareUse

Heard = (
    Decision | tuple[str, Decision] | tuple[ShareUse, ...] | tuple[str, ...] | tuple[Preemption, ...] | bool
)


@dataclass(frozen=True)
class Leave:
    """The n-th of those that were told to leave has left, if any was."""

    n: int


Step = streams.Event | Leave


class Player:
    """Plays events, and hears what is answered; two players of one stream do the same."""

    def __init__(self, state: State, book: State | Recorded | None = None) -> None:
        self.state = state
        self.book: State | Recorded = book if book is not None else state
        self.nodes: dict[str, Node] = {node.name: node for node in state.farm.nodes}
        self.now = streams.BEGIN
        self.asked = 0
        self.heard: list[Heard] = []

    def twin(self, state: State) -> Player:
        """Another player that goes on from here with another state."""
        twin = Player(state)
        twin.now, twin.asked, twin.nodes = self.now, self.asked, dict(self.nodes)
        return twin

    def play(self, step: Step) -> None:
        state, book, now = self.state, self.book, self.now
        match step:
            case streams.Submit(request):
                self.heard.append(book.submit(self._named(request), now))
            case streams.Ask(request):
                request = self._named(request)
                asked = (
                    book.decide(request, now) if isinstance(book, Recorded) else decide(book, request, now)
                )
                self.heard.append(asked)
            case streams.Schedule():
                moves = book.schedule(now)
                self.heard += [(start.request.id, start.decision) for start in moves.starts]
                self.heard += [moves.resumed, moves.preemptions, moves.reprieves]
            case Leave(n) if told := sorted(id_ for id_, a in state.running.items() if a.pledge is not None):
                self._leave(state.running[told[n % len(told)]])
            case streams.Finish(n) if state.running:
                book.finish(sorted(state.running)[n % len(state.running)], now)
            case streams.Requeue(n) if state.running:
                book.requeue(sorted(state.running)[n % len(state.running)], now)
            case streams.Native(request, n):
                parts = request.count or 1
                place = Placement(self._node(n).name, parts)
                try:
                    book.start(self._named(request), (place,), now, native=bool(n % 2))
                except ValueError:  # a default of the policy says how many parts it has
                    self.heard.append(False)
            case streams.Cancel(n) if state.waiting:
                self.heard.append(book.cancel(sorted(state.waiting)[n % len(state.waiting)], now))
            case streams.Flip(n):
                self._set(msgspec.structs.replace(self._node(n), up=not self._node(n).up))
            case streams.Resize(n, cores):
                self._set(msgspec.structs.replace(self._node(n), cores=cores))
            case streams.Pass(seconds):
                self.now += seconds
            case _:
                pass

    def listen(self) -> list[Heard]:
        """Everything that was heard, and the shares as they are now."""
        self.state.advance(self.now)
        return [*self.heard, self.state.shares(self.now)]

    def _leave(self, victim: Allocation) -> None:
        assert victim.pledge is not None
        rule = self.state.policy.checked.preempts[victim.pledge.rule]
        match rule.taking.actions[victim.request.kind]:
            case "suspend":
                self.book.suspend(victim.request.id, self.now)
            case "delete":
                self.book.finish(victim.request.id, self.now)
            case _:
                self.book.requeue(victim.request.id, self.now)

    def _named(self, request: Request) -> Request:
        self.asked += 1
        return msgspec.structs.replace(request, id=f"r{self.asked}")

    def _node(self, n: int) -> Node:
        return self.nodes[sorted(self.nodes)[n % len(self.nodes)]]

    def _set(self, node: Node) -> None:
        self.nodes[node.name] = node
        self.book.set_node(node)
