"""The HTTP API: what each call does. Thin: read, ask the service, show; the table of routes is at the end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from starlette.requests import Request as Call
from starlette.responses import Response, StreamingResponse
from wnodes_engine import __version__, wire
from wnodes_engine.access import Right
from wnodes_engine.payload import Payload
from wnodes_engine.values import Decision, Request

from wnodes_daemon import answering, machine_api, policy_api, views
from wnodes_daemon.access.identity import Forbidden, Identity, Scope, vouched
from wnodes_daemon.answering import KeyUsed
from wnodes_daemon.bodies import header, read_body
from wnodes_daemon.context import ONE, Context, answer, id_of, theirs
from wnodes_daemon.grouping import Busy
from wnodes_daemon.listing import PARAMETERS, asked_for
from wnodes_daemon.openapi import Operation, Parameter
from wnodes_daemon.problems import denied, failed, invalid, not_theirs
from wnodes_daemon.records import Entry, State
from wnodes_daemon.service import Service
from wnodes_daemon.watching import Full, events

_NOT_KEPT: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
_log: Final = logging.getLogger(__name__)
_encode: Final = msgspec.json.Encoder().encode


# ------------------------------------------------------------------ handlers


async def submit(context: Context, call: Call, who: Identity) -> Response:
    """Take in one request, or a list of them."""
    forms = await _forms(context, call, who)
    single = isinstance(forms, wire.RequestForm)
    requests, payloads = _requests(context, forms, who), _payloads(forms)
    try:
        entries = await context.service.submit(requests, _repeatable(call, forms, who), payloads)
    except Busy:
        raise failed(429, "the queue is full: ask again later") from None
    except KeyUsed:
        detail = "there was another call under this Idempotency-Key: make a new key for each call"
        raise failed(409, detail) from None
    for entry in entries:
        if entry.decision is not None:
            context.metrics.decided("request", entry.decision)
    _log.info("taken in", extra={**_by(who), "requests": [entry.id for entry in entries if entry.id]})
    items = [_item(entry) for entry in entries]
    if not single:
        return answer(views.ItemsView(tuple(items)), 200)
    item = items[0]
    if item.problem is not None:
        return answer(item.problem, item.status, media="application/problem+json")
    return answer(item.request, 201, {"location": f"/v1/requests/{entries[0].id}"})


async def show(context: Context, call: Call, who: Identity) -> Response:
    """One request: its state, its decision (for a waiting one, why it waits now), and its attempts."""
    id_ = id_of(call)
    entry = theirs(id_, await context.service.show(id_), who)
    return answer(await _whole(context.service, entry))


async def watch(context: Context, call: Call, who: Identity) -> Response:
    """One request as it is, and each time it has changed, as server-sent events, until it is over."""
    id_, service = id_of(call), context.service
    theirs(id_, await service.show(id_), who)

    async def look(id_: int) -> views.RequestView | None:
        entry = await service.show(id_)
        return await _whole(service, entry) if entry is not None else None

    stream = events(context.watches, id_, look)
    try:
        first = await anext(stream)
    except Full:
        raise failed(429, "too many watch at one time: ask again later") from None
    return StreamingResponse(_from(first, stream), media_type="text/event-stream", headers=_NOT_KEPT)


async def listing(context: Context, call: Call, who: Identity) -> Response:
    """Requests that you may see, oldest first, by any of the filters; follow `next` until it is null."""
    which = asked_for(call.query_params, context.limits.page, who)
    entries = await context.service.page(which)
    following = str(entries[-1].id) if len(entries) == which.limit else None
    return answer(views.PageView(tuple(views.request_view(entry) for entry in entries), following))


async def cancel(context: Context, call: Call, who: Identity) -> Response:
    """Take a request back: a waiting one at once, one that runs as soon as the batch system has ended it."""
    id_, service = id_of(call), context.service
    known = theirs(id_, service.entries.get(id_) or await service.show(id_), who)
    entry = await service.cancel(id_)
    if entry is None:
        over = await service.show(id_) or known
        raise failed(409, f"request {id_} is {over.state} already")
    _log.info("taken back", extra={**_by(who), "request": id_})
    return answer(views.request_view(entry), 202 if entry.cancelling else 200)


async def decide(context: Context, call: Call, who: Identity) -> Response:
    """What would become of one request, or of each of a list, if it came in now. Nothing changes."""
    forms = await _forms(context, call, who)
    decisions = context.service.decide_all(_requests(context, forms, who))
    # Of a long list many are the same one: each is counted and written once.
    times = Counter(map(id, decisions))
    texts = {}
    for key, decision in {id(decision): decision for decision in decisions}.items():
        context.metrics.decided("question", decision, times[key])
        texts[key] = msgspec.Raw(_encode(decision))
    answers = [texts[id(decision)] for decision in decisions]
    return answer(answers[0] if isinstance(forms, wire.RequestForm) else {"decisions": answers})


async def shares(context: Context, _: Call, __: Identity) -> Response:
    """Every share: what it was promised, what it holds, and what it could still take."""
    return answer(views.SharesView(context.service.shares()))


async def nodes(context: Context, _: Call, __: Identity) -> Response:
    """Every node, and what our allocations hold of it."""
    service = context.service
    used = {name: [0, 0, 0] for name in service.nodes}
    for allocation in service.state.running.values():
        for place in allocation.placement:
            on = used[place.node]
            on[0] += allocation.claim.part.cores * place.parts
            on[1] += allocation.claim.part.memory * place.parts
            on[2] += 1
    return answer(
        views.NodesView(
            tuple(
                views.NodeView(
                    name=name,
                    up=node.up,
                    cores=node.cores,
                    memory=node.memory,
                    gpus=node.gpus,
                    disk=node.disk,
                    properties=tuple(sorted(node.properties)),
                    used_cores=used[name][0],
                    used_memory=used[name][1],
                    allocations=used[name][2],
                )
                for name, node in sorted(service.nodes.items())
            )
        )
    )


async def differences(context: Context, _: Call, __: Identity) -> Response:
    """What the batch systems and clouds showed last that is not as recorded, and what is done about it."""
    return answer(views.DifferencesView(tuple(context.differences())))


async def health(context: Context, _: Call, __: Identity) -> Response:
    """Whether the daemon, its store, its decision log and its backends are well."""
    service, backends, log_error = context.service, context.backends(), context.log_problem()
    well = not service.broken and not log_error and all(backend.answering for backend in backends)
    return answer(
        views.HealthView(
            status="ok" if well else "degraded",
            version=__version__,
            policy=service.policy.checked.name,
            policy_digest=service.policy.digest,
            now=views.time_of(service.now()),
            waiting=len(service.state.waiting),
            running=len(service.dispatches),
            nodes=len(service.nodes),
            nodes_up=sum(node.up for node in service.nodes.values()),
            store_error=service.broken,
            log_error=log_error,
            backends=backends,
        )
    )


# ------------------------------------------------------------------- reading


def _by(who: Identity) -> dict[str, str]:
    return {"user": who.user, "by": who.by}


async def _whole(service: Service, entry: Entry) -> views.RequestView:
    """A request with all that is known of it."""
    attempts, orders = await service.attempts(entry.id), await service.orders_of(entry.id)
    estimate = await service.estimate(entry.id)
    return views.request_view(entry, attempts, orders, estimate, service.ends(entry))


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _repeatable(call: Call, forms: object, who: Identity) -> answering.Call | None:
    """The call under its key, if it has one."""
    if (key := header(call, b"idempotency-key")) is None:
        return None
    try:
        return answering.call_of(f"{who.by} {who.user}", key, _encode(forms))
    except ValueError as error:
        raise failed(400, f"Idempotency-Key: {error}") from None


async def _forms(context: Context, call: Call, who: Identity) -> wire.RequestForm | list[wire.RequestForm]:
    try:
        forms = wire.decode(await read_body(call, context.limits.body))
    except wire.WireError as error:
        raise invalid(error) from None
    if isinstance(forms, list) and len(forms) > context.limits.batch:
        raise failed(413, f"a list holds at most {context.limits.batch} requests here: split it")
    context.door.count(who, len(forms) if isinstance(forms, list) else 1)
    return forms


def _requests(
    context: Context, forms: wire.RequestForm | list[wire.RequestForm], who: Identity
) -> list[Request]:
    """The requests as the engine knows them; their ids and times of submission are the service's to give."""
    now = context.service.now()
    if isinstance(forms, wire.RequestForm):
        return [_request(forms, now, context.known, who)]
    known = context.known
    return [_request(form, now, known, who, at) for at, form in enumerate(forms)]


