"""The tables of the benchmarks: times of one call, what they are in proportion to, and what is too much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench.gate import grown, ratios
from bench.table import matrix, read, table


def entry(name: str, seconds: float, against: str | None = None, **info: Any) -> dict[str, Any]:
    """A benchmark as pytest-benchmark writes it, of rounds of 1,000 calls; a step of the loop took 0.1 µs."""
    stats = {"median": seconds, "min": seconds / 2, "rounds": 5}
    more = {"calls": 1000, "against": against, "loop": {"median": 1e-7, "min": 1e-7}} | info
    return {"name": name, "fullname": f"here::{name}", "stats": stats, "extra_info": more}


def written(folder: Path, *entries: dict[str, Any], **more: Any) -> Path:
    """The file of a run."""
    path = folder / "run.json"
    path.write_text(json.dumps({"benchmarks": entries} | more))
    return path


def test_each_row_tells_the_time_of_one_call_and_its_proportions(tmp_path: Path) -> None:
    run = written(tmp_path, entry("test_a_wait", 1e-2), entry("test_b[10 rules]", 3e-2, "test_a_wait"))
    lines = [line.split() for line in table(read(run).rows).splitlines()[1:]]
    assert lines[0] == ["a", "wait", "10.00", "µs", "5.00", "µs", "5", "100"]
    assert " ".join(lines[1]) == "b (10 rules) 30.00 µs 15.00 µs 5 300 3.00 × a wait"


def test_rules_by_everybody_make_a_table_of_their_own_that_tells_who_was_not_there(tmp_path: Path) -> None:
    cells = [entry(f"test_rules[us, {n} rules]", n / 1e4, cell=["us", n]) for n in (10, 1000)]
    there = {"us": {"package": "ours", "version": "1.0"}, "them": {"package": "theirs", "version": None}}
    results = read(written(tmp_path, *cells, entrants=there))
    assert results.rows == {}
    lines = [" ".join(line.split()) for line in matrix(results).splitlines()]
    assert lines == [
        "µs for one request, by the number of rules 10 1,000 package",
        "us 1.00 100 ours 1.0",
        "them not measured: theirs is not installed",
    ]


def test_only_what_has_grown_beyond_what_is_allowed_is_told(tmp_path: Path) -> None:
    run = written(tmp_path, entry("test_a", 1e-2), entry("test_b", 1e-2))
    found = ratios(read(run))
    assert found == {"test_a": 50.0, "test_b": 50.0}
    assert grown(found, {"test_a": 41.0, "test_b": 50.0}, 25) == {}
    assert grown(found, {"test_a": 39.0, "test_c": 1.0}, 25) == {
        "test_a": "a: 50.0 loops, 28 % more than the 39.0 expected",
        "test_c": "c: not measured any more",
    }


def test_what_other_packages_take_is_not_expected_of_us(tmp_path: Path) -> None:
    cells = [
        entry(f"test_rules[{name}]", 1e-2, cell=[name, 10])
        for name in ("WNoDeS, compiled", "Cedar, policies parsed before")
    ]
    assert list(ratios(read(written(tmp_path, *cells)))) == ["test_rules[WNoDeS, compiled]"]


@pytest.mark.parametrize("text", ["", "{}", '{"benchmarks": [{}]}', "[]"])
def test_a_file_without_benchmarks_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"Expecting value|not what pytest-benchmark writes"):
        read(tmp_path / "run.json")
