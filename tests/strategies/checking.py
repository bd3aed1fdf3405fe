"""From a policy's text to what the engine and the oracle read."""

from __future__ import annotations

from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.check.policy import check_policy
from wnodes_engine.findings import has_errors
from wnodes_engine.language.load import load_text


def checked(text: str) -> CheckedPolicy:
    """The checked policy of one text, which must have no errors."""
    program = load_text(text, "random.policy")
    assert program.policy is not None, program.findings
    policy, findings = check_policy(program)
    assert policy is not None, [finding for finding in findings if has_errors([finding])]
    return policy
