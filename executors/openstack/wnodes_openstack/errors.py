"""What the cloud's answers and failures come to, in the requester's words: pure."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.executor import ExecutorUnavailable

_LONGEST: Final = 300


class Answer(msgspec.Struct, frozen=True):
    """An answer of an API, whatever it says: `body` is decoded JSON, or the text."""

    status: int
    body: Any
    headers: dict[str, str] = {}

    @property
    def well(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300


class Unanswered(Exception):  # noqa: N818 - it names a condition
    """No answer arrived. `sent`: the question may have arrived all the same."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message[:_LONGEST])
        self.sent = sent


class NotLetIn(Exception):  # noqa: N818 - it names a condition
    """Keystone does not let us in: no such project, no role there, a wrong password, a token that is over."""


class NoSuchProject(NotLetIn):
    """We are let in, but not into this project."""


def message_of(body: Any) -> str:
    """What an API says has gone wrong, in one line; every service wraps it in its own way."""
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return " ".join(body.split())[:_LONGEST]
    found = ""
    if isinstance(body, dict):
        if isinstance(errors := body.get("errors"), list) and errors:
            found = str(errors[0].get("detail") or errors[0].get("title") or "")
        for wrapped in body.values():
            if not found and isinstance(wrapped, dict):
                found = str(wrapped.get("message") or wrapped.get("detail") or "")
        found = found or str(body.get("message") or "")
    return " ".join(found.split())[:_LONGEST]


def code_of(body: Any) -> str:
    """Placement's own code of an error, such as `placement.concurrent_update`; empty if there is none."""
    if isinstance(body, dict) and isinstance(errors := body.get("errors"), list) and errors:
        return str(errors[0].get("code") or "")
    return ""


def outcome_of(answer: Answer, what: str) -> ActionOutcome:
    """What a refusal of Nova, Cinder or Swift comes to; `what` was asked for."""
    said = message_of(answer.body) or f"HTTP {answer.status}"
    message = f"{what}: {said}"
    if answer.well:
        return ActionOutcome(Verdict.DONE)
    if answer.status == 401:
        return ActionOutcome(Verdict.REFUSED, f"{what}: the cloud does not take our token any more: {said}")
    if answer.status in {403, 413} and "quota" in said.lower():
        return ActionOutcome(Verdict.NO_ROOM, message)
    if answer.status == 403:
        mend = "an administrator has to give the service user its role, and its policies, there"
        return ActionOutcome(Verdict.REFUSED, f"{message} ({mend})")
    if answer.status in {404, 409}:
        return ActionOutcome(Verdict.CONFLICT, message)
    if answer.status in {429, 503}:
        return ActionOutcome(Verdict.PASSING, message)
    if answer.status >= 500:
        return ActionOutcome(Verdict.UNKNOWN, message)
    return ActionOutcome(Verdict.REFUSED, message)


def outcome_of_silence(error: Unanswered | NotLetIn, what: str) -> ActionOutcome:
    """What no answer comes to: it may be repeated blindly only if nothing can have arrived."""
    if isinstance(error, NotLetIn):
        return ActionOutcome(Verdict.REFUSED, f"{what}: {error}")
    return ActionOutcome(Verdict.UNKNOWN if error.sent else Verdict.PASSING, f"{what}: {error}")


def expected(answer: Answer, what: str) -> Any:
    """The body of a query that has to succeed. Raises ExecutorUnavailable."""
    if not answer.well:
        said = message_of(answer.body) or "no reason given"
        raise ExecutorUnavailable(f"{what}: HTTP {answer.status}: {said}")
    if not isinstance(answer.body, dict):
        raise ExecutorUnavailable(f"{what}: the answer is not JSON")
    return answer.body
