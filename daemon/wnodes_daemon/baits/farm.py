"""What concerns a whole host: what is granted there, whether it may be used, and who else is on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from wnodes_engine.executor import CloudView, Host, Server, ServerState

from wnodes_daemon.baits.records import HOLDING, Bait

FAILED_BOOTS: Final = 3
"""So many failed boots in a row make a host a black hole."""

_OFF_HOST: Final = frozenset({ServerState.SHELVED, ServerState.ERROR})


def granted(baits: Iterable[Bait], host: str, *, without: str = "") -> dict[str, int]:
    """What is granted on a host, by class: the ballast is all but this.

    A bait that is lost grants nothing: its cores are not ours. `without` leaves one out, by its key.
    """
    total: dict[str, int] = {}
    for bait in baits:
        if bait.host == host and bait.stage in HOLDING and not bait.lost and bait.key != without:
            for name, amount in bait.amounts.items():
                total[name] = total.get(name, 0) + amount
    return total


def stays_drained(baits: Iterable[Bait], node: str, *, without: str) -> bool:
    """Whether a node is to take nothing new for the sake of another bait than this."""
    return any(bait.drained and bait.node == node and bait.key != without for bait in baits)


def unfit_host(host: Host | None, failed_boots: int) -> str:
    """Why no bait may be used on a host; empty if one may."""
    if host is None:
        return "the node is no host of the cloud"
    if host.mismatch:
        return host.mismatch
    if not host.up:
        return f"the compute service of {host.name} is down"
    if host.disabled:
        return f"the compute service of {host.name} is disabled: {host.disabled}"
    for name, inventory in host.inventory.items():
        if name in {"VCPU", "PCPU", "MEMORY_MB"} and inventory.ratio != 1.0:
            return f"the ratio of {name} on {host.name} is {inventory.ratio:g}: a shared host needs 1"
    if failed_boots >= FAILED_BOOTS:
        return f"{failed_boots} machines in a row have failed to boot on {host.name}"
    return ""


class Servers:
    """The servers of one look, each found by its id, by its host and, those of ours, by its key."""

    def __init__(self, view: CloudView) -> None:
        self.by_id: dict[str, Server] = {}
        self.by_host: defaultdict[str, list[Server]] = defaultdict(list)
        self.ours_by_key: defaultdict[str, list[Server]] = defaultdict(list)
        for server in view.servers:
            self.by_id[server.ref.id] = server
            self.by_host[server.host].append(server)
            if server.ours:
                self.ours_by_key[server.ref.key].append(server)


def uncovered(servers: Iterable[Server], baits: Iterable[Bait]) -> dict[str, tuple[Server, ...]]:
    """The servers of others, and of ours, on each host that no bait there has; hosts without any left out."""
    kept = [bait for bait in baits if not bait.lost]
    covered = {(bait.server.id, bait.host) for bait in kept if bait.server is not None}
    named = {(bait.key, bait.host) for bait in kept}
    found: dict[str, tuple[Server, ...]] = {}
    for server in servers:
        if not server.host or server.state in _OFF_HOST or (server.ref.id, server.host) in covered:
            continue
        if not (server.ours and (server.ref.key, server.host) in named):
            found[server.host] = (*found.get(server.host, ()), server)
    return found
