"""What the daemon answers, as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from wnodes_engine.values import Decision, Outcome, ShareUse
from wnodes_engine.wire import ImageForm

from wnodes_daemon.making_room import STANDING
from wnodes_daemon.records import Leave, State
from wnodes_daemon.views import (
    DifferenceView,
    DriverView,
    DryRunView,
    EstimateView,
    HealthLine,
    OrderView,
    PolicyView,
    Problem,
    RequestView,
)

_OUTCOMES = {
    Outcome.START: "it would start now",
    Outcome.WAIT: "it would wait",
    Outcome.DENY: "it would be denied",
    Outcome.PREEMPT: "it would start in the place of others",
}
_ASKED = (
    "count",
    "at_least",
    "cores",
    "memory",
    "gpus",
    "disk",
    "walltime",
    "image",
    "flavour",
    "queue",
    "name",
)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Columns as wide as they need to be; those of `right` end flush."""
    lines = [heads, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    flush = set(right)
    return "".join(
        "  ".join(
            cell.rjust(width) if at in flush else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )


def listing(views: Sequence[RequestView]) -> str:
    """A line for each request."""
    if not views:
        return "no such requests\n"
    rows = [
        (
            view.id,
            "ending" if view.cancelling and view.ended is None else view.state,
            view.request.kind,
            view.request.user,
            view.request.group,
            view.share or "-",
            _size(view),
            _nodes(view),
            _moment(view.submitted),
        )
        for view in views
    ]
    heads = ("ID", "STATE", "KIND", "USER", "GROUP", "SHARE", "CORES", "NODES", "SUBMITTED")
    return table(heads, rows, right=(0,))


def moment(view: RequestView) -> str:
    """How it is with a request now, in one line: for who watches."""
    at = view.ended or view.started or view.submitted
    nodes = ", ".join(place.node for attempt in view.attempts[-1:] for place in attempt.nodes)
    on = f" on {nodes}" if nodes and view.state not in {State.WAITING, State.DENIED} else ""
    told = f": {view.message}" if view.message else ""
    return f"{_moment(at)}  {view.state}{on}{told}\n"


def request(view: RequestView) -> str:
    """Everything about one request."""
    form = view.request
    asked = [f"{name} {_asked(value)}" for name in _ASKED if (value := getattr(form, name)) is not None]
    lines = [
        ("request", f"{view.id}, a {form.kind} of {form.user} ({form.group}), from {form.origin}"),
        ("asks", ", ".join(asked) or "what the policy's defaults say"),
        ("state", view.state + (", being ended" if view.cancelling and view.ended is None else "")),
        ("share", view.share or "-"),
        ("submitted", _moment(view.submitted)),
    ]
    if view.started is not None:
        lines.append(("started", _moment(view.started)))
    if view.ends is not None:
        lines.append(("ends", _moment(view.ends)))
    if view.ended is not None:
        lines.append(("ended", _moment(view.ended)))
    if view.exit_status is not None:
        lines.append(("exit status", str(view.exit_status)))
    if view.message:
        lines.append(("message", view.message))
    for attempt in view.attempts:
        job = f"job {attempt.job}" if attempt.job else "no job known yet"
        places = ", ".join(_place(place.node, place.parts) for place in attempt.nodes) or "any node"
        lines.append(("attempt", f"{attempt.backend}, {job}, {attempt.step}, on {places}"))
    lines += [("told", _told(order)) for order in view.told_to_leave]
    if view.estimate is not None:
        lines.append(("starts", _estimated(view.estimate)))
    text = "".join(f"{name + ':':<12} {value}\n" for name, value in lines)
    if view.state is State.WAITING and view.decision is not None:
        text += reasons(view.decision)
    return text


def why(view: RequestView) -> str:
    """Why a request is where it is."""
    who = f"request {view.id} ({view.request.kind} of {view.request.user}, {view.request.group})"
    decision = view.decision
    if view.state is State.WAITING and decision is not None:
        waited = int((datetime.now(UTC) - view.submitted).total_seconds())
        if decision.outcome is Outcome.START:
            return f"{who} starts with the next pass over the queue\n"
        when = f"  it starts {_estimated(view.estimate)}\n" if view.estimate is not None else ""
        left = f"  {view.message}\n" if view.message else ""
        return f"{who} has waited in {view.share} for {_duration(waited)}:\n{reasons(decision)}{left}{when}"
    if view.state is State.DENIED and decision is not None:
        return f"{who} was denied:\n{reasons(decision)}"
    standing = "".join(f"  it was told {_told(o)}\n" for o in view.told_to_leave if o.step in STANDING)
    if standing:
        return f"{who} does not wait: it is {view.state}, and has to make room\n{standing}"
    if view.state is State.STARTING and view.message:
        return f"{who} is to start: its {view.message}\n"
    return f"{who} does not wait: it is {view.state}{', ' + view.message if view.message else ''}\n"


def decision(decision: Decision) -> str:
    """What would become of a request."""
    text = f"{_OUTCOMES[decision.outcome]}{f', in {decision.share}' if decision.share else ''}"
    if decision.placement:
        text += " on " + ", ".join(_place(place.node, place.parts) for place in decision.placement)
    return f"{text}{':' if decision.reasons else ''}\n{reasons(decision)}"


def reasons(decision: Decision) -> str:
    """Every reason, with the rule that it comes from."""
    text = ""
    for reason in decision.reasons:
        text += f"  {reason.code:<16} {reason.message}\n"
        if reason.rule:
            text += f"  {'':<16} {reason.file}:{reason.line}: {reason.rule}\n"
    return text


def shares(shares: Sequence[ShareUse], resource: str) -> str:
    """The share tree with the amounts of one resource."""
    rows = [
        (
            _indented(share.path, shares[0].path),
            str(share.nominal[resource]),
            str(share.used[resource]),
            f"{100 * share.used[resource] // share.nominal[resource]}%" if share.nominal[resource] else "-",
            str(share.free[resource]),
            str(share.average[resource]),
            str(share.running),
            str(share.waiting),
        )
        for share in shares
    ]
    heads = ("SHARE", "PROMISED", "USED", "OF IT", "FREE", "AVERAGE", "RUNNING", "WAITING")
    return table(heads, rows, right=range(1, 8))


def console(text: str) -> str:
    """What a machine has printed, without what would move the cursor, or do worse, in a terminal."""
    lines = text.splitlines()
    return "".join("".join(c if c.isprintable() or c == "\t" else "�" for c in line) + "\n" for line in lines)


def differences(found: Sequence[DifferenceView]) -> str:
    """What is not as recorded, and what follows."""
    text = ""
    for one in found:
        about = ((name, getattr(one, name)) for name in ("request", "job", "node"))
        of = ", ".join(f"{name} {value}" for name, value in about if value is not None)
        text += f"{one.system}{f', {of}' if of else ''}: {one.what}\n  then: {one.then}\n"
    return text or "all is as recorded\n"


def _indented(path: str, farm: str) -> str:
    return path if path == farm else "  " * (path.count(".") + 1) + path.rpartition(".")[2]


def policy(view: PolicyView) -> str:
    """The policy in force."""
    text = f"policy {view.name}, number {view.number}, in force since {_moment(view.taken)} ({view.origin})\n"
    text += f"digest {view.digest}\n"
    return text + (f"its files are not taken as they are now: {view.problem}\n" if view.problem else "")


def tried(view: DryRunView) -> str:
    """What a policy would change."""
    if not view.changed:
        return f"policy {view.name} would change nothing for {view.requests} requests\n"
    text = f"policy {view.name} would change {view.changed} of {view.requests} requests:\n"
    text += "".join(f"  {count:>8}  {what.replace('->', '→')}\n" for what, count in view.counts.items())
    rows = [
        (
            one.id,
            one.user,
            f"{one.now.stands} in {one.now.share or '-'}",
            f"{one.then.stands}{f' in {one.then.share}' if one.then.share else ''}",
            one.reasons[0].message if one.reasons else "",
        )
        for one in view.changes
    ]
    return text + table(("ID", "USER", "NOW", "THEN", "WHY"), rows, right=(0,))


def drivers(drivers: Sequence[DriverView]) -> str:
    """A line for each driver that is installed."""
    if not drivers:
        return "no drivers are installed\n"
    rows = [(driver.name, driver.origin, driver.error or "can be used") for driver in drivers]
    return table(("DRIVER", "FROM", "STATE"), rows)


def health(seen: Sequence[HealthLine]) -> str:
    """A line for each thing that was looked at, and one more on how to mend what is not well."""
    text = ""
    for each in seen:
        text += f"{'well' if each.well else 'ILL '}  {each.backend}: {each.check}: {each.found}\n"
        text += f"      mend: {each.mend}\n" if each.mend and not each.well else ""
    return text


def problem(problem: Problem) -> str:
    """Why the daemon did not do it."""
    if problem.decision is not None:
        return f"wnodes: the policy denies this request:\n{reasons(problem.decision)}"
    if not problem.errors:
        return f"wnodes: {problem.detail}\n"
    text = ""
    for error in problem.errors:
        text += f"wnodes: {error.path}: {error.message}\n"
        if error.help:
            text += f"  help: {error.help}\n"
    return text


def _asked(value: object) -> str:
    return value.name if isinstance(value, ImageForm) else str(value)


def _size(view: RequestView) -> str:
    cores = str(view.request.cores or 1)
    return f"{view.request.count}×{cores}" if view.request.count else cores


def _nodes(view: RequestView) -> str:
    if view.state is State.WAITING or view.decision is None or not view.decision.placement:
        return "-"
    first, *more = view.decision.placement
    return first.node + (f" +{len(more)}" if more else "")


def _place(node: str, parts: int) -> str:
    return f"{node} ({parts} parts)" if parts > 1 else node


def _told(order: OrderView) -> str:
    """For whom somebody has to leave, by what rule, how, and how far that is."""
    rule = f"{order.rule}, {order.file}:{order.line}"
    text = f"to leave for request {order.beneficiary} by {order.action} ({rule})"
    if order.step is Leave.TOLD:
        return f"{text}, by {_moment(order.leave_by)}"
    at = f" {_moment(order.ended)}" if order.ended is not None else ""
    return f"{text}: {order.step}{at}"


def _estimated(estimate: EstimateView) -> str:
    """When a request is likely to start."""
    soonest, likely, latest = estimate.soonest, estimate.likely, estimate.latest
    if likely is None:
        text = f"at {_moment(latest)} at the latest" if latest is not None else "nobody knows when"
    else:
        text = f"at about {_moment(likely)}"
        if soonest is not None and soonest != likely:
            text += f", at {_moment(soonest)} at the soonest"
        text += f", at {_moment(latest)} at the latest" if latest is not None else ""
    return f"{text}, if nothing else comes" if latest is not None or likely is not None else text


def _moment(when: datetime) -> str:
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _duration(seconds: int) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
