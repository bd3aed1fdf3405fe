"""Which tokens are believed, and whom they stand for."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from jwt.utils import base64url_encode
from sites.issuing import AUDIENCE, Issuer
from wnodes_daemon.access import tokens
from wnodes_daemon.access.identity import Identity, Scope
from wnodes_daemon.access.tokens import ANY_AUDIENCE, KeysAway, TokenRefused, Tokens
from wnodes_engine.access import Right, access_of


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "keys.json")


def believed(issuer: Issuer, token: str, **config: Any) -> Identity:
    access = access_of({"issuers": [issuer.config(**config)]}, issuer.file.parent)
    return asyncio.run(Tokens(access.issuers).identity(token))[0]


def test_a_token_stands_for_the_farms_user_and_groups(issuer: Issuer) -> None:
    who = believed(issuer, issuer.token(**{"wlcg.groups": ["/cms/production", "/atlas", "/cms"]}))
    assert (who.user, who.groups, who.roles) == ("ada", ("cmsprod", "cms"), {"production"})
    assert (who.origins, who.right) == (("grid",), Right.USER)


def test_a_token_lets_its_bearer_do_what_its_scopes_say(issuer: Issuer) -> None:
    who = believed(issuer, issuer.token(scope="storage.read:/ compute.read compute.create"))
    assert who.scopes == {Scope.READ, Scope.CREATE}
    assert believed(issuer, issuer.token(scope=None)).scopes == set()


@pytest.mark.parametrize(
    ("group", "right"),
    [("/cms", Right.USER), ("/cms/shift", Right.OPERATOR), ("/cms/ce", Right.GATEWAY)],
)
def test_a_group_of_the_token_may_have_a_right(issuer: Issuer, group: str, right: Right) -> None:
    assert believed(issuer, issuer.token(**{"wlcg.groups": ["/cms", group]})).right is right


def test_those_whom_the_site_does_not_name_are_one_user_where_it_says_so(issuer: Issuer) -> None:
    assert believed(issuer, issuer.token(sub="somebody"), user="cmspilot").user == "cmspilot"


def test_a_token_that_is_good_everywhere_is_good_here(issuer: Issuer) -> None:
    assert believed(issuer, issuer.token(aud=ANY_AUDIENCE)).user == "ada"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"exp": int(time.time()) - 3600}, "expired"),
        ({"nbf": int(time.time()) + 3600}, "not yet valid"),
        ({"aud": "https://storage.example.org"}, "another audience"),
        ({"iss": "https://evil.example.org/"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"exp": None}, "exp"),
        ({"aud": None}, "aud"),
        ({"sub": "somebody"}, "nobody that this site knows"),
        ({"wlcg.groups": ["/atlas"]}, "groups"),
        ({"wlcg.groups": "/cms"}, "groups"),
    ],
)
def test_a_token_that_does_not_hold_is_refused(issuer: Issuer, changed: dict[str, Any], why: str) -> None:
    with pytest.raises(TokenRefused, match=why):
        believed(issuer, issuer.token(**changed))


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, algorithm="none")


def signed_with_the_public_key(issuer: Issuer) -> str:
    """What an implementation takes that lets the token choose how it is verified."""
    head = {"alg": "HS256", "kid": issuer.kid}
    signed = b".".join(base64url_encode(json.dumps(one).encode()) for one in (head, issuer.claims()))
    signature = hmac.digest(issuer.file.read_bytes(), signed, "sha256")
    return b".".join([signed, base64url_encode(signature)]).decode()


def altered(token: str) -> str:
    head, claims, signature = token.split(".")
    text = json.loads(base64.urlsafe_b64decode(claims + "=="))
    text["sub"] = "0c5a-eve"
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(text).encode()).decode().rstrip('=')}.{signature}"


def test_a_forged_token_is_refused(issuer: Issuer, tmp_path: Path) -> None:
    other = Issuer(tmp_path / "other.json")
    for forged in (
        unsigned(issuer.claims()),
        signed_with_the_public_key(issuer),
        altered(issuer.token()),
        other.token(),
        "",
        "a.b.c",
        "x" * 20_000,
        issuer.token(filling="x" * 20_000),
        f"{issuer.token().partition('.')[0]}.{base64url_encode(b'[' * 9_000).decode()}.x",
        f"{base64url_encode(b'[' * 9_000).decode()}.e30.x",
        "\u0665.é.\x00",
    ):
        with pytest.raises(TokenRefused):
            believed(issuer, forged)


def test_a_new_key_is_found_and_one_that_was_withdrawn_is_not_believed_for_ever(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(tokens.time, "monotonic", lambda: clock[0])
    access = access_of({"issuers": [issuer.config()]}, issuer.file.parent)
    known = Tokens(access.issuers)
    old = issuer.token()

    async def rotate() -> None:
        assert (await known.identity(old))[0].user == "ada"
        issuer.rotate("second")
        issuer.publish()
        with pytest.raises(TokenRefused, match="no key"):  # keys were looked at a moment ago
            await known.identity(issuer.token())
        clock[0] += 31
        assert (await known.identity(issuer.token()))[0].user == "ada"
        with pytest.raises(TokenRefused, match="no key"):
            await known.identity(old)

    asyncio.run(rotate())


def test_keys_that_cannot_be_had_are_not_the_tokens_fault(issuer: Issuer) -> None:
    token = issuer.token()
    issuer.file.unlink()
    with pytest.raises(KeysAway, match="cannot be had"):
        believed(issuer, token)


def test_keys_that_are_known_go_on_while_they_cannot_be_read_anew(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(tokens.time, "monotonic", lambda: clock[0])
    known = Tokens(access_of({"issuers": [issuer.config()]}, issuer.file.parent).issuers)

    async def lose() -> None:
        await known.identity(issuer.token())
        issuer.file.write_text("{}")
        clock[0] += 4000
        assert (await known.identity(issuer.token()))[0].user == "ada"

    asyncio.run(lose())


def test_the_audience_that_is_wanted_is_told(issuer: Issuer) -> None:
    with pytest.raises(TokenRefused, match=AUDIENCE):
        believed(issuer, issuer.token(aud="elsewhere"))
