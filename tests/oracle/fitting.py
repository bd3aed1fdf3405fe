"""Whether a request fits on a farm in some state, and where it would go."""

from __future__ import annotations

from collections.abc import Iterator

from oracle import quotas
from oracle.clock import in_force
from oracle.layouts import frugal, groups_of, layouts
from oracle.placing import Budget, parts_in, place, size
from oracle.request import Asked
from oracle.state import State
from wnodes_engine.check.checked import Place
from wnodes_engine.values import Placement


def ways(
    state: State,
    wish: Asked,
    count: int | None = None,
    avoided: frozenset[str] = frozenset(),
    unlimited: bool = False,
) -> Iterator[tuple[Placement, ...]]:
    """Where the parts of a request (or only `count` of them) would go, as far as nodes are concerned.

    As the place rule says, or, where benchmark power is limited, on the nodes with the lowest factor. Not on
    the nodes `avoided`; `unlimited` by quotas for nodes, if so told.
    """
    nodes = [node for node in state.nodes.values() if node.up and state.takes(node, wish)]
    nodes = [node for node in nodes if not state.goes_down(node, wish)]
    room = {node.name: state.room(node) for node in nodes}
    rank = {node.name: state.rank(node, wish) for node in nodes}
    rule = place_rule(state, wish)
    spread, budgets = rule is not None and rule.spread, [] if unlimited else state.budgets(wish)
    tried = [*layouts(state, rule, room), *(frugal(state, rule, room) if "hs23" in state.resources else ())]
    for names, before in tried:
        free = {name: room[name] for name in names if name not in avoided}
        placed = place(free, wish.part, count or wish.count, spread, rank, budgets, before)
        if placed is not None:
            yield placed


def placement(
    state: State,
    wish: Asked,
    count: int | None = None,
    avoided: frozenset[str] = frozenset(),
    unlimited: bool = False,
) -> tuple[Placement, ...] | None:
    """The first of the ways, whatever it comes to."""
    return next(ways(state, wish, count, avoided, unlimited), None)


def standing(state: State, wish: Asked) -> tuple[Placement, ...] | None:
    """The first way for which share and quotas have the benchmark power, or that which takes the least."""
    assert wish.leaf is not None
    free = state.tree().free(wish.leaf, "hs23")

    def power(there: tuple[Placement, ...]) -> int:
        return state.charge(wish, there)["hs23"]

    def has_power(there: tuple[Placement, ...]) -> bool:
        within = "hs23" not in state.resources or power(there) <= free
        return within and not quota_is_full(state, wish, there)

    found = list(ways(state, wish))
    return next(filter(has_power, found), min(found, key=power, default=None))


def place_rule(state: State, wish: Asked) -> Place | None:
    """The first place rule that matches."""
    of_kind = (p for p in state.policy.places if wish.facts["kind"] in p.kinds)
    return next((p for p in of_kind if state.applies(p.condition, wish)), None)


def fitting(state: State, wish: Asked, avoided: frozenset[str] = frozenset()) -> tuple[Placement, ...] | None:
    """Where they would go so that the share, and quotas on benchmark power, have room too."""
    for found in ways(state, wish, avoided=avoided):
        if not share_is_full(state, wish, found) and not quota_is_full(state, wish, found):
            return found
    return None


def quota_is_full(state: State, wish: Asked, there: tuple[Placement, ...]) -> bool:
    """Whether some quota has less benchmark power left than the request takes on these nodes."""
    power = state.charge(wish, there)["hs23"]
    for quota in state.policy.quotas:
        for ceiling in quota.ceilings:
            if ceiling.resource == "hs23" and in_force(state.policy, quota.condition, state.now):
                for key in quotas.keys(state.policy, quota, wish):
                    held = sum(state.charge_of(h)["hs23"] for h in state.counted(quota, key))
                    if held + power > state.bound(ceiling):
                        return True
    return False


def share_is_full(state: State, wish: Asked, there: tuple[Placement, ...] | None) -> bool:
    """Whether the share has less than the request takes on these nodes, or anywhere."""
    assert wish.leaf is not None
    tree, ask = state.tree(), state.ask_on(wish, there)
    return any(amount > tree.free(wish.leaf, r) for r, amount in ask.items() if amount > 0)


def room_for(state: State, wish: Asked) -> int:
    """How many of a request's parts have room now."""
    fewer = range(wish.count - 1, 0, -1)
    return next((parts for parts in fewer if placement(state, wish, parts)), 0)


def has_room(state: State, wish: Asked) -> bool:
    """Whether its share, and the nodes, have room for it now."""
    return fitting(state, wish) is not None


def room_when_empty(state: State, wish: Asked, budgets: list[Budget]) -> int:
    """How many parts all nodes would hold, empty and up, filled by name; in one group where they must."""
    nested = without_crossing(budgets, wish)
    return max(filled(state, wish, names, nested) for names in places_of(state, wish))


def places_of(state: State, wish: Asked) -> list[list[str]]:
    """The nodes of which one list has to hold all parts: all that it may use, or those of each group."""
    names = sorted(node.name for node in state.nodes.values() if state.takes(node, wish))
    rule = place_rule(state, wish)
    if rule is None or not rule.in_one:
        return [names]
    group = groups_of(state, rule)
    return [[n for n in names if group[n] == g] for g in range(len(rule.groups))]


def without_crossing(budgets: list[Budget], wish: Asked) -> list[Budget]:
    """The budgets for fewer parts than all, without those that cross one before: neither is in the other."""
    kept: list[Budget] = []
    for budget in budgets:
        nested = (
            b.nodes <= budget.nodes or b.nodes >= budget.nodes or not b.nodes & budget.nodes for b in kept
        )
        if budget.parts < wish.count and all(nested):
            kept.append(budget)
    return kept


def filled(state: State, wish: Asked, names: list[str], budgets: list[Budget]) -> int:
    """How many parts these nodes hold, empty, one filled after the other."""
    placed: dict[str, int] = {}
    for name in names:
        limits = [b.parts - sum(placed.get(n, 0) for n in b.nodes) for b in budgets if name in b.nodes]
        placed[name] = max(0, min([parts_in(size(state.nodes[name]), wish.part), *limits]))
    return sum(placed.values())
