"""Keystone's tokens, against a server that answers as Keystone was seen to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from wnodes_daemon.access import keystone
from wnodes_daemon.access.identity import Identity
from wnodes_daemon.access.tokens import KeysAway, TokenRefused
from wnodes_engine.access import Right, access_of

DEFAULT = {"id": "default", "name": "Default"}
TOKEN = {
    "methods": ["password"],
    "user": {"id": "5ba1", "name": "ada", "domain": DEFAULT, "password_expires_at": None},
    "audit_ids": ["xyz"],
    "expires_at": "2099-11-24T05:34:31.000000Z",
    "issued_at": "2026-11-24T04:34:31.000000Z",
    "project": {"id": "77", "name": "chem", "domain": DEFAULT},
    "is_domain": False,
    "roles": [{"id": "1", "name": "member"}, {"id": "2", "name": "reader"}],
}


class Answers(BaseHTTPRequestHandler):
    known: dict[str, tuple[int, Any]]

    def do_GET(self) -> None:
        asked, about = self.headers["x-auth-token"], self.headers["x-subject-token"]
        status, body = self.known.get(about, (404, {"error": {"code": 404}})) if asked == about else (500, {})
        self.send_response(status if self.path.startswith("/v3/auth/tokens") else 418)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    Answers.known = {
        "adas": (200, {"token": TOKEN}),
        "admins": (200, {"token": TOKEN | {"roles": [{"name": "admin"}]}}),
        "unscoped": (200, {"token": {k: v for k, v in TOKEN.items() if k not in {"project", "roles"}}}),
        "elsewhere": (200, {"token": TOKEN | {"user": {"name": "ada", "domain": {"name": "partners"}}}}),
        "broken": (200, []),
        "away": (503, {}),
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v3"
    server.shutdown()
    server.server_close()


def known(url: str, token: str, **config: Any) -> Identity:
    access = access_of({"keystone": {"url": url, **config}}, Path())
    assert access.keystone is not None
    return asyncio.run(keystone.identity(token, access.keystone))[0]


def test_a_token_stands_for_its_user_in_its_project(url: str) -> None:
    who = known(url, "adas")
    assert (who.user, who.groups, who.projects) == ("ada", ("chem",), ("chem",))
    assert (who.roles, who.origins, who.right) == ({"member", "reader"}, ("cloud",), Right.USER)


def test_a_role_gives_a_right_only_where_the_site_says_so(url: str) -> None:
    assert known(url, "admins").right is Right.USER
    assert known(url, "admins", rights={"admin": "operator"}).right is Right.OPERATOR


def test_keystones_users_can_be_kept_apart_from_the_machines(url: str) -> None:
    assert known(url, "adas", prefix="cloud-").user == "cloud-ada"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("forged", "does not know it"),
        ("unscoped", "no project"),
        ("elsewhere", "domain"),
        ("a\r\nb", "visible"),
    ],
)
def test_a_token_that_does_not_hold_is_refused(url: str, token: str, why: str) -> None:
    with pytest.raises(TokenRefused, match=why):
        known(url, token)


@pytest.mark.parametrize("token", ["broken", "away"])
def test_a_keystone_that_does_not_answer_is_not_the_tokens_fault(url: str, token: str) -> None:
    with pytest.raises(KeysAway, match="Keystone"):
        known(url, token)


def test_a_keystone_that_is_not_there_is_not_the_tokens_fault() -> None:
    with pytest.raises(KeysAway, match="cannot be asked"):
        known("http://127.0.0.1:1/v3", "adas")
