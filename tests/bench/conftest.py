"""How the benchmarks measure: rounds of many calls, so that a round is long against the clock's grain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import pytest
from bench.scenes import CALLS
from pytest_benchmark.fixture import BenchmarkFixture

T = TypeVar("T")


class Measure(Protocol):
    """Runs `function` in rounds, each of which does the measured thing `calls` times; the last result.

    `against` names the benchmark of the same run that this one is shown in proportion to. With `prepare`,
    each of the `rounds` works on what that has made.
    """

    def __call__(
        self,
        function: Callable[..., T],
        *,
        calls: int = CALLS,
        against: str | None = None,
        rounds: int | None = None,
        prepare: Callable[[], Any] | None = None,
    ) -> T: ...


@pytest.fixture
def measure(benchmark: BenchmarkFixture) -> Measure:
    def run(
        function: Callable[..., T],
        *,
        calls: int = CALLS,
        against: str | None = None,
        rounds: int | None = None,
        prepare: Callable[[], Any] | None = None,
    ) -> T:
        benchmark.extra_info["calls"] = calls
        benchmark.extra_info["against"] = against
        if rounds is None:
            result: T = benchmark(function)
        else:
            setup: Any = None if prepare is None else lambda: ((prepare(),), {})
            result = benchmark.pedantic(function, setup=setup, rounds=rounds)
        return result

    return run


@pytest.fixture
def quick(benchmark: BenchmarkFixture) -> bool:
    """Whether nothing is measured, so that less will do."""
    return not benchmark.enabled
