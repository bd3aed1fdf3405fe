"""The site: what `site.yaml` says exists there; the policy is checked against it, the daemon runs on it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from wnodes_engine.access import Access, access_of
from wnodes_engine.check.checked import SiteAttribute
from wnodes_engine.documents import DocumentError, Positions, read_document
from wnodes_engine.findings import Finding, in_order
from wnodes_engine.language.literals import LiteralError, number
from wnodes_engine.language.syntax import Unit
from wnodes_engine.language.vocabulary import ATTRIBUTES, MEMBERS, Trust, Type
from wnodes_engine.values import Image

LARGEST: Final = 4 << 20
"""The largest `site.yaml`, in bytes."""

_TYPES: Final = {
    "number": Type.NUMBER,
    "duration": Type.DURATION,
    "size": Type.SIZE,
    "string": Type.STRING,
    "boolean": Type.TRUTH,
}
_TRUST: Final = {"claimed": Trust.CLAIMED, "vouched": Trust.VOUCHED}
_UNITS: Final = {Type.DURATION: Unit.SECONDS, Type.SIZE: Unit.MIB}
_EXAMPLE: Final = {
    Type.NUMBER: "such as 4",
    Type.DURATION: "such as 12h or 7d",
    Type.SIZE: "such as 500MiB or 2GiB",
    Type.STRING: "a text",
    Type.TRUTH: "true or false",
}
_SIZES: Final = frozenset({"memory", "disk", "size", "min_disk", "min_memory"})
_PORT: Final = 8642
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Flavour:
    """A machine size; memory and disk in MiB."""

    cores: int
    memory: int
    disk: int = 0
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Plugin:
    """A backend or an executor: its driver (the entry point's name) and the driver's own options.

    Of a backend: it is `shared` where users also submit past us. Then up to `max_pending` requests of each
    share wait in its own queue. A job that does not start within `patience` seconds is withdrawn.
    """

    name: str
    driver: str
    options: Mapping[str, Any]
    shared: bool = False
    patience: int = 900
    max_pending: int = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the daemon says no: requests waiting, in a call; bytes, entries of a call; calls at once."""

    waiting: int = 1_000_000
    batch: int = 1_000
    body: int = 4 << 20
    page: int = 1_000
    connections: int = 64


@dataclass(frozen=True, slots=True)
class Decisions:
    """The daemon's decision log: a new file after so many bytes, and how many old ones are kept (None: all).

    `questions`: what was only asked about is recorded, too.
    """

    file: Path
    size: int = 256 << 20
    keep: int | None = None
    questions: bool = False


@dataclass(frozen=True, slots=True)
class Daemon:
    """What wnodesd is told: `store` is a file, `tick` and `settle` in seconds; paths are absolute.

    `settle` is how long the batch system must have answered before a submission whose answer was lost, and
    of which nothing is seen, is made again. The daemon listens on `socket`, on `host` and `port`, or on both;
    beyond loopback only with `certificate` and `key`.
    """

    store: str
    socket: Path | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    certificate: Path | None = None
    key: Path | None = None
    access: Access = field(default_factory=Access)
    tick: float = 1.0
    settle: int = 300
    limits: Limits = Limits()
    log: str = "info"
    decisions: Decisions | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """One site. A set that is None was not declared: names of that sort are then not checked."""

    path: str
    name: str
    time_zone: str
    policy: Path | None
    farm: Path | None
    groups: frozenset[str] | None
    users: frozenset[str] | None
    projects: frozenset[str] | None
    roles: frozenset[str] | None
    queues: frozenset[str] | None
    accounts: frozenset[str] | None
    properties: frozenset[str] | None
    images: Mapping[str, Image] | None
    flavours: Mapping[str, Flavour] | None
    attributes: tuple[SiteAttribute, ...]
    backends: Mapping[str, Plugin]
    executors: Mapping[str, Plugin]
    daemon: Daemon


def load_site(path: str | Path) -> Site:
    """The site in the file at `path`; paths in it are relative to its folder. Raises DocumentError.

    The policy and the farm are named as the site was: relative to the working directory if `path` is.
    """
    value, positions = read_document(path, "site", largest=LARGEST)
    folder = Path(path).resolve().parent
    findings: list[Finding] = []
    _check_time_zone(value["timezone"], positions, findings)
    attributes = tuple(
        attribute
        for name, spec in value.get("attributes", {}).items()
        if (attribute := _attribute(name, spec, positions, findings)) is not None
    )
    for name in value.get("executors", {}):
        if name in value.get("backends", {}):
            span = positions.of_key("executors", name)
            findings.append(
                Finding(
                    "E193",
                    f"'{name}' is a backend and an executor",
                    span,
                    help="a route could not tell them apart: rename one",
                )
            )
    if findings:
        raise DocumentError(in_order(findings), {str(path): positions.text})

    def names(key: str) -> frozenset[str] | None:
        return frozenset(value[key]) if key in value else None

    def file(key: str) -> Path | None:
        return _named_like(path, folder / value[key]) if key in value else None

    return Site(
        path=str(path),
        name=value["name"],
        time_zone=value["timezone"],
        policy=file("policy"),
        farm=file("farm"),
        groups=names("groups"),
        users=names("users"),
        projects=names("projects"),
        roles=names("roles"),
        queues=names("queues"),
        accounts=names("accounts"),
        properties=names("properties"),
        images={name: _image(name, spec or {}) for name, spec in value["images"].items()}
        if "images" in value
        else None,
        flavours={name: Flavour(**_in_mib(spec)) for name, spec in value["flavours"].items()}
        if "flavours" in value
        else None,
        attributes=attributes,
        backends=_plugins(value.get("backends", {})),
        executors=_plugins(value.get("executors", {})),
        daemon=_daemon(value.get("daemon", {}), folder),
    )


def bare_site(time_zone: str, attributes: tuple[SiteAttribute, ...]) -> Site:
    """A site of which nothing is known but what a policy's meaning depends on."""
    return Site(
        path="",
        name="",
        time_zone=time_zone,
        policy=None,
        farm=None,
        groups=None,
        users=None,
        projects=None,
        roles=None,
        queues=None,
        accounts=None,
        properties=None,
        images=None,
        flavours=None,
        attributes=attributes,
        backends={},
        executors={},
        daemon=Daemon(""),
    )


def _named_like(path: str | Path, file: Path) -> Path:
    """The shortest name of a file, without `..` in its midst; relative where `path` is."""
    try:
        direct = file.parent.resolve() / file.name
    except (OSError, RuntimeError, ValueError):  # a loop of symbolic links, a name that cannot be one
        return file  # whoever reads it says what is wrong
    return direct if Path(path).is_absolute() else Path(os.path.relpath(direct))


def _check_time_zone(name: str, positions: Positions, findings: list[Finding]) -> None:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(name, sorted(zoneinfo.available_timezones()), 1, 0.5)
        mend = f"did you mean '{near[0]}'?" if near else "names are those of the IANA database: Europe/Rome"
        findings.append(Finding("E193", f"unknown time zone '{name}'", positions.of("timezone"), help=mend))


def _attribute(
    name: str, spec: Mapping[str, Any], positions: Positions, findings: list[Finding]
) -> SiteAttribute | None:
    type_ = _TYPES[spec["type"]]
    at_key = positions.of_key("attributes", name)
    if not _NAME.fullmatch(name):
        mend = "use letters, digits and '_', and begin with a letter"
        findings.append(Finding("E193", f"'{name}' cannot be the name of an attribute", at_key, help=mend))
        return None
    taken = {attribute.split(".")[0] for attribute in ATTRIBUTES}
    if name in taken or any(name in words for words in MEMBERS.values()):
        mend = f"choose another name, such as 'site_{name}'"
        findings.append(Finding("E193", f"'{name}' is a word of the language itself", at_key, help=mend))
        return None
    default = None
    if "default" in spec:
        default = _value_of(type_, spec["default"])
        if default is None:
            span = positions.of("attributes", name, "default")
            message = f"the default of '{name}' has to be a {type_}"
            findings.append(Finding("E193", message, span, help=_EXAMPLE[type_]))
            return None
    return SiteAttribute(name, type_, _TRUST[spec["trust"]], default)


def _value_of(type_: Type, written: str | int | bool) -> str | int | bool | None:
    """The default in the house's units; None where it is not of the type."""
    if type_ in _UNITS:
        try:
            milli, unit = number(str(written))
        except LiteralError:
            return None
        return milli // 1000 if unit is _UNITS[type_] and milli % 1000 == 0 else None
    wanted = {Type.STRING: str, Type.TRUTH: bool, Type.NUMBER: int}[type_]
    return written if type(written) is wanted else None


def _image(name: str, spec: Mapping[str, Any]) -> Image:
    return Image(**{"id": name, "name": name, **_in_mib(spec), "tags": frozenset(spec.get("tags", ()))})


def _in_mib(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a map says, with its sizes as numbers of MiB."""
    return {
        key: number(value)[0] // 1000 if key in _SIZES and isinstance(value, str) else value
        for key, value in spec.items()
    }


def _plugins(specs: Mapping[str, Any]) -> dict[str, Plugin]:
    return {
        name: Plugin(
            name,
            spec["driver"],
            spec.get("options", {}),
            spec.get("mode") == "shared",
            **{key: spec[key] for key in ("patience", "max_pending") if key in spec},
        )
        for name, spec in specs.items()
    }


def _daemon(spec: Mapping[str, Any], folder: Path) -> Daemon:
    listen = spec.get("listen", {})
    store = spec.get("store", "wnodes.sqlite")
    said = {key: spec[key] for key in ("tick", "settle", "log") if key in spec}
    said |= {key: folder / listen[key] for key in ("socket", "certificate", "key") if key in listen}
    if listen.keys() & {"host", "port"}:
        said |= {"host": listen.get("host", "127.0.0.1"), "port": listen.get("port", _PORT)}
    elif "socket" not in listen:
        said["socket"] = folder / "wnodesd.sock"
    return Daemon(
        store=store if "://" in store else str(folder / store),
        limits=Limits(**spec.get("limits", {})),
        decisions=_decisions(spec["decisions"], folder) if "decisions" in spec else None,
        access=access_of(spec.get("access", {}), folder),
        **said,
    )


def _decisions(spec: Mapping[str, Any], folder: Path) -> Decisions:
    said = {key: spec[key] for key in ("keep", "questions") if key in spec}
    if "size" in spec:
        said["size"] = _in_mib(spec)["size"] << 20
    return Decisions(folder / spec["file"], **said)
