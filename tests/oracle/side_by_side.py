"""The compiled engine and the oracle side by side, played the same stream and compared at every step."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import event, note
from oracle.interpreter import Answer, Oracle, Why
from oracle.order import leaves_under
from oracle.request import asked
from strategies import streams
from strategies.checking import checked
from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.core.averages import AVERAGE_BITS
from wnodes_engine.values import Code, Decision, Node, Placement, Reason, Request

WITH_A_STATEMENT = {Code.CAP, Code.RULE, Code.QUOTA}


def plain_reason(reason: Reason | Why) -> tuple[Any, ...]:
    place = (reason.file, reason.line) if reason.code in WITH_A_STATEMENT else ()
    return (str(reason.code), reason.resource, reason.limit, reason.current, reason.short, place)


def plain(answer: Answer | Decision) -> dict[str, Any]:
    """An answer as both can be compared by."""
    route = answer.route
    return {
        "outcome": str(answer.outcome),
        "share": answer.share,
        "route": (route.target, route.through) if isinstance(route, msgspec.Struct) else route,
        "placement": [(p.node, p.parts) for p in answer.placement],
        "reasons": [plain_reason(reason) for reason in answer.reasons],
    }


class Both:
    """The engine and the oracle side by side; every step is done by both and compared."""

    def __init__(self, policy: CheckedPolicy, nodes: list[Node]) -> None:
        self.engine = State(compile_policy(policy), nodes)
        self.oracle = Oracle(policy, nodes)
        self.nodes = {node.name: node for node in nodes}
        self.now = streams.BEGIN
        self.asked = 0

    def play(self, step: streams.Event) -> None:
        match step:
            case streams.Submit(request):
                request = self.named(request)
                note(f"submit {request}")
                self.same(self.engine.submit(request, self.now), self.oracle.submit(request, self.now))
            case streams.Ask(request):
                self.ask(self.named(request))
            case streams.Schedule():
                self.schedule()
            case streams.Finish(n) if self.engine.running:
                request_id = sorted(self.engine.running)[n % len(self.engine.running)]
                note(f"finish {request_id}")
                self.engine.finish(request_id, self.now)
                self.oracle.finish(request_id, self.now)
            case streams.Requeue(n) if self.engine.running:
                request_id = sorted(self.engine.running)[n % len(self.engine.running)]
                note(f"requeue {request_id}")
                self.engine.requeue(request_id, self.now)
                self.oracle.requeue(request_id, self.now)
            case streams.Native(request, n):
                request = self.named(request)
                node = self.node(n)
                wish = asked(self.oracle.policy, request, self.now)
                parts = wish.least if n % 2 else wish.most
                note(f"start {request} on {node.name}")
                self.engine.start(request, (Placement(node.name, parts),), self.now)
                self.oracle.start(request, (Placement(node.name, parts),), self.now)
            case streams.Cancel(n) if self.engine.waiting:
                request_id = sorted(self.engine.waiting)[n % len(self.engine.waiting)]
                note(f"cancel {request_id}")
                assert self.engine.cancel(request_id, self.now)
                assert self.oracle.cancel(request_id, self.now)
            case streams.Flip(n):
                self.set_node(msgspec.structs.replace(self.node(n), up=not self.node(n).up))
            case streams.Resize(n, cores):
                self.set_node(msgspec.structs.replace(self.node(n), cores=cores))
            case streams.Pass(seconds):
                self.now += seconds
                note(f"now {self.now}")
            case _:
                pass
        assert set(self.engine.running) == set(self.oracle.state.held)
        assert set(self.engine.waiting) == set(self.oracle.state.queue)
        self.same_shares()

    def node(self, n: int) -> Node:
        return self.nodes[sorted(self.nodes)[n % len(self.nodes)]]

    def set_node(self, node: Node) -> None:
        note(f"set_node {node}")
        self.nodes[node.name] = node
        self.engine.set_node(node)
        self.oracle.set_node(node)

    def same_shares(self) -> None:
        """The share tree of both, figure by figure."""
        self.oracle.advance(self.now)
        self.engine.advance(self.now)
        tree = self.oracle.state.tree()
        for share, use in zip(self.oracle.policy.shares, self.engine.shares(self.now), strict=True):
            n = share.index
            leaves = leaves_under(self.oracle.policy, n)
            assert use.path == share.path
            assert use.running == sum(held.leaf in leaves for held in self.oracle.state.held.values())
            assert use.waiting == sum(waiting.leaf in leaves for waiting in self.oracle.state.queue.values())
            for r in use.nominal:
                assert (r, use.nominal[r]) == (r, tree.amount[n][r])
                assert (r, use.used[r]) == (r, tree.total_use(n, r))
                assert (r, use.free[r]) == (r, tree.free(n, r))
                if share.parent is not None:
                    half_life = self.oracle.policy.halflife[share.parent]
                    average = self.oracle.state.average(leaves, r, half_life, self.now)
                    assert (r, use.average[r]) == (r, average >> AVERAGE_BITS)

    def named(self, request: Request) -> Request:
        self.asked += 1
        return msgspec.structs.replace(request, id=f"r{self.asked}")

    def ask(self, request: Request) -> None:
        note(f"decide {request}")
        self.same(decide(self.engine, request, self.now), self.oracle.decide(request, self.now))

    def schedule(self) -> None:
        note(f"schedule at {self.now}")
        mine = [(s.request.id, s.share, placed(s.placement)) for s in self.oracle.schedule(self.now)]
        theirs = [
            (s.request.id, s.decision.share, placed(s.decision.placement))
            for s in self.engine.schedule(self.now).starts
        ]
        assert theirs == mine, f"engine: {theirs}\noracle: {mine}"

    def same(self, theirs: Decision, mine: Answer) -> None:
        event(f"{mine.outcome} {', '.join(sorted({reason.code for reason in mine.reasons}))}")
        assert plain(theirs) == plain(mine), f"engine: {plain(theirs)}\noracle: {plain(mine)}"


def placed(placement: tuple[Placement, ...]) -> list[tuple[str, int]]:
    return [(p.node, p.parts) for p in placement]


def agree_on(text: str, nodes: list[Node], stream: list[streams.Event]) -> None:
    note(text)
    agree_on_policy(checked(text), nodes, stream)


def agree_on_policy(policy: CheckedPolicy, nodes: list[Node], stream: list[streams.Event]) -> None:
    note("\n".join(map(str, nodes)))
    both = Both(policy, nodes)
    for step in stream:
        both.play(step)
