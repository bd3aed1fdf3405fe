"""The daemon that stands by: it reads from the store, and sends everybody to the leader for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from starlette.requests import Request as Call
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wnodes_daemon.leading import Leader
from wnodes_daemon.problems import problem, respond

_READ: Final = ("/v1/requests", "/v1/openapi.json", "/livez", "/readyz", "/metrics")


def standing_by(reads: ASGIApp, leader: Callable[[], Leader]) -> ASGIApp:
    """What a daemon that stands by answers: `reads` has the requests, all else is the leader's."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive)
        path = call.url.path
        if call.method in {"GET", "HEAD"} and path.startswith(_READ) and not path.endswith("/events"):
            await reads(scope, receive, send)
            return
        await _sent_on(call, leader())(scope, receive, send)

    return answer


def _sent_on(call: Call, leader: Leader) -> Response:
    """Where to go instead."""
    if not leader.address:
        return respond(problem(503, "this daemon stands by, and nobody leads at the moment: ask again"))
    detail = f"this daemon stands by: {leader.holder.partition(':')[0]} leads, at {leader.address}"
    headers = {"wnodes-leader": leader.address}
    if leader.address.startswith("http"):
        headers["location"] = (
            leader.address + call.url.path + (f"?{query}" if (query := call.url.query) else "")
        )
        body = msgspec.structs.replace(problem(503, detail), status=307, leader=leader.address)
        return respond(body, headers)
    return respond(msgspec.structs.replace(problem(503, detail), leader=leader.address), headers)
