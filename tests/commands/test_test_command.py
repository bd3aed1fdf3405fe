"""wnodes-policy test as it is run: what passes, what fails and how that is told, and what is covered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from wnodes_engine.cli import main
from wnodes_engine.trial.form import schema
from wnodes_engine.validation import load_schema

POLICIES = Path(__file__).parents[2] / "policies"
POLICY = """policy t
share a 50%
share b 50%
assign a when group == "cms"
assign b otherwise
deny "no guests" when group == "guest" unless "trial" in roles
quota for each user: cores <= 30
route job, vmjob, vm, pool to farm queue "{share}"
"""
STATE = """now: 2026-03-02T12:00:00Z
nodes: [{name: "wn[01-10]", cores: 16, memory: 32GiB}]
allocations:
  - {id: a1, started: 2026-03-02T10:00:00Z, node: wn01,
     request: {kind: job, origin: grid, user: ann, group: cms, cores: 12}}
"""
HEAD = "policy: t.policy\nstates: {some: state.yaml}\ntests:\n"
JOB = "request: {kind: job, origin: grid, user: ann, group: cms, cores: 4}"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    (tmp_path / "t.policy").write_text(POLICY)
    (tmp_path / "state.yaml").write_text(STATE)

    def go(tests: str, *options: str) -> tuple[int, str, str]:
        (tmp_path / "t.test.yaml").write_text(HEAD + tests)
        status = main(["test", str(tmp_path), *options])
        out, err = capsys.readouterr()
        return status, out.replace(f"{tmp_path}/", ""), err.replace(f"{tmp_path}/", "")

    return go


def test_what_comes_out_as_expected_passes(run: Run) -> None:
    tests = (
        f"- {{name: one, state: some, {JOB}, expect: {{outcome: start, share: a, route: farm, queue: a}}}}\n"
    )
    assert run(tests) == (0, "1 passed, 0 failed\n", "")
    assert run(tests, "-v")[1] == "t.test.yaml\n  ✓ one\n1 passed, 0 failed\n"


def test_what_comes_out_otherwise_is_told_thing_by_thing(run: Run) -> None:
    status, out, _ = run(
        f"- {{name: one, state: some, {JOB}, expect: {{outcome: deny, share: b, reasons: [rule]}}}}\n"
    )
    assert status == 1
    assert out == (
        "t.test.yaml\n"
        "  ✗ line 4: one\n"
        "      outcome: expected deny\n"
        "               got      start\n"
        "      share: expected b\n"
        "             got      a\n"
        "      reasons: expected rule\n"
        "               got      none\n"
        "0 passed, 1 failed\n"
    )


def test_a_table_changes_the_request_case_by_case(run: Run) -> None:
    tests = f"""- name: table
  state: some
  {JOB}
  cases:
    - {{request: {{group: guest}}, expect: {{outcome: deny, reasons: [{{code: rule, says: no guests}}]}}}}
    - {{request: {{group: guest, roles: [trial]}}, expect: {{outcome: start, share: b}}}}
    - {{name: too many, request: {{cores: 10, count: 2}}, expect: {{outcome: start}}}}
