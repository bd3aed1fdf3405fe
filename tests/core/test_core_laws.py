"""What must always hold of what is held, whatever the policy, the farm and the stream."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from oracle import laws
from oracle.mirror import Mirror
from strategies import farms, fixed, streams
from strategies.checking import checked
from strategies.policies import Asking, eager, policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide, decide_all
from wnodes_engine.values import Node

REPLAY = """
import sys, msgspec
from strategies import fixed
sys.stdout.buffer.write(msgspec.json.encode(fixed.{}()))
"""

Stream = list[streams.Event]


QUOTAS = (
    "quota for each user: cores <= 6",
    "quota for each group: running <= 2",
    "quota for each share: memory <= 5GiB",
    "quota for each user: core_hours <= 60 per 1d",
    "quota for each kind: cores <= 4",
    "quota for nodes all: cores <= 5",
    'quota for nodes "a*", "b*": memory <= 4GiB',
    "quota for each role: machines <= 2",
)
"""Quotas that let most requests in, and not many of them."""


@given(
    eager(Asking(room=True, rules=False)),
    st.sampled_from(QUOTAS),
    farms.tight(),
    streams.squeezes(),
)
@settings(max_examples=60)
def test_admissions_over_commit_no_node_take_no_share_above_its_limits_and_pass_no_quota(
    text: str, quota: str, nodes: list[Node], stream: Stream
) -> None:
    keeps_limits(f"{text}\n{quota}\n", nodes, stream)


@given(policies(), farms.nodes(most=3), streams.crowds())
@settings(max_examples=25)
def test_admissions_keep_limits_beside_every_kind_of_rule(
    text: str, nodes: list[Node], stream: Stream
) -> None:
    keeps_limits(text, nodes, stream)


def keeps_limits(text: str, nodes: list[Node], stream: Stream) -> None:
    note(text)
    mirror = Mirror(checked(text), nodes)
    for step in stream:
        if step == streams.Schedule():
            promised = list(mirror.state.pledges)
            laws.admissions_are_within_limits(mirror, mirror.schedule(), promised)
        else:
            mirror.play(step)


@given(policies(), farms.nodes(), streams.streams())
@settings(max_examples=25)
def test_releasing_everything_returns_all_that_is_held_to_zero(
    text: str, nodes: list[Node], stream: Stream
) -> None:
    nothing_is_left(text, nodes, stream)


@given(eager(Asking(room=True)), farms.tight(), streams.squeezes())
@settings(max_examples=25)
def test_releasing_everything_returns_what_was_promised_and_suspended_too(
    text: str, nodes: list[Node], stream: Stream
) -> None:
    nothing_is_left(text, nodes, stream)


def nothing_is_left(text: str, nodes: list[Node], stream: Stream) -> None:
    note(text)
    mirror = Mirror(checked(text), nodes)
    for step in stream:
        mirror.play(step)
    engine, now = mirror.engine, mirror.now
    for request_id in list(engine.running):
        engine.finish(request_id, now)
    for request_id in list(engine.waiting):
        engine.cancel(request_id, now)
    empty = State(compile_policy(mirror.policy), mirror.nodes.values())
    assert held(engine, now) == held(empty, now)


def held(state: State, now: int) -> list[tuple[object, ...]]:
    """All that is held: by shares, in quotas, on nodes, and what is due; of past use what stays for good."""
    counted = [state.meters[spec.index].items() for spec in state.policy.meters if spec.window is None]
    long_after = now + 1000 * 86_400
    hours = [state.meters[spec.index] for spec in state.policy.meters if spec.window is not None]
    committed = [meter.held(key, long_after) for meter in hours for key in list(meter.names())]
    return [
        *(amount for amount in committed if amount),
        *(state.averages.at(share.index, long_after // 60) for share in state.tree.shares),
        *((s.path, s.used, s.free, s.running, s.waiting) for s in state.shares(now)),
        *((key, taken) for meter in counted for key, taken in meter if taken),
        *(state.farm.free(node) for node in range(len(state.farm.nodes))),
        (*state.owed, *state.pledges, *state.paused),
    ]


@given(policies(), farms.nodes(most=3), streams.crowds())
@settings(max_examples=40)
def test_requests_that_are_asked_about_together_are_answered_as_one_by_one(
    text: str, nodes: list[Node], stream: Stream
) -> None:
    note(text)
    mirror = Mirror(checked(text), nodes)
    for step in stream:
        mirror.play(step)
    state, now = mirror.engine, mirror.now
    asked = [
        msgspec.structs.replace(step.request, id="", submitted=now)
        for step in stream
        if isinstance(step, streams.Submit)
    ]
    assert decide_all(state, asked, now) == [decide(state, request, now) for request in asked]


# ------------------------------------------------------------------ determinism


@pytest.mark.parametrize("stream", ["answers", "moves"])
def test_the_same_stream_gets_the_same_bytes_under_any_hash_seed(stream: str) -> None:
    tests = Path(__file__).parents[1]
    answers = [
        subprocess.run(
            [sys.executable, "-c", REPLAY.format(stream)],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(tests)},
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("0", "1", "4242")
    ]
    assert len(answers[0]) > 1000
    assert len(set(answers)) == 1


def test_the_stream_with_preemptions_has_all_that_a_pass_can_do() -> None:
    done = fixed.moves()
    for what in ("starts", "resumed", "preemptions", "reprieves"):
        assert sum(len(move[what]) for move in done) > 3, what
