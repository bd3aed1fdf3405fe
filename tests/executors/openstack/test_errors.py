"""What a cloud says, or does not say, becomes the outcome that is safe to act on."""

from __future__ import annotations

from typing import Any

import pytest
from wnodes_engine.backend import Verdict
from wnodes_engine.executor import ExecutorUnavailable
from wnodes_openstack.errors import (
    Answer,
    NotLetIn,
    Unanswered,
    expected,
    message_of,
    outcome_of,
    outcome_of_silence,
)


@pytest.mark.parametrize(
    ("status", "body", "verdict", "said"),
    [
        (
            400,
            {"badRequest": {"code": 400, "message": "Can not find requested image"}},
            Verdict.REFUSED,
            "image",
        ),
        (
            400,
            {"badRequest": {"message": "Compute host no-such could not be found."}},
            Verdict.REFUSED,
            "no-such",
        ),
        (400, {"badRequest": {"message": "Image x is not active."}}, Verdict.REFUSED, "not active"),
        (
            401,
            {"error": {"message": "The request you have made requires authentication."}},
            Verdict.REFUSED,
            "token",
        ),
        (403, {"forbidden": {"message": "Quota exceeded for cores: Requested 8"}}, Verdict.NO_ROOM, "Quota"),
        (413, {"overLimit": {"message": "VolumeSizeExceedsAvailableQuota"}}, Verdict.NO_ROOM, "Quota"),
        (403, {"forbidden": {"message": "Policy doesn't allow x"}}, Verdict.REFUSED, "administrator"),
        (404, {"itemNotFound": {"message": "Instance could not be found."}}, Verdict.CONFLICT, "Instance"),
        (409, {"conflictingRequest": {"message": "Cannot 'shelve'"}}, Verdict.CONFLICT, "Cannot"),
        (429, "slow down", Verdict.PASSING, "slow down"),
        (503, "", Verdict.PASSING, "HTTP 503"),
        (500, {"computeFault": {"message": "Unexpected API Error."}}, Verdict.UNKNOWN, "Unexpected"),
        (504, "<html>\n timeout </html>", Verdict.UNKNOWN, "timeout"),
    ],
)
def test_a_refusal_comes_to_an_outcome_in_words(status: int, body: Any, verdict: Verdict, said: str) -> None:
    outcome = outcome_of(Answer(status, body), "a server on alpha-1")
    assert outcome.verdict is verdict
    assert said in outcome.message
    assert outcome.message.startswith("a server on alpha-1: ")


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Unanswered("refused", sent=False), Verdict.PASSING),
        (Unanswered("timed out", sent=True), Verdict.UNKNOWN),
        (NotLetIn("the project 'x' cannot be used"), Verdict.REFUSED),
    ],
)
def test_only_what_cannot_have_arrived_may_be_repeated_blindly(error: Any, verdict: Verdict) -> None:
    assert outcome_of_silence(error, "it").verdict is verdict


@pytest.mark.parametrize(
    "body", [None, [], {}, {"x": 1}, "", "\x00", {"errors": []}, {"a": {"message": None}}]
)
def test_an_error_without_a_message_is_no_error_of_ours(body: Any) -> None:
    assert message_of(body) in {"", "\x00"}


def test_a_query_that_was_refused_or_answered_with_something_else_is_an_error() -> None:
    with pytest.raises(ExecutorUnavailable, match="the servers: HTTP 500: no reason given"):
        expected(Answer(500, {}), "the servers")
    with pytest.raises(ExecutorUnavailable, match="not JSON"):
        expected(Answer(200, "<html>"), "the servers")


def test_long_messages_are_cut() -> None:
    assert len(message_of({"badRequest": {"message": "x" * 100_000}})) == 300
