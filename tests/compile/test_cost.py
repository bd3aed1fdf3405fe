"""wnodes-policy cost: what it says one request can meet is what the compiled policy really asks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from strategies.checking import checked
from wnodes_engine.cli import main
from wnodes_engine.compile import compile_policy
from wnodes_engine.compile.cost import cost
from wnodes_engine.core import State, decide
from wnodes_engine.values import Node, Request

HEAD = "policy t\nshare a 50%\nshare b 50%\nassign a when origin == grid\nassign b otherwise\n"
ROUTE = "route job, vmjob, vm, pool to farm\n"
CROWDED = 'deny "wide {0}" when group == "g{1}" and cores > {0}\n'
POLICY = HEAD + "".join(CROWDED.format(n, n % 7) for n in range(100)) + 'deny "x" when gpus > 8\n' + ROUTE


def job(group: str, cores: int) -> Request:
    return Request(
        id="r", kind="job", origin="grid", user="u", group=group, submitted=0, cores=cores, gpus=0, memory=1
    )


def functions_called(work: Callable[[], object], prefix: str) -> int:
    called = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal called
        called += event == "call" and frame.f_code.co_name.startswith(prefix)

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return called


def test_a_request_meets_as_many_rules_as_it_says() -> None:
    policy = checked(POLICY)
    (deny,) = [section for section in cost(policy).sections if section.name == "deny"]
    assert (deny.rules, deny.most, deny.looked_up) == (101, 15 + 1, {"group": 100})
    state = State(compile_policy(policy), [Node("n1", cores=8, memory=100, gpus=0, disk=0)])
    met = [
        functions_called(lambda group=group: decide(state, job(group, 200), 0), "_deny_by_group")
        for group in ("g0", "g1", "g2", "g6", "nobody")
    ]
    assert met == [15, 15, 14, 14, 0]


def test_rules_after_one_without_a_condition_have_no_turn() -> None:
    policy = checked(HEAD + "default cores 2\n" + ROUTE)
    assert {section.name: section.most for section in cost(policy).sections} == {
        "default_0": 1, "assign": 2, "route": 1,
    }  # fmt: skip


def test_rules_that_no_index_serves_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.policy"
    path.write_text(POLICY)
    assert main(["cost", str(path)]) == 0
    out = capsys.readouterr().out
    assert "No index serves 1, each is tried for every request:" in out
    assert f'{path}:106: deny "x" when gpus > 8' in out


@pytest.mark.parametrize(("budget", "status"), [("19", 0), ("18", 1)])
def test_above_its_budget_a_policy_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], budget: str, status: int
) -> None:
    path = tmp_path / "größe.policy"
    path.write_text(POLICY)
    assert main(["cost", str(path), "--budget", budget]) == status
    assert ("can meet 19 rules, the budget is 18" in capsys.readouterr().err) is bool(status)
    assert main(["cost", str(path), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["most"] == 19


def test_a_policy_with_errors_has_no_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.policy"
    path.write_text(POLICY.replace("gpus > 8", "gpu > 8"))
    assert main(["cost", str(path)]) == 1
    assert "E101" in capsys.readouterr().err