"""
    status, out, _ = run(tests, "-v")
    assert (status, out.count("✓")) == (1, 2)
    assert "✗ line 10: table: too many" in out
    assert "outcome: expected start" in out
    assert "got      wait" in out


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        ("[quota]", 0),
        ("[{code: quota, resource: cores}]", 0),
        ("[{code: quota, says: quota for each user}]", 0),
        ("[{code: quota, resource: memory}]", 1),
        ("[{code: quota, says: project}]", 1),
        ("[]", 1),
        ("[quota, quota]", 1),
        ("[share-full]", 1),
    ],
)
def test_every_reason_has_to_be_expected_and_every_expected_one_be_there(
    run: Run, reasons: str, status: int
) -> None:
    job = JOB.replace("cores: 4", "cores: 10, count: 2")
    tests = f"- {{name: one, state: some, {job}, expect: {{outcome: wait, reasons: {reasons}}}}}\n"
    assert run(tests)[0] == status


def test_coverage_shows_what_no_test_has_shown(run: Run) -> None:
    tests = f"- {{name: one, state: some, {JOB}, expect: {{outcome: start}}}}\n"
    status, out, _ = run(tests, "--coverage")
    assert status == 0
    gaps = out.split("\n")
    assert "  t.policy:3: share b is never assigned" in gaps
    assert "  t.policy:4: assign a always applies" in gaps
    assert '  t.policy:4: `group == "cms"` always holds' in gaps
    assert '  t.policy:6: deny "no guests" never applies' in gaps
    assert '  t.policy:6: `"trial" in roles` never holds' in gaps
    assert "  t.policy:7: quota for each user: cores is never full" in gaps
    assert "  t.policy:8: route job, vmjob, vm, pool to farm queue" not in out


def test_too_little_coverage_fails(run: Run) -> None:
    tests = f"- {{name: one, state: some, {JOB}, expect: {{outcome: start}}}}\n"
    assert run(tests, "--coverage-min", "10")[0] == 0
    status, out, _ = run(tests, "--coverage-min", "90")
    assert status == 1
    assert "points covered" in out


def test_results_are_written_as_junit(run: Run, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    tests = f"""- {{name: good, state: some, {JOB}, expect: {{outcome: start}}}}
- {{name: bad, state: some, {JOB}, expect: {{outcome: deny}}}}
"""
    assert run(tests, "--junit", str(junit))[0] == 1
    suite = Xml.parse(junit).getroot()[0]  # noqa: S314 - we have just written it
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite] == ["good", "bad"]
    assert suite[1][0].get("message") == "outcome: expected deny, got start"


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        (f"- {{name: one, state: none, {JOB}, expect: {{outcome: start}}}}\n", "there is no state 'none'"),
        ("- {name: one, state: some, request: {kind: jib}, expect: {outcome: start}}\n", "t.test.yaml:4:"),
        (f"- {{name: one, state: some, {JOB}}}\n", "either what to expect or cases"),
        (f"- {{name: one, state: some, {JOB}, expect: {{outcome: begin}}}}\n", "t.test.yaml:4:"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_place(run: Run, tests: str, said: str) -> None:
    status, _, err = run(tests)
    assert status == 1
    assert said in err


def test_a_folder_without_tests_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(tmp_path)]) == 1
    assert "there are no tests" in capsys.readouterr().err


def test_the_schema_is_that_of_the_form() -> None:
    assert load_schema("policy-test") == schema()


def test_the_shipped_policies_pass_tests_that_leave_nothing_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(POLICIES), "--coverage-min", "100"]) == 0, capsys.readouterr().out


def test_a_rule_that_makes_room_is_covered_by_a_request_that_has_waited(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.policy").write_text(POLICY + "reclaim for any when waited > 30m by requeue for job\n")
    full = STATE.replace("cores: 12}", "cores: 12, count: 10}").replace(
        "node: wn01,", f"nodes: {{{', '.join(f'wn{n:02}: 1' for n in range(1, 11))}}},"
    )
    (tmp_path / "state.yaml").write_text(full)
    asked = "request: {kind: job, origin: grid, user: bob, group: people, cores: 8}"
    head = f"  - name: takes back\n    state: some\n    {asked}\n    cases:\n"
    early = "      - {waited: 20m, expect: {outcome: wait}}\n"
    status, out, _ = run(head + early, "--coverage")
    assert status == 0, out
    assert "reclaim for any never makes room" in out
    late = "      - {waited: 1h, expect: {outcome: preempt, victims: [a1]}}\n"
    status, out, _ = run(head + early + late, "--coverage")
    assert status == 0, out
    assert "never makes room" not in out


def test_a_wait_that_cannot_be_read_is_told(run: Run) -> None:
    status, _, err = run(
        f"  - name: x\n    state: some\n    {JOB}\n    waited: soon\n    expect: {{outcome: start}}\n"
    )
    assert status == 1
    assert "waited" in err
