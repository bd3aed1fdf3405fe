"""A snapshot holds all of a state: what is restored from it decides the same for ever after."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from decision_log import preempting
from hypothesis import given, note
from hypothesis import strategies as st
from strategies import farms, streams
from strategies.checking import checked
from strategies.fixed import POLICY
from strategies.played import Player, Step
from strategies.policies import Asking, policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.core.meters import Hours
from wnodes_engine.snapshot import (
    Clock,
    Node,
    NodeRow,
    Part,
    Request,
    RequestRow,
    SnapshotError,
    encode,
    parts,
    restore,
    snapshot,
)

POLICIES = policies(Asking(hs23=True, state=True, time=True))


def through_json(state: State, rows: int = 3) -> State:
    """The state, taken apart, written, read and put together again."""
    taken = snapshot(state)
    lines = [encode(part) for part in parts(taken, rows)]
    stream = [msgspec.json.decode(line, type=Part) for line in lines]
    clock = msgspec.json.decode(encode(taken.clock), type=Clock)
    return restore(state.policy, clock, stream)


def worked_out(state: State) -> dict[str, Any]:
    """What a state has worked out from the rest: none of it stands in a snapshot."""
    farm, tree = state.farm, state.tree
    return {
        "free": (farm.cores, farm.memory, farm.gpus, farm.disk, farm.up, farm.free_cores),
        "use": (
            tree.held,
            [state.averages.at(share.index, state.minute) for share in state.tree.shares],
        ),
        "worth": (tree.live.amount, tree.live.s, tree.live.local, tree.most, state.up),
        "limits": (state.bounds, state.ever_bounds),
        "meters": [
            {key: hours.held(key, state.minute * 60) for key in hours.names() if hours.held(key, 0)}
            if isinstance(hours, Hours)
            else hours
            for hours in state.meters
        ],
        "time": state.time,
        "order": (list(state.running), list(state.waiting), list(state.paused)),
        "owed": state.owed,
        "victims": [
            [victim.request.id for victim in state.runners.in_order(rule, preempt.victims, 1 << 60)]
            for rule, preempt in enumerate(state.policy.checked.preempts)
            if state.rules_for
        ],
    }


@given(POLICIES, farms.nodes(factors=True), streams.streams(), streams.streams())
def test_what_is_restored_decides_the_same_from_then_on(
    text: str, nodes: list[Node], before: list[streams.Event], after: list[streams.Event]
) -> None:
    goes_on_alike(text, nodes, before, after)


def goes_on_alike(text: str, nodes: list[Node], before: Sequence[Step], after: Sequence[Step]) -> None:
    note(text)
    player = Player(State(compile_policy(checked(text)), nodes))
    for step in before:
        player.play(step)
    twin = player.twin(through_json(player.state))
    assert worked_out(twin.state) == worked_out(player.state)
    player.heard.clear()
    for step in after:
        player.play(step)
        twin.play(step)
        assert twin.listen() == player.listen()
    assert snapshot(twin.state) == snapshot(player.state)


@given(policies(Asking(rules=False)), farms.nodes(most=3), streams.crowds(), streams.crowds())
def test_a_crowd_is_restored_in_its_order(
    text: str, nodes: list[Node], before: list[streams.Event], after: list[streams.Event]
) -> None:
    goes_on_alike(text, nodes, before, after)


@given(preempting.policies(), preempting.nodes(), preempting.crowded(60), preempting.crowded())
def test_promises_and_victims_are_restored_as_they_were(
    text: str, nodes: list[Node], before: list[Step], after: list[Step]
) -> None:
    goes_on_alike(text, nodes, before, after)


@given(POLICIES, farms.nodes(factors=True), streams.streams(), st.integers(1, 7))
def test_a_snapshot_of_what_was_restored_is_the_same_snapshot(
    text: str, nodes: list[Node], stream: list[streams.Event], rows: int
) -> None:
    player = Player(State(compile_policy(checked(text)), nodes))
    for step in stream:
        player.play(step)
    assert snapshot(through_json(player.state, rows)) == snapshot(player.state)


def test_a_snapshot_stays_as_it_was_while_the_state_goes_on() -> None:
    player = Player(State(compile_policy(checked(POLICY)), [Node("n1", 8, 8000)]))
    requests = [Request("?", "job", "local", "ann", "cms", streams.BEGIN, cores=4) for _ in range(4)]
    for request in requests:
        player.play(streams.Submit(request))
    player.play(streams.Schedule())
    taken = snapshot(player.state)
    made = list(parts(taken))
    player.play(streams.Finish(0))
    player.play(streams.Resize(0, 4))
    player.play(streams.Schedule())
    assert list(parts(taken)) == made


def test_what_requests_have_in_common_is_written_once() -> None:
    state = State(compile_policy(checked(POLICY)), [Node("n1", 8, 8000)])
    for n in range(100):
        state.submit(
            Request(f"r{n}", "job", "local", "ann", "cms", streams.BEGIN + n, cores=1), streams.BEGIN
        )
    counts = {type(part).__name__: len(msgspec.structs.astuple(part)[0]) for part in parts(snapshot(state))}
    assert counts == {"Nodes": 1, "Claims": 1, "Requests": 1, "Waiting": 100, "Use": 6}


@pytest.mark.parametrize(("row", "value"), [(NodeRow, Node), (RequestRow, Request)])
def test_rows_have_the_fields_of_what_they_stand_for(row: type[Any], value: type[Any]) -> None:
    assert row.__struct_fields__ == value.__struct_fields__


@given(st.permutations(range(9)), st.integers(0, 9))
def test_parts_that_are_no_state_are_refused_in_words(order: list[int], many: int) -> None:
    state = State(compile_policy(checked(POLICY)), [Node("n1", 8, 8000), Node("n2", 8, 8000)])
    for n in range(6):
        request = Request(f"r{n}", "job", "local", f"u{n % 2}", "cms", streams.BEGIN, cores=4)
        state.submit(request, streams.BEGIN)
    state.schedule(streams.BEGIN)
    taken = snapshot(state)
    stream = list(parts(taken, 2))
    shuffled = [stream[at] for at in order[:many] if at < len(stream)]
    with suppress(SnapshotError):
        assert set(restore(state.policy, taken.clock, shuffled).running) <= set(state.running)
