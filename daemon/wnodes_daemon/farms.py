"""What can be told of drivers and batch systems without a daemon."""

from __future__ import annotations

from collections.abc import Iterator

from wnodes_engine.drivers import installed, load_backends
from wnodes_engine.site import Site

from wnodes_daemon.views import DriverView, HealthLine


def drivers() -> Iterator[DriverView]:
    """The drivers that are installed, and why one cannot be used."""
    for driver in installed().values():
        yield DriverView(driver.name, driver.origin, driver.error)


async def doctor(site: Site) -> list[HealthLine]:
    """What the doctors of all backends of a site have found. Raises DriverError."""
    found: list[HealthLine] = []
    for name, backend in load_backends(site).items():
        try:
            seen = await backend.doctor()
        finally:
            await backend.close()
        found += (HealthLine(name, each.check, each.well, each.found, each.mend) for each in seen)
    return found
