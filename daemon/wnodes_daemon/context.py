"""What the handlers of the API work with, and how they answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.requests import Request as Call
from starlette.responses import Response
from wnodes_engine import wire
from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.site import Limits

from wnodes_daemon import views
from wnodes_daemon.access.door import Door
from wnodes_daemon.access.identity import Identity
from wnodes_daemon.live_policy import LivePolicy
from wnodes_daemon.metrics import Metrics
from wnodes_daemon.openapi import Parameter
from wnodes_daemon.problems import failed
from wnodes_daemon.records import Entry
from wnodes_daemon.service import Service
from wnodes_daemon.watching import Watches

_encode: Final = msgspec.json.Encoder().encode

ONE: Final = Parameter(
    "id",
    "path",
    "the id that was given when the request was taken in",
    {"type": "string", "pattern": "^[0-9]{1,18}$"},
)


async def no_console(_: int, __: int) -> ActionOutcome:
    """What a daemon says that drives no machines."""
    return ActionOutcome(Verdict.REFUSED, "this daemon drives no machines")


@dataclass(frozen=True, slots=True)
class Context:
    """What the handlers work with; `backends` tells how the batch systems answer.

    `log_problem` tells why the decision log is not written, "" while it is, or is not wanted; `unready` why
    calls are better made elsewhere, "" while they are not. `console` gives the last lines of a machine.
    """

    service: Service
    known: wire.Known
    limits: Limits
    backends: Callable[[], tuple[views.BackendView, ...]]
    door: Door
    watches: Watches
    metrics: Metrics
    unready: Callable[[], str]
    log_problem: Callable[[], str] = str
    differences: Callable[[], Iterable[views.DifferenceView]] = tuple
    console: Callable[[int, int], Awaitable[str | ActionOutcome]] = no_console
    policies: LivePolicy | None = None


def theirs(id_: int, entry: Entry | None, who: Identity) -> Entry:
    """The request, if it is theirs; whether there is another is nobody's business."""
    if entry is None or not who.may_touch(entry):
        raise failed(404, f"there is no request {id_} of yours")
    return entry


def id_of(call: Call) -> int:
    """The id in the path of a call."""
    text = call.path_params["id"]
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise failed(404, f"there is no request {text[:40]!r}: ids are numbers")
    return int(text)


def answer(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None, media: str = "application/json"
) -> Response:
    """A body as JSON."""
    return Response(_encode(body), status, headers, media)
