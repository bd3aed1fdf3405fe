"""Making room: who is told to leave, when the time is up, and what becomes of those who have left.

The core decides who has to go and for whom; here that is recorded, step by step, so that a crash at any
moment is taken up where it was. What is done to the jobs is for the loop: it does to each what its order
says, until the batch system shows that it is so.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec
from wnodes_engine.core.promises import Pledge
from wnodes_engine.values import Preemption

from wnodes_daemon.memory import Changes, Memory
from wnodes_daemon.records import Leave, NewOrder, NewPromise, Order, OrderChange, Promise, PromiseOver, State

_log: Final = logging.getLogger(__name__)

SUSPEND: Final = "suspend"
DELETE: Final = "delete"
STANDING: Final = (Leave.TOLD, Leave.LEAVING, Leave.STOPPED, Leave.RETURNING)
"""The steps of an order that is not over."""


def tell(memory: Memory, preemption: Preemption, now: int, changes: Changes) -> None:
    """Somebody has to leave: note it, before anything is done about it."""
    checked = memory.policy.checked
    rule = checked.preempts[preemption.rule]
    before = memory.orders.get(preemption.victim)
    if before is not None:
        close(memory, before, Leave.BACK if before.step is Leave.RETURNING else Leave.OVER, now, changes)
    order = Order(
        id=memory.next_order,
        victim=preemption.victim,
        beneficiary=int(preemption.beneficiary),
        action=preemption.action,
        told=now,
        leave_by=preemption.leave_by,
        rule=preemption.rule,
        policy=checked.digest,
        word="reclaim" if rule.how == "reclaim" else "preempt",
        file=rule.span.path,
        line=rule.span.line,
    )
    if before is not None and before.step is Leave.LEAVING:
        order = msgspec.structs.replace(order, step=Leave.LEAVING)  # it is on its way out already
    memory.next_order += 1
    memory.orders[order.victim] = order
    changes.append(NewOrder(order))
    said = {"request": order.victim, "for": order.beneficiary, "action": order.action}
    _log.info("told to leave", extra={**said, "within": max(0, order.leave_by - now)})


def time_is_up(memory: Memory, now: int, changes: Changes) -> None:
    """Whoever's grace is over has to leave now."""
    for order in [o for o in memory.orders.values() if o.step is Leave.TOLD and o.leave_by <= now]:
        _set(memory, msgspec.structs.replace(order, step=Leave.LEAVING), changes)


def goes_on(memory: Memory, victim: str, changes: Changes) -> None:
    """There is room again for one that is suspended."""
    if (order := memory.orders.get(victim)) is not None and order.step is Leave.STOPPED:
        _set(memory, msgspec.structs.replace(order, step=Leave.RETURNING), changes)


def stopped(memory: Memory, victim: str, changes: Changes) -> bool:
    """A job that was to be suspended is; False if that is known, or was not asked for."""
    order = memory.orders.get(victim)
    if order is None or order.action != SUSPEND or order.step is not Leave.LEAVING:
        return False
    now = memory.now()
    _note_who_left(memory, order)
    memory.book.suspend(victim, now)
    _set(memory, msgspec.structs.replace(order, step=Leave.STOPPED, ended=now), changes)
    return True


def is_back(memory: Memory, victim: str, changes: Changes) -> bool:
    """A job that was to go on does; False if that is known."""
    order = memory.orders.get(victim)
    if order is None or order.step is not Leave.RETURNING:
        return False
    close(memory, order, Leave.BACK, None, changes)
    return True


def left(memory: Memory, victim: str, changes: Changes) -> str:
    """A victim's job is over: its order is closed, if it had one. Returns what to say of it, or "".

    To be called before the state is told.
    """
    if (order := memory.orders.get(victim)) is None:
        return ""
    counts = _note_who_left(memory, order)
    close(memory, order, Leave.LEFT if counts else Leave.OVER, memory.now(), changes)
    return f"it had to leave for request {order.beneficiary} ({order.word}, {order.file}:{order.line})"


def is_leaving(memory: Memory, victim: str) -> bool:
    """Whether its job is to be ended, so that the end of it is our doing."""
    order = memory.orders.get(victim)
    return order is not None and (
        order.step is Leave.LEAVING or (order.step is Leave.TOLD and order.action == "checkpoint")
    )


def follow(memory: Memory, changes: Changes) -> None:
    """Write down what has become of promises and orders while the state was changed."""
    state = memory.state
    pledged = {int(id_): pledge for id_, pledge in state.pledges.items()}
    for request in memory.promised - pledged.keys():
        memory.promised.discard(request)
        changes.append(PromiseOver(request))
    for request, pledge in pledged.items():
        if request not in memory.promised:
            memory.promised.add(request)
            changes.append(NewPromise(_promise(memory, request, pledge)))
    for order in [order for order in memory.orders.values() if order.step is Leave.TOLD]:
        allocation = state.allocations.get(order.victim)
        if allocation is None:
            close(memory, order, Leave.OVER, memory.now(), changes)
        elif allocation.pledge is None or allocation.pledge.waiter.request.id != str(order.beneficiary):
            _let_off(memory, order, changes)


def close(memory: Memory, order: Order, step: Leave, ended: int | None, changes: Changes) -> None:
    """An order is over."""
    memory.orders.pop(order.victim, None)
    moved = msgspec.structs.replace(order, step=step, ended=order.ended if ended is None else ended)
    changes.append(OrderChange(moved))


def _let_off(memory: Memory, order: Order, changes: Changes) -> None:
    _log.info("may stay after all", extra={"request": order.victim, "for": order.beneficiary})
    entry = memory.entries.get(int(order.victim)) if order.victim.isdigit() else None
    if entry is not None and entry.state is State.SUSPENDED:  # the batch system had not let it go on yet
        _set(memory, msgspec.structs.replace(order, step=Leave.RETURNING), changes)
    else:
        close(memory, order, Leave.LET_OFF, None, changes)


def _note_who_left(memory: Memory, order: Order) -> bool:
    """Whether somebody still waits for the victim to leave."""
    allocation = memory.state.allocations.get(order.victim)
    if allocation is None or allocation.pledge is None:
        return False
    memory.owed.add(order.beneficiary)
    return True


def _set(memory: Memory, order: Order, changes: Changes) -> None:
    memory.orders[order.victim] = order
    changes.append(OrderChange(order))


def _promise(memory: Memory, request: int, pledge: Pledge) -> Promise:
    state = memory.state
    return Promise(
        request=request,
        number=pledge.number,
        rule=pledge.rule,
        policy=state.policy.checked.digest,
        leave_by=pledge.leave_by,
        placement=state.placement(pledge.where),
    )
