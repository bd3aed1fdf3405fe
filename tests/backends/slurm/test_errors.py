"""What Slurm's messages mean, as they were recorded."""

from __future__ import annotations

import pytest
from wnodes_batch.runner import Answer
from wnodes_engine.backend import Action, ActionOutcome, JobRef, Verdict
from wnodes_slurm.errors import actions, submission

FAILED = "sbatch: error: Batch job submission failed: "
REFS = [JobRef("grid", "1", "a", 1), JobRef("grid", "2", "b", 1)]


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("Invalid partition name specified", Verdict.REFUSED),
        ("Invalid account or account/partition combination specified", Verdict.REFUSED),
        ("Invalid qos specification", Verdict.REFUSED),
        ("Requested node configuration is not available", Verdict.REFUSED),
        ("Invalid node name specified", Verdict.REFUSED),
        ("Requested time limit is invalid (missing or exceeds some limit)", Verdict.REFUSED),
        ("More processors requested than permitted", Verdict.REFUSED),
        ("Invalid feature specification", Verdict.REFUSED),
        ("Unable to contact slurm controller (connect failure)", Verdict.PASSING),
        ("Protocol authentication error", Verdict.PASSING),
        ("Socket timed out on send/recv operation", Verdict.UNKNOWN),
        ("Zero Bytes were transmitted or received", Verdict.UNKNOWN),
        ("Unable to contact slurm controller (receive failure)", Verdict.UNKNOWN),
        ("Unspecified error", Verdict.UNKNOWN),
    ],
)
def test_what_became_of_a_submission(said: str, verdict: Verdict) -> None:
    answer = submission(Answer(1, b"", FAILED + said))
    assert answer == ActionOutcome(verdict, said)


def test_a_limit_on_jobs_may_leave_room_later_and_others_never_will() -> None:
    limit = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
    several = f"sbatch: error: AssocMaxSubmitJobLimit\n{FAILED}{limit}"
    assert submission(Answer(1, b"", several)) == ActionOutcome(
        Verdict.NO_ROOM, f"AssocMaxSubmitJobLimit; {limit}"
    )
    size = f"sbatch: error: QOSMaxCpuPerUserLimit\n{FAILED}{limit}"
    answer = submission(Answer(1, b"", size))
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(0, b"1705\n"), "1705"),
        (Answer(0, b"1705;lab\n"), "1705"),
        (Answer(0, b""), Verdict.UNKNOWN),
        (Answer(0, b"Submitted batch job\n"), Verdict.UNKNOWN),
        (Answer(None, b"", "sbatch did not end within 20 s"), Verdict.UNKNOWN),
        (Answer(-9, b"", ""), Verdict.UNKNOWN),
        (Answer(None, b"", "sbatch cannot be run: No such file", began=False), Verdict.PASSING),
        (Answer(255, b"", "sbatch: error: Invalid --time specification"), Verdict.REFUSED),
        (Answer(1, b"", "sudo: a password is required"), Verdict.REFUSED),
    ],
)
def test_how_sbatch_may_end(answer: Answer, expected: str | Verdict) -> None:
    found = submission(answer)
    assert (found.verdict if isinstance(found, ActionOutcome) else found) == expected


@pytest.mark.parametrize(
    ("action", "answer", "verdicts"),
    [
        (Action.RELEASE, Answer(0), (Verdict.DONE, Verdict.DONE)),
        (
            Action.RELEASE,
            Answer(
                1,
                b"",
                "Invalid job id specified for job 2\nslurm_suspend error: Invalid job id specified",
            ),
            (Verdict.DONE, Verdict.CONFLICT),
        ),
        (
            Action.SUSPEND,
            Answer(1, b"", "Unexpected message received for job 1"),
            (Verdict.UNKNOWN, Verdict.DONE),
        ),
        (
            Action.REQUEUE,
            Answer(1, b"", "Requested operation is presently disabled for job 1"),
            (Verdict.REFUSED, Verdict.DONE),
        ),
        (Action.RESUME, Answer(1, b"", "Job is not suspended for job 1"), (Verdict.DONE, Verdict.DONE)),
        (
            Action.HOLD,
            Answer(1, b"", "slurm_suspend error: Unable to contact slurm controller (connect failure)"),
            (Verdict.PASSING, Verdict.PASSING),
        ),
        (
            Action.HOLD,
            Answer(1, b"", "slurm_suspend error: Socket timed out on send/recv operation"),
            (Verdict.UNKNOWN, Verdict.UNKNOWN),
        ),
        (
            Action.CANCEL,
            Answer(
                8,
                b"",
                "scancel: error: Kill job error on job id 1: "
                "Unable to contact slurm controller (connect failure)",
            ),
            (Verdict.PASSING, Verdict.DONE),
        ),
        (
            Action.CANCEL,
            Answer(210, b"", "scancel: error: Kill job error on job id 1: Access/permission denied"),
            (Verdict.REFUSED, Verdict.DONE),
        ),
        (
            Action.CANCEL,
            Answer(
                1, b"", "scancel: error: Kill job error on job id 2: Job/step already completing or completed"
            ),
            (Verdict.DONE, Verdict.DONE),
        ),
        (Action.EXTEND, Answer(None, b"", "scontrol did not end"), (Verdict.UNKNOWN, Verdict.UNKNOWN)),
    ],
)
def test_what_became_of_each_job(action: Action, answer: Answer, verdicts: tuple[Verdict, Verdict]) -> None:
    assert tuple(outcome.verdict for outcome in actions(action, REFS, answer).values()) == verdicts
