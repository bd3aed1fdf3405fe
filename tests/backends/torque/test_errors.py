"""What the recorded messages of failure mean, system by system."""

from __future__ import annotations

import pytest
from wnodes_batch.runner import Answer
from wnodes_engine.backend import Action, ActionOutcome, JobRef, Verdict
from wnodes_torque import errors

A, B, C = (JobRef("grid", id_, "k", 1) for id_ in ("44.vm", "45.vm", "46.vm"))


@pytest.mark.parametrize(
    ("code", "said", "verdict"),
    [
        (172, "qsub: submit error (Unknown queue MSG=requested queue not found)", Verdict.REFUSED),
        (170, "qsub: Unknown queue", Verdict.REFUSED),
        (189, "qsub: submit error (Unknown resource type  Resource_List.nosuchres)", Verdict.REFUSED),
        (187, "qsub: Unknown resource Resource_List.nosuchres", Verdict.REFUSED),
        (
            190,
            (
                "qsub: submit error (Job exceeds queue resource limits MSG=cannot locate "
                "feasible nodes (nodes file is"
                " empty, all systems are busy, or no nodes have the requested feature))"
            ),
            Verdict.REFUSED,
        ),
        (
            190,
            (
                "qsub: submit error (Job exceeds queue resource limits MSG=cannot satisfy queue max walltime "
                "requirement)"
            ),
            Verdict.REFUSED,
        ),
        (188, "qsub: Job violates queue and/or server resource limits", Verdict.REFUSED),
        (
            159,
            (
                "qsub: submit error (Unauthorized Request  MSG=user ACL rejected the submitting user: user "
                "labuser@localhost, queue owners)"
            ),
            Verdict.REFUSED,
        ),
        (159, "qsub: Unauthorized Request ", Verdict.REFUSED),
        (1, "qsub can not be run as root", Verdict.REFUSED),
        (
            177,
            (
                "qsub: submit error (Bad UID for job execution MSG=User 'labuser' is "
                "attempting to submit a proxy job "
                "for user 'projA' but is not a manager)"
            ),
            Verdict.REFUSED,
        ),
        (
            175,
            (
                "qsub: submit error (Queue is not enabled MSG=queue is disabled: user "
                "labuser@localhost, queue closed)"
            ),
            Verdict.NO_ROOM,
        ),
        (173, "qsub: Queue is not enabled", Verdict.NO_ROOM),
        (163, "qsub: would exceed queue generic's per-user limit", Verdict.NO_ROOM),
        (
            184,
            (
                "qsub: submit error (Maximum number of jobs already in queue MSG=total "
                "number of current user's jobs "
                "exceeds the queue limit: user ada@vm, queue batch)"
            ),
            Verdict.NO_ROOM,
        ),
        (
            111,
            (
                "\nUnable to communicate with vm(127.0.0.1)\nCannot connect to specified server host 'vm'.\n"
                "qsub: cannot connect to server vm (errno=111) Connection refused"
            ),
            Verdict.PASSING,
        ),
        (
            33,
            (
                "socket_connect_unix failed: 15137\nqsub: cannot connect to server (null) "
                "(errno=15137) could not "
                "connect to trqauthd"
            ),
            Verdict.PASSING,
        ),
        (162, "Connection refused\nqsub: cannot connect to server pbsvm (errno=15010)", Verdict.PASSING),
        (
            162,
            (
                "Can not resolve name for server nosuchhost.invalid. (rc = -1 - )\nCannot "
                "resolve specified server host"
            ),
            Verdict.PASSING,
        ),
        (174, "qsub: submit error (End of File)", Verdict.UNKNOWN),
        (162, "qsub: Connection timed out", Verdict.UNKNOWN),
    ],
)
def test_what_a_submission_that_failed_means(code: int, said: str, verdict: Verdict) -> None:
    outcome = errors.submission(Answer(code, b"", said))
    assert isinstance(outcome, ActionOutcome)
    assert outcome.verdict is verdict
    assert outcome.message
    assert not outcome.message.startswith("qsub: ")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(None, b"", "qsub cannot be run: No such file", began=False), Verdict.PASSING),
        (Answer(None, b"", "qsub did not end within 30 s"), Verdict.UNKNOWN),
        (Answer(-9, b"", ""), Verdict.UNKNOWN),
        (Answer(0, b"", ""), Verdict.UNKNOWN),
        (Answer(0, b"51.vm\n52.vm\n", ""), Verdict.UNKNOWN),
        (Answer(0, b"-x.vm", ""), Verdict.UNKNOWN),
    ],
)
def test_when_nobody_can_say_it_is_unknown(answer: Answer, verdict: Verdict) -> None:
    outcome = errors.submission(answer)
    assert isinstance(outcome, ActionOutcome)
    assert outcome.verdict is verdict


