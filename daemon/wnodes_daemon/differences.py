"""What differs between the store, a batch system and a cloud, and what follows: pure, from one look."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from wnodes_engine.backend import JobRef
from wnodes_engine.executor import CloudView, Host, target_ballast

from wnodes_daemon.baits.farm import granted, uncovered, unfit_host
from wnodes_daemon.baits.records import Bait, Stage
from wnodes_daemon.loop import Line
from wnodes_daemon.memory import Memory
from wnodes_daemon.reconcile import Plan
from wnodes_daemon.records import Dispatch
from wnodes_daemon.views import DifferenceView

_CHANGING = frozenset({Stage.HOLE_OPEN, Stage.SERVER_GONE})


def everywhere(
    memory: Memory, lines: Mapping[str, Line], views: Mapping[str, CloudView]
) -> Iterator[DifferenceView]:
    """All that differed at the last looks, batch systems first."""
    for line in lines.values():
        yield from of_batch(line.name, line.plan, memory.dispatches)
    for name, view in views.items():
        yield from of_cloud(name, view, memory.baits.values(), memory.nodes)


def of_batch(system: str, plan: Plan, dispatches: Mapping[str, Dispatch]) -> Iterator[DifferenceView]:
    """Where a batch system shows something else than is recorded; what simply goes on is left out."""

    def told(dispatch: Dispatch, what: str, then: str) -> DifferenceView:
        job = dispatch.ref.id if dispatch.ref is not None else None
        return DifferenceView(system, what, then, str(dispatch.request), job)

    for dispatch, ref in plan.found:
        what = "a submission that was not answered has made a job"
        yield DifferenceView(
            system, what, "its id is recorded, and it is released", str(dispatch.request), ref.id
        )
    for dispatch in plan.give_up:
        yield told(dispatch, "a submission has made no job", "the request waits again")
    for dispatch, nodes in plan.moved:
        where = ", ".join(node for node, _ in nodes)
        yield told(
            dispatch, f"the job runs on {where}, and is recorded elsewhere", f"it is charged to {where}"
        )
    for dispatch in plan.late:
        yield told(
            dispatch, "the job has not started in time", "it is withdrawn, and the request waits again"
        )
    for dispatch in plan.missing:
        then = "nothing, until the accounting or a second look says what became of it"
        yield told(dispatch, "the job is not shown", then)
    for ref in (*plan.hold, *plan.cancel):
        yield _unwanted(system, ref, dispatches.get(ref.key))


def _unwanted(system: str, ref: JobRef, dispatch: Dispatch | None) -> DifferenceView:
    request = str(dispatch.request) if dispatch is not None else None
    return DifferenceView(
        system, "a job of ours is not wanted, or not any more", "it is ended", request, ref.id
    )


def of_cloud(
    system: str, view: CloudView, baits: Collection[Bait], nodes: Collection[str]
) -> Iterator[DifferenceView]:
    """Where a cloud shows something else than is recorded, on the hosts that are `nodes` of the farm."""
    changing = {bait.host for bait in baits if bait.stage in _CHANGING}
    for host in view.hosts:
        if host.node in nodes:
            yield from _of_host(system, host, baits, changing=host.name in changing)
    names = {host.name: host.node for host in view.hosts if host.node in nodes}
    for name, servers in uncovered(view.servers, baits).items():
        for server in servers if name in names else ():
            whose = "a server of ours has no bait" if server.ours else "a server of others was booted past us"
            what = (
                f"{whose}: {server.ref.id}, of project {server.ref.project}, holds {_amounts(server.amounts)}"
            )
            then = "baits on this node are kept until it is gone; end it, or keep the node for it"
            yield DifferenceView(system, what, then, node=names[name])
    shown = {server.ref.id for server in view.servers}
    for bait in baits:
        if bait.executor != system or bait.stage is not Stage.ACTIVE or bait.server is None:
            continue
        if bait.server.id not in shown:
            what = f"the server {bait.server.id} is not shown"
            then = "its bait is kept until its host has ended it"
            yield DifferenceView(system, what, then, str(bait.request), bait.ref.id, bait.node)


def _of_host(system: str, host: Host, baits: Collection[Bait], *, changing: bool) -> Iterator[DifferenceView]:
    if why := unfit_host(host, 0):
        yield DifferenceView(system, why, "no machine is booted there", node=host.node)
    if over := host.over:
        what = f"{_amounts(over)} more are allocated than the host has"
        yield DifferenceView(system, what, "its baits are kept until that is over", node=host.node)
    if changing:
        return
    try:
        target = target_ballast(host.inventory, granted(baits, host.name))
    except ValueError as error:
        yield DifferenceView(system, str(error), "nothing, until the host has them", node=host.node)
        return
    if host.ballast != target:
        what = f"the ballast is {_amounts(host.ballast)}, and is to be {_amounts(target)}"
        yield DifferenceView(system, what, "it is set", node=host.node)


def _amounts(amounts: Mapping[str, int]) -> str:
    return ", ".join(f"{amount} {name}" for name, amount in sorted(amounts.items())) or "nothing"
