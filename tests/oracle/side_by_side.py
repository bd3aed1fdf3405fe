"""The compiled engine and the oracle side by side, played the same stream and compared at every step."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import event, note
from oracle.answers import Answer, Scheduled, Why
from oracle.order import leaves_under
from oracle.playing import Player, shown
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
        "victims": list(answer.victims),
        "reasons": [plain_reason(reason) for reason in answer.reasons],
    }


class Both(Player):
    """The engine and the oracle side by side; every step is done by both and compared."""

    def begin(self) -> None:
        super().begin()
        self.engine = State(compile_policy(self.policy), self.nodes.values())

    def play(self, step: streams.Event) -> None:
        super().play(step)
        assert set(self.engine.running) == set(self.oracle.state.held)
        assert set(self.engine.waiting) == set(self.oracle.state.queue)
        self.same_shares()

    def submit(self, request: Request) -> None:
        note(f"submit {request}")
        self.same(self.engine.submit(request, self.now), self.oracle.submit(request, self.now))

    def decide(self, request: Request) -> Answer | Decision:
        mine = super().decide(request)
        assert isinstance(mine, Answer)
        self.same(decide(self.engine, request, self.now), mine)
        return mine

    def start(self, request: Request, placement: tuple[Placement, ...]) -> None:
        super().start(request, placement)
        self.engine.start(request, placement, self.now, native=True)

    def do(self, verb: str, request_id: str) -> None:
        super().do(verb, request_id)
        getattr(self.engine, verb)(request_id, self.now)

    def set_node(self, node: Node) -> None:
        super().set_node(node)
        self.engine.set_node(node)

    def schedule(self) -> Scheduled:
        done = super().schedule()
        theirs, mine = shown(self.engine.schedule(self.now)), shown(done)
        assert theirs == mine, f"engine: {theirs}\noracle: {mine}"
        self.tell(done)
        return done

    def tell(self, done: Scheduled) -> None:
        """Count what streams come to."""
        for what in ("preemptions", "resumed", "reprieves"):
            if getattr(done, what):
                event(what)
        for told in done.preemptions:
            event(f"{self.oracle.policy.preempts[told.rule].how}: {told.action}")

    def same_shares(self) -> None:
        """The share tree of both, figure by figure."""
        self.oracle.advance(self.now)
        self.engine.advance(self.now)
        state = self.oracle.state
        tree = state.tree()
        for share, use in zip(self.oracle.policy.shares, self.engine.shares(self.now), strict=True):
            n = share.index
            leaves = leaves_under(self.oracle.policy, n)
            assert use.path == share.path
            assert use.running == sum(held.leaf in leaves for held in state.held.values())
            assert use.waiting == sum(waiting.leaf in leaves for waiting in state.queue.values())
            for r in use.nominal:
                assert (r, use.nominal[r]) == (r, tree.amount[n][r])
                assert (r, use.used[r]) == (r, tree.total_use(n, r))
                assert (r, use.free[r]) == (r, tree.free(n, r))
                if share.parent is not None:
                    half_life = self.oracle.policy.halflife[share.parent]
                    average = state.average(leaves, r, half_life, self.now)
                    assert (r, use.average[r]) == (r, average >> AVERAGE_BITS)

    def same(self, theirs: Decision, mine: Answer) -> None:
        event(f"{mine.outcome} {', '.join(sorted({reason.code for reason in mine.reasons}))}")
        assert plain(theirs) == plain(mine), f"engine: {plain(theirs)}\noracle: {plain(mine)}"


def agree_on(text: str, nodes: list[Node], stream: list[streams.Event]) -> None:
    note(text)
    agree_on_policy(checked(text), nodes, stream)


def agree_on_policy(policy: CheckedPolicy, nodes: list[Node], stream: list[streams.Event]) -> None:
    note("\n".join(map(str, nodes)))
    both = Both(policy, nodes)
    for step in stream:
        both.play(step)
