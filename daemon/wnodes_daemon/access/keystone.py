"""Tokens of Keystone: whoever has one may ask Keystone itself about it, so we need no password of our own."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final

import httpx
import msgspec
from wnodes_engine.access import Keystone, Right

from wnodes_daemon.access.identity import Identity
from wnodes_daemon.access.tokens import LONGEST, KeysAway, TokenRefused

_SECONDS: Final = 10.0


class _Domain(msgspec.Struct):
    name: str


class _Named(msgspec.Struct):
    name: str
    domain: _Domain | None = None


class _Token(msgspec.Struct):
    user: _Named
    expires_at: datetime
    project: _Named | None = None
    roles: list[_Named] = []


class _Answer(msgspec.Struct):
    token: _Token


async def identity(token: str, keystone: Keystone) -> tuple[Identity, float]:
    """Whose token it is, and until when it holds. Raises TokenRefused, and KeysAway without an answer."""
    if len(token) > LONGEST or not token.isascii() or not token.isprintable():
        raise TokenRefused(f"a token has at most {LONGEST} characters, all of them visible")
    try:
        async with asyncio.timeout(_SECONDS), _client(keystone) as http:
            answer = await http.get(
                f"{keystone.url}/auth/tokens",
                params={"nocatalog": "1"},
                headers={"x-auth-token": token, "x-subject-token": token},
            )
    except (httpx.HTTPError, OSError, TimeoutError) as error:
        raise KeysAway(f"Keystone cannot be asked: {type(error).__name__}") from None
    if answer.status_code in {401, 403, 404}:
        raise TokenRefused("Keystone does not know it, or it has expired: get a new one")
    if answer.status_code != 200:
        raise KeysAway(f"Keystone answers with status {answer.status_code}")
    try:
        found = msgspec.json.decode(answer.content, type=_Answer).token
    except msgspec.DecodeError:
        raise KeysAway("Keystone's answer cannot be read") from None
    return _identity(found, keystone), found.expires_at.timestamp()


def _client(keystone: Keystone) -> httpx.AsyncClient:
    verify: Any = True
    if keystone.certificates is not None:
        import ssl

        verify = ssl.create_default_context(cafile=str(keystone.certificates))
    return httpx.AsyncClient(verify=verify, trust_env=False, timeout=_SECONDS)


def _identity(token: _Token, keystone: Keystone) -> Identity:
    if token.user.domain is None or token.user.domain.name != keystone.domain:
        raise TokenRefused(f"it is of another domain than {keystone.domain}")
    if token.project is None:
        raise TokenRefused("it is for no project: ask for one that is")
    roles = frozenset(role.name for role in token.roles)
    rights = [right for role, right in keystone.rights.items() if role in roles]
    return Identity(
        user=keystone.prefix + token.user.name,
        groups=(token.project.name,),
        origins=("cloud",),
        by="keystone",
        projects=(token.project.name,),
        roles=roles,
        right=max(rights, key=list(Right).index, default=Right.USER),
    )
