"""Who is next: siblings by entitlement and average, requests of a leaf by the policy's order."""

from __future__ import annotations

import math

from oracle.clock import in_force
from oracle.expressions import holds
from oracle.records import Waiting
from oracle.request import reader
from oracle.state import State
from oracle.tree import Amounts, Tree
from wnodes_engine.check.checked import CheckedPolicy, OrderKey
from wnodes_engine.core.averages import AVERAGE_BITS, TICK


def sibling_key(
    state: State, tree: Tree, parent: int, n: int, waiting: Waiting, now: int
) -> tuple[bool, float, int, int]:
    """Where a share with this offer stands among its siblings; the smallest is next.

    What the request would take of hs23 depends on nodes that nobody has chosen yet: it does not count.
    """
    ask = waiting.asked.of(waiting.asked.most).ask
    half_life = state.policy.halflife[parent]
    leaves = leaves_under(state.policy, n)
    held = {
        r: state.average(leaves, r, half_life, now) + (ask.get(r, 0) << AVERAGE_BITS) for r in state.resources
    }
    ratio = most_used(held, tree.amount[n])
    entitled = tree.within_nominal(n, ask)
    return not entitled, ratio, waiting.asked.request.submitted, waiting.sequence


def most_used(held: Amounts, amount: Amounts) -> int | float:
    """The largest ratio of held to amount over the resources; infinite where something is held of nothing."""
    if any(amount[r] == 0 and held[r] > 0 for r in held):
        return math.inf
    return max((held[r] // amount[r] for r in held if amount[r] > 0), default=0)


def leaf_key(state: State, waiting: Waiting, now: int) -> tuple[float, ...]:
    """Where a request stands in its leaf; the smallest is next."""
    order = state.policy.orders[waiting.leaf]
    keys = [key_of(state, waiting, key, now) for key in order.keys]
    return (*keys, waiting.asked.request.submitted, waiting.sequence)


def key_of(state: State, waiting: Waiting, key: OrderKey, now: int) -> float:
    """One key of a leaf's order."""
    wish = waiting.asked
    if key.key == "age":
        return wish.request.submitted
    if key.key == "size":
        return wish.of(wish.most).ask["cores"]
    if key.key == "priority":
        return -priority(state.policy, waiting, now)
    assert key.of is not None
    assert key.half_life is not None
    amount = state.tree().amount[waiting.leaf]
    name = wish.facts[key.of]
    held = {r: state.average_of(waiting.leaf, key.of, name, r, key.half_life, now) for r in state.resources}
    return most_used(held, amount)


def priority(policy: CheckedPolicy, waiting: Waiting, now: int) -> int:
    """The request's priority: the first base that applies, and every adjustment; it grows once a minute."""
    wish = waiting.asked
    read = reader(policy, wish.request, wish.facts, waiting.leaf)
    waited = max(0, now // TICK * TICK - wish.request.submitted)
    open_then = [p for p in policy.priorities if in_force(policy, p.condition, wish.since)]
    that_apply = [p for p in open_then if holds(p.condition, read)]
    gains = [(p.is_base, p.amount if p.per is None else p.amount * (waited // p.per)) for p in that_apply]
    bases = [gain for is_base, gain in gains if is_base]
    return sum(bases[:1]) + sum(gain for is_base, gain in gains if not is_base)


def leaves_under(policy: CheckedPolicy, n: int) -> list[int]:
    """The leaves of a share's subtree."""
    share = policy.shares[n]
    return [n] if share.is_leaf else [leaf for c in share.children for leaf in leaves_under(policy, c)]
