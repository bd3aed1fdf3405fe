"""The whole explanation of one decision, as a value: `schemas/explanation.json` is its form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from wnodes_engine.check.checked import And, CheckedPolicy
from wnodes_engine.core import State, decide
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.limits import HOUR, quota_states
from wnodes_engine.core.placement import count_room
from wnodes_engine.explain.helps import helps
from wnodes_engine.explain.near import near, read_by
from wnodes_engine.explain.tracing import Trace, Tracer, Tried
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.validation import schema_of
from wnodes_engine.values import Decision, Request

Came = Literal["holds", "fails", "not asked", "closed"]


class NearRow(msgspec.Struct, frozen=True):
    """The one test that kept a rule from holding, what it read, and the smallest change."""

    test: str
    was: str
    change: str | None


class RuleRow(msgspec.Struct, frozen=True):
    """One rule: what it says, and what came of it; where it fails, the first test that did, and why."""

    phase: str
    file: str
    line: int
    rule: str
    condition: str | None
    came: Came
    failed: str | None
    was: str | None
    near: NearRow | None


class QuotaRow(msgspec.Struct, frozen=True):
    """One ceiling that counts the request: what is held, what it asks, the bound, and what is too much."""

    file: str
    line: int
    rule: str
    resource: str
    key: str
    held: int
    asks: int
    limit: int
    short: int


class ShareRow(msgspec.Struct, frozen=True):
    """A share on the way up, in one resource of which the request asks something."""

    share: str
    resource: str
    nominal: int
    used: int
    free: int
    asks: int
    short: int


class HelpRow(msgspec.Struct, frozen=True):
    """With at most so much of one thing the outcome would be another."""

    what: str
    value: int
    outcome: str
    text: str


class Explanation(msgspec.Struct, frozen=True):
    """A decision with all that led to it; `room` says for how many of its `parts` the nodes have room."""

    request: str
    decision: Decision
    rules: tuple[RuleRow, ...]
    quotas: tuple[QuotaRow, ...]
    shares: tuple[ShareRow, ...]
    parts: int | None
    room: int | None
    helps: tuple[HelpRow, ...]


def schema() -> dict[str, Any]:
    """The JSON Schema of an explanation, as `schemas/explanation.json` holds it."""
    return schema_of(Explanation, "explanation", "Why a request gets the answer that it gets")


def explain(state: State, request: Request, now: int) -> Explanation:
    """The decision on the request now, and what led to it. Only the state's clock is moved."""
    decision = decide(state, request, now)
    tracer = Tracer(state.policy)
    trace = tracer.trace(state, request)
    claim, _ = state.policy.admit(request, state)
    amounts = {name: trace.values[name] for name in _AMOUNTS}
    return Explanation(
        request.id,
        decision,
        tuple(_rule(tracer, state, trace, tried) for tried in trace.tried),
        tuple(_quotas(tracer, state, claim, now)) if claim is not None else (),
        tuple(_shares(state, claim)) if claim is not None else (),
        claim.parts if claim is not None else None,
        count_room(state, claim, now) if claim is not None else None,
        tuple(
            HelpRow(found.what, found.value, found.outcome.value, found.text)
            for found in helps(state, request, decision.outcome, amounts, now)
        ),
    )


_AMOUNTS = ("count", "cores", "memory", "gpus", "disk", "volumes", "walltime")


def _rule(tracer: Tracer, state: State, trace: Trace, tried: Tried) -> RuleRow:
    checked = state.policy.checked
    found = near(tracer, checked, tried, dict(trace.values))
    failed, was = _failed(tried, checked)
    came: Came = "holds" if tried.holds else "fails"
    if not tried.asked:
        came = "not asked"
    elif not tried.open and not tried.holds:
        came = "closed"
    return RuleRow(
        tried.phase,
        tried.span.path,
        tried.span.line,
        tried.head,
        tried.condition.text if tried.condition is not None else None,
        came,
        failed,
        was,
        NearRow(found.test, found.was, found.change) if found is not None else None,
    )


def _failed(tried: Tried, checked: CheckedPolicy) -> tuple[str | None, str | None]:
    """The first part of a rule's condition that does not hold, and what it read."""
    condition = tried.condition
    if condition is None or condition.holds is not False:
        return None, None
    parts = condition.parts if isinstance(condition.expr, And) else (condition,)
    first = next(part for part in parts if part.holds is False)
    return first.text, read_by(first, checked) or None


def _quotas(tracer: Tracer, state: State, claim: Claim, now: int) -> Iterator[QuotaRow]:
    for meter, key, held, asks, bound in quota_states(state, claim, now, None):
        spec = state.policy.meters[meter]
        if spec.quota is None or spec.ceiling is None:
            continue
        unit = HOUR if spec.window else 1
        span = spec.ceiling.span
        yield QuotaRow(
            span.path,
            span.line,
            tracer.head(spec.quota.span),
            spec.resource,
            state.tree.shares[key].path if spec.quota.key == "share" and isinstance(key, int) else str(key),
            -(-held // unit),
            -(-asks // unit),
            bound // unit,
            max(0, -(-(held + asks - bound) // unit)),
        )


def _shares(state: State, claim: Claim) -> Iterator[ShareRow]:
    tree = state.tree
    for share in tree.paths[claim.leaf]:
        for resource, asks in claim.asks:
            free = tree.free(share, resource)
            yield ShareRow(
                tree.shares[share].path,
                RESOURCES[resource],
                tree.live.amount[resource][share],
                tree.held[resource][share],
                free,
                asks,
                max(0, asks - free),
            )
