"""The ledger: what is allocated now, to whom, on which node, and what was used over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from wnodes_engine.check.checked import Portions
from wnodes_engine.core.accounts import Asks, ShareAverages
from wnodes_engine.core.averages import TICK
from wnodes_engine.core.claim import Claim, Part, priority_at
from wnodes_engine.core.endings import Endings
from wnodes_engine.core.farm import Farm, Free, Where
from wnodes_engine.core.meters import Hours
from wnodes_engine.core.outlook import Outlook
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.core.tree import empty_tree
from wnodes_engine.core.windows import LocalTime, local_time
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.values import Node, Placement, Request

if TYPE_CHECKING:
    from wnodes_engine.core.promises import Pledge
    from wnodes_engine.core.room import Given

HS23: Final = RESOURCES.index("hs23")

NOTHING: Final[Mapping[tuple[int, str | int], int]] = {}
"""Nothing given back to any quota: by meter and key."""


class Allocation:
    """A request that holds resources since `started`."""

    __slots__ = (
        "_ledger", "claim", "given", "native", "pledge", "priority", "request", "rest", "serial", "started",
        "stopped", "where",
    )  # fmt: skip

    def __init__(
        self,
        request: Request,
        claim: Claim,
        where: Where,
        started: int,
        serial: int,
        ledger: Ledger,
        native: bool = False,
    ) -> None:
        """`native`: it was not submitted through us."""
        self.request = request
        self.claim = claim
        self.where = where
        self.started = started
        self.serial = serial
        self.native = native
        self.priority = priority_at(claim, request.submitted, started // TICK * TICK)
        """What it had when it started."""
        self.pledge: Pledge | None = None
        """For whose sake it has been told to leave."""
        self.given: Given | None = None
        """What it is to give, which its share is not charged for any more."""
        self.rest: Claim | None = None
        """What it keeps while it is suspended, since `stopped`."""
        self.stopped = 0
        self._ledger = ledger

    @property
    def share(self) -> str:
        """The path of the share that it is charged to."""
        return self._ledger.tree.shares[self.claim.leaf].path

    @property
    def charged(self) -> Claim:
        """What it holds now: all of its claim, or what is left while it is suspended."""
        return self.rest or self.claim

    @property
    def placement(self) -> tuple[Placement, ...]:
        """Its nodes, by name."""
        return self._ledger.placement(self.where)

    def expected_end(self, now: int) -> int:
        """When its walltime is over; a moment from now where it is overdue."""
        return max(self.started + self.claim.walltime, now + 1)


class Ledger:
    """The farm and its share tree with everything that is charged to them, and the meters of the quotas."""

    def __init__(self, policy: CompiledPolicy, nodes: Iterable[Node]) -> None:
        self.policy = policy
        self.version = 0
        """Counts the changes: what was worked out for an older version no longer holds."""
        self.allocations: dict[str, Allocation] = {}
        self.endings = Endings()
        self.outlooks: dict[int, Outlook] = {}
        """By leaf: where its blocked head was found to fit last."""
        self.owed: dict[int, Free] = {}
        """By node: what those that were told to leave will give there."""
        self.meters: list[Any] = [Hours(spec.window) if spec.window else {} for spec in policy.meters]
        self.bounds: list[int] = []
        shares = policy.checked.shares
        self.time = LocalTime(0, "thu", 0)
        self.minute = -1
        """The minute since the epoch of which `time` is; below 0 before the first."""
        self._zone = ZoneInfo(policy.checked.time_zone)
        self.fresh_farm(nodes)
        self.up = self.farm.taking()
        """The capacity of the nodes that are up, by resource: what policies call `farm.cores` and so on."""
        self.tree = empty_tree(shares, self.farm.configured(), self.farm.live())
        self.averages = ShareAverages(self.tree.held, _half_lives(policy))

    # --------------------------------------------------------------- the nodes

    def fresh_farm(self, nodes: Iterable[Node]) -> None:
        """Take these nodes, with nothing held on them yet, as the farm."""
        nodes = sorted(nodes, key=lambda node: node.name)
        self.farm = Farm(nodes, [self._mark(node) for node in nodes])
        self._tiers: dict[int, tuple[tuple[int, ...], ...]] = {}
        self.feasible: dict[tuple[Part, int, int, int], int] = {}
        """By shape of a claim: how many of its parts the farm holds when it is empty."""
        self.needed: dict[tuple[Any, ...], Mapping[int, int]] = {}
        """By shape of a claim: how many parts quotas for nodes would have to admit there."""
        marks: list[Any] = self.farm.class_marks
        self.only = [mark[0] for mark in marks]
        self.prefer = [mark[1] for mark in marks]
        self.downtimes = [mark[2] for mark in marks]
        self.metered = [mark[3] for mark in marks]
        self.group_of: list[tuple[int, ...]] = [mark[4] for mark in marks]
        self.factor_of: list[int] = [mark[5] for mark in marks]
        """By node class: bits of `only` and `preferred` rules, downtimes, meters of node quotas, and for each
        place rule which of its groups it belongs to, or -1; where power is limited, the benchmark factor."""
        self.closings = tuple(dict.fromkeys(down for downtimes in self.downtimes for down in downtimes))
        """The downtimes that some node has."""

    def _mark(
        self, node: Node
    ) -> tuple[int, int, tuple[tuple[int, int], ...], frozenset[int], tuple[int, ...], int]:
        checked = self.policy.checked
        only = prefer = 0
        for i, rule in enumerate(checked.node_rules):
            if rule.nodes.has(node.name, node.properties):
                if rule.only:
                    only |= 1 << i
                else:
                    prefer |= 1 << i
        downtimes = tuple(
            (d.begin, d.end) for d in checked.downtimes if d.nodes.has(node.name, node.properties)
        )
        metered = frozenset(
            spec.index
            for spec in self.policy.meters
            if spec.quota and spec.quota.nodes and spec.quota.nodes.has(node.name, node.properties)
        )
        groups = tuple(
            next((i for i, g in enumerate(place.groups) if g.nodes.has(node.name, node.properties)), -1)
            for place in checked.places
        )
        factor = node.factor if self.policy.tracks_hs23 else 0
        return only, prefer, downtimes, metered, groups, factor

    def set_node(self, node: Node) -> None:
        """A node appeared, changed, went up or down."""
        self.set_nodes((node,))

    def set_nodes(self, nodes: Iterable[Node]) -> None:
        """Nodes appeared, changed, went up or down; those not named stay as they are."""
        changed = {}
        for node in nodes:
            at = self.farm.index.get(node.name)
            if at is not None and _same_but_up(self.farm.nodes[at], node):
                self.farm.nodes[at] = node
                self.farm.set_up(at, node.up)
            else:
                changed[node.name] = node
        if changed:
            self._rebuild([*(n for n in self.farm.nodes if n.name not in changed), *changed.values()])
        self.resize()

    def _rebuild(self, nodes: list[Node]) -> None:
        """Take a farm of other nodes and put everything that is held back in its place."""
        names = self.farm.names
        for allocation in self.allocations.values():
            self._charge_placed(allocation, -1)
        self.fresh_farm(nodes)
        self.endings.forget()
        self._renumber({n: self.farm.index[name] for n, name in enumerate(names)})
        for allocation in self.allocations.values():
            allocation.where = tuple((self.farm.index[names[n]], k) for n, k in allocation.where)
            for n, k in allocation.where:
                self.farm.take(n, allocation.charged.part, k)
            self._charge_placed(allocation, 1)

    def _renumber(self, numbers: Mapping[int, int]) -> None:
        """The nodes have other numbers now: by the old one."""
        self.owed = {numbers[node]: free for node, free in self.owed.items()}

    def _charge_placed(self, allocation: Allocation, sign: int) -> None:
        """Charge what depends on the nodes: their benchmark power, and the quotas for them."""
        claim, where = allocation.charged, allocation.where
        if self.policy.tracks_hs23:
            self.tree.charge(claim.leaf, ((HS23, self.hs23(claim, where)),), sign)
        self._count_placed(claim, where, sign)

    def _count_placed(self, claim: Claim, where: Where, sign: int) -> None:
        """Count for the quotas that depend on the nodes."""
        for meter, key, amount in claim.placed:
            _count(self.meters[meter], key, self.placed_amount(meter, amount, where) * sign)

    def resize(self) -> None:
        """The farm's capacity or the open windows have changed: work out all amounts and bounds anew."""
        self.up = self.farm.taking()
        changes: dict[int, Portions] = {}
        windows = self.policy.checked.windows
        for i, window in enumerate(windows):
            if self.time.open >> i & 1:
                changes.update(window.shares)
        self.version += 1
        others = [window.shares for window in windows if window.shares]
        self.tree.resize(self.farm.configured(), self.farm.live(), changes, others)

    def tiers(self, rules: int) -> tuple[tuple[int, ...], ...]:
        """The node classes open to a request that meets these node rules: preferred, neutral, avoided."""
        tiers = self._tiers.get(rules)
        if tiers is None:
            by_rank: tuple[list[int], list[int], list[int]] = ([], [], [])
            for kind, (only, prefer) in enumerate(zip(self.only, self.prefer, strict=True)):
                if not only & ~rules:
                    by_rank[0 if prefer & rules else 2 if prefer else 1].append(kind)
            tiers = self._tiers[rules] = tuple(tuple(rank) for rank in by_rank if rank)
        return tiers

    # ---------------------------------------------------------------- the time

    def advance(self, now: int) -> bool:
        """Let the local time be that of `now`; whether a window opened or closed."""
        minute = now // TICK
        if minute == self.minute:
            return False
        self.minute = minute
        before = self.time.open
        self.time = local_time(minute * TICK, self._zone, self.policy.checked.windows)
        if self.time.open == before:
            return False
        self.resize()
        return True

    # ------------------------------------------------------------ what is held

    def hold(self, allocation: Allocation, now: int) -> None:
        """Charge an allocation to its nodes, its share and the quotas that count it."""
        self.allocations[allocation.request.id] = allocation
        self.endings.add(allocation)
        self._charge(allocation, 1, now)
        self._commit(allocation.claim, 1)

    def release(self, allocation: Allocation, now: int) -> None:
        """Give back all that an allocation holds; what it used stays on record."""
        del self.allocations[allocation.request.id]
        self.endings.remove(allocation)
        self._charge(allocation, -1, now)
        claim = allocation.claim
        self._commit(claim, -1)
        end = now if allocation.rest is None else allocation.stopped
        for meter, key in claim.hours if allocation.where else ():  # who had no node has used nothing
            self.meters[meter].spend(key, claim.part.cores * claim.parts, allocation.started, end)

    def _commit(self, claim: Claim, sign: int) -> None:
        """Take on, or give back, what a claim may use of the quotas on use over time."""
        for meter, key in claim.hours:
            hours = self.meters[meter]
            hours.commit(key, sign * hours.commitment(claim.part.cores * claim.parts, claim.walltime))

    def earmark(self, claim: Claim, where: Where, sign: int) -> None:
        """Set aside, or give back, what a claim will hold on these nodes; nobody uses it yet."""
        self.version += 1
        for node, parts in where:
            self.farm.take(node, claim.part, parts * sign)
        self.expect(claim.leaf, self.charges(claim, where), sign)
        for meter, key, amount in claim.meters:
            _count(self.meters[meter], key, amount * sign)
        self._count_placed(claim, where, sign)
        self._commit(claim, sign)

    def expect(self, leaf: int, asks: Asks, sign: int) -> None:
        """Charge a leaf for what it is to hold, or, -1, is to hold no longer, before it does."""
        self.version += 1
        self.tree.charge(leaf, asks, sign)
        self.averages.expect(self.tree.paths[leaf], asks, sign)

    def _charge(self, allocation: Allocation, sign: int, now: int) -> None:
        self.version += 1
        claim, tick, farm, tree = allocation.charged, now // TICK, self.farm, self.tree
        all_up = True
        for node, parts in allocation.where:
            farm.take(node, claim.part, parts * sign)
            all_up &= farm.up[node]
        if tick > self.averages.ticks[claim.leaf]:
            self.averages.settle(tree.paths[claim.leaf], tick)
        tree.charge(claim.leaf, claim.asks, sign)
        if claim.placed or self.policy.tracks_hs23:
            self._charge_placed(allocation, sign)
        meters = self.meters
        for meter, key, amount in claim.meters:
            _count(meters[meter], key, amount * sign)
        if not all_up:
            self.resize()  # what is held on a node that is down is live capacity

    def charges(self, claim: Claim, where: Where) -> Asks:
        """What the share tree charges for a claim on these nodes: what it asks, and its benchmark power."""
        return (*claim.asks, (HS23, self.hs23(claim, where))) if self.policy.tracks_hs23 else claim.asks

    def hs23(self, claim: Claim, where: Where) -> int:
        """The benchmark power, in thousandths of HS23, of a claim's cores on these nodes."""
        return sum(claim.part.cores * parts * self.farm.nodes[node].factor for node, parts in where)

    def placed_amount(self, meter: int, amount: int, where: Where) -> int:
        """What a meter that depends on the nodes counts of a placement; `amount` is that of one part."""
        spec = self.policy.meters[meter]
        farm = self.farm
        if spec.quota is not None and spec.quota.nodes is not None:
            where = tuple((n, parts) for n, parts in where if meter in self.metered[farm.class_of[n]])
        if spec.resource == "hs23":
            return sum(amount * parts * farm.nodes[node].factor for node, parts in where)
        return sum(amount * parts for _, parts in where)

    def free_then(self, node: int) -> Free:
        """What is free on the node once all that were told to leave have left."""
        cores, memory, gpus, disk = self.farm.free(node)
        owed = self.owed.get(node)
        if owed is None:
            return cores, memory, gpus, disk
        return cores + owed[0], memory + owed[1], gpus + owed[2], disk + owed[3]

    def placement(self, where: Where) -> tuple[Placement, ...]:
        """A placement by the nodes' names."""
        names = self.farm.names
        if len(where) == 1:
            ((node, parts),) = where
            return (Placement(names[node], parts),)
        return tuple([Placement(names[node], parts) for node, parts in where])


def _same_but_up(one: Node, other: Node) -> bool:
    return (
        one.cores == other.cores
        and one.memory == other.memory
        and one.gpus == other.gpus
        and one.disk == other.disk
        and one.factor == other.factor
        and one.properties == other.properties
    )


def _count(meter: dict[str | int, int], key: str | int, amount: int) -> None:
    """Count, and forget who is back at zero."""
    value = meter.get(key, 0) + amount
    if value:
        meter[key] = value
    else:
        meter.pop(key, None)


def _half_lives(policy: CompiledPolicy) -> list[int]:
    """The half-life by which each share is averaged: its parent's, since it is compared with its siblings."""
    halflife, shares = policy.checked.halflife, policy.checked.shares
    return [halflife[share.parent if share.parent is not None else share.index] for share in shares]
