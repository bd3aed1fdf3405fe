"""From orders to what is done to jobs: ended, suspended, resumed; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from wnodes_engine.backend import Action, JobRef

from wnodes_daemon.making_room import SUSPEND
from wnodes_daemon.natives import Native
from wnodes_daemon.records import Leave, Order

_NATIVE: Final = {
    "requeue": Action.REQUEUE,
    "checkpoint": Action.REQUEUE,
    "delete": Action.CANCEL,
    SUSPEND: Action.SUSPEND,
}


class Wishes(NamedTuple):
    """Requests whose jobs are to end, to stand still, and to go on.

    A request that waits again is given nodes anew, and a job of its own there: so its job ends.
    """

    ending: set[int]
    stopping: set[int]
    returning: set[int]


def wishes_of(orders: Iterable[Order]) -> Wishes:
    """What is to be done to jobs of ours."""
    wishes = Wishes(set(), set(), set())
    for order in orders:
        if not order.victim.isdigit():
            continue
        if order.step is Leave.RETURNING:
            wishes.returning.add(int(order.victim))
        elif order.step is Leave.STOPPED or (order.step is Leave.LEAVING and order.action == SUSPEND):
            wishes.stopping.add(int(order.victim))
        elif order.step is Leave.LEAVING:
            wishes.ending.add(int(order.victim))
    return wishes


def native_actions(
    orders: Iterable[Order], known: Mapping[str, Native], shown: Mapping[str, Native]
) -> dict[Action, list[JobRef]]:
    """What is to be done to native jobs that are shown: the batch system starts them anew, not we."""
    found: defaultdict[Action, list[JobRef]] = defaultdict(list)
    for order in orders:
        native = shown.get(order.victim)
        if native is None or order.victim not in known:
            continue
        if native.suspended:
            if order.step is Leave.RETURNING:
                found[Action.RESUME].append(native.ref)
        elif order.step is Leave.LEAVING:
            found[_NATIVE[order.action]].append(native.ref)
        elif order.step is Leave.STOPPED:
            found[Action.SUSPEND].append(native.ref)
    return found
