"""Whom a job is submitted as, and by which means of the site; root is nobody's account."""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


class Means(StrEnum):
    """How a job is submitted in somebody's name.

    `SELF`: not at all, everything is the daemon's own. `UID`: the batch system's own means, for root and its
    administrators. `RUNUSER` (for root) and `SUDO` (by a rule of the site's) run the command as the user.
    """

    SELF = "self"
    UID = "uid"
    RUNUSER = "runuser"
    SUDO = "sudo"


class Account(msgspec.Struct, frozen=True):
    """A user of this machine."""

    name: str
    uid: int
    gid: int
    home: str


Lookup = Callable[[str | int], Account | None]


class Unknown(Exception):  # noqa: N818 - it names what is wrong with a user
    """Nobody may have jobs submitted under this name; the message says why."""


def account(who: str | int) -> Account | None:
    """The user of this machine with this name or number."""
    try:
        entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except (KeyError, ValueError, OverflowError):
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def group(gid: int) -> str:
    """The name of a group of this machine; empty where there is none of that number."""
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return ""


class Identities:
    """Maps the users of requests to accounts: by their own names, if they may have one here."""

    def __init__(
        self,
        means: Means,
        service: str | None,
        min_uid: int,
        lookup: Lookup = account,
        own: int | None = None,
    ) -> None:
        """`service` is whom baits run as, the daemon's own user if it is None. Raises ValueError."""
        self.means = means
        self._min_uid = min_uid
        self._lookup = lookup
        self._own = os.geteuid() if own is None else own
        daemon = lookup(self._own)
        self.own = daemon.name if daemon is not None else str(self._own)
        """The daemon's own user."""
        self.is_root = self._own == 0
        found = lookup(self._own if service is None else service)
        if found is None:
            raise ValueError(f"service_user: there is no user {service or self._own!r} here")
        if found.uid == 0:
            raise ValueError("service_user: jobs are not submitted as root: name a user, such as 'wnodes'")
        if means is Means.SELF and found.uid != self._own:
            raise ValueError(f"submit_as: the daemon cannot become {found.name}: say uid, runuser or sudo")
        self.service = found

    def runs_as(self, user: str) -> str:
        """The account's name for a slot's user; "" is the service itself."""
        return user or self.service.name

    def resolve(self, user: str) -> Account:
        """The account for a slot's user. Raises Unknown."""
        if not user or user == self.service.name:
            return self.service
        if self.means is Means.SELF:
            raise Unknown(
                f"jobs of {user} cannot be submitted: submit_as is self, so all are {self.service.name}'s"
            )
        found = self._lookup(user) if _NAME.fullmatch(user) else None
        if found is None or found.name != user:
            raise Unknown(f"there is no user {user!r} here")
        if found.uid < max(1, self._min_uid):
            raise Unknown(f"{user} is no user for jobs: its uid {found.uid} is below min_uid {self._min_uid}")
        return found

    def command(self, argv: tuple[str, ...], who: Account, env: Mapping[str, str]) -> tuple[str, ...]:
        """The command as it is run in this account's name; `env` is what it needs of its environment."""
        if who.uid == self._own or self.means in {Means.SELF, Means.UID}:
            return argv
        if self.means is Means.RUNUSER:
            return ("runuser", "-u", who.name, "--", *argv)
        kept = (f"--preserve-env={','.join(sorted(env))}",) if env else ()
        return ("sudo", "-n", "-u", who.name, *kept, "--", *argv)
