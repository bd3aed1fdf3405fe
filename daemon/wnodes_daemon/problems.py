"""Every way in which a call can fail, in one shape: RFC 9457, `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response
from wnodes_engine.values import Decision
from wnodes_engine.wire import WireError

from wnodes_daemon.views import FieldError, Problem

TITLES: Final = {
    400: ("invalid", "The call is not of the right form"),
    401: ("unknown", "It is not known who calls"),
    403: ("denied", "The policy denies this request"),
    404: ("not-found", "There is nothing here by that name"),
    405: ("method", "This cannot be done here"),
    408: ("too-slow", "The body did not arrive in time"),
    409: ("conflict", "The request is not in a state for this"),
    413: ("too-large", "The body is too large"),
    415: ("media-type", "The body is not of a type that is read here"),
    429: ("busy", "There is too much to do at the moment"),
    500: ("fault", "The daemon made a mistake"),
    503: ("unavailable", "The daemon cannot do this at the moment"),
}
"""The kinds of problem by status: the last part of their type, and their title."""


class ProblemError(Exception):
    """Ends a call with this problem; `headers` go with it."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.headers = dict(headers or {})


def problem(
    status: int, detail: str, errors: tuple[FieldError, ...] = (), decision: Decision | None = None
) -> Problem:
    """The problem for a status, with what it is this time."""
    kind, title = TITLES[status]
    return Problem(f"urn:wnodes:problem:{kind}", title, status, detail, errors, decision)


def failed(status: int, detail: str, headers: Mapping[str, str] | None = None) -> ProblemError:
    """The error that ends a call with this status."""
    return ProblemError(problem(status, detail), headers)


def forbidden(detail: str, errors: tuple[FieldError, ...] = ()) -> ProblemError:
    """The error for what is not theirs who call: the daemon's word, not the policy's."""
    title = "This is not yours to do"
    return ProblemError(Problem("urn:wnodes:problem:forbidden", title, 403, detail, errors))


def invalid(error: WireError) -> ProblemError:
    """The error for a body or parameter that is not of the right form."""
    return ProblemError(problem(400, str(error), (_field(error),)))


def not_theirs(error: WireError) -> ProblemError:
    """The error for a field that is not for whoever calls to fill in so."""
    return forbidden(str(error), (_field(error),))


def _field(error: WireError) -> FieldError:
    return FieldError(error.path, error.message, error.help)


def denied(decision: Decision) -> Problem:
    """The problem of a request that the policy denies, with every reason."""
    reasons = "; ".join(reason.message for reason in decision.reasons)
    return problem(403, reasons or "the policy denies it", decision=decision)


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that says so."""
    return Response(
        msgspec.json.encode(problem),
        problem.status,
        {"retry-after": "1", **(headers or {})} if problem.status in {429, 503} else headers,
        "application/problem+json",
    )
