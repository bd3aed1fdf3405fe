"""Suspended work that is over is not resumed, whatever the policy says of making room."""

from __future__ import annotations

import pytest
from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.values import Node, Request

NOW = 1_767_600_000
POLICY = """
policy plain
share a 100%
assign a otherwise
{more}
route job, vmjob, vm, pool to simulated
"""


def suspended(more: str, preempts: bool) -> State:
    state = State(compile_policy(checked(POLICY.format(more=more))), [Node("n1", 8, 8192)], preempts=preempts)
    state.submit(Request("x", "job", "local", "ann", "cms", NOW, cores=8), NOW)
    state.schedule(NOW)
    state.suspend("x", NOW + 10)
    return state


@pytest.mark.parametrize("more", ["", "preempt self when victim.priority < priority by suspend"])
@pytest.mark.parametrize("preempts", [True, False])
def test_who_ended_while_it_was_suspended_does_not_go_on(more: str, preempts: bool) -> None:
    state = suspended(more, preempts)
    state.finish("x", NOW + 20)
    assert (state.paused, state.schedule(NOW + 30).resumed) == ({}, ())


@pytest.mark.parametrize("more", ["", "preempt self when victim.priority < priority by suspend"])
@pytest.mark.parametrize("preempts", [True, False])
def test_who_waits_again_after_it_was_suspended_starts_anew(more: str, preempts: bool) -> None:
    state = suspended(more, preempts)
    state.requeue("x", NOW + 20)
    moves = state.schedule(NOW + 30)
    assert ([start.request.id for start in moves.starts], moves.resumed) == (["x"], ())
