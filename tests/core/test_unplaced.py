"""What waits in a batch system's own queue: it holds its share and its quotas, and no node."""

from __future__ import annotations

from hypothesis import given, note
from hypothesis import strategies as st
from strategies import farms, streams
from strategies.checking import checked
from strategies.played import Player
from strategies.policies import Asking, policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.core.unplaced import next_unplaced
from wnodes_engine.values import Node, Placement


def play(state: State, stream: list[streams.Event], lines: list[int]) -> list[str]:
    """Play a stream, and let some of those that wait go to a batch system's queue meanwhile; their ids."""
    player, unplaced = Player(state), list[str]()
    for step, most in zip(stream, lines, strict=False):
        player.play(step)
        for _ in range(most):
            if (waiter := next_unplaced(state, lambda _: True, player.now)) is not None:
                state.start(waiter.request, (), player.now)
                unplaced.append(waiter.request.id)
    state.advance(player.now)
    return unplaced


LINES = st.lists(st.integers(0, 2), min_size=40, max_size=40)


@given(policies(Asking(state=True)), farms.nodes(), streams.crowds(40), LINES)
def test_nodes_are_held_by_what_stands_on_them_and_by_nothing_else(
    text: str, nodes: list[Node], stream: list[streams.Event], lines: list[int]
) -> None:
    note(text)
    state = State(compile_policy(checked(text)), nodes)
    play(state, stream, lines)
    held = dict.fromkeys(state.farm.names, 0)
    for allocation in state.allocations.values():
        for place in allocation.placement:
            held[place.node] += allocation.charged.part.cores * place.parts
    for n, node in enumerate(state.farm.nodes):
        assert state.farm.cores[n] == node.cores - held[node.name]


@given(policies(Asking(state=True)), farms.nodes(), streams.crowds(40), LINES)
def test_shares_and_quotas_get_all_of_it_back(
    text: str, nodes: list[Node], stream: list[streams.Event], lines: list[int]
) -> None:
    note(text)
    state = State(compile_policy(checked(text)), nodes)
    play(state, stream, lines)
    now = state.minute * 60 + 60
    for id_ in list(state.allocations):
        state.finish(id_, now)
    assert not any(any(held) for held in state.tree.held)
    assert not any(meter for meter in state.meters if isinstance(meter, dict)) or state.waiting


@given(policies(Asking(state=True)), farms.nodes(), streams.crowds(40), LINES)
def test_what_comes_back_from_there_has_its_old_place(
    text: str, nodes: list[Node], stream: list[streams.Event], lines: list[int]
) -> None:
    note(text)
    state = State(compile_policy(checked(text)), nodes)
    now = streams.BEGIN + 10**6
    for id_ in play(state, stream, lines):
        if (allocation := state.allocations.get(id_)) is not None and not allocation.where:
            state.requeue(id_, now)
            assert state.waiters[id_].serial == allocation.serial
            whole = (Placement(state.farm.names[0], allocation.claim.parts),)
            assert state.start(allocation.request, whole, now).serial == allocation.serial
