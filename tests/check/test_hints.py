"""A check without hints: the same policy and the same errors, in a fraction of the time."""

from __future__ import annotations

from pathlib import Path

import pytest
from wnodes_engine.check.policy import check_policy
from wnodes_engine.findings import Severity
from wnodes_engine.language.load import load, load_text

SHIPPED = sorted((Path(__file__).parents[2] / "policies").glob("*.policy"))
NEEDLESS = """policy p
share a 100%
assign a when origin == grid
assign a otherwise
deny "large" when cores > 8
deny "larger" when cores > 16
route job, vmjob, vm, pool to farm
"""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_sound_policy_is_the_same(path: Path) -> None:
    assert check_policy(load(str(path)), hints=False)[0] == check_policy(load(str(path)))[0]


def test_what_is_needless_is_not_told() -> None:
    program = load_text(NEEDLESS, "p.policy")
    told = check_policy(program)[1]
    assert "W112" in {finding.code for finding in told}
    assert Severity.ERROR not in {finding.severity for finding in told}
    assert check_policy(program, hints=False)[1] == []


@pytest.mark.parametrize("hole", ["assign a otherwise\n", "share a 100%\n"])
def test_errors_are_told_all_the_same(hole: str) -> None:
    program = load_text(NEEDLESS.replace(hole, ""), "p.policy")
    errors = [finding for finding in check_policy(program)[1] if finding.severity is Severity.ERROR]
    assert errors
    assert check_policy(program, hints=False)[1] == errors
