"""What the store holds: requests in their states, dispatches in their steps, and the changes to them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec
from wnodes_engine.backend import JobRef
from wnodes_engine.payload import Payload
from wnodes_engine.values import Action, Decision, Placement, Request

from wnodes_daemon.baits.records import Bait


class State(StrEnum):
    """Where a request is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    SUSPENDED = "suspended"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DENIED = "denied"


LIVE: Final = (State.WAITING, State.STARTING, State.RUNNING, State.SUSPENDED)
"""The states that a request leaves again."""


class Step(StrEnum):
    """How far a dispatch has come. Each is recorded before the next is taken.

    `SUBMITTING`: the batch system may have the job, under the dispatch's key. `HELD`: it has, under a known
    id. `RELEASED`: the job may start. `WITHDRAWING`: it did not start in time, and is to be held, then ended.
    `RUNNING`: it was seen to run. `ENDED`: it is over. `GIVEN_UP`: it never appeared, and the request waits
    again.
    """

    SUBMITTING = "submitting"
    HELD = "held"
    RELEASED = "released"
    WITHDRAWING = "withdrawing"
    RUNNING = "running"
    ENDED = "ended"
    GIVEN_UP = "given up"


ORDER: Final = {step: at for at, step in enumerate(Step)}
"""Steps are taken in this order, and never back."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A request as the store has it; times in seconds since the epoch."""

    id: int
    request: Request
    state: State
    share: str | None = None
    cancelling: bool = False
    started: int | None = None
    ended: int | None = None
    exit_status: int | None = None
    message: str = ""
    decision: Decision | None = None


class Dispatch(msgspec.Struct, frozen=True, gc=False):
    """One attempt to carry a request out: `key` is random and stands in the batch system, too.

    `user` is whom it runs as, empty for the service itself. It has stood still for `paused` seconds so far.
    """

    key: str
    request: int
    backend: str
    placement: tuple[Placement, ...]
    created: int
    step: Step = Step.SUBMITTING
    ref: JobRef | None = None
    started: int | None = None
    user: str = ""
    paused: int = 0


class Leave(StrEnum):
    """How far it is with somebody who has been told to leave.

    `TOLD`: warned. `LEAVING`: the time is up, and the batch system is told to end or to stop the job.
    `STOPPED`: it is suspended. `RETURNING`: it may go on, and the batch system is told so. The rest is the
    past: it has `LEFT`, came `BACK` from where it was suspended, was `LET_OFF`, or was `OVER` by itself.
    """

    TOLD = "told"
    LEAVING = "leaving"
    STOPPED = "stopped"
    RETURNING = "returning"
    LEFT = "left"
    BACK = "back"
    LET_OFF = "let off"
    OVER = "over"


class Order(msgspec.Struct, frozen=True, gc=False):
    """A victim has been told to leave. `victim` is the id of a request, or of a native job.

    `rule` is that of the policy with the digest `policy`, and stands in `file`, at `line`. `ended` is when it
    had left, or stopped. `needed`: the beneficiary has not started since.
    """

    id: int
    victim: str
    beneficiary: int
    action: Action
    told: int
    leave_by: int
    rule: int
    policy: str
    word: str = ""
    file: str = ""
    line: int = 0
    step: Leave = Leave.TOLD
    ended: int | None = None
    needed: bool = True


class Promise(msgspec.Struct, frozen=True, gc=False):
    """Room that is made for a request: where, by which rule, and whom it waits for until when."""

    request: int
    number: int
    rule: int
    policy: str
    leave_by: int
    placement: tuple[Placement, ...]


