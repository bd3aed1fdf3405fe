"""What both clients share: where the daemon is, who calls, and what an answer says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import msgspec

from wnodes_daemon.client.calls import Ask
from wnodes_daemon.views import Problem, RequestView

T = TypeVar("T")

DEFAULT: Final = "unix:/run/wnodes/wnodesd.sock"
"""Where a daemon of the whole system listens."""

WATCHED: Final = httpx.Timeout(30.0, read=60.0)
"""Who watches hears something at least every quarter of a minute."""

_LARGEST_TOKEN: Final = 16_384


class ApiError(Exception):
    """The daemon answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Unreachable(Exception):  # noqa: N818 - it names a condition
    """No daemon answered; the message says where it was looked for."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, where the socket does not tell: a token of the Grid, or one of Keystone.

    `certificates` is a file of those that sign the daemon's, PEM; left out, the system's are taken.
    """

    bearer: str | None = None
    keystone: str | None = None
    certificates: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What goes with each call."""
        said = {"authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        return said | ({"x-auth-token": self.keystone} if self.keystone else {})


def found_caller(environ: Mapping[str, str]) -> Caller:
    """The tokens that are lying ready, where WLCG's discovery and OpenStack's tools have them.

    `BEARER_TOKEN`, the file `BEARER_TOKEN_FILE`, `bt_u<uid>` in `XDG_RUNTIME_DIR` or in `/tmp`; `OS_TOKEN`.
    """
    bearer = environ.get("BEARER_TOKEN") or None
    name = f"bt_u{os.geteuid()}"
    folders = (environ.get("XDG_RUNTIME_DIR"), "/tmp")  # noqa: S108 - so says the WLCG profile
    files = [environ.get("BEARER_TOKEN_FILE"), *(f"{folder}/{name}" for folder in folders if folder)]
    for file in files if bearer is None else ():
        if file is not None and (bearer := _own(file)) is not None:
            break
    return Caller(bearer, environ.get("OS_TOKEN") or None, environ.get("WNODES_CERTIFICATES") or None)


def _own(file: str) -> str | None:
    """The token in a file of ours: somebody else's would make our requests theirs."""
    with suppress(OSError, UnicodeDecodeError), Path(file).open("rb") as opened:
        if os.fstat(opened.fileno()).st_uid == os.geteuid():
            return opened.read(_LARGEST_TOKEN).decode().strip() or None
    return None


def connection(address: str, caller: Caller) -> dict[str, Any]:
    """How httpx gets there. Raises ValueError for an address of another kind."""
    if address.startswith("unix:"):
        return {"base_url": "http://wnodesd", "headers": caller.headers}
    if not address.startswith(("http://", "https://")):
        kinds = "unix:/path/of/the.sock, http://127.0.0.1:8642 or https://host:8642"
        raise ValueError(f"{address!r} is not an address: write {kinds}")
    said: dict[str, Any] = {"base_url": address, "headers": caller.headers, "trust_env": False}
    if caller.certificates is not None:
        import ssl

        try:
            said["verify"] = ssl.create_default_context(cafile=caller.certificates)
        except OSError as error:
            raise ValueError(f"{caller.certificates}: {error}") from None
    return said


def sent(ask: Ask[Any]) -> dict[str, Any]:
    """The call, as httpx wants it."""
    said: dict[str, Any] = {"method": ask.method, "url": ask.path, "params": dict(ask.query) or None}
    if ask.body is not None:
        said |= {"content": msgspec.json.encode(ask.body), "headers": {"content-type": "application/json"}}
    return said


def read(ask: Ask[T], response: httpx.Response, address: str) -> T:
    """The answer. Raises ApiError, and Unreachable for what wnodesd would not say."""
    try:
        if response.is_success:
            return msgspec.json.decode(response.content, type=ask.answer)
        problem = msgspec.json.decode(response.content, type=Problem)
    except msgspec.DecodeError:
        raise Unreachable(
            f"what answers at {address} is not wnodesd: status {response.status_code}"
        ) from None
    raise ApiError(problem)


def away(address: str, error: Exception) -> Unreachable:
    """The error for an address at which nobody answers."""
    return Unreachable(f"no daemon answers at {address}: {str(error) or type(error).__name__}")


def event(line: str) -> RequestView | None:
    """The request that a line of an event stream has, if it has one."""
    if not line.startswith("data: "):
        return None
    return msgspec.json.decode(line.removeprefix("data: "), type=RequestView)
