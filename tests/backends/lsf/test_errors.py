"""What the messages of a real system mean: for submissions, and for what is done to jobs."""

from __future__ import annotations

import pytest
from backends.lsf.recordings import recorded
from wnodes_batch.runner import Answer
from wnodes_engine.backend import Action, ActionOutcome, JobRef, Verdict
from wnodes_lsf import errors


@pytest.mark.parametrize(
    ("name", "id_"), [("submit_full", "2"), ("submit_hold", "11"), ("submit_stdin", "13")]
)
def test_a_submission_that_was_taken(name: str, id_: str) -> None:
    assert errors.submission(recorded(name).answer) == id_


@pytest.mark.parametrize(
    ("name", "verdict", "said"),
    [
        ("submit_unknown_queue", Verdict.REFUSED, "nosuch: No such queue. Job not submitted."),
        ("submit_unauthorised", Verdict.REFUSED, "owners: User cannot use the queue. Job not submitted."),
        ("submit_bad_resreq", Verdict.REFUSED, "Bad resource requirement syntax. Job not submitted."),
        ("submit_impossible_slots", Verdict.REFUSED, "Too many processors requested. Job not submitted."),
        ("submit_too_many_slots", Verdict.REFUSED, "Queue does not have enough per-user job slots"),
        ("submit_pinned_unknown_host", Verdict.REFUSED, "nosuchhost: Bad host name"),
        ("submit_parked", Verdict.NO_ROOM, "The destination queue has reached its job limit"),
        ("down_bsub", Verdict.UNKNOWN, "killed"),
        ("submit_root", Verdict.UNKNOWN, "bsub ended without a word"),
    ],
)
def test_a_submission_that_was_not(name: str, verdict: Verdict, said: str) -> None:
    answer = recorded(name).answer
    outcome = errors.submission(Answer(None, said=answer.said) if answer.status == 124 else answer)
    assert isinstance(outcome, ActionOutcome)
    assert outcome.verdict is verdict
    assert said in outcome.message


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (
            Answer(255, said="Failed in an LSF library call: LIM is down; try later. Job not submitted."),
            Verdict.PASSING,
        ),
        (Answer(255, said="Connection refused by server. Job not submitted."), Verdict.PASSING),
        (Answer(255, said="normal: Queue has been closed. Job not submitted."), Verdict.NO_ROOM),
        (Answer(255, said="User <ada>: Pending job threshold reached. Job not submitted."), Verdict.NO_ROOM),
        (
            Answer(255, said="Contacting batch daemon: Communication timeout. Job not submitted."),
            Verdict.UNKNOWN,
        ),
        (Answer(255, said="Master batch daemon internal error. Job not submitted."), Verdict.UNKNOWN),
        (Answer(255, said=""), Verdict.UNKNOWN),
        (Answer(-13), Verdict.UNKNOWN),
        (Answer(None, said="bsub did not end within 60 s"), Verdict.UNKNOWN),
        (Answer(None, said="bsub cannot be run", began=False), Verdict.PASSING),
        (Answer(0, b"Request <7> is on its way."), Verdict.UNKNOWN),
        (Answer(0, b""), Verdict.UNKNOWN),
        (Answer(255, b"Job <7> is submitted to queue <x>.", "then something broke"), Verdict.UNKNOWN),
    ],
)
def test_what_may_have_been_taken_is_told_from_what_was_not(answer: Answer, verdict: Verdict) -> None:
    outcome = errors.submission(answer)
    assert isinstance(outcome, ActionOutcome)
    assert outcome.verdict is verdict
    assert outcome.message


def test_what_lsf_says_while_it_tries_again_is_no_reason() -> None:
    said = recorded("bjobs_exclusive").err
    outcome = errors.submission(Answer(255, said=said))
    assert outcome == ActionOutcome(
        Verdict.REFUSED, "normal: Queue does not accept EXCLUSIVE jobs. Job not submitted."
    )


def acted(action: Action, name: str, *ids: str) -> list[Verdict]:
    refs = [JobRef("grid", id_, "", 0) for id_ in ids]
    outcomes = errors.actions(action, refs, recorded(name).answer)
    return [outcomes[ref].verdict for ref in refs]


@pytest.mark.parametrize(
    ("action", "name", "ids", "verdicts"),
    [
        (Action.CANCEL, "bkill_multi", ("11", "99998", "2"), [Verdict.DONE, Verdict.CONFLICT, Verdict.DONE]),
        (Action.CANCEL, "bkill_done", ("2",), [Verdict.DONE]),
        (Action.CANCEL, "bkill_other_user", ("15",), [Verdict.REFUSED]),
        (Action.CANCEL, "kill_unknown", ("99999",), [Verdict.CONFLICT]),
        (Action.REQUEUE, "brequeue_pending", ("8",), [Verdict.REFUSED]),
        (Action.REQUEUE, "brequeue_unknown", ("99999",), [Verdict.CONFLICT]),
        (Action.RESUME, "bresume_again", ("15",), [Verdict.DONE]),
        (Action.EXTEND, "bmod_running_slots", ("15",), [Verdict.REFUSED]),
        (Action.SUSPEND, "bkill_done", ("2",), [Verdict.CONFLICT]),
    ],
)
def test_what_became_of_each_job(
    action: Action, name: str, ids: tuple[str, ...], verdicts: list[Verdict]
) -> None:
    assert acted(action, name, *ids) == verdicts


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(255, said="Failed in an LSF library call: LIM is down; try later"), Verdict.PASSING),
        (Answer(255, said="Connection refused by server"), Verdict.PASSING),
        (Answer(None, said="bkill did not end within 60 s"), Verdict.UNKNOWN),
        (Answer(None, said="bkill cannot be run", began=False), Verdict.PASSING),
        (Answer(0, b"Job <7> is being terminated\n"), Verdict.DONE),
        (
            Answer(0, b"Job <7[3]> is being terminated\n", "Job <7>: Unable to contact execution host"),
            Verdict.UNKNOWN,
        ),
        (Answer(0, b"Parameters of job <7> are being changed\n"), Verdict.DONE),
    ],
)
def test_what_became_of_one(answer: Answer, verdict: Verdict) -> None:
    ref = JobRef("grid", "7", "", 0)
    assert errors.actions(Action.CANCEL, [ref], answer)[ref].verdict is verdict


def test_an_element_of_an_array_is_told_from_its_array() -> None:
    refs = [JobRef("grid", id_, "", 0) for id_ in ("7[1]", "7[2]")]
    answer = Answer(255, b"Job <7[1]> is being terminated\n", "Job <7[2]>: No matching job found")
    outcomes = errors.actions(Action.CANCEL, refs, answer)
    assert [outcomes[ref].verdict for ref in refs] == [Verdict.DONE, Verdict.CONFLICT]
