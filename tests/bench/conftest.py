"""How the benchmarks measure: rounds of many calls, so that a round is long against the clock's grain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any, Protocol, TypeVar

import pytest
from bench import loop
from bench.peers.entrants import ENTRANTS
from bench.scenes import CALLS
from bench.singly import singly
from pytest_benchmark.fixture import BenchmarkFixture

T = TypeVar("T")


class Measure(Protocol):
    """Runs `function` in rounds, each of which does the measured thing `calls` times; the last result.

    `against` names the benchmark of the same run that this one is shown in proportion to. With `prepare`,
    each of the `rounds` works on what that has made. `cell` is the row and the column of those that make up
    a table of their own.
    """

    def __call__(
        self,
        function: Callable[..., T],
        *,
        calls: int = CALLS,
        against: str | None = None,
        rounds: int | None = None,
        prepare: Callable[[], Any] | None = None,
        cell: tuple[str, int] | None = None,
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
        cell: tuple[str, int] | None = None,
    ) -> T:
        benchmark.extra_info |= {"calls": calls, "against": against, "cell": cell}
        loops = loop.timed() if benchmark.enabled else []
        if rounds is None:
            result: T = benchmark(function)
        else:
            setup: Any = None if prepare is None else lambda: ((prepare(),), {})
            result = benchmark.pedantic(function, setup=setup, rounds=rounds)
        if benchmark.enabled:
            # The machine is not equally fast all the time: the loop is run beside each benchmark.
            loops += loop.timed()
            benchmark.extra_info["loop"] = {"median": median(loops), "min": min(loops)}
        return result

    return run


@pytest.fixture
def measure_singly(benchmark: BenchmarkFixture) -> Callable[..., None]:
    """Notes in the benchmark's `extra_info["singly"]` what single calls took; see `singly`."""

    def run(function: Callable[[T], object], arguments: Callable[[], Iterable[T]]) -> None:
        if benchmark.enabled:
            benchmark.extra_info["singly"] = singly(function, arguments)

    return run


@pytest.fixture
def quick(benchmark: BenchmarkFixture) -> bool:
    """Whether nothing is measured, so that less will do."""
    return not benchmark.enabled


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Write beside the results who was there to be compared: the version, or None."""
    output_json["entrants"] = {
        entrant.name: {"package": entrant.package or "wnodes", "version": entrant.version()}
        for entrant in ENTRANTS
    }
