"""A model to which anything may happen, in any order: what must always hold holds after every step."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import astuple, replace
from strategies import farms, streams
from strategies.checking import checked
from strategies.policies import Asking, policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Node, Outcome, Request

numbers = st.integers(0, 20)


class Farm(RuleBasedStateMachine):
    """Requests come, run, are told to leave, leave or do not, end; nodes go and come back; time passes."""

    @initialize(text=policies(Asking(room=True)), nodes=farms.tight())
    def begin(self, text: str, nodes: list[Node]) -> None:
        self.text = text
        self.nodes = {node.name: node for node in nodes}
        self.state = State(compile_policy(checked(text)), nodes)
        self.now = streams.BEGIN
        self.count = 0
        self.actions: dict[str, str] = {}

    @rule(request=farms.pressing(streams.BEGIN))
    def submit(self, request: Request) -> None:
        self.count += 1
        self.state.submit(replace(request, id=f"r{self.count}"), self.now)

    @rule()
    def schedule(self) -> None:
        moves = self.state.schedule(self.now)
        for order in moves.preemptions:
            assert order.leave_by >= self.now
            self.actions[order.victim] = order.action
        for id_ in moves.reprieves:
            assert (
                id_ not in self.state.running
                or self.state.running[id_].pledge is None
                or any(order.victim == id_ for order in moves.preemptions)
            )
        for start in moves.starts:
            assert start.decision.outcome is Outcome.START

    @rule(n=numbers)
    def leave(self, n: int) -> None:
        told = sorted(id_ for id_, a in self.state.running.items() if a.pledge is not None)
        if told:
            id_ = told[n % len(told)]
            action = self.actions[id_]
            if action == "suspend":
                self.state.suspend(id_, self.now)
            elif action == "delete":
                self.state.finish(id_, self.now)
            else:
                self.state.requeue(id_, self.now)

    @rule(n=numbers)
    def finish(self, n: int) -> None:
        if self.state.running:
            self.state.finish(sorted(self.state.running)[n % len(self.state.running)], self.now)

    @rule(n=numbers)
    def cancel(self, n: int) -> None:
        if self.state.waiting:
            assert self.state.cancel(sorted(self.state.waiting)[n % len(self.state.waiting)], self.now)

    @rule(n=numbers)
    def flip(self, n: int) -> None:
        name = sorted(self.nodes)[n % len(self.nodes)]
        self.nodes[name] = replace(self.nodes[name], up=not self.nodes[name].up)
        self.state.set_node(self.nodes[name])

    @rule(seconds=st.sampled_from([1, 60, 600, 3600]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(n=numbers)
    def ask(self, n: int) -> None:
        if self.state.waiting:
            id_ = sorted(self.state.waiting)[n % len(self.state.waiting)]
            before = self.state.shares(self.now)
            answer = decide(self.state, self.state.waiting[id_], self.now)
            assert answer.outcome is not Outcome.DENY
            assert answer.outcome is not Outcome.WAIT or answer.reasons
            assert answer.outcome is Outcome.START or answer.reasons
            assert self.state.shares(self.now) == before

    @invariant()
    @precondition(lambda self: hasattr(self, "state"))
    def no_node_is_over_committed(self) -> None:
        room = {name: [node.cores, node.memory, node.gpus, node.disk] for name, node in self.nodes.items()}
        for allocation in self.state.running.values():
            for place in allocation.placement:
                for i, amount in enumerate(astuple(allocation.charged.part)):
                    room[place.node][i] -= amount * place.parts
        assert all(min(left) >= 0 for left in room.values()), room

    @invariant()
    @precondition(lambda self: hasattr(self, "state"))
    def no_share_has_more_than_its_limits_allow(self) -> None:
        tree = self.state.tree
        for share in tree.shares:
            for r in range(4):
                assert tree.held[r][share.index] <= tree.most[r][share.index]

    @invariant()
    @precondition(lambda self: hasattr(self, "state"))
    def no_quota_on_what_is_held_is_passed_while_nothing_changes_it(self) -> None:
        state = self.state
        for spec in state.policy.meters:
            constant = spec.quota is not None and state.ever_bounds[spec.index] == state.bounds[spec.index]
            if constant and spec.window is None and spec.resource != "waiting":
                for key, held in state.meters[spec.index].items():
                    assert held <= state.ever_bounds[spec.index], (spec.resource, key)

    @invariant()
    @precondition(lambda self: hasattr(self, "state"))
    def promises_and_victims_know_each_other(self) -> None:
        for id_, pledge in self.state.pledges.items():
            assert pledge.waiter.request.id == id_
            assert id_ not in self.state.running
            for victim, allocation in pledge.victims.items():
                assert self.state.running[victim] is allocation
                assert allocation.pledge is pledge

    def teardown(self) -> None:
        if not hasattr(self, "state"):
            return
        for id_ in list(self.state.running):
            self.state.finish(id_, self.now)
        for id_ in list(self.state.waiting):
            self.state.cancel(id_, self.now)
        assert all(not any(held) for held in self.state.tree.held)
        assert not self.state.owed
        assert not self.state.pledges
        empty = State(self.state.policy, self.nodes.values())
        assert (self.state.farm.cores, self.state.farm.memory) == (empty.farm.cores, empty.farm.memory)


TestFarm = Farm.TestCase
TestFarm.settings = settings(max_examples=40, stateful_step_count=40)
