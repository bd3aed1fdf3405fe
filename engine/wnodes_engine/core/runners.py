"""What runs, in the orders in which rules that make room take victims: a leaf and an order to a line.

Allocations that started in the same second with the same priority stand in one place of a line and are put
in the order of their ids when somebody looks. New places are mostly the last ones: lines are kept backwards
for that, by what comes last.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final

from wnodes_engine.check.checked import CheckedPolicy, VictimKey

if TYPE_CHECKING:
    from wnodes_engine.core.ledger import Allocation

Place = tuple[int, ...]
"""A place in a line, backwards: the larger is taken sooner."""

_NEW_AT_MOST: Final = 1024
"""So many may wait to stand in line, so that nobody who asks waits long for that."""

Order = tuple[tuple[str, int], ...]
"""What decides (`priority`, `started`, `cores`) and what is taken sooner: 1 the larger, -1 the smaller."""

Found = tuple[Place, str, "Allocation"]

_SIGNED: Final = {
    ("lowest", "priority"): ("priority", -1),
    ("highest", "priority"): ("priority", 1),
    ("shortest", "runtime"): ("started", 1),
    ("longest", "runtime"): ("started", -1),
    ("latest", "start"): ("started", 1),
    ("earliest", "start"): ("started", -1),
    ("smallest", "size"): ("cores", -1),
    ("largest", "size"): ("cores", 1),
}
_LATEST: Final = ("started", 1)
_TIES: Final[Order] = (("priority", -1), _LATEST)


def order_of(keys: tuple[VictimKey, ...]) -> Order:
    """The order of a rule's victims, with what decides where the policy leaves it open."""
    order: dict[str, int] = {}
    for what, sign in (*(_SIGNED[key.extreme, key.of] for key in keys), *_TIES):
        order.setdefault(what, sign)
    return tuple(order.items())


class _Line:
    """One leaf's allocations in one order."""

    __slots__ = ("at", "by_start", "places", "rank")

    def __init__(self, order: Order) -> None:
        self.rank = _rank(order)
        self.by_start = order.index(_LATEST) if _LATEST in order else None
        """Where in a place the start stands, if the latest are taken first."""
        self.places: list[Place] = []
        self.at: dict[Place, dict[str, Allocation]] = {}

    def add(self, allocation: Allocation) -> None:
        place = self.rank(allocation)
        there = self.at.get(place)
        if there is None:
            there = self.at[place] = {}
            insort(self.places, place)
        there[allocation.request.id] = allocation

    def remove(self, allocation: Allocation) -> None:
        place = self.rank(allocation)
        there = self.at[place]
        del there[allocation.request.id]
        if not there:
            del self.at[place]
            del self.places[bisect_left(self.places, place)]

    def since(self, latest: int) -> Iterator[Found]:
        """Those that have run since `latest` at the least."""
        at, places, by_start = self.at, self.places, self.by_start
        next_ = len(places) - 1
        while next_ >= 0:
            place = places[next_]
            if by_start is not None and place[by_start] > latest:
                # All that are alike but for their later start stand behind it.
                next_ = bisect_left(places, (*place[:by_start], latest + 1)) - 1
                continue
            there = at[place]
            if len(there) == 1:
                ((id_, allocation),) = there.items()
                yield place, id_, allocation
            else:
                for id_ in sorted(there):
                    yield place, id_, there[id_]
            next_ -= 1


class Runners:
    """The lines of every leaf that some rule takes from."""

    def __init__(self, policy: CheckedPolicy) -> None:
        self.orders = tuple(order_of(rule.taking.order) for rule in policy.preempts)
        """By rule."""
        self._lines: dict[int, dict[Order, _Line]] = {}
        self._on: dict[int, dict[str, Allocation]] = {}
        self._new: dict[str, Allocation] = {}
        """Those that do not stand in line yet: most have ended before anybody asks."""
        for rule, order in zip(policy.preempts, self.orders, strict=True):
            for leaf in rule.victims:
                self._lines.setdefault(leaf, {}).setdefault(order, _Line(order))

    def add(self, allocation: Allocation) -> None:
        """One more runs."""
        self._new[allocation.request.id] = allocation
        if len(self._new) > _NEW_AT_MOST:
            self._line_up()

    def _line_up(self) -> None:
        """Let the new ones stand in line."""
        for allocation in self._new.values():
            for node, _ in allocation.where:
                self._on.setdefault(node, {})[allocation.request.id] = allocation
            for line in self._lines.get(allocation.claim.leaf, {}).values():
                line.add(allocation)
        self._new.clear()

    def remove(self, allocation: Allocation) -> None:
        """One runs no longer."""
        if self._new.pop(allocation.request.id, None) is not None:
            return
        for node, _ in allocation.where:
            del self._on[node][allocation.request.id]
        for line in self._lines.get(allocation.claim.leaf, {}).values():
            line.remove(allocation)

    def in_order(self, rule: int, leaves: Iterable[int], since: int) -> Iterator[Allocation]:
        """Whatever has run since then in these leaves, the first to be taken first.

        Where the latest are not taken first, there may be some among them that have run for less.
        """
        self._line_up()
        order = self.orders[rule]
        lines = [self._lines[leaf][order].since(since) for leaf in sorted(leaves)]
        found = lines[0] if len(lines) == 1 else merge(*lines, key=_sooner)
        return map(itemgetter(2), found)

    def on(self, node: int) -> Iterable[Allocation]:
        """Whatever runs on the node, in no order."""
        self._line_up()
        return self._on.get(node, {}).values()

    def sort(self, rule: int, allocations: Iterable[Allocation]) -> list[Allocation]:
        """These, the first to be taken first."""
        rank = _rank(self.orders[rule])
        found = sorted(((rank(a), a.request.id, a) for a in allocations), key=_sooner)
        return [allocation for _, _, allocation in found]

    def renumber(self, numbers: Mapping[int, int]) -> None:
        """The nodes have other numbers now: by the old one."""
        self._on = {numbers[node]: there for node, there in self._on.items()}


def _sooner(found: Found) -> tuple[Place, str]:
    return tuple(-part for part in found[0]), found[1]


def _rank(order: Order) -> Callable[[Allocation], Place]:
    """What gives an allocation's place."""
    if order == _TIES:
        return lambda a: (-a.priority, a.started)
    get = [_VALUES[what] for what, _ in order]
    signs = [sign for _, sign in order]
    return lambda a: tuple(sign * value(a) for sign, value in zip(signs, get, strict=True))


def _cores(allocation: Allocation) -> int:
    return allocation.claim.part.cores * allocation.claim.parts


_VALUES: Final[dict[str, Callable[[Allocation], int]]] = {
    "priority": attrgetter("priority"),
    "started": attrgetter("started"),
    "cores": _cores,
}
