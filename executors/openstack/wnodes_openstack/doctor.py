"""Whether a cloud is set up so that what we promise holds: roles, ratios, node map, microversions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from wnodes_engine.backend import Health
from wnodes_engine.executor import BALLASTED, CloudView, ExecutorUnavailable, Host

from wnodes_openstack.connections import Link
from wnodes_openstack.hosts import consumer_of
from wnodes_openstack.options import Options

_NEEDED: Final = (
    ("compute", "2.91", "to unshelve to a host", "Nova of Zed or later"),
    ("placement", "1.38", "the type of our ballast", "Placement of Xena or later"),
)
_SHOWN: Final = 5


def unreachable(options: Options, error: ExecutorUnavailable) -> Health:
    """All there is to say of a cloud that does not answer, or does not let us look."""
    mend = (
        "give the service user its roles, and Nova and Placement the policies of executors/openstack/policies"
        if "olicy" in str(error) or "403" in str(error)
        else f"see whether `openstack --os-cloud {options.cloud} token issue` works here"
    )
    return Health("cloud", False, str(error), mend)


def look(link: Link, view: CloudView, options: Options) -> tuple[Health, ...]:
    """Everything, from what was seen of the cloud, and a few calls more."""
    return (*_versions(link), *_hosts(view.hosts, options), *_services(link, options))


def _versions(link: Link) -> Iterator[Health]:
    for service, least, what, mend in _NEEDED:
        most = link.versions(service)
        well = bool(most) and _number(most) >= _number(least)
        found = f"{service} speaks up to {most or 'nothing known'}; {what} takes {least}"
        yield Health(f"microversion of {service}", well, found, f"take {mend}")


def _hosts(hosts: Sequence[Host], options: Options) -> Iterator[Health]:
    yield Health(
        "hosts", bool(hosts), f"{len(hosts)} hosts run nova-compute", "start nova-compute on the nodes"
    )
    odd = [
        f"{host.name} {kind} {each.ratio:g}"
        for host in hosts
        for kind, each in host.inventory.items()
        if kind in BALLASTED and each.ratio != 1
    ]
    yield _many(
        "allocation ratios",
        odd,
        "every host has ratio 1 for cores and memory",
        "set cpu_allocation_ratio and ram_allocation_ratio to 1.0 in nova.conf of these hosts: "
        "until then they get no machines",
    )
    yield _many(
        "node map",
        [f"{host.name}: {host.mismatch}" for host in hosts if host.mismatch],
        "host, hypervisor and provider belong together everywhere",
        "mend what is named; until then these hosts get no machines",
    )
    unknown = sorted(options.nodes.keys() - {host.name for host in hosts})
    yield _many(
        "nodes of site.yaml",
        unknown,
        f"{len(options.nodes)} hosts are renamed, all of them are there",
        "these hosts are not Nova's: mend the option `nodes`",
    )
    down = [
        f"{host.name} is {'disabled: ' + host.disabled if host.disabled else 'down'}"
        for host in hosts
        if host.disabled or not host.up
    ]
    yield _many("compute services", down, "all are up and enabled", "start or enable nova-compute there")
    over = [
        f"{host.name} by {', '.join(f'{more} {kind}' for kind, more in host.over.items())}"
        for host in hosts
        if host.over
    ]
    yield _many("over capacity", over, "no host is", "drain these hosts until servers have left them")
    ours = sum(bool(host.ballast) for host in hosts)
    consumer = consumer_of(options.farm, hosts[0].provider) if hosts and hosts[0].provider else "none"
    yield Health(
        "ballast", True, f"{ours} of {len(hosts)} hosts carry ours (on the first it is consumer {consumer})"
    )


def _services(link: Link, options: Options) -> Iterator[Health]:
    names = ("image", "network", "block_storage", "object_store")
    there = [name.replace("_", "-") for name in names if link.has(name)]
    absent = [name.replace("_", "-") for name in names if not link.has(name)]
    yield Health(
        "services",
        "image" in there,
        f"there are {', '.join(there) or 'none'}" + (f"; not there: {', '.join(absent)}" if absent else ""),
        "without Glance nothing can be booted",
    )
    approving = bool(options.approved or options.approved_by)
    yield Health(
        "approved images",
        True,
        f"{len(options.approved)} by name, {len(options.approved_by)} by property"
        if approving
        else "every image that a requester can see may be booted",
    )


def _many(check: str, wrong: Sequence[str], well: str, mend: str) -> Health:
    if not wrong:
        return Health(check, True, well)
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return Health(check, False, f"{'; '.join(wrong[:_SHOWN])}{more}", mend)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
