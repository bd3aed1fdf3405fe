"""Every call passes here: who is it, and may they do this at all."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from starlette.requests import Request as Call
from wnodes_engine.access import Access, Right

from wnodes_daemon.access import keystone
from wnodes_daemon.access.identity import Identity, Scope
from wnodes_daemon.access.peers import NoName, Peers
from wnodes_daemon.access.rates import Rates
from wnodes_daemon.access.tokens import KeysAway, TokenRefused, Tokens
from wnodes_daemon.bodies import header
from wnodes_daemon.problems import ProblemError, failed, forbidden

PEER: Final = "peer"
"""Where in a call's state the server puts the user at the other end of the socket."""

_REMEMBERED: Final = 60.0
"""Seconds for which a token that held is not looked at again; it is seen so late that it was revoked."""

_MOST: Final = 10_000


class Door:
    """Tells who calls."""

    def __init__(self, access: Access, calls: int = 64) -> None:
        """`calls` is how many may be under way at one time; one user has a quarter of them."""
        self._access = access
        self._most_each = max(1, calls // 4)
        self._under_way: Counter[str] = Counter()
        self._peers = Peers(access)
        self._tokens = Tokens(access.issuers)
        self._rates = Rates(access.rate)
        self._held: dict[bytes, tuple[float, Identity]] = {}

    async def identity(self, call: Call) -> Identity:
        """Who makes this call: by the token that it brings, else by the socket it comes in at.

        Raises ProblemError: 401 for a token that does not hold and for nobody at all, 403 for a user without
        a name, 503 where that cannot be told at the moment.
        """
        scheme, _, bearer = (header(call, b"authorization") or "").partition(" ")
        keystones = header(call, b"x-auth-token")
        if bearer and scheme.lower() == "bearer":
            return await self._held_by("bearer", bearer.strip(), self._tokens.identity)
        if keystones is not None:
            return await self._held_by("keystone", keystones, self._of_keystone)
        uid = getattr(call.state, PEER, None)
        if uid is None:
            raise _unknown("nobody is known here by the address they come from: bring a token")
        try:
            return await self._peers.identity(uid)
        except NoName as error:
            raise forbidden(str(error)) from None

    def let_in(self, identity: Identity, scope: Scope, right: Right) -> None:
        """Raises ProblemError, 403, where a token is not for this, or the right is not theirs."""
        if scope not in identity.scopes:
            raise forbidden(f"the token does not let its bearer do this: ask for one with the scope {scope}")
        if not identity.may(right):
            raise forbidden(f"this is for {right}s: {identity.user} is none here")

    @contextmanager
    def one_of_theirs(self, identity: Identity) -> Iterator[None]:
        """One call of somebody's. Raises ProblemError, 429, for a user who has too many under way already."""
        if identity.may(Right.OPERATOR):
            yield
            return
        whose = f"{identity.by} {identity.user}"
        if self._under_way[whose] >= self._most_each:
            detail = f"{identity.user} has {self._most_each} calls under way: one after the other is faster"
            raise failed(429, detail)
        self._under_way[whose] += 1
        try:
            yield
        finally:
            self._under_way[whose] -= 1
            if not self._under_way[whose]:
                del self._under_way[whose]

    def count(self, identity: Identity, requests: int) -> None:
        """Raises ProblemError, 429, for a user who asks too fast."""
        if identity.may(Right.OPERATOR):
            return
        if wait := self._rates.wait(f"{identity.by} {identity.user}", requests):
            seconds = str(math.ceil(wait))
            detail = f"{identity.user} asks for more than {self._access.rate} requests a second"
            raise failed(429, detail, {"retry-after": seconds})

    async def _of_keystone(self, token: str) -> tuple[Identity, float]:
        if self._access.keystone is None:
            raise TokenRefused("this site takes no tokens of Keystone")
        return await keystone.identity(token, self._access.keystone)

    async def _held_by(
        self, kind: str, token: str, ask: Callable[[str], Awaitable[tuple[Identity, float]]]
    ) -> Identity:
        digest = hashlib.sha256(f"{kind} {token}".encode()).digest()  # a token itself is not kept
        now = time.time()
        if (held := self._held.get(digest)) is not None and held[0] > now:
            return held[1]
        try:
            identity, until = await ask(token)
        except TokenRefused as error:
            raise _unknown(str(error)) from None
        except KeysAway as error:
            raise failed(503, str(error)) from None
        if len(self._held) >= _MOST:
            self._held.clear()
        self._held[digest] = (min(until, now + _REMEMBERED), identity)
        return identity


def _unknown(detail: str) -> ProblemError:
    return failed(401, detail, {"www-authenticate": 'Bearer realm="wnodes"'})
