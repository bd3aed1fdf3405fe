"""What the oracle knows: the nodes, what holds them, what waits, what was; nothing that can be computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any

from msgspec.structs import replace
from oracle import averages, quotas
from oracle.averages import Change
from oracle.clock import WEEKDAYS, in_force, local, open_windows, portions
from oracle.expressions import Read, holds, in_set, value
from oracle.placing import ON_NODE, Budget, Part, size
from oracle.quotas import Use
from oracle.records import Departure, Ended, Held, Pledge, Telling, Waiting
from oracle.request import Asked, reader
from oracle.tree import RESOURCES, Amounts, Number, Tree, nominal
from wnodes_engine.check.checked import Ceiling, CheckedPolicy, Condition, NodeSet, Quota, Share
from wnodes_engine.values import Node, Placement

COMPUTING = ("cores", "gpus", "hs23")
"""What an allocation gives back while it is suspended."""


class State:
    """Allocations, queue and history over a farm; every figure is computed from them when it is asked for.

    `now` says which windows are open, `starting` and `latest` when what is placed would start. Those for whom
    room is being made are in the queue and in `pledges`. `gone` are those who would leave, by action, where
    it is tried what would then be.
    """

    def __init__(self, policy: CheckedPolicy, nodes: Iterable[Node]) -> None:
        self.policy = policy
        self.nodes = {node.name: node for node in nodes}
        self.held: dict[str, Held] = {}
        self.queue: dict[str, Waiting] = {}
        self.ended: list[Ended] = []
        self.changes: list[Change] = []
        self.pledges: dict[str, Pledge] = {}
        self.gone: Mapping[str, str] = {}
        self.departures: list[Departure] = []
        self.tellings: list[Telling] = []
        self.sequence = 0
        self.now = self.starting = self.latest = 0
        self.capacity: Amounts | None = None
        self.known: tuple[CheckedPolicy, dict[Any, Any]] = policy, {}
        self.resources = tuple(r for r in RESOURCES if r != "hs23" or policy.tracks_hs23)

    def later(self, time: int, now: int, *more: Held) -> State:
        """The farm at a later time: what is expected to have ended has, nothing waits, and `more` is held.

        What is pledged stays. The shares are those of now, and of the capacity of now: nobody knows which
        nodes will be up.
        """
        running = [held for held in self.held.values() if not held.ends or held.ends_after(now) > time]
        then = self.tried(self.gone, time, time)
        then.held = {held.id: held for held in [*running, *more]}
        then.queue = {}
        return then

    def tried(self, gone: Mapping[str, str], starting: int, latest: int) -> State:
        """The farm without these allocations, dealt with so, for who starts between these times.

        Its capacity stays that of now, and quotas still count all.
        """
        state = copy(self)
        state.capacity = self.live_capacity()
        state.gone, state.starting, state.latest = gone, starting, latest
        return state

    def line(self) -> list[Waiting]:
        """Those who wait, and for whom no room is being made."""
        return [w for w in self.queue.values() if w.id not in self.pledges]

    def leaving(self) -> dict[str, str]:
        """Who was told to leave and is still there, and by which action."""
        return {told.victim: told.action for pledge in self.pledges.values() for told in pledge.victims}

    # ------------------------------------------------------------------ nodes

    def room(self, node: Node) -> Part:
        """What is free on a node; below 0 if it shrank, or while room is being made there."""
        free = size(node)
        for held in self.holding():
            for placement in held.placement:
                if placement.node == node.name:
                    part = self.part_on(held, node.name)
                    free = {r: free[r] - part[r] * placement.parts for r in ON_NODE}
        return free

    def holding(self) -> list[Held]:
        """What counts on nodes and in quotas: what runs until it has left, and what is pledged."""
        return [*self.held.values(), *(pledge.held for pledge in self.pledges.values())]

    def in_set(self, nodes: NodeSet) -> frozenset[str]:
        """The names of the nodes of a set."""
        return frozenset(n.name for n in self.nodes.values() if in_set(nodes, n.name, n.properties))

    def takes(self, node: Node, asked: Asked) -> bool:
        """Whether every rule that reserves the node admits the request."""
        return all(
            self.applies(rule.condition, asked)
            for rule in self.policy.node_rules
            if rule.only and node.name in self.in_set(rule.nodes)
        )

    def goes_down(self, node: Node, asked: Asked) -> bool:
        """Whether the node has a downtime before the request, started at `latest`, would have ended."""
        end = self.latest + asked.facts["walltime"]
        return any(
            node.name in self.in_set(downtime.nodes) and downtime.begin < end and self.starting < downtime.end
            for downtime in self.policy.downtimes
        )

    def rank(self, node: Node, asked: Asked) -> int:
        """0 for a node that is preferred for this request, 2 for one that is preferred for others alone."""
        rules = [r for r in self.policy.node_rules if not r.only and node.name in self.in_set(r.nodes)]
        if any(self.applies(rule.condition, asked) for rule in rules):
            return 0
        return 2 if rules else 1

    # ----------------------------------------------------------------- shares

    def ask_on(self, asked: Asked, placement: tuple[Placement, ...] | None) -> Amounts:
        """What a request asks of its share, on these nodes if they are known."""
        ask = self.ask(asked)
        return ask if placement is None else {r: self.charge(asked, placement)[r] for r in ask}

    def ask(self, asked: Asked) -> Amounts:
        """What a request asks of its share, by resource; of hs23 the least that it can come to."""
        ask = asked.ask
        if "hs23" in self.resources:
            factors = [node.factor for node in self.nodes.values() if self.takes(node, asked)]
            ask = ask | {"hs23": ask["cores"] * min(factors, default=0)}
        return ask

    def charge(self, asked: Asked, placement: tuple[Placement, ...]) -> Amounts:
        """What a request is charged on these nodes, by all that shares and quotas limit but time."""
        cores = asked.facts["cores"]
        hs23 = sum(cores * p.parts * self.nodes[p.node].factor for p in placement)
        return asked.charge | {"hs23": hs23}

    def charge_of(self, held: Held) -> Amounts:
        """What an allocation is charged by quotas."""
        charge = self.charge(held.asked, held.placement)
        return charge if held.stopped is None else charge | dict.fromkeys(COMPUTING, 0)

    def freed(self, held: Held, action: str) -> Amounts:
        """What an allocation gives back if it is dealt with by that action."""
        charge = self.charge_of(held)
        return {r: a if action != "suspend" or r in COMPUTING else 0 for r, a in charge.items()}

    def in_tree(self, held: Held, leaving: Mapping[str, str]) -> Amounts:
        """What an allocation is charged in the share tree: less for who was told to leave, or would be."""
        charge, action = self.charge_of(held), leaving.get(held.id)
        return charge if action is None else less(charge, self.freed(held, action))

    def tree(self) -> Tree:
        """The share tree of now."""
        return self.tree_of(self.live_capacity(), open_windows(self.policy, self.now))

    def most(self, n: int, r: str) -> Number:
        """The most that a share could ever hold: of all nodes, and in whatever window."""
        capacity = added(whole(node) for node in self.nodes.values())
        alone = [[i] for i in range(len(self.policy.windows))]
        times = [[], open_windows(self.policy, self.now), *alone]
        return max(self.tree_of(capacity, windows).most(n, r) for windows in times)

    def tree_of(self, capacity: Amounts, windows: list[int]) -> Tree:
        """The share tree over a capacity while some windows are open."""
        leaving = {**self.leaving(), **self.gone}
        charged = [(held.leaf, self.in_tree(held, leaving)) for held in self.holding()]
        used = {leaf: added(amounts for n, amounts in charged if n == leaf) for leaf, _ in charged}
        shares, amounts = self.worth(capacity, windows)
        return Tree(shares, amounts, used)

    def worth(self, capacity: Amounts, windows: list[int]) -> tuple[tuple[Share, ...], list[Amounts]]:
        """The shares as these windows have them, and their amounts of that capacity; worked out once."""
        key = (*windows, *capacity.values())
        if self.known[0] is not self.policy:
            self.known = self.policy, {}
        if key not in self.known[1]:
            shares = [replace(s, portions=portions(self.policy, s, windows)) for s in self.policy.shares]
            self.known[1][key] = tuple(shares), nominal(tuple(shares), capacity)
        return self.known[1][key]

    def live_capacity(self) -> Amounts:
        """The nodes that are up, and what allocations hold on the others."""
        if self.capacity is not None:
            return self.capacity
        up = [whole(node) for node in self.nodes.values() if node.up]
        down = [
            {r: amount * placement.parts for r, amount in self.part_on(held, placement.node).items()}
            for held in self.held.values()
            for placement in held.placement
            if not self.nodes[placement.node].up
        ]
        return added([*up, *down])

    def part_on(self, held: Held, node: str) -> Amounts:
        """What one part of an allocation takes of that node."""
        part = held.asked.part | {"hs23": held.asked.part["cores"] * self.nodes[node].factor}
        action = "suspend" if held.stopped is not None else self.gone.get(held.id)
        if action == "suspend":
            return part | dict.fromkeys(COMPUTING, 0)
        return part if action is None else dict.fromkeys(part, 0)

    # ----------------------------------------------------------------- quotas

    def counted(self, quota: Quota, key: quotas.Key) -> list[Held]:
        """The allocations that count for a quota under a key."""
        return [h for h in self.holding() if key in quotas.keys(self.policy, quota, h.asked)]

    def waiting(self, quota: Quota, key: quotas.Key) -> int:
        """How many requests of the queue count for a quota under a key."""
        return sum(key in quotas.keys(self.policy, quota, w.asked) for w in self.queue.values())

    def core_seconds(self, quota: Quota, key: quotas.Key, window: int, now: int) -> int:
        """What a key used and is committed to inside a window, in core-seconds."""
        past = [
            Use(e.held.asked.ask["cores"], e.held.started, e.end)
            for e in self.ended
            if key in quotas.keys(self.policy, quota, e.held.asked)
        ]
        ahead = sum(
            quotas.core_seconds_ahead(h.asked.ask["cores"], h.asked.facts["walltime"], window)
            for h in self.counted(quota, key)
        )
        return quotas.core_seconds_past(past, window, now) + ahead

    def bound(self, ceiling: Ceiling, configured: bool = False) -> int:
        """What a ceiling's bound is worth now, or with every node up."""
        up = [node for node in self.nodes.values() if node.up or configured]

        def read(name: str, site: bool) -> int:
            return sum(size(node)[name.removeprefix("farm.")] for node in up)

        bound: int = value(ceiling.bound, read)
        return bound

    def budgets(self, asked: Asked, ever: bool = False) -> list[Budget]:
        """How many parts of a request the quotas for nodes leave room for, on which nodes.

        `ever`: if nothing else were there, every node were up, and no window open.
        """
        budgets = []
        for quota in self.policy.quotas:
            limits = quota.nodes is not None and in_force(self.policy, quota.condition, self.now)
            if ever and quota.condition.window is not None:
                continue
            if limits and quotas.keys(self.policy, quota, asked):
                assert quota.nodes is not None
                nodes = self.in_set(quota.nodes)
                for ceiling in quota.ceilings:
                    held, part = self.on_nodes(quota, ceiling.resource, asked)
                    room = self.bound(ceiling, configured=True) if ever else self.bound(ceiling) - held
                    left = max(0, room) // part if part else asked.count
                    budgets.append(Budget(nodes, left, ceiling))
        return budgets

    def on_nodes(self, quota: Quota, r: str, asked: Asked) -> tuple[int, int]:
        """What is held on the nodes of a quota, and what one part of a request would add."""
        assert quota.nodes is not None
        nodes = self.in_set(quota.nodes)
        held = sum(
            self.charge_of(h)[r] // h.asked.count * p.parts
            for h in self.counted(quota, None)
            for p in h.placement
            if p.node in nodes
        )
        return held, asked.charge[r] // asked.count

    # --------------------------------------------------------------- averages

    def average(self, leaves: Iterable[int], r: str, half_life: int, now: int) -> int:
        """The average of what some leaves held together."""
        among = set(leaves)
        return averages.average((c for c in self.changes if c.leaf in among), r, half_life, now)

    def average_of(self, leaf: int, of: str, name: object, r: str, half_life: int, now: int) -> int:
        """The average of what one account held in a leaf; `of` as in a fairshare key."""
        own = (c for c in self.changes if c.leaf == leaf and c.asked.facts[of] == name)
        return averages.average(own, r, half_life, now)

    # ------------------------------------------------------------ expressions

    def read_farm(self, name: str, site: bool) -> Any:
        """How a bound reads the farm."""
        r = name.removeprefix("farm.")
        return sum(size(node)[r] for node in self.nodes.values() if node.up)

    def applies(self, condition: Condition, asked: Asked) -> bool:
        """Whether a statement applies to a request now."""
        return in_force(self.policy, condition, self.now) and holds(condition, self.reader(asked))

    def reader(self, asked: Asked) -> Read:
        """How caps and admission rules read: the request itself, and the farm's state."""
        of_request = reader(self.policy, asked.request, asked.facts, asked.leaf)

        def read(name: str, site: bool) -> Any:
            scope, _, what = name.partition(".")
            if site or not what or scope == "image":
                return of_request(name, site)
            if scope == "time":
                moment = local(self.policy, self.now)
                return moment.hour if what == "hour" else WEEKDAYS[moment.weekday()]
            if name == "farm.used.cores":
                return self.tree().total_use(0, "cores")
            if name == "farm.waiting":
                return len(self.queue)
            if name == "share.nominal.cores":
                assert asked.leaf is not None
                return self.tree().amount[asked.leaf]["cores"]
            if scope == "farm":
                return self.read_farm(name, site)
            return self.use_of(scope, what, asked)

        return read

    def use_of(self, scope: str, what: str, asked: Asked) -> int:
        """What the request's share, user, group or project holds, or how many of its requests wait.

        What a share holds is as the share tree has it; all else is as quotas count.
        """

        def ours(other: Held | Waiting) -> bool:
            if scope == "share":
                return other.leaf == asked.leaf
            return bool(other.asked.facts[scope] == asked.facts[scope])

        if what == "waiting":
            return sum(ours(w) for w in self.queue.values())
        if scope == "share" and what in ON_NODE:
            assert asked.leaf is not None
            return self.tree().total_use(asked.leaf, what)
        return sum(self.charge_of(h)[what] for h in self.holding() if ours(h))


def whole(node: Node) -> Amounts:
    """All that a node has, with its benchmark power."""
    return size(node) | {"hs23": node.cores * node.factor}


def added(amounts: Iterable[Amounts]) -> Amounts:
    """The sum, by resource."""
    listed = list(amounts)
    return {r: sum(each[r] for each in listed) for r in RESOURCES}


def less(amounts: Amounts, taken: Amounts) -> Amounts:
    """What is left of each resource."""
    return {r: amount - taken[r] for r, amount in amounts.items()}
