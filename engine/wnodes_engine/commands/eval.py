"""`wnodes-policy eval`: one decision on one request, without side effects."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from wnodes_engine.commands.inputs import add_inputs, complain, read_inputs
from wnodes_engine.core import State, decide
from wnodes_engine.core.wording import amount, duration, size
from wnodes_engine.documents import DocumentError
from wnodes_engine.simulate.forecast import Estimate, forecast
from wnodes_engine.values import Decision, Outcome, Reason, Request, Route

_WAITS = (Outcome.WAIT, Outcome.PREEMPT)
_COLOURS = {Outcome.START: "32", Outcome.WAIT: "33", Outcome.DENY: "31", Outcome.PREEMPT: "35"}


def add_arguments(parser: ArgumentParser) -> None:
    """The command's arguments."""
    add_inputs(parser)
    parser.add_argument(
        "--estimate",
        action="store_true",
        help="say when it would start, if it has to wait and nothing else comes",
    )


def run(args: Namespace) -> int:
    """Any decision is 0, input that cannot be used 1."""
    try:
        state, request, now = read_inputs(args)
    except DocumentError as error:
        return complain(error)
    decision = decide(state, request, now)
    estimate = _estimate(state, request, now) if args.estimate and decision.outcome in _WAITS else None
    if args.format == "json":
        answer = msgspec.to_builtins(decision)
        if estimate is not None:
            answer["estimate"] = msgspec.to_builtins(estimate)
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer)).decode() + "\n")
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        zone = state.policy.checked.time_zone
        sys.stdout.write(as_text(decision, request, estimate, zone=zone, colour=colour))
    return 0


def _estimate(state: State, request: Request, now: int) -> Estimate:
    """When the request would start, were it the last to be submitted."""
    if request.id not in state.waiting:
        state.submit(request, now)
    return forecast(state, [request.id], now)[request.id]


def as_text(
    decision: Decision,
    request: Request,
    estimate: Estimate | None = None,
    *,
    zone: str = "UTC",
    colour: bool = False,
) -> str:
    """The decision for people: what was decided, where to, and everything that stands in the way."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    outcome = paint(decision.outcome.value.upper(), f"1;{_COLOURS[decision.outcome]}")
    rows = [("request", _described(request))]
    if decision.share is not None:
        rows.append(("share", decision.share))
    if decision.route is not None:
        rows.append(("route", _way(decision.route)))
    if decision.placement:
        nodes = [f"{place.node} ×{place.parts}" for place in decision.placement]
        only = len(decision.placement) == 1 and decision.placement[0].parts == 1
        rows.append(("node", decision.placement[0].node if only else ", ".join(nodes)))
    if decision.victims:
        rows.append(("victims", ", ".join(decision.victims)))
    if estimate is not None:
        rows.append(("starts", _when(estimate, ZoneInfo(zone))))
    lines = [outcome, *(f"  {name:<8} {text}" for name, text in rows)]
    for reason in decision.reasons:
        lines += ["", *_told(reason, paint)]
    lines += ["", paint(f"policy {decision.policy_digest[:16]}", "2")]
    return "\n".join(lines) + "\n"


def _when(estimate: Estimate, zone: ZoneInfo) -> str:
    """The estimate in words, in the policy's time zone."""

    def at(moment: int) -> str:
        return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M %Z}"

    if estimate.latest is None:
        return "nobody can tell: something without a time limit is in the way, or too much is"
    if estimate.soonest is None or estimate.likely is None:
        return f"by {at(estimate.latest)}, if nothing else comes"
    likely, soonest = at(estimate.likely), at(estimate.soonest)
    return f"about {likely}, between {soonest} and {at(estimate.latest)}, if nothing else comes"


def _described(request: Request) -> str:
    asks = [amount("cores", request.cores or 1)]
    asks += [size(request.memory)] if request.memory else []
    asks += [amount("gpus", request.gpus)] if request.gpus else []
    asks += [f"{size(request.disk)} disk"] if request.disk else []
    each = ", ".join(asks)
    if request.count is not None and request.count > 1:
        each = f"{request.count} × ({each})"
        if request.at_least is not None and request.at_least < request.count:
            each += f", at least {request.at_least}"
    walltime = "" if request.walltime is None else f", walltime {duration(request.walltime)}"
    return f"{request.kind} of {request.user} ({request.group}, {request.origin}): {each}{walltime}"


def _way(route: Route) -> str:
    through = f" through {route.through}" if route.through else ""
    names = {"queue": route.queue, "account": route.account, "image": route.image, "flavour": route.flavour}
    return "".join(
        [f"{route.target}{through}", *(f", {name} {value}" for name, value in names.items() if value)]
    )


def _told(reason: Reason, paint: Callable[[str, str], str]) -> list[str]:
    """One reason: what it says, the statement that says so, and the numbers."""
    lines = [f"  {paint(reason.message, '1')}"]
    if reason.file:
        lines.append(f"    {reason.file}:{reason.line}: {reason.rule}")
    numbers = [
        f"{name} {_bare(reason.resource, value)}"
        for name, value in (("limit", reason.limit), ("current", reason.current), ("short", reason.short))
        if value is not None
    ]
    if numbers:
        lines.append(f"    {reason.resource}: {', '.join(numbers)}")
    return lines


def _bare(resource: str, value: int) -> str:
    match resource:
        case "memory" | "disk":
            return size(value)
        case "walltime":
            return duration(value)
        case "hs23":
            return f"{value / 1000:g}"
        case _:
            return str(value)
