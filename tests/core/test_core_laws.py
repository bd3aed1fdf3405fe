"""What must always hold of the engine alone, whatever the policy, the farm and the stream."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given, note
from oracle.side_by_side import Both
from strategies import farms, streams
from strategies.checking import checked
from strategies.policies import policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.values import Node

REPLAY = """
import sys, msgspec
from strategies import fixed
sys.stdout.buffer.write(msgspec.json.encode(fixed.answers()))
"""


def held(state: State, now: int) -> list[tuple[object, ...]]:
    return [(s.path, s.used, s.free, s.running, s.waiting) for s in state.shares(now)]


@given(policies(), farms.nodes(), streams.streams())
def test_releasing_everything_returns_all_that_is_held_to_zero(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    note(text)
    policy = checked(text)
    both = Both(policy, nodes)
    for step in stream:
        both.play(step)
    for request_id in list(both.engine.running):
        both.engine.finish(request_id, both.now)
    for request_id in list(both.engine.waiting):
        both.engine.cancel(request_id, both.now)
    empty = State(compile_policy(policy), both.nodes.values())
    assert held(both.engine, both.now) == held(empty, both.now)


def test_the_same_stream_gets_the_same_bytes_under_any_hash_seed() -> None:
    tests = Path(__file__).parents[1]
    answers = [
        subprocess.run(
            [sys.executable, "-c", REPLAY],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(tests)},
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("0", "1", "4242")
    ]
    assert len(answers[0]) > 1000
    assert len(set(answers)) == 1
