"""The table of the benchmarks: times of one call, and what they are in proportion to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench.table import BASELINE, read, table


def entry(name: str, seconds: float, against: str | None = None) -> dict[str, Any]:
    """A benchmark as pytest-benchmark writes it, of rounds of 1,000 calls."""
    stats = {"median": seconds, "min": seconds / 2, "rounds": 5}
    return {"name": name, "stats": stats, "extra_info": {"calls": 1000, "against": against}}


def test_each_row_tells_the_time_of_one_call_and_its_proportions(tmp_path: Path) -> None:
    entries = [
        entry(BASELINE, 1e-4),
        entry("test_a_wait", 1e-2),
        entry("test_b[10 rules]", 3e-2, "test_a_wait"),
    ]
    (tmp_path / "run.json").write_text(json.dumps({"benchmarks": entries}))
    lines = [line.split() for line in table(read(tmp_path / "run.json")).splitlines()[1:]]
    assert lines[0] == ["the", "plain", "loop", "0.10", "µs", "0.05", "µs", "5", "1"]
    assert lines[1] == ["a", "wait", "10.00", "µs", "5.00", "µs", "5", "100"]
    assert " ".join(lines[2]) == "b (10 rules) 30.00 µs 15.00 µs 5 300 3.00 × a wait"


@pytest.mark.parametrize("text", ["", "{}", '{"benchmarks": [{}]}', "[]"])
def test_a_file_without_benchmarks_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"Expecting value|not what pytest-benchmark writes"):
        read(tmp_path / "run.json")
