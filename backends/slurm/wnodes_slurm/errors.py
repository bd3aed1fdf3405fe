"""What Slurm's messages mean for what was tried."""

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
    (r"\(connect failure\)|Communication connection failure|authentication error", Verdict.PASSING),
    (r"temporarily unable to accept job|try again later|Resource temporarily unavailable", Verdict.PASSING),
    (r"Slurm backup controller in standby mode", Verdict.PASSING),
    # it may have been
    (r"timed out|Zero Bytes|contact slurm controller|[Cc]ommunication|[Cc]onnection", Verdict.UNKNOWN),
    # of a job that was seen a moment ago scontrol says so when the controller hangs
    (r"Unexpected message received|Unspecified error|I/O error", Verdict.UNKNOWN),
    # limits that others may leave room under
    (r"MaxSubmitJob|Job queue|job limit reached|nodes are busy|Nodes required for job are", Verdict.NO_ROOM),
    # not the job that was meant
    (r"Invalid job id|already completing or completed", Verdict.CONFLICT),
)
_OF_JOB: Final = re.compile(r"(.+) for job ([0-9]+)(?:_[0-9]+)?\s*")
_CANCELLED: Final = re.compile(r".*Kill job error on job id ([0-9]+)(?:_[0-9]+)?: (.+)")
_NOISE: Final = re.compile(r"^(?:[a-z_]+:? )?error: (?:Batch job submission failed: )?")


def verdict(said: str) -> Verdict:
    """What a message of failure means; the controller's plain word that it will not is a refusal."""
    return verdict_of(said, _MEANINGS)


def submission(answer: Answer) -> str | ActionOutcome:
    """The id of the job that sbatch has submitted, or what else became of it."""
    if (outcome := unfinished(answer)) is not None:
        return outcome
    if answer.status == 0:
        id_ = answer.out.decode("ascii", "replace").strip().partition(";")[0]
        if id_.isascii() and id_.isdigit():
            return id_
        return ActionOutcome(Verdict.UNKNOWN, f"sbatch said {id_[:80]!r} for an id")
    if answer.status == 255 and "submission failed" not in answer.said:
        return ActionOutcome(Verdict.REFUSED, plain(answer.said))
    return ActionOutcome(verdict(answer.said), plain(answer.said))


def actions(action: Action, refs: Iterable[JobRef], answer: Answer) -> Mapping[JobRef, ActionOutcome]:
    """What became of each job that one command was about."""
    if (outcome := unfinished(answer)) is not None:
        return dict.fromkeys(refs, outcome)
    told: dict[str, str] = {}
    for line in answer.said.splitlines():
        if matched := _CANCELLED.fullmatch(line):
            told[matched[1]] = matched[2]
        elif matched := _OF_JOB.fullmatch(line):
            told[matched[2]] = matched[1]
    fallback = DONE if answer.status == 0 or told else ActionOutcome(verdict(answer.said), plain(answer.said))
    return {ref: _outcome(action, told[ref.id]) if ref.id in told else fallback for ref in refs}


def plain(said: str) -> str:
    """A message without the program's own words before it, on one line."""
    lines = [_NOISE.sub("", line.strip()) for line in said.splitlines()]
    return "; ".join(line for line in lines if line)[:1000] or "it gave no reason"


def _outcome(action: Action, said: str) -> ActionOutcome:
    if action is Action.CANCEL and "already completing or completed" in said:
        return DONE
    if action is Action.RESUME and "not suspended" in said:
        return DONE
    return ActionOutcome(verdict(said), plain(said))
