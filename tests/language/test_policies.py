"""The policies to start from are sound, and so is what they tell to switch on."""

from __future__ import annotations

from pathlib import Path

import pytest
from wnodes_engine.check.policy import check_policy
from wnodes_engine.frames import as_text
from wnodes_engine.language.load import load, load_text

POLICIES = Path(__file__).parents[2] / "policies"


@pytest.mark.parametrize("file", sorted(POLICIES.glob("*.policy")), ids=lambda path: path.stem)
def test_a_policy_to_start_from_has_no_findings(file):
    program = load(file)
    _, findings = check_policy(program)
    assert not findings, as_text(findings, program.texts)


def test_the_universitys_exam_weeks_can_be_switched_on():
    file = POLICIES / "university.policy"
    text = file.read_text().replace(
        '# include "university/exam-weeks.policy"', 'include "university/exam-weeks.policy"'
    )
    program = load_text(text, file)
    assert len(program.sources) == 2
    _, findings = check_policy(program)
    assert not findings, as_text(findings, program.texts)
