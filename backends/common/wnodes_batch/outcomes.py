"""What the answer of a command that was to change something means."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from wnodes_engine.backend import ActionOutcome, Verdict

from wnodes_batch.acting import DONE
from wnodes_batch.runner import Answer

Meanings = Sequence[tuple[str, Verdict]]
"""Patterns in messages of failure and what each means; the first that is found counts."""


def verdict_of(said: str, meanings: Meanings) -> Verdict:
    """What a message of failure means; a plain word that it will not be is a refusal."""
    return next((means for pattern, means in meanings if re.search(pattern, said)), Verdict.REFUSED)


def unfinished(answer: Answer) -> ActionOutcome | None:
    """The outcome of a command that was not even begun, or that did not end by itself; None for others."""
    if not answer.began:
        return ActionOutcome(Verdict.PASSING, answer.said)
    if answer.status is None or answer.status < 0:
        return ActionOutcome(Verdict.UNKNOWN, answer.said or f"signal {-(answer.status or 0)} ended it")
    return None


def outcome_of(
    answer: Answer, verdict: Callable[[str], Verdict], plain: Callable[[str], str]
) -> ActionOutcome:
    """The outcome of a command that was about one thing."""
    if (outcome := unfinished(answer)) is not None:
        return outcome
    return DONE if answer.status == 0 else ActionOutcome(verdict(answer.said), plain(answer.said))
