"""What `site.yaml` says about who may do what: members, issuers of tokens, Keystone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from wnodes_engine.values import Origin


class Right(StrEnum):
    """What somebody may do, each more than the one before."""

    USER = "user"
    """Ask for oneself; see and take back what is one's own."""

    OPERATOR = "operator"
    """See and take back what is anybody's; try policies out."""

    GATEWAY = "gateway"
    """Ask in the name of others, too: a Grid CE, a portal."""

    ADMIN = "admin"
    """All of it, and put policies in force."""


Members = frozenset[str]
"""Names of users, and of groups with an `@` before them, as this machine knows both."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs tokens (WLCG, SciTokens) that are believed here, and whom they stand for.

    `keys` is a file or an https URL of a JWKS; left out, the issuer's own metadata says where it is. `users`
    has the farm's user for values of `claim`; everybody else is `user`, or is refused if that is None.
    `groups`, `roles` and `rights` go by what `wlcg.groups` names.
    """

    issuer: str
    audience: tuple[str, ...]
    origin: Origin = "grid"
    keys: str | None = None
    claim: str = "sub"
    users: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    rights: Mapping[str, Right] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Keystone:
    """A Keystone whose tokens are believed; `prefix` is put before its users, `rights` go by its roles."""

    url: str
    domain: str = "Default"
    prefix: str = ""
    rights: Mapping[str, Right] = field(default_factory=dict)
    certificates: Path | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what. Root, and the user that wnodesd runs as, are admins always.

    `shares` has the operators of single shares and of all below them, `roles` and `projects` those who have
    them. `rate` is how many requests a second one user may ask for; None is no bound.
    """

    admins: Members = frozenset()
    operators: Members = frozenset()
    gateways: Members = frozenset()
    shares: Mapping[str, Members] = field(default_factory=dict)
    projects: Mapping[str, Members] = field(default_factory=dict)
    roles: Mapping[str, Members] = field(default_factory=dict)
    issuers: tuple[Issuer, ...] = ()
    keystone: Keystone | None = None
    rate: int | None = 200


def access_of(spec: Mapping[str, Any], folder: Path) -> Access:
    """What the schema has let through, as values; files are beside `folder`."""
    said: dict[str, Any] = {key: frozenset(spec.get(key, ())) for key in ("admins", "operators", "gateways")}
    for key in ("shares", "projects", "roles"):
        said[key] = {name: frozenset(members) for name, members in spec.get(key, {}).items()}
    said["issuers"] = tuple(_issuer(one, folder) for one in spec.get("issuers", ()))
    if "keystone" in spec:
        said["keystone"] = _keystone(spec["keystone"], folder)
    if "rate" in spec:
        said["rate"] = spec["rate"] or None
    return Access(**said)


def _issuer(spec: Mapping[str, Any], folder: Path) -> Issuer:
    audience, keys = spec["audience"], spec.get("keys")
    changed: dict[str, Any] = {
        "audience": (audience,) if isinstance(audience, str) else tuple(audience),
        "keys": keys if keys is None or "://" in keys else str(folder / keys),
        "rights": _rights(spec),
    }
    return Issuer(**{**spec, **changed})


def _keystone(spec: Mapping[str, Any], folder: Path) -> Keystone:
    changed: dict[str, Any] = {"url": spec["url"].rstrip("/"), "rights": _rights(spec)}
    if "certificates" in spec:
        changed["certificates"] = folder / spec["certificates"]
    return Keystone(**{**spec, **changed})


def _rights(spec: Mapping[str, Any]) -> dict[str, Right]:
    return {name: Right(right) for name, right in spec.get("rights", {}).items()}
