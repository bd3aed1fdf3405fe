"""wnodes-policy explain as it is run: what it tells of a request, for people and for programs."""

import json
from pathlib import Path

import pytest
from wnodes_engine.cli import main
from wnodes_engine.explain.explanation import schema
from wnodes_engine.validation import load_schema, problems

POLICY = """policy t
share a 50%
share b 50% borrow none
default walltime 2h when kind == job
assign a when group == "cms" and cores <= 64
assign b otherwise
cap walltime 7d unless in a
deny "too wide" when cores > 80 and in b
deny "no guests here" when group == "guest" unless "trial" in roles
quota for each user: cores <= 30
priority +10 when "ops" in roles
route job, vmjob, vm, pool to farm queue "{share}"
"""
STATE = """
now: 2026-03-02T12:00:00Z
nodes: [{name: "wn[01-10]", cores: 16, memory: 32GiB}]
allocations:
  - {id: a1, started: 2026-03-02T10:00:00Z, node: wn01,
     request: {kind: job, origin: grid, user: ann, group: cms, cores: 12}}
"""


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "t.policy").write_text(POLICY)
    (tmp_path / "state.yaml").write_text(STATE)

    def run(request: str, *options: str) -> str:
        (tmp_path / "request.yaml").write_text(request)
        files = ["--state", str(tmp_path / "state.yaml"), "--request", str(tmp_path / "request.yaml")]
        assert main(["explain", str(tmp_path / "t.policy"), *files, *options]) == 0
        return capsys.readouterr().out.replace(f"{tmp_path}/", "")

    return run


JOB = "{kind: job, origin: grid, user: ann, group: cms, cores: %s}"


def test_each_rule_is_told_with_what_came_of_it(told) -> None:
    out = told(JOB % 12)
    assert "● t.policy:4: default walltime 2h\n      since kind == job\n" in out
    assert '● t.policy:5: assign a\n      since group == "cms" and cores <= 64\n' in out
    assert "· t.policy:6: assign b\n" in out
    assert "○ t.policy:7: cap walltime 7d\n      but for not (in a): share is a\n" in out


def test_a_near_miss_names_the_one_test_that_failed_and_the_smallest_change(told) -> None:
    out = told(JOB % 72)
    assert (
        "○ t.policy:5: assign a\n      but for cores <= 64: cores is 72\n      nearly: cores 64 would do\n"
        in out
    )
    assert (
        '○ t.policy:8: deny "too wide"\n      but for cores > 80: cores is 72\n      nearly: cores 81' in out
    )
    assert 'nearly: "ops" would have to be among its roles' in out


def test_limits_are_told_with_their_numbers_and_what_is_short(told) -> None:
    out = told(JOB % 20)
    assert "✗ t.policy:10: cores of ann: 12 of 30 held, it asks 20, 2 too much\n" in out
    assert "✓ a: 80 cores of its own, 12 used, 148 free\n" in out
    assert "✗ no room for it now\n" in out
    assert "with at most 16 cores it would" in out


def test_what_would_help_is_the_most_that_does(told) -> None:
    out = told("{kind: job, origin: grid, user: ann, group: cms, cores: 14, count: 3}")
    assert "with at most 1 part it would start\n" in out
    assert "with at most 6 cores it would start\n" in out


def test_a_request_that_starts_needs_no_help(told) -> None:
    out = told(JOB % 4)
    assert out.startswith("START\n")
    assert "✓ room for it now\n" in out
    assert "what would help" not in out


def test_for_programs_it_is_json_by_its_schema(told) -> None:
    assert load_schema("explanation") == schema()
    explanation = json.loads(told(JOB % 72, "--format", "json"))
    assert problems(explanation, "explanation") == []
    assert explanation["decision"]["outcome"] == "deny"
    near = next(row["near"] for row in explanation["rules"] if row["rule"] == "assign a")
    assert near == {"test": "cores <= 64", "was": "cores is 72", "change": "cores 64 would do"}


def test_input_that_cannot_be_used_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.policy").write_text("policy t\nshare\n")
    missing = str(tmp_path / "none.yaml")
    assert main(["explain", str(tmp_path / "t.policy"), "--state", missing, "--request", missing]) == 1
    assert "t.policy:" in capsys.readouterr().err
