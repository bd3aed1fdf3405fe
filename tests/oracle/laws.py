"""What must hold of whoever decides, looked at in a record of what was decided; see allocation.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from oracle.ceilings import ceilings
from oracle.interpreter import Oracle
from oracle.making_room import Search, speaks_for
from oracle.placing import ON_NODE
from oracle.playing import Player
from oracle.pledges import pledged
from oracle.records import Held, Waiting
from oracle.state import COMPUTING, State
from wnodes_engine.values import Outcome, Placement

HOUR = 3600

# ------------------------------------------------------------------ admissions


def admissions_are_within_limits(player: Player, done: Any, promised: Iterable[str]) -> None:
    """What a pass started, or let go on, is within nodes, shares and quotas, as they are after it.

    Of those that were `promised` room before, quotas were looked at then.
    """
    state, kept = player.state, set(promised)
    for start in done.starts:
        held = state.held[start.request.id]
        fits_on_nodes(state, held, ON_NODE)
        fits_in_shares(state, held)
        if held.id not in kept:
            fits_in_quotas(state, held)
    for request_id in done.resumed:
        fits_on_nodes(state, state.held[request_id], COMPUTING[:2])
        fits_in_shares(state, state.held[request_id], COMPUTING)
    for pledge in state.pledges.values():
        if pledge.waiting.id not in kept:
            fits_in_shares(state, pledge.held)
            fits_in_quotas(state, pledge.held)


def fits_on_nodes(state: State, held: Held, resources: Iterable[str]) -> None:
    """Its nodes hold no more than they have of what it asks for, all that physically runs there included."""
    physical = pledged(state, {})
    for p in held.placement:
        room = physical.room(state.nodes[p.node])
        assert all(room[r] >= 0 for r in resources if held.asked.part[r] > 0), (held.id, p.node, room)


def fits_in_shares(state: State, held: Held, resources: Iterable[str] | None = None) -> None:
    """No share above it is over a limit on what it asks for."""
    tree, charge = state.tree(), state.charge_of(held)
    for r in state.resources if resources is None else resources:
        if r in state.resources and charge[r] > 0:
            assert tree.free(held.leaf, r) >= 0, (held.id, r, tree.free(held.leaf, r))


def fits_in_quotas(state: State, held: Held) -> None:
    """No quota that counts it is over."""
    charge = state.charge_of(held)
    for quota, ceiling, key in ceilings(state, held.asked):
        r, bound = ceiling.resource, state.bound(ceiling)
        if r == "core_hours":
            assert ceiling.window is not None
            assert state.core_seconds(quota, key, ceiling.window, state.now) <= bound * HOUR
        elif quota.nodes is not None:
            there = state.in_set(quota.nodes)
            if charge[r] > 0 and any(p.node in there for p in held.placement):
                assert state.on_nodes(quota, r, held.asked)[0] <= bound
        elif r != "waiting" and charge[r] > 0:
            assert sum(state.charge_of(h)[r] for h in state.counted(quota, key)) <= bound


# ----------------------------------------------------------------------- plans


def plan_is_minimal_and_allowed(
    state: State, waiting: Waiting, victims: Sequence[str], placement: tuple[Placement, ...]
) -> None:
    """Some rule speaks for the request, allows each of these victims, and needs each of them."""
    oracle = Oracle(state.policy, state.nodes.values())
    oracle.state = state
    promises = oracle.promises(waiting.asked, state.now)
    held = [state.held[victim] for victim in victims]
    assert held
    assert sum(p.parts for p in placement) == waiting.asked.count
    rules = [
        Search(state, rule, i, waiting, promises, state.now)
        for i, rule in enumerate(state.policy.preempts)
        if speaks_for(state, rule, waiting, state.now)
    ]
    fitting = [search for search in rules if all(search.may_be_taken(victim) for victim in held)]
    allowing = [
        search for search in fitting if all(search.allowed(victim, held[:i]) for i, victim in enumerate(held))
    ]
    assert allowing, "no rule allows these victims, one after the other"
    assert any(search.room(held) == placement for search in allowing), "there is no room there without them"
    needed = [
        search
        for search in allowing
        if all(search.room([v for v in held if v is not victim]) is None for victim in held)
    ]
    assert needed, "one of them could be put back"


def every_plan(player: Player) -> int:
    """All that is answered to those who wait is minimal and allowed; how many would have room made."""
    plans = 0
    for waiting in player.state.line():
        answer = player.decide(waiting.asked.request)
        if answer.outcome is Outcome.PREEMPT:
            plans += 1
            plan_is_minimal_and_allowed(player.state, waiting, answer.victims, answer.placement)
    return plans


def times_left(state: State, request_id: str) -> int:
    """How often a request has had to leave for somebody."""
    return sum(departure.victim == request_id for departure in state.departures)
