"""The daemon that stands by: it reads from the store, and sends everybody to the leader for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.requests import Request as Call
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wnodes_daemon.leading import Leader
from wnodes_daemon.problems import problem, respond
from wnodes_daemon.records import Dispatch, Entry, Filter, Order
from wnodes_daemon.store import Store

if TYPE_CHECKING:
    from wnodes_engine.simulate.forecast import Estimate

_READ: Final = "/v1/requests"


class Bystander:
    """Reads requests as the service does, without a state: nothing is decided, nothing estimated."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def show(self, id_: int) -> Entry | None:
        """One request, as it was written last."""
        return await asyncio.to_thread(self._store.entry, id_)

    async def attempts(self, id_: int) -> list[Dispatch]:
        """How it was carried out so far."""
        return await asyncio.to_thread(self._store.attempts, id_)

    async def orders_of(self, id_: int) -> list[Order]:
        """When it was told to leave."""
        return await asyncio.to_thread(self._store.orders_of, str(id_))

    async def estimate(self, id_: int) -> Estimate | None:  # noqa: ARG002 - as the service has it
        """Only who leads can tell."""
        return None

    async def page(self, which: Filter) -> list[Entry]:
        """The next requests of a listing."""
        return await asyncio.to_thread(self._store.page, which)


def standing_by(reads: ASGIApp, leader: Callable[[], Leader]) -> ASGIApp:
    """What a daemon that stands by answers: `reads` has the requests, all else is the leader's."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive)
        if call.method in {"GET", "HEAD"} and call.url.path.startswith(_READ):
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
