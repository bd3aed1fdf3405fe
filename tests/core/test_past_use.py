"""Past use that is taken up from outside stands beside what is held, and spoils nothing."""

from __future__ import annotations

import pytest
from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.values import Node, Request

NOW = 1_767_600_000
TICK = 60
POLICY = """
policy plain
share g 50% { share l 50% share m 50% }
share h 50%
assign g.l otherwise
order g.l by fairshare of user half-life 1h
route job, vmjob, vm, pool to simulated
"""


def averages(state: State, path: str, now: int) -> int:
    """The average of cores of a share, in whole cores."""
    return {use.path: use.average["cores"] for use in state.shares(now)}[path]


@pytest.fixture
def state() -> State:
    state = State(compile_policy(checked(POLICY)), [Node("n1", 16, 16384)])
    state.advance(NOW)
    return state


def test_an_average_of_a_leaf_says_nothing_of_the_shares_above_it(state: State) -> None:
    state.restore_use("g.l", "share", "", "cores", 3)
    state.submit(Request("x", "job", "local", "ann", "cms", NOW, cores=4), NOW)
    state.schedule(NOW)
    state.advance(NOW + TICK)
    assert averages(state, "g.l", NOW + TICK) in (2, 3)
    assert averages(state, "g", NOW + TICK) == 0


def test_an_average_of_a_user_says_nothing_of_the_shares(state: State) -> None:
    state.restore_use("g.l", "user", "ann", "cores", 3)
    assert [averages(state, path, NOW + TICK) for path in ("g.l", "g", "h")] == [0, 0, 0]


def test_unknown_shares_accounts_and_resources_are_refused(state: State) -> None:
    for of in (("x", "share", "", "cores"), ("g.l", "group", "cms", "cores"), ("g", "share", "", "pears")):
        with pytest.raises(KeyError):
            state.restore_use(*of, 3)
