"""`decide`: one request, one answer, every reason. It reads the state and leaves it as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.farm import Where
from wnodes_engine.core.feasible import room_of_all
from wnodes_engine.core.fitting import has_room, held_back, standing, widest
from wnodes_engine.core.limits import HOUR, QuotaState, exceeded, over_quota, placed_over, share_full
from wnodes_engine.core.placement import place
from wnodes_engine.core.policy import Refusal
from wnodes_engine.core.reasons import denials, leaving, refused_by_error, waits
from wnodes_engine.core.reserve import Reservation, place_beside
from wnodes_engine.core.victims import Plan, make_room
from wnodes_engine.values import Decision, Outcome, Reason, Request, Route

if TYPE_CHECKING:
    from wnodes_engine.core.promises import Pledge
    from wnodes_engine.core.state import State

# An enumeration is slow to ask in Python 3.11.
_START, _WAIT, _DENY, _PREEMPT = Outcome.START, Outcome.WAIT, Outcome.DENY, Outcome.PREEMPT


def decide(state: State, request: Request, now: int) -> Decision:
    """What would become of the request now. One that is not in the queue is the last of its leaf.

    A request that waits has been admitted: rules are not asked again, limits are. `start` means that it fits
    and passes nobody who is blocked; who else fits is settled by `State.schedule`. The state's clock is
    moved on to `now`, nothing else.
    """
    state.advance(now)
    if request.id in state.pledges:
        return _promised(state, request, state.pledges[request.id], now)
    waiter = state.waiters.get(request.id)
    if waiter is not None:
        return _limits(state, request, waiter.claim, now, admitted=True)
    claim, refusals = admit(state, request)
    if claim is None or refusals is not None:
        return refuse(state, claim, request, denied_for(state, claim, refusals, now))
    return _asked(state, request, claim, now)


def decide_all(state: State, requests: Sequence[Request], now: int) -> list[Decision]:
    """What would become of each now, if it alone came in; none of them is in the queue.

    Equal claims stand alike, so each claim is looked at once: only the route is a request's own.
    """
    state.advance(now)
    known: dict[Claim, Decision] = {}
    decisions: list[Decision] = []
    for request in requests:
        claim, refusals = admit(state, request)
        if claim is None or refusals is not None:
            reasons = denied_for(state, claim, refusals, now)
            decisions.append(refuse(state, claim, request, reasons))
            continue
        like = known.get(claim)
        if like is None:
            like = known[claim] = _asked(state, request, claim, now)
        else:
            way = route(state, request, claim)
            if way != like.route:
                like = replace(like, route=way)
        decisions.append(like)
    return decisions


def _asked(state: State, request: Request, claim: Claim, now: int) -> Decision:
    """What would become of a request that no rule refuses, and that has not come in."""
    if waiting_quota_full(state, claim) or beyond_most(state, claim):
        return refuse(state, claim, request, denied_for(state, claim, None, now))
    return _limits(state, request, claim, now, admitted=False)


def _limits(state: State, request: Request, claim: Claim, now: int, *, admitted: bool) -> Decision:
    """Whether a request that no rule refuses starts or waits; one not yet `admitted` may be denied still.

    Every limit is looked at once, both to decide and to tell why not.
    """
    over = exceeded(state, claim, now)
    full = share_full(state, claim)
    where = (standing if state.policy.tracks_hs23 else place)(state, claim, now)
    if where is not None and not over and not full and not placed_over(state, claim, where):
        found = in_turn(state, request, claim, where, now)
        if found is not None:
            if claim.most > claim.parts:
                beside = others_reservations(state, claim, now)
                claim, found = widest(
                    state, claim, found, lambda wider: _with_more(state, wider, beside, now)
                )
            return started(state, request, claim, found)
    if not admitted and may_be_denied(state, claim, over):
        reasons = denials(state, claim, [], now)
        if reasons:
            return refuse(state, claim, request, reasons)
    plan = making_room(state, request, claim, now)
    decision = Decision(
        _WAIT,
        state.policy.checked.digest,
        state.tree.shares[claim.leaf].path,
        route(state, request, claim),
        reasons=waits(state, claim, request, over, full, where, now),
    )
    if plan is None:
        return decision
    return _preempting(state, decision, plan.where, [victim.request.id for victim in plan.victims])


def making_room(state: State, request: Request, claim: Claim, now: int) -> Plan | None:
    """How room could be made for a request that waits for nothing else."""
    if claim.leaf not in state.rules_for or held_back(state, claim, now) or has_room(state, claim, now):
        return None
    if state.ahead(request, claim, now) is not None:
        return None

    def promised() -> list[Reservation]:
        own = claim if state.is_head(request.id, claim.leaf, now) else None
        return [r for r in state.reservations(now) if r.claim != own]

    return make_room(state, request, claim, now, promised).plan


def _promised(state: State, request: Request, pledge: Pledge, now: int) -> Decision:
    """Room has been made: it waits for its victims to leave."""
    claim = pledge.waiter.claim
    decision = Decision(
        _PREEMPT,
        state.policy.checked.digest,
        state.tree.shares[claim.leaf].path,
        route(state, request, claim),
        reasons=(leaving(state, pledge, now),),
    )
    return _preempting(state, decision, pledge.where, list(pledge.victims))


def _preempting(state: State, decision: Decision, where: Where, victims: list[str]) -> Decision:
    placement = state.placement(where)
    return replace(
        decision,
        outcome=_PREEMPT,
        node=placement[0].node,
        placement=placement,
        victims=tuple(victims),
    )


def submit(state: State, request: Request, now: int) -> Decision:
    """Admit a request and let it wait: `deny` with every reason, or `wait` with none yet.

    Raises ValueError where a request of that id waits or runs already.
    """
    if request.id in state.waiting or request.id in state.allocations:
        raise ValueError(f"there is a request {request.id} already")
    state.advance(now)
    claim, refusals = admit(state, request)
    if claim is None or refusals is not None or not may_wait(state, claim, now):
        reasons = denied_for(state, claim, refusals, now)
        if reasons or claim is None:
            return refuse(state, claim, request, reasons)
    state.enqueue(request, claim)
    return Decision(
        _WAIT,
        state.policy.checked.digest,
        state.tree.shares[claim.leaf].path,
        route(state, request, claim),
    )


def admit(state: State, request: Request) -> tuple[Claim | None, list[Refusal] | Reason | None]:
    """Ask the rules. A rule that cannot be evaluated refuses: an error never lets a request through."""
    try:
        return state.policy.admit(request, state)
    except Exception as error:  # whatever went wrong, the request stays out
        return None, refused_by_error(state.policy, error)


def denied_for(
    state: State, claim: Claim | None, refusals: list[Refusal] | Reason | None, now: int
) -> tuple[Reason, ...]:
    """Every reason that denies what the rules have said this of."""
    if isinstance(refusals, Reason):
        return (refusals,)
    return denials(state, claim, refusals or [], now)


def may_wait(state: State, claim: Claim, now: int) -> bool:
    """Whether it is plain that nothing denies the claim; if it is not, all reasons have to be looked at."""
    return not (
        waiting_quota_full(state, claim)
        or beyond_most(state, claim)
        or may_be_denied(state, claim, exceeded(state, claim, now))
    )


def may_be_denied(state: State, claim: Claim, over: list[QuotaState]) -> bool:
    """Whether some limit may deny a claim that exceeds these quotas: what it asks alone, a node's size."""
    for meter, _, _, asked, _ in over:
        spec, ever = state.policy.meters[meter], state.ever_bounds[meter]
        if spec.quota is None or spec.quota.denies or asked > (ever * HOUR if spec.window else ever):
            return True
    if claim.placed or state.policy.tracks_hs23:
        return True
    return room_of_all(state, claim) < claim.parts


