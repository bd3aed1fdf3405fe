"""Why not: every reason that denies a request or makes it wait, with its rule and its numbers."""

from __future__ import annotations

import re
import traceback
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec.structs import astuple, replace

from wnodes_engine.check.checked import UNLIMITED, Quota
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Part, Where
from wnodes_engine.core.ledger import HS23
from wnodes_engine.core.limits import least_hs23, over_quota, quota_states, share_full
from wnodes_engine.core.placement import count_room, meets_downtime, place
from wnodes_engine.core.policy import Refusal, Refused
from wnodes_engine.core.wording import amount, duration, size
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.values import Code, Reason, Request

if TYPE_CHECKING:
    from wnodes_engine.core.meters import MeterSpec
    from wnodes_engine.core.policy import CompiledPolicy
    from wnodes_engine.core.promises import Pledge
    from wnodes_engine.core.state import State

_HOUR: Final = 3600
_PLACE: Final = re.compile(r"(.+):(\d+)")
"""Where a rule of the compiled policy comes from."""


def refused_by_error(policy: CompiledPolicy, error: Exception) -> Reason:
    """A rule could not be evaluated: most often it reads what the request does not have."""
    file, line = "", 0
    lines = policy.source.splitlines()
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith("<policy "):
            # What is looked up is given its place; what is written in line has it as a comment.
            comment = lines[number - 1].rpartition("  # ")[2]
            place = _PLACE.fullmatch(frame.f_locals.get("at") or comment)
            if place is not None:
                file, line = place[1], int(place[2])
    message = "a rule of the policy reads something that this request does not have"
    return Reason(Code.ERROR, message, "", file, line)


def denials(state: State, claim: Claim | None, refusals: list[Refusal], now: int) -> tuple[Reason, ...]:
    """Every reason that denies: rules, what can never run, quotas that deny or that it exceeds alone."""
    reasons = [_refused(state, refusal) for refusal in sorted(refusals)]
    if claim is None:
        return tuple(reasons)
    reasons += _never(state, claim)
    placed = claim.placed and place(state, claim, now) is not None
    over: list[tuple[int, Reason]] = []
    for meter, key, held, asked, bound in quota_states(state, claim, now, None):
        spec = state.policy.meters[meter]
        if spec.quota is None:
            continue
        if spec.quota.nodes is not None and placed:
            continue  # its parts have gone elsewhere
        ever = state.ever_bounds[meter] * (_HOUR if spec.window else 1)
        if asked > ever and spec.quota.nodes is None:
            over.append((meter, _over(state, spec, key, 0, asked, ever, alone=_asks(claim))))
        elif held + asked > bound and spec.quota.denies:
            over.append((meter, _over(state, spec, key, held, asked, bound)))
    for meter, key in claim.waits:
        spec, bound = state.policy.meters[meter], state.bounds[meter]
        if state.meters[meter].get(key, 0) + 1 > bound:
            over.append((meter, _over(state, spec, key, state.meters[meter].get(key, 0), 1, bound)))
    over.sort(key=lambda entry: entry[0])  # as the quotas are written
    return (*reasons, *(reason for _, reason in over))


def waits(state: State, claim: Claim, request: Request, where: Where | None, now: int) -> tuple[Reason, ...]:
    """Every reason that makes an admitted request wait; `where` are the nodes that have room for it now."""
    reasons = []
    if claim.placed or over_quota(state, claim, now):
        for meter, key, held, asked, bound in quota_states(state, claim, now, where):
            if asked and held + asked > bound:
                reasons.append(_over(state, state.policy.meters[meter], key, held, asked, bound))
    if state.policy.tracks_hs23 or share_full(state, claim):
        reasons += _share_full(state, claim, where)
    if where is None:
        reasons.append(_no_node(state, claim, now))
    if state.waiters:
        reasons += _queue_ahead(state, claim, request, where, now)
    return tuple(reasons)


def leaving(state: State, pledge: Pledge, now: int) -> Reason:
    """Whom a request waits for that room has been made for."""
    rule = state.policy.checked.preempts[pledge.rule]
    count, left = len(pledge.victims), pledge.leave_by - now
    if not count:
        message = "its victims have left: it is next to start on its nodes"
    else:
        who = "a victim is" if count == 1 else f"{count} victims are"
        message = (
            f"room has been made for it: {who} to leave {f'within {duration(left)}' if left > 0 else 'now'}"
        )
    word = rule.how if rule.how == "reclaim" else "preempt"
    return _at(Code.LEAVING, message, word, rule.span)


