"""The laws of the averages that shares and accounts are ordered by."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_engine.core.averages import AVERAGE_BITS, TICK, decay, roll

ONE = 1 << 64
held = st.integers(0, 1 << 40)
averages = st.integers(0, 1 << 60)
ticks = st.integers(0, 1 << 20)
half_lives = st.integers(60, 400 * 86400)


@pytest.mark.parametrize("half_life", [60, 120, 3600, 86400, 7 * 86400, 365 * 86400])
@pytest.mark.parametrize("times", [1, 2, 3, 10])
def test_what_is_left_halves_with_every_half_life(half_life: int, times: int) -> None:
    left = decay(half_life, times * half_life // TICK)
    assert abs(Fraction(left * 2**times, ONE) - 1) < Fraction(1, 10**6)


@given(half_lives, st.integers(0, 1 << 14))
def test_decay_is_the_real_exponential_to_a_part_in_a_million(half_life: int, n: int) -> None:
    exact = 2.0 ** (-TICK * n / half_life)
    assert abs(decay(half_life, n) / ONE - exact) <= 1e-6 * exact + 2**-60


@given(averages, averages, held, ticks, half_lives)
def test_the_higher_average_stays_the_higher(low: int, high: int, now_held: int, n: int, half: int) -> None:
    low, high = sorted((low, high))
    assert roll(low, now_held, n, half) <= roll(high, now_held, n, half)


@given(averages, held, held, ticks, half_lives)
def test_holding_more_never_lowers_an_average(average: int, less: int, more: int, n: int, half: int) -> None:
    less, more = sorted((less, more))
    assert roll(average, less, n, half) <= roll(average, more, n, half) + 1


@given(averages, held, ticks, half_lives)
def test_an_average_stays_between_what_it_was_and_what_is_held(
    average: int, now: int, n: int, half: int
) -> None:
    target = now << AVERAGE_BITS
    assert min(average, target) <= roll(average, now, n, half) <= max(average, target)


@given(averages, held, ticks, half_lives)
def test_an_average_is_never_negative(average: int, now: int, n: int, half: int) -> None:
    assert roll(average, now, n, half) >= 0


@given(averages, held, ticks, ticks, half_lives)
def test_rolling_in_two_steps_is_rolling_in_one_but_for_rounding(
    average: int, now: int, first: int, second: int, half: int
) -> None:
    at_once = roll(average, now, first + second, half)
    in_two = roll(roll(average, now, first, half), now, second, half)
    span = abs(average - (now << AVERAGE_BITS))
    assert abs(at_once - in_two) <= 2 + (span >> 56)


@given(averages, held, half_lives)
def test_no_time_changes_nothing(average: int, now: int, half: int) -> None:
    assert roll(average, now, 0, half) == average


@given(held, ticks, half_lives)
def test_an_average_that_has_arrived_stays(now: int, n: int, half: int) -> None:
    assert roll(now << AVERAGE_BITS, now, n, half) == now << AVERAGE_BITS


@given(held, half_lives)
def test_after_sixty_four_half_lives_only_what_is_held_counts(now: int, half: int) -> None:
    assert abs(roll(0, now, 70 * half // TICK + 1, half) - (now << AVERAGE_BITS)) <= 1
