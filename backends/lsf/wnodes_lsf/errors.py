"""What LSF's messages mean for what was tried."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from wnodes_batch.acting import DONE
from wnodes_batch.outcomes import Meanings, unfinished, verdict_of
from wnodes_batch.runner import Answer
from wnodes_engine.backend import Action, ActionOutcome, JobRef, Verdict

_MEANINGS: Final[Meanings] = (
    # the request was never taken in
    (r"LIM is down|Connection refused by server|Batch service not registered", Verdict.PASSING),
    (r"Unable to find LIM|try later|No job Id can be used now|cannot fork", Verdict.PASSING),
    # it may have been
    (r"not responding|[Tt]imeout|[Tt]imed? ?out|[Cc]ommunication|protocol error", Verdict.UNKNOWN),
    (
        r"internal error|System call failed|Failed in an LSF library call|XDR|Operation is in progress",
        Verdict.UNKNOWN,
    ),
    (r"Unable to contact execution host", Verdict.UNKNOWN),
    # limits that others may leave room under, and queues that may be opened again
    (
        r"has reached its|threshold reached|Pending job|Queue has been closed|queue windows are closed",
        Verdict.NO_ROOM,
    ),
    # not the job that was meant
    (r"No matching job found|is not found|already finished|Bad jobId", Verdict.CONFLICT),
)
_SUBMITTED: Final = re.compile(r"^Job <([0-9]{1,10})> is submitted to ", re.MULTILINE)
_OF_JOB: Final = re.compile(r"(?:Parameters of job|Job) <([0-9]{1,10}(?:\[[0-9]{1,7}\])?)> ?:? ?(.+?)\s*")
_WELL: Final = re.compile(r"(?:is|are) being (?:terminated|stopped|resumed|requeued|changed|killed|signaled)")
_ALREADY: Final = {
    Action.CANCEL: ("already finished", "already being terminated"),
    Action.REQUEUE: ("already been requeued",),
}
_NOISE: Final = re.compile(r"^(?:batch system daemon|LSF daemon \(LIM\)) not responding \.\.\. still trying$")


def verdict(said: str) -> Verdict:
    """What a message of failure means; LSF's plain word that it will not is a refusal."""
    return verdict_of(said, _MEANINGS)


def submission(answer: Answer) -> str | ActionOutcome:
    """The id of the job that bsub has submitted, or what else became of it."""
    if (outcome := unfinished(answer)) is not None:
        return outcome
    if answer.status is not None and 128 < answer.status < 255:  # a signal, as a shell tells it
        said = plain(answer.said) if answer.said else "bsub ended without a word"
        return ActionOutcome(Verdict.UNKNOWN, said)
    out = answer.out.decode("utf-8", "replace")
    ids = _SUBMITTED.findall(out)
    if answer.status == 0:
        return (
            ids[0] if len(ids) == 1 else ActionOutcome(Verdict.UNKNOWN, f"bsub said {out[:80]!r} for an id")
        )
    if ids or not answer.said or answer.status not in {1, 255}:
        return ActionOutcome(Verdict.UNKNOWN, plain(answer.said))
    return ActionOutcome(verdict(plain(answer.said)), plain(answer.said))


def actions(action: Action, refs: Iterable[JobRef], answer: Answer) -> Mapping[JobRef, ActionOutcome]:
    """What became of each job that one command was about."""
    if (outcome := unfinished(answer)) is not None:
        return dict.fromkeys(refs, outcome)
    told: dict[str, str] = {}
    for line in f"{answer.out.decode('utf-8', 'replace')}\n{answer.said}".splitlines():
        if matched := _OF_JOB.fullmatch(line):
            told[matched[1]] = matched[2]
    said = plain(answer.said)
    rest = DONE if answer.status == 0 and not answer.said else ActionOutcome(verdict(said), said)
    return {ref: _outcome(action, told[ref.id]) if ref.id in told else rest for ref in refs}


def plain(said: str) -> str:
    """A message on one line, without what LSF says while it tries again."""
    lines = [line.strip() for line in said.splitlines()]
    return "; ".join(line for line in lines if line and not _NOISE.match(line))[:1000] or _reason(said)


def _reason(said: str) -> str:
    return said.strip().partition("\n")[0][:1000] or "it gave no reason"


def _outcome(action: Action, said: str) -> ActionOutcome:
    if _WELL.search(said) or any(known in said for known in _ALREADY.get(action, ())):
        return DONE
    return ActionOutcome(verdict(said), plain(said))
