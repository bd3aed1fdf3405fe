"""The ASGI application: the operations as routes, every failure as a problem."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Call
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from wnodes_daemon.api import OPERATIONS
from wnodes_daemon.context import Context
from wnodes_daemon.grouping import Busy
from wnodes_daemon.metrics import CONTENT_TYPE
from wnodes_daemon.openapi import Operation, document
from wnodes_daemon.problems import TITLES, ProblemError, problem, respond
from wnodes_daemon.store import StoreUnavailable

_log: Final = logging.getLogger(__name__)

DOCUMENT: Final = "/v1/openapi.json"


def application(context: Context) -> ASGIApp:
    """The API of one daemon. How many call at one time is the server's to bound."""
    by_path: dict[str, list[Operation]] = defaultdict(list)
    for operation in OPERATIONS:
        by_path[operation.path].append(operation)
    text = msgspec.json.encode(document(OPERATIONS))

    async def describe(_: Call) -> Response:
        return Response(text, media_type="application/json")

    async def lives(_: Call) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def is_ready(_: Call) -> Response:
        why_not = context.unready()
        return Response(f"{why_not or 'ok'}\n", 503 if why_not else 200, media_type="text/plain")

    async def metrics(_: Call) -> Response:
        return Response(context.metrics.text(), headers={"content-type": CONTENT_TYPE})

    # For anybody: what probes and Prometheus ask, and how to ask for the rest.
    plain = {DOCUMENT: describe, "/livez": lives, "/readyz": is_ready, "/metrics": metrics}
    routes = [_route(context, path, operations) for path, operations in by_path.items()]
    served = Starlette(
        routes=[*routes, *(Route(path, answer, methods=["GET"]) for path, answer in plain.items())],
        exception_handlers={HTTPException: _not_here, Exception: _fault},
    )
    served.router.redirect_slashes = False  # what is not there is a problem, as everywhere
    return served


def _route(context: Context, path: str, operations: list[Operation]) -> Route:
    by_method = {operation.method: operation for operation in operations}
    if "GET" in by_method:
        by_method["HEAD"] = by_method["GET"]

    async def endpoint(call: Call) -> Response:
        return await _answered(context, call, by_method[call.method])

    return Route(path, endpoint, methods=list(by_method))


async def _answered(context: Context, call: Call, operation: Operation) -> Response:
    began = time.perf_counter()
    response = await _answer(context, call, operation)
    took = time.perf_counter() - began
    context.metrics.called(call.method, operation.path, response.status_code, took)
    return response


async def _answer(context: Context, call: Call, operation: Operation) -> Response:
    try:
        if operation.scope is None:
            return await operation.handler(context, call)
        who = await context.door.identity(call)
        context.door.let_in(who, operation.scope, operation.right)
        with context.door.one_of_theirs(who):
            return await operation.handler(context, call, who)
    except ProblemError as error:
        return respond(error.problem, error.headers)
    except StoreUnavailable as error:
        return respond(problem(503, f"nothing was changed: {error}"))
    except Busy:
        return respond(problem(429, "too many calls are waiting: ask again later"))
    except ClientDisconnect:
        return Response(status_code=400)  # there is nobody to read it


async def _not_here(call: Call, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status == 405:
        detail = f"{call.method} is not one of the methods here: {headers.get('Allow', '')}"
    else:
        detail = f"there is nothing at {call.scope['path'][:200]}: see {DOCUMENT} for what there is"
    return respond(problem(status if status in TITLES else 404, detail), headers)


async def _fault(call: Call, error: Exception) -> Response:
    _log.error("a call failed", exc_info=error, extra={"method": call.method, "path": call.url.path})
    return respond(problem(500, "the call could not be finished; the daemon's log says more"))
