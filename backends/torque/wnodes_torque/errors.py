"""What the messages of TORQUE and PBS mean for what was tried."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from wnodes_batch.acting import DONE
from wnodes_batch.outcomes import Meanings, unfinished, verdict_of
from wnodes_batch.runner import Answer
from wnodes_engine.backend import Action, ActionOutcome, JobRef, Verdict

from wnodes_torque.commands import JOB

_MEANINGS: Final[Meanings] = (
    # the request was never taken in: nobody was reached
    (r"cannot connect to server|Couldn't connect to cluster|could not connect to trqauthd", Verdict.PASSING),
    (
        r"Connection refused|Cannot resolve|Can not resolve|Unknown Host|Unable to communicate",
        Verdict.PASSING,
    ),
    (r"[Ss]erver is shutting down|[Ss]erver shutting down|No free connections|try again", Verdict.PASSING),
    # it may have been
    (r"End of File|[Tt]imed? ?out|[Pp]rotocol|[Cc]ommunication|[Cc]onnection|system error", Verdict.UNKNOWN),
    # limits that others may leave room under, and queues that are closed for a while
    (r"[Mm]aximum number of jobs|would exceed|exceeds? the (?:queue|server)'?s? limit", Verdict.NO_ROOM),
    (r"number of (?:current )?(?:user's |queued )?jobs|Queue is not enabled", Verdict.NO_ROOM),
    # not the job that was meant
    (r"Unknown Job Id|nonexistent job id|cannot locate job|illegally formed job", Verdict.CONFLICT),
    (r"Job has finished|invalid state for job - COMPLETE", Verdict.CONFLICT),
)
_OVER: Final = re.compile(r"Job has finished|invalid state for job - (?:COMPLETE|EXIT)")
_UNKNOWN_JOB: Final = re.compile(r"Unknown Job Id|nonexistent job id|Job has finished|illegally formed job")
_NOISE: Final = re.compile(r"^q[a-z]+: (?:submit error \((.*)\)$)?")
_SHORT: Final = 300


def verdict(said: str) -> Verdict:
    """What a message of failure means; the server's plain word that it will not is a refusal."""
    return verdict_of(said, _MEANINGS)


def submission(answer: Answer) -> str | ActionOutcome:
    """The id of the job that qsub has submitted, or what else became of it."""
    if (outcome := unfinished(answer)) is not None:
        return outcome
    if answer.status == 0:
        id_ = answer.out.decode("ascii", "replace").strip()
        if JOB.fullmatch(id_):
            return id_
        return ActionOutcome(Verdict.UNKNOWN, f"qsub said {id_[:80]!r} for an id")
    return ActionOutcome(verdict(answer.said), plain(answer.said))


def all_unknown(said: str) -> bool:
    """Whether a query failed for no other reason than that some jobs are not there any more."""
    lines = [line for line in said.splitlines() if line.strip()]
    return bool(lines) and all(_UNKNOWN_JOB.search(line) for line in lines)


def actions(action: Action, refs: Sequence[JobRef], answer: Answer) -> Mapping[JobRef, ActionOutcome]:
    """What became of the jobs that one command was about, as far as it says: of some it may say nothing.

    qhold, qrls and qalter of TORQUE fail without a word for a job that is not there.
    """
    if (outcome := unfinished(answer)) is not None:
        return dict.fromkeys(refs, outcome)
    if answer.status == 0:
        return dict.fromkeys(refs, DONE)
    named = {name: ref for ref in refs for name in (ref.id, ref.id.partition(".")[0])}
    told: dict[JobRef, ActionOutcome] = {}
    for line in answer.said.splitlines():
        words = line.replace(",", " ").split()
        for ref in (named[word] for word in words if word in named):
            told[ref] = _outcome(action, line)
    if not told and (means := verdict(answer.said)) in {Verdict.PASSING, Verdict.UNKNOWN}:
        return dict.fromkeys(refs, ActionOutcome(means, plain(answer.said)))
    return told


def plain(said: str) -> str:
    """A message without the program's own words before it, on one line."""
    lines = [_said(line.strip()) for line in said.splitlines()]
    kept = dict.fromkeys(line for line in lines if line)  # TORQUE says some things three times
    return "; ".join(kept)[:_SHORT] or "it gave no reason"


def _said(line: str) -> str:
    matched = _NOISE.match(line)
    if matched is None:
        return line
    return matched[1] if matched[1] is not None else line[matched.end() :]


def _outcome(action: Action, said: str) -> ActionOutcome:
    if action is Action.CANCEL and _OVER.search(said):
        return DONE
    return ActionOutcome(verdict(said), plain(said))
