"""The calls about a machine itself."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request as Call
from starlette.responses import Response
from wnodes_engine.backend import ActionOutcome
from wnodes_engine.executor import ExecutorUnavailable

from wnodes_daemon import views
from wnodes_daemon.access.identity import Identity
from wnodes_daemon.context import ONE, Context, answer, id_of, theirs
from wnodes_daemon.openapi import Operation, Parameter
from wnodes_daemon.problems import failed

MOST_LINES: Final = 1000
_LINES: Final = Parameter(
    "lines",
    "query",
    f"how many lines at most, 100 if left out: from 1 to {MOST_LINES}",
    {"type": "integer", "minimum": 1, "maximum": MOST_LINES, "default": 100},
)


async def console(context: Context, call: Call, who: Identity) -> Response:
    """The end of what the machine of a request has printed on its console."""
    id_ = id_of(call)
    theirs(id_, await context.service.show(id_), who)
    text = call.query_params.get("lines", "100")
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST_LINES):
        raise failed(400, f"lines: this has to be a whole number from 1 to {MOST_LINES}")
    try:
        said = await context.console(id_, int(text))
    except ExecutorUnavailable as error:
        raise failed(503, str(error)) from None
    if isinstance(said, ActionOutcome):
        raise failed(409, said.message)
    return answer(views.ConsoleView(said))


OPERATIONS: Final = (
    Operation(
        "GET",
        "/v1/requests/{id}/console",
        console,
        answers={200: views.ConsoleView},
        problems=(400, 404, 409, 503),
        parameters=(ONE, _LINES),
    ),
)
"""What is served of it."""