class PastUse(msgspec.Struct, frozen=True, gc=False):
    """What was used in the past, by one name: an average, core hours, how work lasted; see `past_use`."""

    kind: str
    name: str
    value: bytes


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What was answered to a call that its caller (`owner`) may make again under the same key.

    `body` is the digest of what was sent, `entries` what was answered.
    """

    owner: str
    key: str
    body: str
    created: int
    entries: tuple[Entry, ...]


class KnownPolicy(msgspec.Struct, frozen=True, gc=False):
    """A policy that was in force from `taken` on: `sources` are its paths and texts, the main one first."""

    number: int
    digest: str
    name: str
    taken: int
    origin: str
    sources: tuple[tuple[str, str], ...]


class Stored(msgspec.Struct, frozen=True, gc=False):
    """All that the memory is made of: what is not over yet, and what of the past still counts."""

    last_id: int
    last_order: int
    entries: list[Entry]
    dispatches: list[Dispatch]
    given_up: list[Dispatch]
    orders: list[Order]
    promises: list[Promise]
    past_use: list[PastUse]
    baits: list[Bait]


# ------------------------------------------------------------------- changes


class NewEntry(msgspec.Struct, frozen=True, gc=False):
    """A request is taken in."""

    entry: Entry


class EntryChange(msgspec.Struct, frozen=True, gc=False):
    """A request has moved on, and is like this now."""

    entry: Entry


class NewPayload(msgspec.Struct, frozen=True, gc=False):
    """What a new request runs."""

    request: int
    payload: Payload


class NewDispatch(msgspec.Struct, frozen=True, gc=False):
    """A request is about to be submitted to a batch system."""

    dispatch: Dispatch


class DispatchChange(msgspec.Struct, frozen=True, gc=False):
    """A dispatch has come as far as this."""

    dispatch: Dispatch


class BaitChange(msgspec.Struct, frozen=True, gc=False):
    """A bait is like this now."""

    bait: Bait


class CursorChange(msgspec.Struct, frozen=True, gc=False):
    """The accounting of a backend was taken in up to here."""

    backend: str
    cursor: str


class NewOrder(msgspec.Struct, frozen=True, gc=False):
    """Somebody has been told to leave."""

    order: Order


class OrderChange(msgspec.Struct, frozen=True, gc=False):
    """It is like this now with somebody who was told to leave."""

    order: Order


class NewPromise(msgspec.Struct, frozen=True, gc=False):
    """Room is being made for a request."""

    promise: Promise


class PromiseOver(msgspec.Struct, frozen=True, gc=False):
    """Nothing is promised to a request any more: it has started, is over, or waits as all others do."""

    request: int


class RoomUsed(msgspec.Struct, frozen=True, gc=False):
    """A request has started for which others had left."""

    request: int


class UseChange(msgspec.Struct, frozen=True, gc=False):
    """So much was used up to now."""

    use: PastUse


class NewAnswer(msgspec.Struct, frozen=True, gc=False):
    """A call was answered that may be made again."""

    answer: Answer


class ForgetAnswers(msgspec.Struct, frozen=True, gc=False):
    """Calls before this time are not made again."""

    before: int


class NewPolicy(msgspec.Struct, frozen=True, gc=False):
    """Another policy is in force."""

    policy: KnownPolicy


Change = (
    NewEntry
    | EntryChange
    | NewPayload
    | NewDispatch
    | DispatchChange
    | BaitChange
    | CursorChange
    | NewOrder
    | OrderChange
    | NewPromise
    | PromiseOver
    | RoomUsed
    | UseChange
    | NewAnswer
    | ForgetAnswers
    | NewPolicy
)


class Visible(msgspec.Struct, frozen=True, gc=False):
    """Which requests somebody sees: those of this user, and all of these shares and below."""

    user: str
    shares: tuple[str, ...] = ()


class Filter(msgspec.Struct, frozen=True, gc=False):
    """Which requests to list. `share` takes everything below it; `after` is the id to go on from.

    `visible` is what whoever asks may see; None is all.
    """

    states: tuple[State, ...] = ()
    share: str | None = None
    user: str | None = None
    group: str | None = None
    kind: str | None = None
    origin: str | None = None
    after: int = 0
    limit: int = 100
    visible: Visible | None = None