def _queue_ahead(state: State, claim: Claim, request: Request, where: Where | None, now: int) -> list[Reason]:
    """Who waits ahead of it, where the leaf is strict, and whose reservation it would delay."""
    reasons = []
    ahead = state.ahead(request, claim, now)
    path = state.tree.shares[claim.leaf].path
    if ahead is not None:
        order = state.queues[claim.leaf].order
        reasons.append(
            _at(
                Code.BEHIND,
                f"{ahead.id} is ahead of it in {path}, which is strict",
                f"order {path}",
                order.span,
            )
        )
    if where is not None:
        for reservation in state.reservations(now):
            if reservation.claim != claim and not reservation.admits(claim, where, now):
                nodes = ", ".join(place.node for place in state.placement(reservation.where[:3]))
                wait = duration(reservation.start - now)
                share = state.tree.shares[reservation.claim.leaf].path
                reasons.append(
                    Reason(
                        Code.RESERVED,
                        f"it would delay the head of {share}, which is to start on {nodes} within {wait}",
                    )
                )
    return reasons


def _at(code: Code, message: str, rule: str, span: Span | None, **numbers: int | str) -> Reason:
    file, line = (span.path, span.line) if span is not None else ("", 0)
    return Reason(code, message, rule, file, line, **numbers)  # type: ignore[arg-type]


def _refused(state: State, refusal: Refusal) -> Reason:
    kind, index, asked = refusal
    checked = state.policy.checked
    if kind == Refused.RULE:
        rule = checked.denies[index]
        return _at(Code.RULE, rule.reason, f'deny "{rule.reason}"', rule.span)
    if kind == Refused.CAP:
        cap = checked.caps[index]
        most = amount(cap.attribute, cap.value)
        if asked >= UNLIMITED:  # no number says how much that is
            message = f"asks unlimited {cap.attribute}, the cap is {most}"
            return _at(Code.CAP, message, f"cap {most}", cap.span, resource=cap.attribute, limit=cap.value)
        return _at(
            Code.CAP,
            f"asks {amount(cap.attribute, asked)}, the cap is {most}",
            f"cap {most}",
            cap.span,
            resource=cap.attribute,
            limit=cap.value,
            current=asked,
            short=asked - cap.value,
        )
    if kind == Refused.UNASSIGNED:
        return Reason(Code.UNASSIGNED, "no assign rule matches it: it belongs to no share")
    return Reason(Code.UNROUTED, "no route matches it: nothing could carry it out")


def _never(state: State, claim: Claim) -> list[Reason]:
    reasons = []
    most = state.tree.most
    asks = list(claim.asks)
    if state.policy.tracks_hs23:
        asks.append((HS23, least_hs23(state, claim)))
    path = state.tree.shares[claim.leaf].path
    for resource, ask in asks:
        limit = most[resource][claim.leaf]
        if ask > limit:
            name = RESOURCES[resource]
            reasons.append(
                Reason(
                    Code.NEVER_SHARE,
                    f"{_asks(claim)} {amount(name, ask)}; {path} can never have more than "
                    f"{amount(name, limit)}, all borrowing included",
                    resource=name,
                    limit=limit,
                    current=ask,
                    short=ask - limit,
                )
            )
    room = state.room_when_empty(claim)
    if room < claim.parts:
        message = f"no node that may take it is large enough for {_parts(claim)}"
        if claim.parts > 1:
            message = f"the nodes that may take it, all empty, hold {room} of {_parts(claim)}"
            if (groups := _one_of(state, claim)) is not None:
                message = f"none of {groups} holds more than {room} of {_parts(claim)}, even when empty"
        reasons.append(_short_of_parts(Code.NEVER_NODE, message, room, claim.parts))
    return reasons


def _asks(claim: Claim) -> str:
    return "asks" if claim.parts == claim.most else "asks at least"


def _parts(claim: Claim) -> str:
    """The parts that it would begin with."""
    told = _so_many(claim.part, claim.parts)
    return told if claim.parts in (1, claim.most) else f"at least {told}"


@lru_cache(maxsize=4096)
def _so_many(part: Part, parts: int) -> str:
    each = ", ".join(
        amount(name, value)
        for name, value in zip(("cores", "memory", "gpus", "disk"), astuple(part), strict=True)
        if value
    )
    return each if parts == 1 else f"{parts} × ({each})"


