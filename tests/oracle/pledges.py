"""When room that is being made is there, and when something suspended may go on."""

from __future__ import annotations

from copy import copy

from oracle.ceilings import ceilings
from oracle.fitting import share_is_full
from oracle.placing import ON_NODE, parts_in
from oracle.quotas import Key
from oracle.records import Held, Pledge
from oracle.state import COMPUTING, State
from wnodes_engine.check.checked import Ceiling, Quota


def is_due(state: State, pledge: Pledge) -> bool:
    """Whether a request may start where room is made for it, and who is still to leave for it may stay.

    There has to be room beside all that runs there, and beside all other pledges once those that were told to
    leave for their sake have left.
    """
    wish = pledge.waiting.asked
    there = [(state.nodes[p.node], p.parts) for p in pledge.placement]
    now = pledged(state, {})
    if any(state.goes_down(node, wish) or parts_in(now.room(node), wish.part) < n for node, n in there):
        return False
    others = {name: other for name, other in state.pledges.items() if name != pledge.waiting.id}
    then = pledged(state, {**others, "": Pledge(pledge.waiting, pledge.placement, ())})
    staying = [state.held[told.victim] for told in pledge.victims]
    return all(has_not_too_much(then, held) for held in [pledge.held, *staying])


def has_not_too_much(state: State, held: Held) -> bool:
    """Whether nodes and share have all that this holds, among all that is held and pledged there."""
    state = state.tried(state.leaving(), state.starting, state.latest)
    tree, charge = state.tree(), state.charge_of(held)
    if any(tree.free(held.leaf, r) < 0 for r in state.resources if charge[r] > 0):
        return False
    rooms = [state.room(state.nodes[p.node]) for p in held.placement]
    return all(room[r] >= 0 for room in rooms for r in ON_NODE if charge[r] > 0)


def is_vain(state: State, pledge: Pledge) -> bool:
    """Whether a request whose victims have left would have no room even without all other victims."""
    wish = pledge.waiting.asked
    names = list(state.pledges)
    first = names[: names.index(pledge.waiting.id)]
    alone = pledged(state, {name: state.pledges[name] for name in first})
    then = alone.tried(state.leaving(), state.starting, state.latest)
    nodes = [(state.nodes[p.node], p.parts) for p in pledge.placement]
    full = any(state.goes_down(node, wish) or parts_in(then.room(node), wish.part) < n for node, n in nodes)
    return not pledge.victims and (full or share_is_full(then, wish, pledge.placement))


def pledged(state: State, pledges: dict[str, Pledge]) -> State:
    """The same farm with these pledges alone."""
    other = copy(state)
    other.pledges = pledges
    return other


def can_go_on(state: State, held: Held) -> bool:
    """Whether there is room for what a suspended allocation has given back: share, quotas and nodes."""
    charge = state.charge(held.asked, held.placement)
    tree = state.tree()
    if any(charge[r] > tree.free(held.leaf, r) for r in computing(state) if charge[r] > 0):
        return False
    part = {r: amount if r in COMPUTING else 0 for r, amount in held.asked.part.items()}
    for p in held.placement:
        node = state.nodes[p.node]
        if not node.up or parts_in(state.room(node), part) < p.parts:
            return False
    return not any(over(state, held, *limit) for limit in ceilings(state, held.asked))


def computing(state: State) -> list[str]:
    """What is looked at of what it has given back."""
    return [r for r in COMPUTING if r in state.resources]


def over(state: State, held: Held, quota: Quota, ceiling: Ceiling, key: Key) -> bool:
    """Whether a quota has no room for what it would take again."""
    r, bound = ceiling.resource, state.bound(ceiling)
    if r not in COMPUTING:
        return False
    again = state.charge(held.asked, held.placement)[r]
    if quota.nodes is None:
        taken = sum(state.charge_of(other)[r] for other in state.counted(quota, key))
    else:
        nodes = state.in_set(quota.nodes)
        taken, part = state.on_nodes(quota, r, held.asked)
        again = sum(part * p.parts for p in held.placement if p.node in nodes)
    return again > 0 and taken + again > bound
