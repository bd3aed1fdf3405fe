"""The records of a decision log: one JSON object a line, `do` says of which kind; `docs/decision-log.md`.

The first line is the `head`. A `policy` and a `state` follow, the latter with its parts, then what was done
to that state, in order. A log may hold several policies and states: a reload begins with others. Times are in
seconds since the epoch; digests and sums are hexadecimal.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from wnodes_engine.language.load import MOST_FILES
from wnodes_engine.language.vocabulary import Trust, Type
from wnodes_engine.snapshot_form import Clock, Index, Moment, NodeRow, Part, RequestRow, Text
from wnodes_engine.values import Decision, Outcome, Placement, Preemption, Reason, Route

FORMAT: Final = 1
"""The version of the format: another one cannot be read."""

MOST_STARTS: Final = 1_000
"""The most starts of one record; the others of the pass follow in records of their own."""

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?![\s\S])")]
PolicyDigest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?![\s\S])")]


class Record(
    Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="do",
):
    """What every line has: `sum` is the hash of the sum before it and of the line up to its own sum."""

    sum: Digest | None = None


class Head(Record, frozen=True, tag="head"):
    """The first line. `follows` is the last sum of the log that this one carries on, where there is one."""

    format: int
    engine: Text
    follows: Digest | None = None


class PolicyFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a policy; `path` as its findings and reasons name it."""

    path: Text
    text: str


class AttributeRow(Struct, frozen=True, forbid_unknown_fields=True):
    """`SiteAttribute`, within bounds."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}(?![\s\S])")]
    type: Type
    trust: Trust
    default: Text | int | bool | None


class Policy(Record, frozen=True, tag="policy"):
    """A policy with all its texts, the main one first, and what the site adds to its meaning."""

    policy: Annotated[int, Meta(ge=1)]
    """Its number in this file, by which records say which policy was in force."""
    digest: PolicyDigest
    time_zone: Text
    attributes: Annotated[tuple[AttributeRow, ...], Meta(max_length=1000)]
    files: Annotated[tuple[PolicyFile, ...], Meta(min_length=1, max_length=MOST_FILES)]


class Begin(Record, frozen=True, tag="state"):
    """From here on there is the state of the parts that follow; `why` says what became of the one before."""

    policy: int
    clock: Clock
    state: Digest
    why: Text = ""


class PartRecord(Record, frozen=True, tag="part"):
    """One part of the state that begins; `last` closes it."""

    part: Part
    last: bool = False


class Answer(Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """A decision, without what goes without saying: the policy's digest, the first node."""

    outcome: Outcome
    share: str | None = None
    route: Route | None = None
    placement: tuple[Placement, ...] = ()
    victims: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()


class Begun(Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One start of a pass."""

    id: Text
    share: str
    route: Route | None = None
    placement: tuple[Placement, ...] = ()


class Done(Record, frozen=True):
    """What every change has: the number of the policy in force, and the digest of the state after it."""

    policy: int
    state: Digest


class Submit(Done, frozen=True, tag="submit"):
    """A request came in; `wait` lets it wait."""

    now: Moment
    request: RequestRow
    answer: Answer


class Question(Done, frozen=True, tag="decide"):
    """Somebody asked what would become of a request."""

    now: Moment
    request: RequestRow
    answer: Answer


class Pass(Done, frozen=True, tag="pass"):
    """A pass: who starts, who goes on, who is told to leave, who is let off; `more` starts follow."""

    now: Moment
    starts: tuple[Begun, ...] = ()
    more: Index = 0
    resumed: tuple[Text, ...] = ()
    preemptions: tuple[Preemption, ...] = ()
    reprieves: tuple[Text, ...] = ()


class More(Done, frozen=True, tag="more"):
    """More starts of the pass before it."""

    starts: tuple[Begun, ...]
    more: Index = 0


class Finish(Done, frozen=True, tag="finish"):
    """An allocation ended."""

    now: Moment
    id: Text


class Requeue(Done, frozen=True, tag="requeue"):
    """An allocation lost its place, and its request waits again."""

    now: Moment
    id: Text


class Suspend(Done, frozen=True, tag="suspend"):
    """An allocation has stopped where it is."""

    now: Moment
    id: Text


class Cancel(Done, frozen=True, tag="cancel"):
    """A waiting request was to be taken out; `found` says whether it was there."""

    now: Moment
    id: Text
    found: bool


class Take(Done, frozen=True, tag="start"):
    """An allocation that was there already was taken up; `native`: it was submitted past WNoDeS."""

    now: Moment
    request: RequestRow
    placement: tuple[Placement, ...]
    share: str
    native: bool = False


class NodesChange(Done, frozen=True, tag="nodes"):
    """Nodes appeared, changed, went up or down; `now` is the minute that the state had reached."""

    nodes: tuple[NodeRow, ...]
    now: Moment | None = None


class End(Record, frozen=True, tag="end"):
    """The last line of a log that was ended in order."""


Change = Submit | Question | Pass | More | Finish | Requeue | Suspend | Cancel | Take | NodesChange
AnyRecord = Head | Policy | Begin | PartRecord | Change | End


def answer(decision: Decision) -> Answer:
    """A decision as it is recorded."""
    return Answer(
        decision.outcome,
        decision.share,
        decision.route,
        decision.placement,
        decision.victims,
        decision.reasons,
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of one line, as `schemas/decision-log.json` holds it."""
    made = msgspec.json.schema(AnyRecord)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "decision-log.json",
        "title": "One line of a decision log",
        **msgspec.json.decode(msgspec.json.encode(made)),
    }
