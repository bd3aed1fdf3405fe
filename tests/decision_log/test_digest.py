"""The digest of a state: kept up change by change it is what it is anew, and it tells states apart."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from decision_log import preempting
from hypothesis import given, note
from strategies import farms, streams
from strategies.checking import checked
from strategies.fixed import POLICY
from strategies.played import Player, Step
from strategies.policies import Asking, policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.decision_log.digest import digest_of
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.decision_log.records import Change, NodesChange
from wnodes_engine.snapshot import parts, restore, snapshot
from wnodes_engine.values import Node, Placement, Request

NODES = [Node(f"n{n}", 8, 16384) for n in range(4)]
NOW = streams.BEGIN


class Kept:
    """A recorder that keeps all records in memory."""

    policy = 1
    full = False

    def __init__(self) -> None:
        self.records: list[Change] = []
        self.began: list[str] = []

    def begin(self, state: State, digest: str, why: str = "") -> None:
        assert digest == digest_of(state)
        self.began.append(digest)

    def add(self, record: Change) -> None:
        self.records.append(record)


def recorded(text: str = POLICY, nodes: list[Node] | None = None) -> tuple[Recorded, Kept]:
    kept = Kept()
    return Recorded(State(compile_policy(checked(text)), nodes or NODES), kept), kept


@given(policies(Asking(hs23=True, state=True, time=True)), farms.nodes(factors=True), streams.streams(40))
def test_kept_up_change_by_change_it_is_what_it_is_worked_out_anew(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    note(text)
    book, kept = recorded(text, nodes)
    player = Player(book.state, book)
    for step in stream:
        before = len(kept.records)
        player.play(step)
        for record in kept.records[before:]:
            assert record.state == digest_of(book.state)


@given(preempting.policies(), preempting.nodes(), preempting.crowded(60))
def test_it_is_kept_up_too_where_room_is_made(text: str, nodes: list[Node], stream: list[Step]) -> None:
    note(text)
    book, kept = recorded(text, nodes)
    player = Player(book.state, book)
    for step in stream:
        before = len(kept.records)
        player.play(step)
        for record in kept.records[before:]:
            assert record.state == digest_of(book.state)


@given(policies(Asking(time=True)), farms.nodes(), streams.streams())
def test_a_restored_state_has_the_digest_of_the_first(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    player = Player(State(compile_policy(checked(text)), nodes))
    for step in stream:
        player.play(step)
    taken = snapshot(player.state)
    assert digest_of(restore(player.state.policy, taken.clock, parts(taken))) == digest_of(player.state)


@given(policies(), farms.nodes(), streams.streams())
def test_a_question_leaves_it_as_it_is(text: str, nodes: list[Node], stream: list[streams.Event]) -> None:
    player = Player(State(compile_policy(checked(text)), nodes))
    for step in stream:
        before = digest_of(player.state)
        player.play(step)
        if isinstance(step, streams.Ask):
            assert digest_of(player.state) == before


def job(id_: str, **fields: Any) -> Request:
    return Request(id_, "job", "local", "ann", "cms", NOW, **{"cores": 4, "walltime": 3600} | fields)


def state(*requests: Request, nodes: list[Node] | None = None) -> State:
    made = State(compile_policy(checked(POLICY)), nodes or NODES)
    for request in requests:
        made.submit(request, NOW)
    return made


TRIAL = frozenset(["trial"])  # in `local`, where each user has a quota of core hours


def spent(begin: int, end: int) -> State:
    """Nothing runs, and something has run for four hours together in a window's buckets."""
    made = state()
    made.start(job("a", roles=TRIAL), (Placement("n1", 1),), NOW + begin)
    made.finish("a", NOW + end)
    made.advance(NOW + 50_000)
    return made


DIFFERENT = {
    "nothing": state(),
    "one waits": state(job("a")),
    "another waits": state(job("b")),
    "it asks for more": state(job("a", memory=512)),
    "it is of another class": state(job("a", cores=3)),
    "it is called otherwise": state(job("a", name="thing")),
    "two wait": state(job("a"), job("b")),
    "two wait the other way round": state(job("b"), job("a")),
    "a node less": state(nodes=NODES[:3]),
    "a node down": state(nodes=[*NODES[:3], msgspec.structs.replace(NODES[3], up=False)]),
    "a node smaller": state(nodes=[*NODES[:3], msgspec.structs.replace(NODES[3], cores=4)]),
    "used early": spent(0, 14_400),
    "used late": spent(14_400, 28_800),
    "used for longer": spent(0, 14_520),
}


def test_states_that_differ_have_digests_that_differ() -> None:
    digests = {name: digest_of(made) for name, made in DIFFERENT.items()}
    assert len(set(digests.values())) == len(digests), digests


@pytest.mark.parametrize("at", [("n0", 1), ("n1", 1), ("n0", 0)])
def test_where_and_since_when_something_runs_is_told_apart(at: tuple[str, int]) -> None:
    digests = set()
    for name, later in {at, ("n2", 0), ("n2", 1)}:
        made = state()
        made.start(job("a"), (Placement(name, 1),), NOW + later)
        digests.add(digest_of(made))
    assert len(digests) == 3


def test_two_ways_to_one_state_have_one_digest() -> None:
    one, other = recorded()[0], recorded()[0]
    for book in (one, other):
        for name in "abcde":
            book.submit(job(name), NOW)
        book.schedule(NOW)
    for book, order in ((one, "ab"), (other, "ba")):
        for name in order:
            book.finish(name, NOW + 60)
    assert digest_of(one.state) == digest_of(other.state)
    one.set_nodes([Node("n8", 4, 4096), Node("n9", 4, 4096)])
    for name in ("n9", "n8"):
        other.set_node(Node(name, 4, 4096))
    assert digest_of(one.state) == digest_of(other.state)


def test_when_everything_is_taken_back_only_the_count_of_serials_is_left() -> None:
    book, kept = recorded()
    for name in "abc":
        book.submit(job(name), NOW)
    for name in "bca":
        assert book.cancel(name, NOW)
    assert not book.cancel("a", NOW)
    empty = state()
    assert kept.records[-1].state != digest_of(empty)
    empty.serial = 3
    assert kept.records[-1].state == digest_of(empty)


def test_a_pass_while_nobody_waits_is_not_recorded() -> None:
    book, kept = recorded()
    book.schedule(NOW)
    assert kept.records == []
    book.advance(NOW + 5)
    book.set_node(Node("n9", 4, 4096))
    assert [(type(record), record.now) for record in kept.records if isinstance(record, NodesChange)] == [
        (NodesChange, (NOW + 5) // 60 * 60)
    ]
