"""Whether batch systems and clouds fit together, so that machines can win their cores."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from wnodes_engine.backend import BackendUnavailable, BatchBackend, Capability, Health
from wnodes_engine.executor import CloudView, Executor, ExecutorUnavailable
from wnodes_engine.values import Node


async def doctor(backends: Collection[BatchBackend], executors: Collection[Executor]) -> list[Health]:
    """What was found; never raises for what does not answer."""
    found: list[Health] = []
    nodes: dict[str, Node] = {}
    for backend in backends:
        try:
            nodes |= {node.name: node for node in (await backend.snapshot()).nodes}
        except BackendUnavailable as error:
            found.append(Health("machines: nodes", False, str(error), "make the batch system answer first"))
        found.append(_memory(backend))
    for executor in executors:
        try:
            found += look(executor.name, await executor.inventory(), nodes)
        except ExecutorUnavailable as error:
            found.append(Health("machines: hosts", False, str(error), "make the cloud answer first"))
    said = "none is used: where the batch system ends a bait by itself, its cores may be over-committed"
    return [*found, Health("machines: epilogue", True, said)]


def look(executor: str, view: CloudView, nodes: dict[str, Node]) -> Iterator[Health]:
    """What is to be said of a cloud's hosts, held against the batch systems' nodes."""
    alone = [f"{host.name} ({host.node})" for host in view.hosts if host.node not in nodes]
    yield Health(
        "machines: node map",
        not alone,
        f"hosts that are no node of a batch system: {_some(alone)}"
        if alone
        else f"all {len(view.hosts)} hosts of {executor} are nodes of a batch system",
        f"say what the batch system calls them, in executors.{executor}.options" if alone else "",
    )
    small = [
        f"{host.name} has {cores} VCPU, its node {nodes[host.node].cores} cores"
        for host in view.hosts
        if host.node in nodes
        and "VCPU" in host.inventory
        and (cores := host.inventory["VCPU"].capacity) < nodes[host.node].cores
    ]
    yield Health(
        "machines: sizes",
        not small,
        _some(small) if small else "no host has fewer cores than its node",
        "baits can win more cores than the cloud has there: let both have as many" if small else "",
    )
    double = sorted({host.node for host in view.hosts if [h.node for h in view.hosts].count(host.node) > 1})
    if double:
        yield Health("machines: node map", False, f"several hosts are one node: {_some(double)}", "name each")


def _memory(backend: BatchBackend) -> Health:
    tracked = Capability.MEMORY in backend.capabilities
    return Health(
        "machines: memory",
        tracked,
        f"{backend.name} {'tracks' if tracked else 'does not track'} the memory of jobs",
        "" if tracked else "machines and jobs may use the same memory: let the batch system track it",
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
