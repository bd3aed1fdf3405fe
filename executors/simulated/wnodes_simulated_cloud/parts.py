"""What the simulated cloud is made of: hosts, servers, and what was done to them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from wnodes_engine.executor import Inventory, ServerState

from wnodes_simulated_cloud.options import HostOptions


class CloudRefusal(Exception):  # noqa: N818 - it says what the cloud answered
    """The cloud said no; `status` is the HTTP status that it would have said it with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Place:
    """A host: what it has, and what really runs there."""

    options: HostOptions
    provider: str
    inventory: dict[str, Inventory]
    generation: int = 0
    failed_at: float | None = None
    failures: int = 0
    disabled: str = ""
    domains: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in the cloud."""
        return self.options.name


@dataclass(slots=True)
class Act:
    """An action on a server; `confirmed` is when its host said that it was done."""

    action: str
    user: str
    at: float
    host: str = ""
    confirmed: float | None = None
    result: str = ""


@dataclass(slots=True)
class Box:
    """A server, as long as the cloud knows of it, and after that its record."""

    id: str
    key: str
    project: str
    user: str
    name: str
    amounts: dict[str, int]
    at: float
    state: ServerState = ServerState.BUILDING
    host: str = ""
    launched: float | None = None
    fault: str = ""
    gone: bool = False
    acts: list[Act] = field(default_factory=list)
    stint: int = 0  # what was due in an earlier stint is void


def amounts_of(vcpus: int, memory: int, disk: int) -> dict[str, int]:
    """What a machine holds, by class; nothing is left out."""
    named = {"VCPU": vcpus, "MEMORY_MB": memory, "DISK_GB": disk}
    return {name: amount for name, amount in named.items() if amount}


def place_of(options: HostOptions) -> Place:
    """A host with nothing on it."""
    inventory = {
        "VCPU": Inventory(options.vcpus, ratio=options.ratio, most=options.vcpus),
        "MEMORY_MB": Inventory(options.memory, options.reserved, most=options.memory),
        "DISK_GB": Inventory(1 << 20, most=1 << 20),
    }
    return Place(options, str(uuid.uuid5(uuid.NAMESPACE_DNS, options.name)), inventory)
