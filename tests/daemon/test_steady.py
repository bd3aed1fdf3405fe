"""The time of day goes on evenly, whatever the clock does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_daemon.steady import SteadyClock


class Hands:
    """A clock, and the seconds that have really gone by."""

    def __init__(self) -> None:
        self.wall, self.gone_by = 1000.0, 50.0
        self.clock = SteadyClock(lambda: self.wall, lambda: self.gone_by)

    def after(self, seconds: float, jump: float = 0.0) -> float:
        self.wall += seconds + jump
        self.gone_by += seconds
        return self.clock()


def test_a_clock_that_goes_right_or_is_set_a_little_is_believed() -> None:
    hands = Hands()
    assert hands.after(10) == 1010
    assert hands.after(10, jump=3) == 1023
    assert hands.after(1, jump=-3) == 1023
    assert hands.after(10) == 1031


def test_a_jump_ahead_is_believed_after_a_minute_and_not_if_it_was_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hands = Hands()
    assert hands.after(1, jump=86_400) == 1001
    assert hands.after(30) == 1031
    assert hands.after(1, jump=-86_400) == 1032
    assert hands.after(1, jump=3600) == 1033
    hands.after(30)
    assert hands.after(31) == 1094 + 3600
    assert caplog.text.count("jumped ahead") == 2


def test_a_clock_that_was_set_back_is_waited_for_at_half_the_pace() -> None:
    hands = Hands()
    assert hands.after(10, jump=-3600) == 1005
    times = [hands.after(100) for _ in range(72)]
    assert times[0] == 1055
    assert hands.after(100) == pytest.approx(hands.wall, abs=5)


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(-1e6, 1e6)), max_size=40))
def test_time_never_goes_back(steps: list[tuple[float, float]]) -> None:
    hands = Hands()
    times = [hands.after(*step) for step in steps]
    assert times == sorted(times)
