"""Exponential averages of what was held, in integers only, evaluated at ticks of 60 seconds.

The average of a quantity h(t) with half-life H decays by 2^(-60/H) a tick towards what is held:
a(k+n) = h + (a(k) - h) · 2^(-60·n/H), as in Slurm's and Maui's half-life fairshare. Averages are kept in
2^-20 of the quantity's unit, factors in 2^-64, so that the same history gives the same bits anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

TICK: Final = 60
"""Seconds between two evaluations."""

AVERAGE_BITS: Final = 20
"""An average is kept in units of 2^-20."""

_BITS: Final = 64
_ONE: Final = 1 << _BITS
_GUARD: Final = 64
_LN2: Final = 0xB17217F7D1CF79ABC9E3B39803F2F6AF
"""ln 2 in 2^-128, rounded down."""

_MAX_TICKS: Final = 1 << 26
"""127 years of ticks: beyond that every average has reached what is held."""


def _decay_of_one_tick(half_life: int) -> int:
    """2^(-60/half_life) in 2^-64, by the series of exp(-x) with x = 60 · ln 2 / half_life."""
    x = TICK * _LN2 // half_life
    bits = _BITS + _GUARD
    total = term = 1 << bits
    k = 1
    while term:
        term = (term * x >> bits) // k
        total += -term if k % 2 else term
        k += 1
    return total >> _GUARD


@lru_cache(maxsize=256)
def _powers(half_life: int) -> tuple[int, ...]:
    """The decay over 1, 2, 4, … ticks."""
    power = _decay_of_one_tick(half_life)
    powers = []
    for _ in range(_MAX_TICKS.bit_length()):
        powers.append(power)
        power = power * power >> _BITS
    return tuple(powers)


@lru_cache(maxsize=4096)
def decay(half_life: int, ticks: int) -> int:
    """2^(-60·ticks/half_life) in 2^-64; `half_life` in seconds, 60 or more."""
    if ticks >= _MAX_TICKS:
        return 0
    factor = _ONE
    for i, power in enumerate(_powers(half_life)):
        if ticks >> i & 1:
            factor = factor * power >> _BITS
    return factor


def rolled(averages: Sequence[int], held: Sequence[int], ticks: int, half_life: int) -> list[int]:
    """The averages `ticks` later, with these amounts (in whole units) held all the while."""
    if ticks <= 0:
        return list(averages)
    factor = decay(half_life, ticks)
    found = []
    for at, average in enumerate(averages):
        target = held[at] << AVERAGE_BITS
        if average != target:
            average = target + ((average - target) * factor >> _BITS)
        found.append(average)
    return found


def roll(average: int, held: int, ticks: int, half_life: int) -> int:
    """The average `ticks` later, with `held` (in whole units) held all the while."""
    return rolled((average,), (held,), ticks, half_life)[0]
