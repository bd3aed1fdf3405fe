"""What is measured of growth: the crowd is as large as it says, and times are told in fitting units."""

from __future__ import annotations

import pytest
from bench.growth import CHANGED, PASS, SIMULATION, STILL, Point, crowd, decisions, rows, spoken
from bench.scenes import NOW


def test_a_crowd_waits_twice_as_much_as_it_runs() -> None:
    state = crowd(1000)
    assert (len(state.waiting), len(state.running), len(state.farm.names)) == (1000, 500, 100)
    assert state.schedule(NOW).starts == (), "nobody of the crowd has room"


def test_three_things_are_measured_of_a_crowd() -> None:
    assert [(point.what, point.size) for point in decisions(1000)] == [
        (what, 1000) for what in (STILL, CHANGED, PASS)
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.5e-5, "15 µs"), (0.0021, "2.1 ms"), (12.34, "12.3 s"), (2e-8, "0.02 µs")]
)
def test_times_are_told_in_units_that_suit_them(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


def test_each_size_is_a_row() -> None:
    points = [Point(what, 1000, 1e-5) for what in (STILL, CHANGED, PASS)] + [Point(SIMULATION, 500, 1.0)]
    table = list(rows(points))
    assert "| 1,000 (500, 100) | 10 µs | 10 µs | 10 µs |" in table
    assert "| 500 | 1 s | 2 ms |" in table
