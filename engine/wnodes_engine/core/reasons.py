"""Why not: every reason that denies a request or makes it wait, with its rule and its numbers."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Where
from wnodes_engine.core.feasible import parts_needed, room_of_all
from wnodes_engine.core.ledger import HS23
from wnodes_engine.core.limits import BY_METER, HOUR, QuotaState, least_hs23, placed_states, quota_states
from wnodes_engine.core.placement import count_room, meets_downtime, place
from wnodes_engine.core.policy import Refusal, Refused
from wnodes_engine.core.reserve import place_beside
from wnodes_engine.core.wording import amount, duration, parts_of, size, wording
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.values import Code, Reason, Request

if TYPE_CHECKING:
    from wnodes_engine.core.meters import MeterSpec
    from wnodes_engine.core.policy import CompiledPolicy
    from wnodes_engine.core.promises import Pledge
    from wnodes_engine.core.state import State

_PLACE: Final = re.compile(r"(.+):(\d+)")
"""Where a rule of the compiled policy comes from."""

_SAID: Final = tuple(wording(resource) for resource in RESOURCES)

_QUOTA, _SHARE, _NODE = Code.QUOTA, Code.SHARE, Code.NODE  # an enumeration is slow to ask in Python 3.11


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
    if isinstance(error, AttributeError | KeyError | TypeError):
        message = "a rule of the policy reads something that this request does not have"
    else:
        message = f"a rule of the policy cannot be evaluated for this request: {type(error).__name__}"
    return Reason(Code.ERROR, message, "", file, line)


def denials(state: State, claim: Claim | None, refusals: list[Refusal], now: int) -> tuple[Reason, ...]:
    """Every reason that denies: rules, what can never run, quotas that deny or that it exceeds alone."""
    reasons = [_refused(state, refusal) for refusal in sorted(refusals)]
    if claim is None:
        return tuple(reasons)
    reasons += _never(state, claim)
    placed = claim.placed and place(state, claim, now) is not None
    needed = parts_needed(state, claim) if claim.placed else {}
    over: list[tuple[int, Reason]] = []
    for meter, key, held, asked, bound in quota_states(state, claim, now, None):
        spec = state.policy.meters[meter]
        if spec.quota is None:
            continue
        ever = state.ever_bounds[meter] * (HOUR if spec.window else 1)
        if meter in needed:
            asked *= needed[meter]
        elif spec.quota.nodes is not None and placed:
            continue  # its parts have gone elsewhere
        # Where it denies anyway, what is held already counts: more is short than by the request alone.
        more_is_short = spec.quota.denies and held + ever > bound
        if meter in needed or (asked > ever and spec.quota.nodes is None and not more_is_short):
            over.append((meter, _over(state, spec, key, 0, asked, ever, alone=_asks(claim))))
        elif held + asked > bound and spec.quota.denies:
            over.append((meter, _over(state, spec, key, held, asked, bound)))
    for meter, key in claim.waits:
        spec, bound = state.policy.meters[meter], state.bounds[meter]
        if state.meters[meter].get(key, 0) + 1 > bound:
            over.append((meter, _over(state, spec, key, state.meters[meter].get(key, 0), 1, bound)))
    over.sort(key=lambda entry: entry[0])  # as the quotas are written
    return (*reasons, *(reason for _, reason in over))


def waits(
    state: State,
    claim: Claim,
    request: Request,
    over: list[QuotaState],
    full: bool,
    where: Where | None,
    now: int,
) -> tuple[Reason, ...]:
    """Every reason that makes an admitted request wait.

    `over` are the quotas that are exceeded, `full` tells whether its share is (hs23 aside), and `where` are
    the nodes that have room for it now.
    """
    if claim.placed:
        of_nodes = placed_states(state, claim, where)
        over = sorted(over + [at for at in of_nodes if at[3] and at[2] + at[3] > at[4]], key=BY_METER)
    meters = state.policy.meters
    reasons = [_over(state, meters[at[0]], at[1], at[2], at[3], at[4]) for at in over]
    if full or state.policy.tracks_hs23:
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
    others = [r for r in state.reservations(now) if r.claim != claim] if where is not None else []
    if where is not None and place_beside(state, claim, where, others, now) is None:
        for reservation in others:
            if not reservation.admits(claim, where, now):
                nodes = ", ".join(place.node for place in state.placement(reservation.where[:3]))
                nodes += f" and {more} more" if (more := len(reservation.where) - 3) > 0 else ""
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
    room = room_of_all(state, claim)
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
    told = parts_of(claim.part, claim.parts)
    return told if claim.parts in (1, claim.most) else f"at least {told}"


class _Words(NamedTuple):
    """What reasons say of one meter at one bound, whoever is over it."""

    bound: int
    """In the meter's own unit, as `limit` and `rule` name it."""
    limit: str
    rule: str
    """The ceiling as the policy has it, without the share and the conditions that it is for."""
    said: Callable[[int], str]
    """How an amount is said."""
    told: Callable[[int], str]
    """How it is said where its unit is plain."""
    much: str
    whom: str
    """What comes before the key, or all of it where `keyed` is False."""
    keyed: bool
    file: str
    line: int