@pytest.mark.parametrize("out", [b"51.vm\n", b"41[].vm\n", b"7.pbs.site.org"])
def test_an_id_is_an_id(out: bytes) -> None:
    assert errors.submission(Answer(0, out)) == out.decode().strip()


@pytest.mark.parametrize(
    ("action", "code", "said", "verdict"),
    [
        (Action.CANCEL, 153, "qdel: nonexistent job id: 44", Verdict.CONFLICT),
        (Action.CANCEL, 153, "qdel: Unknown Job Id 44.vm", Verdict.CONFLICT),
        (
            Action.CANCEL,
            170,
            "qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE 44.vm",
            Verdict.DONE,
        ),
        (Action.CANCEL, 35, "qdel: Job has finished 44.vm", Verdict.DONE),
        (Action.HOLD, 35, "qhold: Job has finished 44.vm", Verdict.CONFLICT),
        (
            Action.CANCEL,
            159,
            "qdel: Unauthorized Request  MSG=operation not permitted 44.vm",
            Verdict.REFUSED,
        ),
        (Action.SUSPEND, 159, "qsig: Unauthorized Request  44.vm", Verdict.REFUSED),
        (Action.SUSPEND, 170, "qsig: Request invalid for state of job 44.vm", Verdict.REFUSED),
        (Action.SUSPEND, 153, "qsig: Unknown Job Id Error MSG=cannot locate job 44.vm", Verdict.CONFLICT),
        (
            Action.REQUEUE,
            159,
            (
                "qrerun: Unauthorized Request  MSG=additional permissions required "
                "(ATR_DFLAG_MGWR | ATR_DFLAG_OPWR) "
                "44.vm"
            ),
            Verdict.REFUSED,
        ),
        (
            Action.EXTEND,
            169,
            "qalter: Cannot modify attribute while job running  Resource_List.walltime 44.vm",
            Verdict.REFUSED,
        ),
        (Action.CANCEL, 162, "Connection refused\nCouldn't connect to cluster: pbsvm", Verdict.PASSING),
        (Action.CANCEL, 174, "qdel: End of File 44.vm", Verdict.UNKNOWN),
    ],
)
def test_what_an_action_that_failed_means(action: Action, code: int, said: str, verdict: Verdict) -> None:
    told = errors.actions(action, [A], Answer(code, b"", said))
    assert told[A].verdict is verdict


def test_of_several_jobs_only_those_that_are_named_have_failed() -> None:
    told = errors.actions(Action.CANCEL, [A, B, C], Answer(153, b"", "qdel: nonexistent job id: 45"))
    assert {ref.id: outcome.verdict for ref, outcome in told.items()} == {"45.vm": Verdict.CONFLICT}


def test_a_failure_without_a_word_says_nothing_of_any_job() -> None:
    assert errors.actions(Action.RELEASE, [A, B], Answer(153)) == {}


def test_a_query_fails_for_jobs_that_are_gone_only_if_nothing_else_is_wrong() -> None:
    assert errors.all_unknown("qstat: Unknown Job Id Error 99999.vm")
    assert errors.all_unknown(
        "qstat: Unknown Job Id 1.p\nqstat: 19.p Job has finished, use -x or -H to obtain"
    )
    assert not errors.all_unknown(
        "qstat: Unknown Job Id 1.p\nqstat: cannot connect to server p (errno=15010)"
    )
    assert not errors.all_unknown("")


def test_a_message_is_one_line_and_says_a_thing_once() -> None:
    said = (
        "\nUnable to communicate with vm\n\nUnable to communicate with vm\nqsub: cannot connect to server vm"
    )
    assert errors.plain(said) == "Unable to communicate with vm; cannot connect to server vm"
    assert errors.plain("qsub: submit error (Unknown queue MSG=x (y))") == "Unknown queue MSG=x (y)"
    assert errors.plain("") == "it gave no reason"
