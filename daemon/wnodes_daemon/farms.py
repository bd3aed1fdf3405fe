"""What can be told of drivers, batch systems and clouds without a daemon."""

from __future__ import annotations

from collections.abc import Iterator

from wnodes_engine.backend import BatchBackend
from wnodes_engine.drivers import D, Kind, installed, load_backends, load_executors
from wnodes_engine.executor import Executor
from wnodes_engine.site import Site

from wnodes_daemon.baits import doctor as baits
from wnodes_daemon.views import DriverView, HealthLine


def drivers(kind: Kind[D]) -> Iterator[DriverView]:
    """The drivers of a kind that are installed, and why one cannot be used."""
    for driver in installed(kind).values():
        yield DriverView(driver.name, driver.origin, driver.error)


async def doctor(site: Site) -> list[HealthLine]:
    """What the doctors of all backends and executors of a site have found. Raises DriverError."""
    found: list[HealthLine] = []
    backends, executors = load_backends(site), load_executors(site)
    plugins: dict[str, BatchBackend | Executor] = {**backends, **executors}
    try:
        for name, plugin in plugins.items():
            seen = await plugin.doctor()
            found += (HealthLine(name, each.check, each.well, each.found, each.mend) for each in seen)
        if executors:
            both = await baits.doctor(backends.values(), executors.values())
            found += (HealthLine("site", each.check, each.well, each.found, each.mend) for each in both)
    finally:
        for plugin in plugins.values():
            await plugin.close()
    return found
