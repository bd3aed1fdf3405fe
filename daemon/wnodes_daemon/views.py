"""What the API answers with: one type for each body, shared by the daemon, its clients and the document."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from wnodes_engine.simulate.forecast import Estimate
from wnodes_engine.values import Action, Decision, Placement, Reason, ShareUse
from wnodes_engine.wire import RequestForm, from_request

from wnodes_daemon.records import Dispatch, Entry, Leave, Order, State, Step


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a request is: in which share, and how it stands.

    `stands` is `runs`, `leaves` (for somebody else), `starts`, `waits`, `is made room for`, or `denied`.
    """

    stands: str
    share: str | None = None


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one field: `path` is `$.cores`, or `$[3].cores` in a list."""

    path: str
    message: str
    help: str | None = None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a call did not succeed, as RFC 9457 has it. `decision` is there where the policy denies.

    `leader` is the address of the daemon that leads, where this one does not.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldError, ...] = ()
    decision: Decision | None = None
    leader: str | None = None


class AttemptView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt to carry a request out, and how far it has come; `job` is the batch system's id."""

    backend: str
    step: Step
    nodes: tuple[Placement, ...]
    created: datetime
    job: str | None = None
    started: datetime | None = None


class OrderView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request was told to leave for `beneficiary`, by then, by a rule of the policy."""

    beneficiary: str
    action: Action
    step: Leave
    told: datetime
    leave_by: datetime
    rule: str
    file: str
    line: int
    ended: datetime | None = None


class EstimateView(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a request starts if nothing else comes; what is missing is not known, and no promise is made."""

    soonest: datetime | None = None
    likely: datetime | None = None
    latest: datetime | None = None


class RequestView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request and what has become of it. While it waits, `decision` says why, as of now.

    `ends`: when its walltime is over, and it is ended. `told_to_leave` is there for whoever had to make room
    for others, or has to.
    """

    id: str
    state: State
    request: RequestForm
    submitted: datetime
    share: str | None = None
    started: datetime | None = None
    ends: datetime | None = None
    ended: datetime | None = None
    exit_status: int | None = None
    cancelling: bool = False
    message: str = ""
    decision: Decision | None = None
    attempts: tuple[AttemptView, ...] = ()
    told_to_leave: tuple[OrderView, ...] = ()
    estimate: EstimateView | None = None


class ItemView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one request of a list: `request` with status 201, else `problem`."""

    status: int
    request: RequestView | None = None
    problem: Problem | None = None


class ItemsView(msgspec.Struct, frozen=True):
    """What became of each request of a list, in its order."""

    items: tuple[ItemView, ...]


class PageView(msgspec.Struct, frozen=True):
    """Some of the requests, oldest first; `next` is the cursor of the following page, null on the last."""

    requests: tuple[RequestView, ...]
    next: str | None = None


class DecisionsView(msgspec.Struct, frozen=True):
    """A decision for each request of a list, in its order."""

    decisions: tuple[Decision, ...]


class SharesView(msgspec.Struct, frozen=True):
    """Every share, the farm first, each before its children; memory and disk in MiB."""

    shares: tuple[ShareUse, ...]


class NodeView(msgspec.Struct, frozen=True):
    """A worker node, and what is held of it, by native jobs too; memory and disk in MiB."""

    name: str
    up: bool
    cores: int
    memory: int
    gpus: int
    disk: int
    properties: tuple[str, ...]
    used_cores: int
    used_memory: int
    allocations: int


class NodesView(msgspec.Struct, frozen=True):
    """All nodes, by name."""

    nodes: tuple[NodeView, ...]


