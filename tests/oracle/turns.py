"""Whose turn it is in a pass: whom each leaf puts forward, and who has lost their turn."""

from __future__ import annotations

from collections.abc import Callable

from oracle import quotas
from oracle.ceilings import held_back
from oracle.clock import in_force
from oracle.expressions import holds
from oracle.fitting import place_rule
from oracle.order import leaf_key, sibling_key
from oracle.records import Waiting
from oracle.request import Asked, reader
from oracle.reservations import Reservation
from oracle.state import State
from oracle.tree import Number

Shape = tuple[tuple[int, ...], int, tuple[bool, ...], bool, int]
"""The size of a part, how many, the rules for nodes that apply, whether spread, over which groups."""


def shape(state: State, wish: Asked) -> Shape:
    """What decides on which nodes there is room, but for downtimes and quotas."""
    part = wish.part
    rules = tuple(state.applies(rule.condition, wish) for rule in state.policy.node_rules)
    rule = place_rule(state, wish)
    groups = state.policy.places.index(rule) if rule is not None and rule.groups else -1
    return tuple(part.values()), wish.count, rules, rule is not None and rule.spread, groups


def alike(state: State, waiting: Waiting) -> tuple[object, ...]:
    """All that limits, order and routes know of it but its age: the same of whom they tell nobody apart."""
    policy, wish, facts = state.policy, waiting.asked, waiting.asked.facts
    read = reader(policy, wish.request, facts, waiting.leaf)
    counted = tuple(tuple(quotas.keys(policy, quota, wish)) for quota in policy.quotas)
    open_then = [p for p in policy.priorities if in_force(policy, p.condition, wish.since)]
    gains = [(p.is_base, p.amount, p.per) for p in open_then if holds(p.condition, read)]
    base = [amount for is_base, amount, _ in gains if is_base][:1]
    base += [amount for is_base, amount, per in gains if not is_base and per is None]
    rates = tuple((amount, per) for is_base, amount, per in gains if not is_base and per is not None)
    accounts = tuple(facts[key.of] for key in policy.orders[waiting.leaf].keys if key.of is not None)
    charged = tuple(facts[name] for name in ("volumes", "walltime", "project", "queue", "account"))
    return shape(state, wish), wish.most, counted, sum(base), rates, accounts, charged


class Turns:
    """One pass. What others start is seen when a leaf puts somebody forward, and that is after its turn."""

    def __init__(self, state: State, now: int, spoken_for: Callable[[Waiting], bool]) -> None:
        """`spoken_for` tells whether room may be made for somebody still."""
        self._state = state
        self._now = now
        self._spoken_for = spoken_for
        self._had: set[str] = set()
        self._closed: set[int] = set()
        self._blocked: dict[int, set[Shape]] = {}
        self._left: dict[int, dict[str, Number]] = {}
        self._shut: dict[tuple[int, Shape], int] = {}
        self._passed_over: dict[int, set[tuple[object, ...]]] = {}
        leaves = [share.index for share in state.policy.shares if share.is_leaf]
        self._fronts = {leaf: self._front(leaf) for leaf in leaves}

    def next(self) -> Waiting | None:
        """Who has the next turn on the whole farm; None if nobody has."""
        return self._best(0)

    def had(self, waiting: Waiting) -> None:
        """Its turn is over: its leaf puts the next one forward."""
        self._had.add(waiting.id)
        self._fronts[waiting.leaf] = self._front(waiting.leaf)

    def held_back(self, waiting: Waiting) -> bool:
        """Whether a quota holds it back; all that are alike are passed over then, whatever others start."""
        over = self._passed_over.setdefault(waiting.leaf, set())
        like = alike(self._state, waiting)
        if like not in over and held_back(self._state, waiting.asked, self._now):
            over.add(like)
        return like in over

    def close(self, leaf: int) -> None:
        """Nobody of the leaf has a turn any more."""
        self._closed.add(leaf)

    def no_room(self, waiting: Waiting) -> None:
        """It found no room: whoever asks for more than is left, or for the same, has none either."""
        state, leaf, wish = self._state, waiting.leaf, waiting.asked
        tree = state.tree()
        self._left[leaf] = {r: tree.free(leaf, r) for r in wish.ask}
        if not any(self._may_go_down(wish)):
            self._blocked.setdefault(leaf, set()).add(shape(state, wish))

    def delays(self, waiting: Waiting, promises: list[Reservation]) -> None:
        """It would delay a promise in the share tree: so would all like it that end no sooner."""
        times = [p.time for p in promises if self._shuts_out(p, waiting)]
        if times and self._now + waiting.asked.facts["walltime"] > min(times):
            self._shut[waiting.leaf, shape(self._state, waiting.asked)] = min(times)

    # ------------------------------------------------------------------- fronts

    def _best(self, n: int) -> Waiting | None:
        state, share = self._state, self._state.policy.shares[n]
        if share.is_leaf:
            return self._fronts[n]
        tree = state.tree()
        offers = [(c, self._best(c)) for c in share.children]
        made = [(sibling_key(state, tree, n, c, o, self._now), o) for c, o in offers if o is not None]
        return min(made, key=lambda pair: pair[0])[1] if made else None

    def _front(self, leaf: int) -> Waiting | None:
        if leaf in self._closed:
            return None
        line = [w for w in self._state.line() if w.leaf == leaf and w.id not in self._had]
        line.sort(key=lambda w: leaf_key(self._state, w, self._now))
        return next((w for w in line if self._has_turn(w)), None)

    def _has_turn(self, waiting: Waiting) -> bool:
        state, leaf, wish = self._state, waiting.leaf, waiting.asked
        like = shape(state, wish)
        left = self._left.get(leaf, {})
        over = any(wish.ask[r] > left[r] for r in left if wish.ask[r] > 0)
        if (over or like in self._blocked.get(leaf, ())) and not self._spoken_for(waiting):
            return False
        shut = self._shut.get((leaf, like))
        if shut is not None and self._now + wish.facts["walltime"] > shut:
            return False
        return not self.held_back(waiting)

    # ------------------------------------------------------------------ in vain

    def _may_go_down(self, wish: Asked) -> list[bool]:
        """By downtime: whether it has begun, or begins before the request would have ended."""
        end = self._now + wish.facts["walltime"]
        return [d.begin < end and self._now < d.end for d in self._state.policy.downtimes]

    def _shuts_out(self, promise: Reservation, waiting: Waiting) -> bool:
        tree = promise.then(self._state, self._now).tree()
        return any(a > tree.free(waiting.leaf, r) for r, a in waiting.asked.ask.items() if a > 0)
