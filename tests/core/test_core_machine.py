"""The engine as a stateful model: whatever happens in whatever order, these things are always so."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from oracle import laws
from oracle.mirror import Mirror
from oracle.order import leaves_under
from oracle.playing import nth
from strategies import farms, streams
from strategies.checking import checked
from strategies.policies import Asking, policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.values import Code, Node, Outcome, Placement, Request

some = st.integers(0, 20)
pressing = farms.pressing(streams.BEGIN)


class Farm(RuleBasedStateMachine):
    """A tight farm under a policy that makes room; `mirror` plays the engine and notes what it does."""

    mirror: Mirror

    @initialize(
        text=policies(Asking(room=True)),
        nodes=farms.tight(),
        crowd=st.lists(farms.pressing(streams.BEGIN, ("ann",)), min_size=5, max_size=9),
    )
    def begin(self, text: str, nodes: list[Node], crowd: list[Request]) -> None:
        self.mirror = Mirror(checked(text), nodes)
        for request in crowd:
            self.submit(request)
        self.schedule()

    # ------------------------------------------------------------ what happens

    @rule(request=pressing)
    def submit(self, request: Request) -> None:
        self.mirror.submit(self.mirror.named(request))

    @rule()
    def schedule(self) -> None:
        promised = list(self.mirror.state.pledges)
        laws.admissions_are_within_limits(self.mirror, self.mirror.schedule(), promised)

    @rule(seconds=st.sampled_from([1, 59, 60, 600, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.mirror.now += seconds
        self.mirror.advance()

    @precondition(lambda self: self.mirror.state.leaving())
    @rule(n=some)
    def one_leaves(self, n: int) -> None:
        self.mirror.leave(nth(self.mirror.state.leaving(), n))

    @precondition(lambda self: self.mirror.state.leaving())
    @rule()
    def all_leave(self) -> None:
        self.mirror.leave_all()
        self.schedule()

    @precondition(lambda self: self.mirror.state.held)
    @rule(n=some)
    def one_ends(self, n: int) -> None:
        self.mirror.do("finish", nth(self.mirror.state.held, n))

    @precondition(lambda self: self.mirror.state.queue)
    @rule(n=some)
    def one_is_taken_back(self, n: int) -> None:
        self.mirror.do("cancel", nth(self.mirror.state.queue, n))

    @precondition(lambda self: self.mirror.state.pledges)
    @rule(n=some)
    def one_gives_up_its_promise(self, n: int) -> None:
        self.mirror.do("cancel", nth(self.mirror.state.pledges, n))

    @rule(n=some)
    def a_node_goes_down_or_comes_up(self, n: int) -> None:
        node = self.mirror.nodes[nth(self.mirror.nodes, n)]
        self.mirror.set_node(msgspec.structs.replace(node, up=not node.up))

    @rule(request=pressing, n=some)
    def something_is_started_past_us(self, request: Request, n: int) -> None:
        self.mirror.play(streams.Native(request, n))

    # ------------------------------------------------------------ what is always so

    @invariant()
    def the_same_run_and_wait(self) -> None:
        assert set(self.mirror.engine.running) == set(self.mirror.state.held)
        assert set(self.mirror.engine.waiting) == set(self.mirror.state.queue)

    @invariant()
    def shares_are_charged_for_what_runs_and_is_promised_and_not_for_who_has_to_leave(self) -> None:
        state, engine = self.mirror.state, self.mirror.engine
        self.mirror.advance()
        tree = state.tree()
        for share, use in zip(state.policy.shares, engine.shares(self.mirror.now), strict=True):
            for r in use.used:
                assert (use.used[r], use.free[r]) == (
                    tree.total_use(share.index, r),
                    tree.free(share.index, r),
                ), (share.path, r)
            leaves = leaves_under(state.policy, share.index)
            assert use.running == sum(held.leaf in leaves for held in state.held.values())
            assert use.waiting == sum(waiting.leaf in leaves for waiting in state.queue.values())

    @precondition(lambda self: self.mirror.state.queue)
    @rule(n=some)
    def somebody_asks(self, n: int) -> None:
        shares = self.mirror.engine.shares(self.mirror.now)
        answer = self.mirror.decide(self.mirror.state.queue[nth(self.mirror.state.queue, n)].asked.request)
        assert answer.outcome is not Outcome.DENY
        assert answer.outcome is Outcome.START or answer.reasons
        assert self.mirror.engine.shares(self.mirror.now) == shares

    @invariant()
    def each_victim_runs_and_leaves_for_one_that_waits(self) -> None:
        state = self.mirror.state
        told = [told.victim for pledge in state.pledges.values() for told in pledge.victims]
        assert len(told) == len(set(told))
        assert all(victim in state.held and state.held[victim].stopped is None for victim in told)
        assert all(name in state.queue for name in state.pledges)
        for name, pledge in self.mirror.engine.pledges.items():
            assert pledge.waiter.request.id == name
            for victim, allocation in pledge.victims.items():
                assert self.mirror.engine.running[victim] is allocation
                assert allocation.pledge is pledge

    @invariant()
    def who_has_room_made_is_told_for_whom_it_waits(self) -> None:
        for pledge in self.mirror.state.pledges.values():
            answer: Any = self.mirror.decide(pledge.waiting.asked.request)
            assert answer.outcome is Outcome.PREEMPT
            assert [reason.code for reason in answer.reasons] == [Code.LEAVING]
            assert answer.victims == tuple(told.victim for told in pledge.victims)
            assert placed(answer.placement) == placed(pledge.placement)

    def teardown(self) -> None:
        """Releasing everything returns what is held to zero."""
        if not hasattr(self, "mirror"):
            return
        engine, now = self.mirror.engine, self.mirror.now
        for request_id in list(engine.running):
            engine.finish(request_id, now)
        for request_id in list(engine.waiting):
            engine.cancel(request_id, now)
        empty = State(compile_policy(self.mirror.policy), self.mirror.nodes.values())
        now_held = [(s.path, s.used, s.free, s.running, s.waiting) for s in engine.shares(now)]
        assert not engine.owed
        assert not engine.pledges
        assert (engine.farm.cores, engine.farm.memory) == (empty.farm.cores, empty.farm.memory)
        assert now_held == [(s.path, s.used, s.free, s.running, s.waiting) for s in empty.shares(now)]


def placed(placement: tuple[Placement, ...]) -> list[tuple[str, int]]:
    """Where the parts are."""
    return [(p.node, p.parts) for p in placement]


TestFarm = Farm.TestCase
TestFarm.settings = settings(max_examples=25, stateful_step_count=30)
