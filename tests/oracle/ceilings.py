"""The ceilings of the quotas: which limit a request, and which of them it would pass."""

from __future__ import annotations

from collections.abc import Iterator

from oracle import quotas
from oracle.answers import Why, at
from oracle.clock import in_force
from oracle.fitting import filled, placement, places_of, room_when_empty, standing, without_crossing
from oracle.placing import parts_in, size
from oracle.request import Asked
from oracle.state import State
from wnodes_engine.check.checked import Ceiling, Quota
from wnodes_engine.values import Code

Limit = tuple[Quota, Ceiling, quotas.Key]
"""A ceiling, with one key under which a request counts for it."""


def ceilings(state: State, wish: Asked) -> Iterator[Limit]:
    """The ceilings that limit a request, each with every key under which it counts."""
    for quota in state.policy.quotas:
        limits = in_force(state.policy, quota.condition, state.now)
        keys = quotas.keys(state.policy, quota, wish) if limits else []
        yield from ((quota, ceiling, key) for ceiling in quota.ceilings for key in keys)


def over_quota(state: State, wish: Asked, now: int) -> Iterator[Why]:
    """Every ceiling over which it would go now."""
    for limit in ceilings(state, wish):
        yield from exceeded(state, wish, *limit, now, denying=False)


def held_back(state: State, wish: Asked, now: int) -> bool:
    """Whether a quota holds it back, so that it blocks nobody.

    One for nodes does if all else has room, or if it would not even let it onto an empty farm.
    """
    limits = [limit for limit in ceilings(state, wish) if limit[0].nodes is None]
    if any(any(exceeded(state, wish, *limit, now, denying=False)) for limit in limits):
        return True
    if placement(state, wish) is not None:
        return False
    if placement(state, wish, unlimited=True) is not None:
        return True
    return room_when_empty(state, wish, state.budgets(wish)) < wish.count <= room_when_empty(state, wish, [])


def exceeded(
    state: State, wish: Asked, quota: Quota, ceiling: Ceiling, key: quotas.Key, now: int, denying: bool
) -> Iterator[Why]:
    """The reason of one ceiling, if it is over: where it denies, or wherever it holds a request back."""
    r, bound = ceiling.resource, state.bound(ceiling)
    if quota.nodes is not None:
        held, part = state.on_nodes(quota, r, wish)
        ever = state.bound(ceiling, configured=True)
        if denying and part > 0 and quota.condition.window is None:
            there = missing_there(state, wish, quota, ceiling)
            if there > 0:
                ask = (max(0, ever) // part + there) * part
                yield Why(Code.QUOTA, r, ever, ask, ask - ever, *at(ceiling.span))
                return
        # It limits where the parts go: a reason once there is no place, and no room for one more part.
        over = part > 0 and held + part > bound and (quota.denies or not denying)
        if over and placement(state, wish) is None:
            yield Why(Code.QUOTA, r, bound, held, held + part - bound, *at(ceiling.span))
        return
    if r == "waiting":
        waiting = state.waiting(quota, key)
        if denying and wish.request.id not in state.queue and waiting + 1 > bound:
            yield Why(Code.QUOTA, r, bound, waiting, waiting + 1 - bound, *at(ceiling.span))
        return
    if r == "core_hours":
        assert ceiling.window is not None
        hour, cores, walltime = 3600, wish.ask["cores"], wish.facts["walltime"]
        ask = quotas.core_seconds_ahead(cores, walltime, ceiling.window)
        held = state.core_seconds(quota, key, ceiling.window, now)
    else:
        # At the door by the least that it could come to, else by what there is room for.
        there = standing(state, wish) if r == "hs23" and not denying else None
        charge = wish.charge if r != "hs23" else state.ask_on(wish, there)
        hour, ask = 1, charge[r]
        held = sum(state.charge_of(h)[r] for h in state.counted(quota, key))
    if ask == 0:
        return
    ever = state.bound(ceiling, configured=True)
    more_is_short = quota.denies and held + ever * hour > bound * hour
    if denying and ask > ever * hour and quota.condition.window is None and not more_is_short:
        yield Why(Code.QUOTA, r, ever, up(ask, hour), up(ask - ever * hour, hour), *at(ceiling.span))
    elif held + ask > bound * hour and (quota.denies or not denying):
        short = up(held + ask - bound * hour, hour)
        yield Why(Code.QUOTA, r, bound, up(held, hour), short, *at(ceiling.span))


def missing_there(state: State, wish: Asked, quota: Quota, ceiling: Ceiling) -> int:
    """How many parts more would have to be on a quota's nodes than it ever allows there.

    0 unless quotas would keep parts out of an otherwise empty farm that has room for all of them. Where one
    group has to hold them all, it is the one that lacks the fewest.
    """
    budgets = without_crossing(state.budgets(wish, ever=True), wish)
    own = [budget for budget in budgets if budget.ceiling is ceiling]
    able = [names for names in places_of(state, wish) if filled(state, wish, names, []) >= wish.count]
    lacking = [(wish.count - filled(state, wish, names, budgets), names) for names in able]
    if not own or not lacking:
        return 0
    assert quota.nodes is not None
    missing, names = min(lacking, key=lambda each: each[0])
    nodes = [state.nodes[name] for name in names if name in state.in_set(quota.nodes)]
    fit = sum(parts_in(size(node), wish.part) for node in nodes)
    return max(0, min(missing, fit - own[0].parts))


def up(amount: int, unit: int) -> int:
    """So many whole units, rounded up."""
    return -(-amount // unit)
