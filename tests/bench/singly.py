"""Calls timed one by one: what the slowest of a hundred takes, and how noisy the machine was meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import thread_time_ns as clock
from typing import Any, Final, TypeVar

from bench.loop import WORDS, count_words

A = TypeVar("A")

ROUNDS: Final = 20
FEW: Final = WORDS[:60]
"""So many steps of the plain loop take about as long as a decision."""


def singly(function: Callable[[A], object], arguments: Callable[[], Iterable[A]]) -> dict[str, Any]:
    """Median and 99th percentile, in µs of the processor, of `ROUNDS` rounds of single calls.

    What reading the clock takes is taken off. A shared machine interrupts, and empties caches, at its
    pleasure: so a few steps of plain Python that never change are timed after every call. `loop` are
    their median and percentile; by what factor those two differ, any work here differs.
    """
    taken: list[int] = []
    loops: list[int] = []
    for _ in range(ROUNDS):
        for argument in arguments():
            begun = clock()
            function(argument)
            done = clock()
            count_words(FEW)
            loops.append(clock() - done)
            taken.append(done - begun)
    reading = sorted(-clock() + clock() for _ in range(1000))[500]
    return {"calls": len(taken), **_percentiles(taken, reading), "loop": _percentiles(loops, reading)}


def _percentiles(taken: list[int], reading: int) -> dict[str, float]:
    taken.sort()
    return {
        name: (taken[len(taken) * percent // 100] - reading) / 1000
        for name, percent in (("median", 50), ("p99", 99))
    }