def _words(state: State, spec: MeterSpec, bound: int) -> _Words:
    """The words for a meter; those for its last bound are kept."""
    words: _Words | None = state.policy.words.get(spec.index)
    if words is None or words.bound != bound:
        words = state.policy.words[spec.index] = _put_together(state, spec, bound)
    return words


def _put_together(state: State, spec: MeterSpec, bound: int) -> _Words:
    quota, resource = spec.quota, spec.resource
    if quota is None or spec.ceiling is None:
        raise ValueError(f"meter {spec.index} belongs to no quota")
    whom, keyed = f"{quota.key} ", True
    if quota.nodes is not None:
        whom, keyed = "its group of nodes", False
        named = ", ".join(f'"{pattern}"' for pattern in quota.nodes.patterns)
        having = ", ".join(f'"{name}"' for name in quota.nodes.properties)
        counted = f"nodes {named or 'all'}{f' with {having}' if having else ''}"
    elif quota.value is None:
        counted = f"each {quota.key}"
    elif isinstance(quota.value, int):
        counted = f"share {state.tree.shares[quota.value].path}"
    else:
        counted = f'{quota.key} "{quota.value}"'
    said = wording(resource)
    measured = resource in ("memory", "disk", "hs23")
    per = f" per {duration(spec.window)}" if spec.window else ""
    most = size(bound) if resource in ("memory", "disk") else f"{bound}"
    return _Words(
        bound,
        f"{said(bound)}{per}",
        f"quota for {counted}: {resource} <= {most}{per}",
        said,
        said if measured else str,
        "much" if measured else "many",
        whom,
        keyed,
        spec.ceiling.span.path,
        spec.ceiling.span.line,
    )


def _over(
    state: State, spec: MeterSpec, key: str | int, held: int, asked: int, bound: int, *, alone: str = ""
) -> Reason:
    """Why a quota stops it; `alone` says that it asks too much by itself."""
    short = held + asked - bound
    if spec.window:
        held, asked, bound, short = (-(-value // HOUR) for value in (held, asked, bound, short))
    _, limit, rule, said, told, much, whom, keyed, file, line = _words(state, spec, bound)
    name: str | int = key if keyed else ""
    if not isinstance(name, str):
        name = state.tree.shares[name].path
    if alone:
        message = f"{alone} {said(asked)} by itself, {whom}{name} may have {limit}"
        if spec.quota is not None and spec.quota.nodes is not None:
            message = f"{alone} {said(asked)} of {whom} by itself, which may have {limit}"
        held = asked
    else:
        message = (
            f"{whom}{name} has {told(held)} of {limit}; {told(asked)} more would be {said(short)} too {much}"
        )
    return Reason(_QUOTA, message, rule, file, line, spec.resource, bound, held, short)


def _share_full(state: State, claim: Claim, where: Where | None) -> list[Reason]:
    tree, leaf, asks = state.tree, claim.leaf, claim.asks
    if state.policy.tracks_hs23:
        hs23 = least_hs23(state, claim) if where is None else state.hs23(claim, where)
        asks = (*asks, (HS23, hs23))
    reasons = []
    for resource, ask in asks:
        free = tree.free(leaf, resource)
        if ask > free:
            share, said = tree.shares[leaf], _SAID[resource]
            path, span, name, held = share.path, share.span, RESOURCES[resource], tree.held[resource][leaf]
            message = (
                f"{path} has {said(free if free > 0 else 0)} left to give, all that it may borrow included; "
                f"this {_asks(claim)} {said(ask)}"
            )
            rule, limit, short = f"share {path}", held + free, ask - free
            reasons.append(Reason(_SHARE, message, rule, span.path, span.line, name, limit, held, short))
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
    return _short_of_parts(_NODE, message, room, claim.parts)


def _one_of(state: State, claim: Claim) -> str | None:
    """The groups of nodes of which one has to hold all parts; None where they may stand anywhere."""
    rule = state.policy.checked.places[claim.over] if claim.over >= 0 else None
    return ", ".join(group.name for group in rule.groups) if rule is not None and rule.in_one else None


def _short_of_parts(code: Code, message: str, room: int, wanted: int) -> Reason:
    return Reason(code, message, "", "", 0, "parts", room, wanted, wanted - room)
