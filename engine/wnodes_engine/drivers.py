"""Finding drivers of batch systems, through stevedore, and making the backends that a site names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from stevedore import ExtensionManager

from wnodes_engine.backend import BatchBackend
from wnodes_engine.site import Plugin, Site

F = TypeVar("F")

NAMESPACE: Final = "wnodes.backends"


class DriverError(Exception):
    """A backend that cannot be used; the message says which, why, and how to mend it."""


class Driver(msgspec.Struct, frozen=True):
    """A driver that is installed: where it comes from, and its class, or why it cannot be loaded."""

    name: str
    origin: str
    made_by: type[BatchBackend] | None
    error: str = ""


def installed() -> dict[str, Driver]:
    """All drivers by name, those that cannot be loaded too."""
    broken: list[Driver] = []

    def fails(_: object, entry_point: Any, error: BaseException) -> None:
        said = f"{type(error).__name__}: {error}"
        broken.append(Driver(entry_point.name, entry_point.value, None, said))

    found: ExtensionManager[BatchBackend] = ExtensionManager(
        NAMESPACE, invoke_on_load=False, on_load_failure_callback=fails
    )
    drivers = [_checked(extension.name, extension.entry_point.value, extension.plugin) for extension in found]
    return {driver.name: driver for driver in sorted([*drivers, *broken], key=lambda driver: driver.name)}


def load_backends(site: Site) -> dict[str, BatchBackend]:
    """The site's backends by name. Raises DriverError."""
    if not site.backends:
        raise DriverError(f"{site.path}: no backends: add `backends: {{farm: {{driver: simulated}}}}`")
    drivers = installed()
    return {name: _made(plugin, site, drivers) for name, plugin in site.backends.items()}


def load_backend(site: Site, name: str) -> BatchBackend:
    """One backend of the site. Raises DriverError."""
    if (plugin := site.backends.get(name)) is None:
        known = ", ".join(site.backends) or "none"
        raise DriverError(f"{site.path}: no backend {name!r}: there is {known}")
    return _made(plugin, site, installed())


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


def options_as(form: type[F], name: str, options: Mapping[str, Any]) -> F:
    """The options of the backend `name` in a driver's form. Raises ValueError: what is wrong, and where."""
    try:
        return msgspec.convert(options, form, strict=True)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        path = f"backends.{name}.options{where.rstrip('`')}"
        raise ValueError(f"{path}: {message[:1].lower()}{message[1:].replace('`', chr(39))}") from None


def _made(plugin: Plugin, site: Site, drivers: Mapping[str, Driver]) -> BatchBackend:
    where = f"{site.path}: backends.{plugin.name}.driver"
    driver = drivers.get(plugin.driver)
    if driver is None:
        known = ", ".join(drivers) or "none"
        raise DriverError(f"{where}: no driver {plugin.driver!r} is installed; installed here: {known}")
    if driver.made_by is None:
        raise DriverError(f"{where}: the driver {driver.name} ({driver.origin}) is of no use: {driver.error}")
    try:
        return driver.made_by(plugin.name, options_of(plugin, site))
    except ValueError as error:
        raise DriverError(f"{site.path}: {error}") from None


def _checked(name: str, origin: str, loaded: object) -> Driver:
    if isinstance(loaded, type) and issubclass(loaded, BatchBackend):
        return Driver(name, origin, loaded)
    return Driver(name, origin, None, "it is not a subclass of wnodes_engine.backend.BatchBackend")
