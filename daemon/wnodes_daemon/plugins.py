"""Finding the backends that a site names, through stevedore, and making them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from stevedore import ExtensionManager
from stevedore.exception import NoMatches
from wnodes_engine.backend import BatchBackend
from wnodes_engine.check.checked import Route
from wnodes_engine.site import Plugin, Site

NAMESPACE: Final = "wnodes.backends"


class PluginError(Exception):
    """A backend that cannot be used; the message says which, why, and how to mend it."""


def load_backends(site: Site) -> dict[str, BatchBackend]:
    """The site's backends by name. Raises PluginError."""
    if not site.backends:
        raise PluginError(f"{site.path}: no backends: add `backends: {{farm: {{driver: simulated}}}}`")
    drivers = _drivers()
    made: dict[str, BatchBackend] = {}
    for plugin in site.backends.values():
        driver = drivers.get(plugin.driver)
        if driver is None:
            known = ", ".join(sorted(drivers)) or "none"
            raise PluginError(
                f"{site.path}: backends.{plugin.name}.driver: no driver {plugin.driver!r} is installed; "
                f"installed here: {known}"
            )
        try:
            made[plugin.name] = driver(plugin.name, options_of(plugin, site))
        except ValueError as error:
            raise PluginError(f"{site.path}: {error}") from None
    return made


def options_of(plugin: Plugin, site: Site) -> dict[str, Any]:
    """A driver's options; a path with `./` is beside `site.yaml`, a simulated farm is the site's own."""
    folder = Path(site.path).resolve().parent
    options: dict[str, Any] = {
        name: str(folder / value) if isinstance(value, str) and value.startswith("./") else value
        for name, value in plugin.options.items()
    }
    if plugin.driver == "simulated" and "farm" not in options and site.farm is not None:
        options["farm"] = str(site.farm)
    return options


def unserved(routes: Iterable[Route], backends: Mapping[str, object]) -> list[Route]:
    """The routes whose cores no backend here can win."""
    return [route for route in routes if (route.through or route.target) not in backends]


def _drivers() -> dict[str, type[BatchBackend]]:
    try:
        found: ExtensionManager[BatchBackend] = ExtensionManager(
            NAMESPACE, invoke_on_load=False, on_load_failure_callback=_broken
        )
    except NoMatches:
        return {}
    return {extension.name: extension.plugin for extension in found}


def _broken(_: object, entry_point: Any, error: BaseException) -> None:
    raise PluginError(f"the driver {entry_point.name} cannot be loaded: {error}") from error