class DifferenceView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `system` shows that is not as recorded, and what the daemon does about it."""

    system: str
    what: str
    then: str
    request: str | None = None
    job: str | None = None
    node: str | None = None


class DifferencesView(msgspec.Struct, frozen=True):
    """All that differed at the last look at every batch system and cloud."""

    differences: tuple[DifferenceView, ...]


class ConsoleView(msgspec.Struct, frozen=True):
    """The end of what a machine has printed; whoever is in it may print anything."""

    text: str


class BackendView(msgspec.Struct, frozen=True):
    """How a backend answers. `missing` counts jobs of ours that it does not show any more."""

    name: str
    answering: bool
    error: str
    missing: int


class PolicyForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy to try out: the text of its main file, or, left out, the files as they are now."""

    text: str | None = None


class PolicyView(msgspec.Struct, frozen=True):
    """The policy in force, from `taken` on. `origin` is `start`, `files`, or `rollback to` a number.

    `problem` says why the files as they are now are not taken; it is empty if they are.
    """

    number: int
    name: str
    digest: str
    taken: datetime
    origin: str
    problem: str


class ChangeView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request that would stand elsewhere, or otherwise; `reasons` why, where it is denied."""

    id: str
    user: str
    now: Standing
    then: Standing
    reasons: tuple[Reason, ...] = ()


class DryRunView(msgspec.Struct, frozen=True):
    """What a policy would change, after one pass. `counts` has every change, `changes` the first thousand."""

    name: str
    digest: str
    requests: int
    changed: int
    counts: dict[str, int]
    changes: tuple[ChangeView, ...]


class DriverView(msgspec.Struct, frozen=True):
    """A driver that is installed; `error` says why it cannot be used."""

    name: str
    origin: str
    error: str = ""


class HealthLine(msgspec.Struct, frozen=True):
    """One thing that the doctor of a backend or an executor looked at."""

    backend: str
    check: str
    well: bool
    found: str
    mend: str = ""


class HealthView(msgspec.Struct, frozen=True):
    """Whether all is well: `status` is `ok`, or `degraded` with the reason in what follows."""

    status: str
    version: str
    policy: str
    policy_digest: str
    now: datetime
    waiting: int
    running: int
    nodes: int
    nodes_up: int
    store_error: str
    log_error: str
    backends: tuple[BackendView, ...]


def time_of(seconds: int) -> datetime:
    """Seconds since the epoch as the API shows them: RFC 3339, UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def request_view(
    entry: Entry,
    attempts: list[Dispatch] | None = None,
    orders: list[Order] | None = None,
    estimate: Estimate | None = None,
    ends: int | None = None,
) -> RequestView:
    """A request as the API shows it."""
    return RequestView(
        id=str(entry.id),
        state=entry.state,
        request=from_request(entry.request),
        submitted=time_of(entry.request.submitted),
        share=entry.share,
        started=time_of(entry.started) if entry.started is not None else None,
        ends=time_of(ends) if ends is not None else None,
        ended=time_of(entry.ended) if entry.ended is not None else None,
        exit_status=entry.exit_status,
        cancelling=entry.cancelling,
        message=entry.message,
        decision=entry.decision,
        attempts=tuple(_attempt_view(attempt) for attempt in attempts or ()),
        told_to_leave=tuple(_order_view(order) for order in orders or ()),
        estimate=_estimate_view(estimate) if estimate is not None else None,
    )


def _order_view(order: Order) -> OrderView:
    return OrderView(
        beneficiary=str(order.beneficiary),
        action=order.action,
        step=order.step,
        told=time_of(order.told),
        leave_by=time_of(order.leave_by),
        rule=order.word,
        file=order.file,
        line=order.line,
        ended=time_of(order.ended) if order.ended is not None else None,
    )


def _estimate_view(estimate: Estimate) -> EstimateView:
    times = (estimate.soonest, estimate.likely, estimate.latest)
    return EstimateView(*(time_of(at) if at is not None else None for at in times))


def _attempt_view(attempt: Dispatch) -> AttemptView:
    return AttemptView(
        backend=attempt.backend,
        step=attempt.step,
        nodes=attempt.placement,
        created=time_of(attempt.created),
        job=attempt.ref.id if attempt.ref is not None else None,
        started=time_of(attempt.started) if attempt.started is not None else None,
    )
