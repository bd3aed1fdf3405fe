"""Tokens of the Grid (WLCG, SciTokens): signed by an issuer that is believed, for this audience, in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
import msgspec
from wnodes_engine.access import Issuer, Right

from wnodes_daemon.access.identity import Identity, Scope

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "EdDSA")
"""Those with a public key. Never `none`, and never one by which whoever verifies could sign."""

ANY_AUDIENCE: Final = "https://wlcg.cern.ch/jwt/v1/any"
"""What the WLCG profile has for a token that is good everywhere."""

LONGEST: Final = 16_384
"""Characters of a token."""

_LEEWAY: Final = 60
_FRESH: Final = 3600.0
_PAUSE: Final = 30.0
"""Seconds for which keys are believed, and between two looks for new ones."""

_SECONDS: Final = 10.0
_BYTES: Final = 1 << 20


class TokenRefused(Exception):  # noqa: N818 - it names a condition
    """Nobody believes this token; the message says why, and nothing of what is in it."""


class KeysAway(Exception):  # noqa: N818 - it names a condition
    """The keys of an issuer cannot be had at the moment, and none are known."""


class Keys:
    """The public keys of one issuer; a key that is not known is looked for, but not at each token's wish."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._known: dict[str | None, jwt.PyJWK] = {}
        self._read = self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str | None) -> jwt.PyJWK:
        """Raises TokenRefused for a key that the issuer does not have, and KeysAway."""
        if kid in self._known and time.monotonic() - self._read < _FRESH:
            return self._known[kid]  # nobody waits for the keys of others
        async with self._lock:
            now = time.monotonic()
            if (kid not in self._known or now - self._read > _FRESH) and now - self._tried > _PAUSE:
                self._tried = now
                try:
                    self._known = await self._fetched()
                    self._read = now
                except (httpx.HTTPError, OSError, ValueError, TimeoutError, jwt.PyJWTError) as error:
                    if not self._known:
                        raise KeysAway(f"the keys of {self._issuer.issuer} cannot be had: {error}") from None
            if not self._known:
                raise KeysAway(
                    f"the keys of {self._issuer.issuer} cannot be had: ask again in {_PAUSE:.0f} s"
                )
        if (key := self._known.get(kid)) is None:
            raise TokenRefused(f"{self._issuer.issuer} has no key of this name")
        return key

    async def _fetched(self) -> dict[str | None, jwt.PyJWK]:
        where = self._issuer.keys
        if where is not None and "://" not in where:
            text = await asyncio.to_thread(Path(where).read_bytes)
        else:
            async with asyncio.timeout(_SECONDS), httpx.AsyncClient(trust_env=False) as http:
                if where is None:
                    metadata = f"{self._issuer.issuer.rstrip('/')}/.well-known/openid-configuration"
                    where = _uri(await _got(http, metadata))
                text = await _got(http, where)
        keys = jwt.PyJWKSet.from_dict(_map(text)).keys
        known: dict[str | None, jwt.PyJWK] = {key.key_id: key for key in keys}
        if len(keys) == 1:
            known.setdefault(None, keys[0])
        return known


async def _got(http: httpx.AsyncClient, url: str) -> bytes:
    body = bytearray()
    async with http.stream("GET", url, timeout=_SECONDS) as answer:
        answer.raise_for_status()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > _BYTES:
                raise ValueError(f"{url} has more than {_BYTES} bytes")
    return bytes(body)


def _map(text: bytes) -> dict[str, Any]:
    value = msgspec.json.decode(text)
    if not isinstance(value, dict):
        raise ValueError("this is no JSON object")
    return value


def _uri(metadata: bytes) -> str:
    uri = _map(metadata).get("jwks_uri")
    if not isinstance(uri, str) or not uri.startswith("https://"):
        raise ValueError("the issuer's metadata has no https `jwks_uri`")
    return uri


class Tokens:
    """What bearer tokens say of who brings them."""

    def __init__(self, issuers: tuple[Issuer, ...]) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._keys = {issuer.issuer: Keys(issuer) for issuer in issuers}

    async def identity(self, token: str) -> tuple[Identity, float]:
        """Who brings it, and until when that holds, since the epoch. Raises TokenRefused and KeysAway."""
        if len(token) > LONGEST:
            raise TokenRefused(f"a token has at most {LONGEST} characters here")
        try:
            unverified = jwt.decode_complete(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenRefused(f"this is no token that can be read: {type(error).__name__}") from None
        named = unverified["payload"].get("iss")
        issuer = self._issuers.get(named) if isinstance(named, str) else None
        if issuer is None:
            raise TokenRefused("its issuer is none that is believed here")
        kid = unverified["header"].get("kid")
        key = await self._keys[issuer.issuer].key(kid if isinstance(kid, str) else None)
        claims = _verified(token, key, issuer)
        return identity_of(claims, issuer), float(claims["exp"])


def _verified(token: str, key: jwt.PyJWK, issuer: Issuer) -> Mapping[str, Any]:
    if key.algorithm_name not in ALGORITHMS:
        raise TokenRefused(f"a key of {issuer.issuer} is for {key.algorithm_name}, which is not taken here")
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=[*issuer.audience, ANY_AUDIENCE],
            issuer=issuer.issuer,
            leeway=_LEEWAY,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except jwt.ExpiredSignatureError:
        raise TokenRefused("it has expired: get a new one") from None
    except jwt.InvalidAudienceError:
        raise TokenRefused(f"it is for another audience: ask for one for {issuer.audience[0]}") from None
    except jwt.PyJWTError as error:
        raise TokenRefused(f"it does not hold: {error}") from None


def identity_of(claims: Mapping[str, Any], issuer: Issuer) -> Identity:
    """Whom verified claims stand for here. Raises TokenRefused."""
    named = claims.get("wlcg.groups", [])
    paths = [path for path in named if isinstance(path, str)] if isinstance(named, list) else []
    value = claims.get(issuer.claim)
    user = issuer.users.get(value, issuer.user) if isinstance(value, str) else issuer.user
    if user is None:
        raise TokenRefused(f"its {issuer.claim} is nobody that this site knows: ask the site to add it")
    groups = dict.fromkeys(issuer.groups[path] for path in paths if path in issuer.groups)
    if not groups and issuer.group is not None:
        groups = {issuer.group: None}
    if not groups:
        raise TokenRefused("none of its groups is one that this site knows: ask for a token with wlcg.groups")
    rights = [issuer.rights[path] for path in paths if path in issuer.rights]
    return Identity(
        user=user,
        groups=tuple(groups),
        origins=(issuer.origin,),
        by=issuer.issuer,
        roles=frozenset(issuer.roles[path] for path in paths if path in issuer.roles),
        right=max(rights, key=list(Right).index, default=Right.USER),
        scopes=_scopes(claims.get("scope", "")),
    )


def _scopes(scope: object) -> frozenset[Scope]:
    words = scope.split() if isinstance(scope, str) else []
    return frozenset(one for one in Scope if one in words)
