"""Logs for the tests: written in memory, run again from there, and changed with their sums."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from strategies import streams
from strategies.checking import checked
from strategies.fixed import POLICY
from strategies.played import Player, Step
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.decision_log.confirm import Confirmation, confirm
from wnodes_engine.decision_log.lines import BEGINNING, sums
from wnodes_engine.decision_log.log import Lines, Log
from wnodes_engine.decision_log.reading import LogReader
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.values import Node, Placement, Request


class Memory:
    """A sink that keeps its files in memory, each of about so many lines."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.files: list[bytes] = []
        self._most = most
        self._lines = 0

    @property
    def full(self) -> bool:
        return self._lines >= self._most

    def new(self) -> None:
        self.files.append(b"")
        self._lines = 0

    def write(self, line: bytes) -> None:
        self.files[-1] += line
        self._lines += 1

    @property
    def data(self) -> bytes:
        (only,) = self.files
        return only


def logged(text: str, nodes: list[Node], stream: Sequence[Step], most: int = 1 << 30) -> Memory:
    """The log of a stream that is played to a fresh state."""
    memory = Memory(most)
    lines = Lines(memory)
    state = State(compile_policy(checked(text)), nodes)
    player = Player(state, Recorded(state, Log(lines)))
    for step in stream:
        player.play(step)
    lines.end()
    return memory


NODES = [Node(f"n{n}", 8, 16384, gpus=n % 2, properties=frozenset(["ssd", "ib"])) for n in range(4)]


def some_log() -> bytes:
    """A log with a record of every kind in it, from a state that had gone on for a while."""
    memory = Memory()
    lines = Lines(memory)
    state = State(compile_policy(checked(POLICY)), NODES)
    now = streams.BEGIN
    trial = {"roles": frozenset(["trial"]), "walltime": 3600}
    for n in range(6):
        state.submit(_job(f"old{n}", now, cores=4, count=1 + n % 2, **trial), now)
    state.schedule(now)
    state.finish("old0", now + 3000)
    log = Log(lines)
    book = Recorded(state, log)
    now += 3600
    book.submit(_job("new1", now, cores=2, user="bob", name="thing", attributes={}), now)
    book.submit(_job("wide", now, cores=8, count=4), now)  # denied
    book.decide(_job("asked", now, cores=8, **trial), now + 1)
    for n in range(1100):
        book.submit(_job(f"many{n}", now, cores=1, memory=1, user=f"u{n % 3}"), now + 2)
    book.schedule(now + 60)
    book.requeue(min(state.running), now + 70)
    book.finish(min(state.running), now + 80)
    assert book.cancel(min(state.waiting), now + 80)
    assert not book.cancel("nobody", now + 81)
    book.start(_job("native", now, cores=2), (Placement("n3", 1),), now + 82)
    book.set_nodes([Node("n9", 2000, 1 << 20), Node("n0", 8, 16384, up=False)])
    book.schedule(now + 90)
    other = State(compile_policy(checked(POLICY.replace("5%", "6%"))), NODES)
    book = Recorded(other, log, why="another policy")
    book.submit(_job("last", now + 100, cores=1), now + 100)
    _make_room(log, now + 200)
    lines.end()
    return memory.data


MAKING_ROOM = """
policy making_room
share a 60% share b 40%
assign a when group == "alice" assign b otherwise
quota for user "bob": cores <= 1
reclaim for any at most 9 per hour by requeue for job, suspend for vmjob after 5m
route job, vmjob, vm, pool to simulated
"""


def _make_room(log: Log, now: int) -> None:
    """A state in which room is being made, and what comes of it."""
    state = State(compile_policy(checked(MAKING_ROOM)), [Node("n1", 9, 16384)])
    for n in range(4):
        state.submit(_job(f"b{n}", now), now)
        state.submit(_job(f"v{n}", now, kind="vmjob"), now)
    state.schedule(now)
    for n in range(2):
        state.submit(_job(f"bob{n}", now, user="bob"), now)
    state.finish("b3", now)
    state.schedule(now)
    state.submit(_job("a1", now, group="alice", cores=4), now)
    first, second, third = state.schedule(now + 1).preemptions
    state.requeue(first.victim, now + 2)
    state.suspend("v3", now + 2)
    book = Recorded(state, log, why="room is made")
    book.requeue(second.victim, now + 3)
    book.requeue(third.victim, now + 3)
    assert book.schedule(now + 4).starts
    book.suspend("v2", now + 5)
    assert book.schedule(now + 6).resumed
    book.submit(_job("a2", now, group="alice"), now + 7)
    assert book.schedule(now + 70).preemptions
    book.cancel("a2", now + 71)
    assert book.schedule(now + 72).reprieves


def _job(id_: str, now: int, **fields: object) -> Request:
    usual = {"kind": "job", "origin": "local", "user": "ann", "group": "cms", "submitted": now}
    return Request(id_, **usual | fields)


def replay(data: bytes, limit: int | None = None) -> Confirmation:
    """What comes of running a log again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_bytes(data)
        return confirm(LogReader(path), limit)


def sealed(lines: list[bytes]) -> bytes:
    """The lines with the sums that they have to have, whatever stands in them."""
    before, made = BEGINNING, b""
    for line in lines:
        said, _ = sums(line, before)
        body = line[: line.rindex(b',"sum":"')] if said else line[:-1]
        before = sums(body + b',"sum":"' + b"0" * 32 + b'"}', before)[1]
        made += body + b',"sum":"' + before.encode() + b'"}\n'
    return made
