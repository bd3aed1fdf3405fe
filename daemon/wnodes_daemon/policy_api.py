"""The calls about the policy in force: which it is, taking what the files say, going back, trying out."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

import msgspec
from starlette.requests import Request as Call
from starlette.responses import Response
from wnodes_engine.access import Right

from wnodes_daemon import views
from wnodes_daemon.access.identity import Identity, Scope
from wnodes_daemon.bodies import read_body
from wnodes_daemon.context import Context, answer
from wnodes_daemon.live_policy import LivePolicy, PolicyRefused
from wnodes_daemon.openapi import Operation
from wnodes_daemon.problems import ProblemError, failed, problem
from wnodes_daemon.records import KnownPolicy
from wnodes_daemon.trying_out import Outcome
from wnodes_daemon.views import FieldError

_log: Final = logging.getLogger(__name__)
_SHOWN: Final = 1000
_read: Final = msgspec.json.Decoder(views.PolicyForm).decode


async def show(context: Context, _: Call, __: Identity) -> Response:
    """The policy in force, and whether its files say something that cannot be taken."""
    policies = _policies(context)
    return answer(_view(await policies.in_force(), policies.problem))


async def reload(context: Context, _: Call, who: Identity) -> Response:
    """Take the policy as its files are now, if it is sound; else the old one goes on, and 409 says why."""
    policies = _policies(context)
    _log.info("the policy is to be reloaded", extra={"user": who.user, "by": who.by})
    try:
        return answer(_view(await policies.reload(), policies.problem))
    except PolicyRefused as error:
        raise _refused(error) from None


async def roll_back(context: Context, _: Call, who: Identity) -> Response:
    """Take the policy that was in force before; again, and it is the one before that."""
    policies = _policies(context)
    _log.info("the policy is to be rolled back", extra={"user": who.user, "by": who.by})
    try:
        return answer(_view(await policies.roll_back(), policies.problem))
    except PolicyRefused as error:
        raise _refused(error) from None


async def dry_run(context: Context, call: Call, _: Identity) -> Response:
    """What would change for what waits and runs now under another policy. Nothing changes."""
    try:
        form = _read(await read_body(call, context.limits.body))
    except msgspec.DecodeError as error:
        raise failed(400, f'the body is not of the form {{"text": POLICY}}: {error}') from None
    try:
        policy, found = await _policies(context).dry_run(form.text)
    except PolicyRefused as error:
        raise _refused(error) from None
    changed = [one for one in found if is_change(one)]
    return answer(
        views.DryRunView(
            name=policy.checked.name,
            digest=policy.digest,
            requests=len(found),
            changed=len(changed),
            counts=dict(Counter(f"{one.now.stands} -> {one.then.stands}" for one in changed)),
            changes=tuple(
                views.ChangeView(str(one.request), one.user, one.now, one.then, one.reasons)
                for one in changed[:_SHOWN]
            ),
        )
    )


def is_change(one: Outcome) -> bool:
    """Whether anything becomes another for a request."""
    return one.now != one.then


def _policies(context: Context) -> LivePolicy:
    if context.policies is None:
        raise failed(503, "this daemon has no policy of its own at the moment")
    return context.policies


def _refused(error: PolicyRefused) -> ProblemError:
    errors = tuple(
        FieldError(f"{finding.span.path}:{finding.span.line}", finding.message, finding.help)
        for finding in error.findings
    )
    return ProblemError(problem(409, str(error), errors))


def _view(known: KnownPolicy, told: str) -> views.PolicyView:
    taken = views.time_of(known.taken)
    return views.PolicyView(known.number, known.name, known.digest, taken, known.origin, told)


OPERATIONS: Final = (
    Operation("GET", "/v1/policy", show, answers={200: views.PolicyView}, problems=(503,)),
    Operation(
        "POST",
        "/v1/policy/reload",
        reload,
        answers={200: views.PolicyView},
        problems=(409, 429, 503),
        scope=Scope.MODIFY,
        right=Right.ADMIN,
    ),
    Operation(
        "POST",
        "/v1/policy/rollback",
        roll_back,
        answers={200: views.PolicyView},
        problems=(409, 429, 503),
        scope=Scope.MODIFY,
        right=Right.ADMIN,
    ),
    Operation(
        "POST",
        "/v1/policy/dry-run",
        dry_run,
        body=(views.PolicyForm,),
        answers={200: views.DryRunView},
        problems=(400, 408, 409, 413, 415, 503),
        right=Right.OPERATOR,
    ),
)
"""What is served of it."""
