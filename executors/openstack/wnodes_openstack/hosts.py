"""Hosts as Nova and Placement show them together: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

import msgspec
from wnodes_engine.executor import Host, Inventory

from wnodes_openstack.servers import seconds


class Provider(msgspec.Struct, frozen=True):
    """A resource provider of Placement, read as a whole at one generation."""

    uuid: str
    name: str
    generation: int
    inventory: dict[str, Inventory]
    allocations: dict[str, dict[str, int]]


def read_provider(
    uuid: str, name: str, inventories: Mapping[str, Any], allocations: Mapping[str, Any]
) -> Provider | None:
    """A provider from two answers; None if something was written between them."""
    generation = inventories["resource_provider_generation"]
    if generation != allocations["resource_provider_generation"]:
        return None
    return Provider(
        uuid,
        name,
        generation,
        {
            each: Inventory(
                shown["total"], shown["reserved"], float(shown["allocation_ratio"]), shown["max_unit"]
            )
            for each, shown in inventories["inventories"].items()
        },
        {consumer: dict(shown["resources"]) for consumer, shown in allocations["allocations"].items()},
    )


def consumer_of(farm: str, provider: str) -> str:
    """The consumer that holds our ballast on a provider: the same after every restart."""
    return str(uuid5(UUID(provider), f"wnodes ballast {farm}"))


def join_hosts(
    services: Sequence[Mapping[str, Any]],
    hypervisors: Sequence[Mapping[str, Any]],
    providers: Mapping[str, Provider],
    nodes: Mapping[str, str],
    farm: str,
) -> tuple[Host, ...]:
    """A host for each nova-compute, in the order of their names; what does not belong together is said."""
    by_host: dict[str, list[Mapping[str, Any]]] = {}
    for each in hypervisors:
        by_host.setdefault(each["service"]["host"], []).append(each)
    return tuple(
        _host(service, by_host.get(service["host"], []), providers, nodes, farm)
        for service in sorted(services, key=lambda each: str(each["host"]))
    )


def _host(
    service: Mapping[str, Any],
    hypervisors: Sequence[Mapping[str, Any]],
    providers: Mapping[str, Provider],
    nodes: Mapping[str, str],
    farm: str,
) -> Host:
    name = service["host"]
    disabled = ""
    if service["status"] != "enabled":
        disabled = service.get("disabled_reason") or "disabled"
    elif service.get("forced_down"):
        disabled = "forced down"
    hypervisor = hypervisors[0]["hypervisor_hostname"] if hypervisors else ""
    uuid = str(hypervisors[0]["id"]) if hypervisors else ""
    provider = providers.get(uuid)
    mismatch = ""
    if not hypervisors:
        mismatch = f"Nova shows no hypervisor for the host {name}"
    elif len(hypervisors) > 1:
        mismatch = f"the host {name} has {len(hypervisors)} hypervisors: a node can be one machine only"
    elif provider is None:
        mismatch = f"Placement has no provider {uuid}, which is the hypervisor {hypervisor}"
    elif provider.name != hypervisor:
        mismatch = f"the provider {uuid} is called {provider.name}, its hypervisor {hypervisor}"
    used: dict[str, int] = {}
    for amounts in provider.allocations.values() if provider is not None else ():
        for kind, amount in amounts.items():
            used[kind] = used.get(kind, 0) + amount
    return Host(
        name,
        nodes.get(name, name.partition(".")[0]),
        hypervisor,
        uuid,
        dict(provider.inventory) if provider is not None else {},
        used,
        dict(provider.allocations.get(consumer_of(farm, uuid), {})) if provider is not None else {},
        service["state"] == "up",
        seconds(service["updated_at"]) if service.get("updated_at") else 0,
        disabled,
        mismatch,
    )