def _request(
    form: wire.RequestForm, now: int, known: wire.Known, who: Identity, at: int | None = None
) -> Request:
    try:
        return wire.to_request(vouched(form, who, known), "", now, known)
    except Forbidden as forbidden:
        raise not_theirs(forbidden.error.within(_place(at))) from None
    except wire.WireError as error:
        raise invalid(error.within(_place(at))) from None


def _payloads(forms: wire.RequestForm | list[wire.RequestForm]) -> list[Payload]:
    """What each of them runs."""
    if isinstance(forms, wire.RequestForm):
        return [_payload(forms)]
    return [_payload(form, at) for at, form in enumerate(forms)]


def _payload(form: wire.RequestForm, at: int | None = None) -> Payload:
    try:
        return wire.payload_of(form)
    except wire.WireError as error:
        raise invalid(error.within(_place(at))) from None


def _place(at: int | None) -> str:
    """Where a request stands in what was sent: alone, or in a list."""
    return "$" if at is None else f"$[{at}]"


# ------------------------------------------------------------------ answering


def _item(entry: Entry) -> views.ItemView:
    if entry.state is State.DENIED and entry.decision is not None:
        return views.ItemView(403, problem=denied(entry.decision))
    return views.ItemView(201, request=views.request_view(entry))


# --------------------------------------------------------------------- routes

_KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    "a call made again under its key, within a day, is answered as it was then",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
)
_WRITE: Final = (400, 408, 413, 415, 429, 503)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *policy_api.OPERATIONS,
    *machine_api.OPERATIONS,
    Operation(
        "POST",
        "/v1/requests",
        submit,
        body=(wire.RequestForm, wire.RequestForms),
        answers={201: views.RequestView, 200: views.ItemsView},
        problems=(*_WRITE, 403, 409),
        parameters=(_KEY,),
        scope=Scope.CREATE,
    ),
    Operation(
        "GET",
        "/v1/requests",
        listing,
        answers={200: views.PageView},
        problems=(400, 503),
        parameters=PARAMETERS,
    ),
    Operation(
        "GET",
        "/v1/requests/{id}",
        show,
        answers={200: views.RequestView},
        problems=(404, 503),
        parameters=(ONE,),
    ),
    Operation(
        "GET",
        "/v1/requests/{id}/events",
        watch,
        answers={200: views.RequestView},
        problems=(404, 503),
        parameters=(ONE,),
        media="text/event-stream",
    ),
    Operation(
        "DELETE",
        "/v1/requests/{id}",
        cancel,
        answers={200: views.RequestView, 202: views.RequestView},
        problems=(404, 409, 429, 503),
        parameters=(ONE,),
        scope=Scope.CANCEL,
    ),
    Operation(
        "POST",
        "/v1/decisions",
        decide,
        body=(wire.RequestForm, wire.RequestForms),
        answers={200: (Decision, views.DecisionsView)},
        problems=(400, 408, 413, 415, 429),
    ),
    Operation("GET", "/v1/shares", shares, answers={200: views.SharesView}),
    Operation("GET", "/v1/nodes", nodes, answers={200: views.NodesView}),
    Operation(
        "GET", "/v1/differences", differences, answers={200: views.DifferencesView}, right=Right.OPERATOR
    ),
    Operation("GET", "/v1/health", health, answers={200: views.HealthView}),
)
"""Every call of the API: what is served, and what the OpenAPI document tells."""
