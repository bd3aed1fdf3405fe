"""Who somebody is, and what that lets them ask for, see and change. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
from wnodes_engine.access import Right
from wnodes_engine.language.vocabulary import Trust
from wnodes_engine.values import Origin
from wnodes_engine.wire import ImageForm, Known, RequestForm, WireError

from wnodes_daemon.records import Entry, Visible

_ORDER: Final = {right: at for at, right in enumerate(Right)}


class Scope(StrEnum):
    """What a token lets its bearer do, in the words of the WLCG profile."""

    READ = "compute.read"
    CREATE = "compute.create"
    CANCEL = "compute.cancel"
    MODIFY = "compute.modify"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom we know: what is here is vouched for, by the system or by whoever signed a token.

    The first of `groups` and `projects` is taken where a request names none. `shares` are those
    whose requests this is an operator of. `by` is the issuer of the token, Keystone, or `socket`.
    """

    user: str
    groups: tuple[str, ...]
    origins: tuple[Origin, ...]
    by: str
    projects: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset()
    right: Right = Right.USER
    shares: tuple[str, ...] = ()
    scopes: frozenset[Scope] = frozenset(Scope)

    def may(self, right: Right) -> bool:
        """Whether they may do as much as this right lets one do."""
        return _ORDER[self.right] >= _ORDER[right]

    @property
    def sees(self) -> Visible | None:
        """Which requests they see; None is all."""
        return None if self.may(Right.OPERATOR) else Visible(self.user, self.shares)

    def may_touch(self, entry: Entry) -> bool:
        """Whether a request is theirs to see and to take back."""
        if self.may(Right.OPERATOR) or entry.request.user == self.user:
            return True
        return any(is_below(entry.share or "", share) for share in self.shares)


def is_below(share: str, above: str) -> bool:
    """Whether a share is another one, or is below it."""
    return share == above or share.startswith(above + ".")


class Forbidden(Exception):  # noqa: N818 - it names a condition
    """They may not ask for this; the error says which field is not theirs to fill in so."""

    def __init__(self, error: WireError) -> None:
        super().__init__(str(error))
        self.error = error


def vouched(form: RequestForm, identity: Identity, known: Known) -> RequestForm:
    """The form as this identity may hand it in, with what they left out filled in. Raises Forbidden.

    Nobody grants themselves what policies trust: user, group, project, roles, origin, the properties of an
    image, attributes that the site vouches for. A gateway fills them in for others, and an admin too.
    """
    if identity.may(Right.GATEWAY):
        return form if form.user not in {"", identity.user} else _filled(form, identity)
    _one_of("user", form.user, (identity.user,), "who asks")
    _one_of("group", form.group, identity.groups, "your groups")
    _one_of("project", form.project, identity.projects, "your projects")
    _one_of("origin", form.origin, identity.origins, "where your requests come from")
    for role in form.roles:
        _one_of("roles", role, sorted(identity.roles), "your roles")
    if isinstance(form.image, ImageForm):
        mend = "give the image's name or id: the site knows the rest"
        raise Forbidden(WireError("$.image", "what an image is like is not yours to say", mend))
    for name in form.attributes:
        if (attribute := known.attributes.get(name)) is not None and attribute.trust is Trust.VOUCHED:
            mend = "leave it out: the site fills it in"
            raise Forbidden(WireError(f"$.attributes.{name}", "this attribute is not yours to say", mend))
    return _filled(form, identity)


def _filled(form: RequestForm, identity: Identity) -> RequestForm:
    """With what somebody left out of what is said of themselves."""
    changed: dict[str, object] = {}
    if not form.user:
        changed["user"] = identity.user
    if form.user in {"", identity.user}:
        if not form.group and identity.groups:
            changed["group"] = identity.groups[0]
        if form.project is None and identity.projects:
            changed["project"] = identity.projects[0]
        if not form.roles and identity.roles:
            changed["roles"] = tuple(sorted(identity.roles))
    return msgspec.structs.replace(form, **changed) if changed else form


def _one_of(field: str, value: str | None, known: Iterable[str], what: str) -> None:
    """Raises Forbidden for a value that is neither left out nor known."""
    if not value or value in known:
        return
    names = ", ".join(known)
    mend = f"{what}: {names[:200]}" if names else f"{what}: none; leave it out"
    raise Forbidden(WireError(f"$.{field}", f"{value!r} is not yours to ask with", mend))
