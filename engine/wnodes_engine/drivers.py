"""Finding drivers of batch systems and clouds, through stevedore, and making those that a site names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec
from stevedore import ExtensionManager

from wnodes_engine.backend import BatchBackend
from wnodes_engine.executor import Executor
from wnodes_engine.site import Plugin, Site

F = TypeVar("F")
D = TypeVar("D", bound=BatchBackend | Executor)


class DriverError(Exception):
    """A backend or an executor that cannot be used; the message says which, why, and how to mend it."""


class Driver(msgspec.Struct, Generic[D], frozen=True):
    """A driver that is installed: where it comes from, and its class, or why it cannot be loaded."""

    name: str
    origin: str
    made_by: type[D] | None
    error: str = ""


class Kind(msgspec.Struct, Generic[D], frozen=True):
    """A kind of plugin: its entry points, what they have to be, its key in `site.yaml`, and one of them."""

    namespace: str
    base: type[Any]
    key: str
    one: str


BACKENDS: Final[Kind[BatchBackend]] = Kind("wnodes.backends", BatchBackend, "backends", "backend")
EXECUTORS: Final[Kind[Executor]] = Kind("wnodes.executors", Executor, "executors", "executor")


def installed(kind: Kind[D]) -> dict[str, Driver[D]]:
    """All drivers of a kind by name, those that cannot be loaded too."""
    broken: list[Driver[D]] = []

    def fails(_: object, entry_point: Any, error: BaseException) -> None:
        said = f"{type(error).__name__}: {error}"
        broken.append(Driver(entry_point.name, entry_point.value, None, said))

    found: ExtensionManager[D] = ExtensionManager(
        kind.namespace, invoke_on_load=False, on_load_failure_callback=fails
    )
    drivers: list[Driver[D]] = [
        _checked(kind, extension.name, extension.entry_point.value, extension.plugin) for extension in found
    ]
    return {driver.name: driver for driver in sorted([*drivers, *broken], key=lambda driver: driver.name)}


def load_backends(site: Site) -> dict[str, BatchBackend]:
    """The site's backends by name. Raises DriverError."""
    if not site.backends:
        raise DriverError(f"{site.path}: no backends: add `backends: {{farm: {{driver: simulated}}}}`")
    drivers = installed(BACKENDS)
    return {name: _made(BACKENDS, plugin, site, drivers) for name, plugin in site.backends.items()}


def load_backend(site: Site, name: str) -> BatchBackend:
    """One backend of the site. Raises DriverError."""
    return _one(BACKENDS, site.backends, site, name)


def load_executors(site: Site) -> dict[str, Executor]:
    """The site's executors by name; there need not be any. Raises DriverError."""
    drivers = installed(EXECUTORS) if site.executors else {}
    return {name: _made(EXECUTORS, plugin, site, drivers) for name, plugin in site.executors.items()}


def load_executor(site: Site, name: str) -> Executor:
    """One executor of the site. Raises DriverError."""
    return _one(EXECUTORS, site.executors, site, name)


def options_of(plugin: Plugin, site: Site) -> dict[str, Any]:
    """A driver's options; a path with `./` is beside `site.yaml`, a simulated farm is the site's own."""
    folder = Path(site.path).resolve().parent
    options: dict[str, Any] = {
        name: str(folder / value) if isinstance(value, str) and value.startswith("./") else value
        for name, value in plugin.options.items()
    }
    is_farm = plugin.driver == "simulated" and site.backends.get(plugin.name) is plugin
    if is_farm and "farm" not in options and site.farm is not None:
        options["farm"] = str(site.farm)
    return options


def options_as(form: type[F], name: str, options: Mapping[str, Any], key: str = "backends") -> F:
    """The options of the backend `name` in a driver's form; `key` says what else it is, if it is not one.

    Raises ValueError: what is wrong, and where.
    """
    try:
        return msgspec.convert(options, form, strict=True)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        path = f"{key}.{name}.options{where.rstrip('`')}"
        raise ValueError(f"{path}: {message[:1].lower()}{message[1:].replace('`', chr(39))}") from None


def _one(kind: Kind[D], plugins: Mapping[str, Plugin], site: Site, name: str) -> D:
    if (plugin := plugins.get(name)) is None:
        known = ", ".join(plugins) or "none"
        raise DriverError(f"{site.path}: no {kind.one} {name!r}: there is {known}")
    return _made(kind, plugin, site, installed(kind))


def _made(kind: Kind[D], plugin: Plugin, site: Site, drivers: Mapping[str, Driver[D]]) -> D:
    where = f"{site.path}: {kind.key}.{plugin.name}.driver"
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


def _checked(kind: Kind[D], name: str, origin: str, loaded: object) -> Driver[D]:
    base = kind.base
    if isinstance(loaded, type) and issubclass(loaded, base):
        return Driver(name, origin, loaded)
    return Driver(name, origin, None, f"it is not a subclass of {base.__module__}.{base.__qualname__}")