def waiting_quota_full(state: State, claim: Claim) -> bool:
    """Whether one more may not wait."""
    for meter, key in claim.waits:
        if state.meters[meter].get(key, 0) >= state.bounds[meter]:
            return True
    return False


def beyond_most(state: State, claim: Claim) -> bool:
    """Whether the claim asks more of some resource than its share can ever have."""
    most, leaf = state.tree.most, claim.leaf
    for resource, ask in claim.asks:
        if ask > most[resource][leaf]:
            return True
    return False


def in_turn(state: State, request: Request, claim: Claim, where: Where, now: int) -> Where | None:
    """Nodes where the claim may start without passing who is ahead of it; None if it may not."""
    if not state.waiters:
        return where
    if state.ahead(request, claim, now) is not None:
        return None
    reservations = others_reservations(state, claim, now)
    return place_beside(state, claim, where, reservations, now) if reservations else where


def others_reservations(state: State, claim: Claim, now: int) -> list[Reservation]:
    """What is reserved for the heads of leaves that are not the claim itself."""
    return [r for r in state.reservations(now) if r.claim != claim] if state.waiters else []


def _with_more(state: State, claim: Claim, beside: list[Reservation], now: int) -> Where | None:
    """Where a claim could start with so many parts, without delaying anybody; None if it could not."""
    where = standing(state, claim, now)
    if where is None or share_full(state, claim) or over_quota(state, claim, now):
        return None
    if placed_over(state, claim, where):
        return None
    return place_beside(state, claim, where, beside, now) if beside else where


def started(state: State, request: Request, claim: Claim, where: Where) -> Decision:
    """The decision that starts a request on these nodes, or, with none, where a batch system has room."""
    placement = state.placement(where)
    return Decision(
        _START,
        state.policy.checked.digest,
        state.tree.shares[claim.leaf].path,
        route(state, request, claim),
        placement[0].node if placement else None,
        placement,
    )


def refuse(state: State, claim: Claim | None, request: Request, reasons: tuple[Reason, ...]) -> Decision:
    """The decision that denies, with its reasons."""
    share = state.tree.shares[claim.leaf].path if claim is not None else None
    way = route(state, request, claim) if claim is not None else None
    return Decision(_DENY, state.policy.checked.digest, share, way, reasons=reasons)


def route(state: State, request: Request, claim: Claim) -> Route | None:
    """Who would carry the request out, with the names filled in."""
    return state.policy.routes[claim.route](request, claim) if claim.route >= 0 else None
