"""A stream, played: whom each of its events speaks of, and what comes of it."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import note
from oracle.answers import Answer, Scheduled, Started
from oracle.interpreter import Oracle
from oracle.request import asked
from oracle.state import State
from strategies import streams
from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.values import Decision, Node, Placement, Request

LEAVING_BY = {"suspend": "suspend", "delete": "finish"}
"""What becomes of a victim by its action; all others wait again."""


class Player:
    """The oracle over a farm, and what time it is there; `state` is what is so."""

    state: State

    def __init__(self, policy: CheckedPolicy, nodes: list[Node]) -> None:
        self.policy = policy
        self.nodes = {node.name: node for node in nodes}
        self.now = streams.BEGIN
        self.asked = 0
        self.begin()

    def play(self, step: streams.Event) -> None:
        """Do what the event says, to those of whom it speaks; nothing where there are none."""
        state = self.state
        match step:
            case streams.Submit(request):
                self.submit(self.named(request))
            case streams.Ask(request):
                self.decide(self.named(request))
            case streams.AskAgain(n) if state.queue:
                self.decide(state.queue[nth(state.queue, n)].asked.request)
            case streams.Schedule():
                self.schedule()
            case streams.Finish(n) if state.held:
                self.do("finish", nth(state.held, n))
            case streams.Requeue(n) if state.held:
                self.do("requeue", nth(state.held, n))
            case streams.Native(request, n):
                request, node = self.named(request), self.nodes[nth(self.nodes, n)]
                wish = asked(self.policy, request, self.now)
                parts = wish.least if n % 2 else wish.most
                self.start(request, (Placement(node.name, parts),))
            case streams.Cancel(n) if state.queue:
                self.do("cancel", nth(state.queue, n))
            case streams.Leave(n) if leaving := state.leaving():
                self.leave(nth(leaving, n))
            case streams.LeaveAll():
                self.leave_all()
            case streams.GiveUp(n) if state.pledges:
                self.do("cancel", nth(state.pledges, n))
            case streams.Flip(n):
                node = self.nodes[nth(self.nodes, n)]
                self.set_node(msgspec.structs.replace(node, up=not node.up))
            case streams.Resize(n, cores):
                self.set_node(msgspec.structs.replace(self.nodes[nth(self.nodes, n)], cores=cores))
            case streams.Pass(seconds):
                self.now += seconds
                note(f"now {self.now}")
            case _:
                pass

    def leave(self, request_id: str) -> None:
        """Who was told to leave does."""
        action = self.state.leaving()[request_id]
        self.do(LEAVING_BY.get(action, "requeue"), request_id)

    def leave_all(self) -> None:
        """All that were told to leave do."""
        for request_id in self.state.leaving():
            self.leave(request_id)

    def named(self, request: Request) -> Request:
        """The same request with an id of its own."""
        self.asked += 1
        return msgspec.structs.replace(request, id=f"r{self.asked}")

    # What follows is what another implementation does beside the oracle, or in its place.

    def begin(self) -> None:
        """Nothing has happened yet."""
        self.oracle = Oracle(self.policy, self.nodes.values())
        self.state = self.oracle.state

    def submit(self, request: Request) -> None:
        """Somebody asks."""
        note(f"submit {request}")
        self.oracle.submit(request, self.now)

    def decide(self, request: Request) -> Answer | Decision:
        """Somebody asks what would be."""
        note(f"decide {request}")
        return self.oracle.decide(request, self.now)

    def start(self, request: Request, placement: tuple[Placement, ...]) -> None:
        """Something is started past us."""
        note(f"start {request} on {placement}")
        self.oracle.start(request, placement, self.now, native=True)

    def do(self, verb: str, request_id: str) -> None:
        """Something happens to a request: finish, requeue, suspend or cancel."""
        note(f"{verb} {request_id}")
        getattr(self.oracle, verb)(request_id, self.now)

    def set_node(self, node: Node) -> None:
        """A node changes."""
        note(f"set_node {node}")
        self.nodes[node.name] = node
        self.oracle.set_node(node)

    def schedule(self) -> Scheduled:
        """A pass."""
        done = self.oracle.schedule(self.now)
        note(f"schedule at {self.now}: {shown(done)}")
        return done


def nth(ids: Any, n: int) -> str:
    """The n-th id, counted round and round."""
    return str(sorted(ids)[n % len(ids)])


def shown(done: Any) -> dict[str, list[Any]]:
    """What a pass has done, as two of them can be compared by."""
    return {
        "starts": [started(start) for start in done.starts],
        "resumed": list(done.resumed),
        "preemptions": [(t.victim, t.beneficiary, t.action, t.leave_by, t.rule) for t in done.preemptions],
        "reprieves": list(done.reprieves),
    }


def started(start: Any) -> tuple[str, str, list[tuple[str, int]]]:
    """What a pass of the oracle (or of the engine) has started, and where."""
    where = start if isinstance(start, Started) else start.decision
    return start.request.id, where.share, [(p.node, p.parts) for p in where.placement]