def _over(
    state: State, spec: MeterSpec, key: str | int, held: int, asked: int, bound: int, *, alone: str = ""
) -> Reason:
    """Why a quota stops it; `alone` says that it asks too much by itself."""
    quota = spec.quota
    if quota is None or spec.ceiling is None:
        raise ValueError(f"meter {spec.index} belongs to no quota")
    short = held + asked - bound
    if spec.window:
        held, asked, bound, short = (-(-value // _HOUR) for value in (held, asked, bound, short))
    if quota.nodes is not None:
        whom = "its group of nodes"
    elif quota.key == "share" and isinstance(key, int):
        whom = f"share {state.tree.shares[key].path}"
    else:
        whom = f"{quota.key} {key}"
    resource = spec.resource
    limit = amount(resource, bound) + (f" per {duration(spec.window)}" if spec.window else "")
    if alone:
        message = f"{alone} {amount(resource, asked)} by itself, {whom} may have {limit}"
    else:
        message = f"{whom} has {held} of {limit}; {asked} more would be {amount(resource, short)} too many"
        if resource in ("memory", "disk", "hs23"):
            message = (
                f"{whom} has {amount(resource, held)} of {limit}; "
                f"{amount(resource, asked)} more would be {amount(resource, short)} too much"
            )
    return _at(
        Code.QUOTA,
        message,
        _quota_as_written(state, quota, spec, bound),
        spec.ceiling.span,
        resource=resource,
        limit=bound,
        current=asked if alone else held,
        short=short,
    )


def _quota_as_written(state: State, quota: Quota, spec: MeterSpec, bound: int) -> str:
    """The ceiling as the policy has it, without the share and the conditions that it is for."""
    if quota.nodes is not None:
        named = ", ".join(f'"{pattern}"' for pattern in quota.nodes.patterns)
        having = ", ".join(f'"{name}"' for name in quota.nodes.properties)
        whom = f"nodes {named or 'all'}{f' with {having}' if having else ''}"
    elif quota.value is None:
        whom = f"each {quota.key}"
    elif isinstance(quota.value, int):
        whom = f"share {state.tree.shares[quota.value].path}"
    else:
        whom = f'{quota.key} "{quota.value}"'
    most = size(bound) if spec.resource in ("memory", "disk") else f"{bound}"
    return (
        f"quota for {whom}: {spec.resource} <= {most}{f' per {duration(spec.window)}' if spec.window else ''}"
    )


def _share_full(state: State, claim: Claim, where: Where | None) -> list[Reason]:
    asks = claim.asks
    if state.policy.tracks_hs23:
        hs23 = least_hs23(state, claim) if where is None else state.hs23(claim, where)
        asks = (*asks, (HS23, hs23))
    share = state.tree.shares[claim.leaf]
    reasons = []
    for resource, ask in asks:
        free = state.tree.free(claim.leaf, resource)
        if ask > free:
            name = RESOURCES[resource]
            held = state.tree.held[resource][claim.leaf]
            reasons.append(
                _at(
                    Code.SHARE,
                    f"{share.path} has {amount(name, max(0, free))} left to give, all that it may borrow "
                    f"included; this {_asks(claim)} {amount(name, ask)}",
                    f"share {share.path}",
                    share.span,
                    resource=name,
                    limit=held + free,
                    current=held,
                    short=ask - free,
                )
            )
    return reasons


def _no_node(state: State, claim: Claim, now: int) -> Reason:
    room = 0 if claim.parts == 1 and not claim.placed else count_room(state, claim, now)
    if meets_downtime(state, claim, now) and place(state, replace(claim, walltime=0), now) is not None:
        message = f"the nodes with room go down before its walltime, {duration(claim.walltime)}, is over"
    elif state.closings and place(state, replace(claim, walltime=-now), now) is not None:  # at no time at all
        message = "the nodes with room are in a downtime"
    elif claim.placed and place(state, replace(claim, placed=()), now) is not None:
        message = f"the quotas for its nodes leave room for {room} of {_parts(claim)}"
    elif claim.parts == 1:
        message = f"no node that may take it has {_parts(claim)} free now"
    elif (groups := _one_of(state, claim)) is not None:
        message = f"none of {groups} has room for more than {room} of {_parts(claim)} now"
    else:
        message = f"the nodes that may take it have room for {room} of {_parts(claim)} now"
    return _short_of_parts(Code.NODE, message, room, claim.parts)


def _one_of(state: State, claim: Claim) -> str | None:
    """The groups of nodes of which one has to hold all parts; None where they may stand anywhere."""
    rule = state.policy.checked.places[claim.over] if claim.over >= 0 else None
    return ", ".join(group.name for group in rule.groups) if rule is not None and rule.in_one else None


def _short_of_parts(code: Code, message: str, room: int, wanted: int) -> Reason:
    return Reason(code, message, resource="parts", limit=room, current=wanted, short=wanted - room)
