"""What the store holds: requests in their states, dispatches in their steps, and the changes to them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec
from wnodes_engine.backend import JobRef
from wnodes_engine.values import Decision, Placement, Request


class State(StrEnum):
    """Where a request is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DENIED = "denied"


LIVE: Final = (State.WAITING, State.STARTING, State.RUNNING)
"""The states that a request leaves again."""


class Step(StrEnum):
    """How far a dispatch has come. Each is recorded before the next is taken.

    `SUBMITTING`: the batch system may have the job, under the dispatch's key. `HELD`: it has, under a known
    id. `RELEASED`: the job may start. `RUNNING`: it was seen to run. `ENDED`: it is over. `GIVEN_UP`: it
    never appeared, and the request waits again.
    """

    SUBMITTING = "submitting"
    HELD = "held"
    RELEASED = "released"
    RUNNING = "running"
    ENDED = "ended"
    GIVEN_UP = "given up"


ORDER: Final = {step: at for at, step in enumerate(Step)}
"""Steps are taken in this order, and never back."""


class Entry(msgspec.Struct, frozen=True):
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


class Dispatch(msgspec.Struct, frozen=True):
    """One attempt to carry a request out: `key` is random and stands in the batch system, too.

    `user` is whom it runs as, empty for the service itself.
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


# ------------------------------------------------------------------- changes


class NewEntry(msgspec.Struct, frozen=True):
    """A request is taken in."""

    entry: Entry


class EntryChange(msgspec.Struct, frozen=True):
    """A request has moved on, and is like this now."""

    entry: Entry


class NewDispatch(msgspec.Struct, frozen=True):
    """A request is about to be submitted to a batch system."""

    dispatch: Dispatch


class DispatchChange(msgspec.Struct, frozen=True):
    """A dispatch has come as far as this."""

    dispatch: Dispatch


class CursorChange(msgspec.Struct, frozen=True):
    """The accounting of a backend was taken in up to here."""

    backend: str
    cursor: str


Change = NewEntry | EntryChange | NewDispatch | DispatchChange | CursorChange


class Filter(msgspec.Struct, frozen=True):
    """Which requests to list. `share` takes everything below it; `after` is the id to go on from."""

    states: tuple[State, ...] = ()
    share: str | None = None
    user: str | None = None
    group: str | None = None
    kind: str | None = None
    origin: str | None = None
    after: int = 0
    limit: int = 100
