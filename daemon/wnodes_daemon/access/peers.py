"""Who is at the other end of the UNIX socket: the kernel says which user, the system which groups."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from wnodes_engine.access import Access, Members, Right

from wnodes_daemon.access.identity import Identity

_CREDENTIALS: Final = struct.Struct("3i")
_REMEMBERED: Final = 60.0
"""Seconds until groups are looked up anew: a directory service may be behind them."""

_MOST: Final = 10_000
_LONGEST: Final = 10.0


class NoName(Exception):  # noqa: N818 - it names a condition
    """There is no name for a user on this machine, or it cannot be told at the moment."""


def uid_of(descriptor: int) -> int:
    """The user at the other end, as the kernel noted it when the connection was made. Raises OSError."""
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        answer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(answer)
    return int(uid)


@dataclass(frozen=True, slots=True)
class Account:
    """A user as the system knows them; the first of `groups` is the primary one."""

    uid: int
    name: str
    groups: tuple[str, ...]


def account(uid: int) -> Account:
    """Look a user up, which may take its time. Raises NoName."""
    try:
        known = pwd.getpwuid(uid)
    except KeyError:
        raise NoName(f"the user {uid} has no name on this machine") from None
    groups = []
    gids = os.getgrouplist(known.pw_name, known.pw_gid)
    for gid in dict.fromkeys([known.pw_gid, *gids]):
        with suppress(KeyError):  # a group without a name is none that a policy could mean
            groups.append(grp.getgrgid(gid).gr_name)
    return Account(uid, known.pw_name, tuple(groups))


def identity_of(known: Account, access: Access) -> Identity:
    """What an account of this machine may do here."""
    return Identity(
        user=known.name,
        groups=known.groups,
        origins=("local", "cloud"),
        by="socket",
        projects=_held(known, access.projects),
        roles=frozenset(_held(known, access.roles)),
        right=_right(known, access),
        shares=_held(known, access.shares),
    )


def _right(known: Account, access: Access) -> Right:
    if known.uid in {0, os.geteuid()} or _is_one(known, access.admins):
        return Right.ADMIN
    if _is_one(known, access.gateways):
        return Right.GATEWAY
    return Right.OPERATOR if _is_one(known, access.operators) else Right.USER


def _held(known: Account, of: Mapping[str, Members]) -> tuple[str, ...]:
    return tuple(name for name, members in of.items() if _is_one(known, members))


def _is_one(known: Account, members: Members) -> bool:
    return known.name in members or not members.isdisjoint(_groups(known.groups))


def _groups(names: Iterable[str]) -> Iterable[str]:
    return (f"@{name}" for name in names)


class Peers:
    """The identities of local users, looked up in threads and remembered for a minute."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._known: dict[int, tuple[float, Identity]] = {}

    async def identity(self, uid: int) -> Identity:
        """Raises NoName."""
        now = time.monotonic()
        if (known := self._known.get(uid)) is not None and known[0] > now:
            return known[1]
        try:
            async with asyncio.timeout(_LONGEST):
                found = await asyncio.to_thread(account, uid)
        except TimeoutError:
            raise NoName(f"this machine does not tell in {_LONGEST:.0f} s who the user {uid} is") from None
        if len(self._known) >= _MOST:
            self._known.clear()
        identity = identity_of(found, self._access)
        self._known[uid] = (now + _REMEMBERED, identity)
        return identity
