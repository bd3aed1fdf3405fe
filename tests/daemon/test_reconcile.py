"""What is to be done about a dispatch, by how far it has come and what the batch system shows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from wnodes_daemon.reconcile import Plan, compare
from wnodes_daemon.records import Dispatch, Step
from wnodes_engine.backend import Job, JobRef, JobState
from wnodes_engine.values import Placement

REF = JobRef("farm", "7", "k", 100)
NOW = 1000


def made(step: Step, ref: JobRef | None = REF) -> Dispatch:
    return Dispatch("k", 1, "farm", (), 100, step, ref if step is not Step.SUBMITTING else None, user="ada")


def job(state: JobState, ref: JobRef = REF, started_at: int | None = None) -> Job:
    return Job(ref, state, state, "ada", 1, 0, started_at=started_at)


def plan(dispatch: Dispatch, *jobs: Job, **more: Any) -> Plan:
    given: dict[str, Any] = {
        "cancelling": (),
        "tried": {},
        "missing_since": {},
        "answering_since": 0,
        "now": NOW,
        "settle": 300,
        "patience": 900,
        "runs_as": str,
        **more,
    }
    return compare([dispatch], {}, jobs, **given)


@pytest.mark.parametrize(
    ("step", "state", "to_do"),
    [
        (Step.SUBMITTING, JobState.HELD, "found"),
        (Step.SUBMITTING, JobState.RUNNING, "found"),
        (Step.HELD, JobState.HELD, "release"),
        (Step.RELEASED, JobState.HELD, "release"),
        (Step.HELD, JobState.PENDING, "released"),
        (Step.HELD, JobState.RUNNING, "running"),
        (Step.RELEASED, JobState.PENDING, None),
        (Step.RELEASED, JobState.RUNNING, "running"),
        (Step.RELEASED, JobState.SUSPENDED, "running"),
        (Step.RELEASED, JobState.UNKNOWN, None),
        (Step.RUNNING, JobState.RUNNING, None),
        (Step.RUNNING, JobState.PENDING, None),
        (Step.RUNNING, JobState.UNKNOWN, None),
        (Step.HELD, None, "missing"),
        (Step.RELEASED, None, "missing"),
        (Step.RUNNING, None, "missing"),
        (Step.SUBMITTING, None, "give_up"),
        (Step.WITHDRAWING, JobState.PENDING, "hold"),
        (Step.WITHDRAWING, JobState.HELD, "cancel"),
        (Step.WITHDRAWING, JobState.STARTING, None),
        (Step.WITHDRAWING, JobState.RUNNING, "running"),
        (Step.WITHDRAWING, JobState.SUSPENDED, "resume"),
        (Step.WITHDRAWING, None, "missing"),
    ],
)
def test_each_step_and_state_has_one_thing_to_do(
    step: Step, state: JobState | None, to_do: str | None
) -> None:
    planned = plan(made(step), *([job(state)] if state is not None else []))
    done = {name for name in Plan.__struct_fields__ if getattr(planned, name)}
    assert done == ({to_do} if to_do else set())


@pytest.mark.parametrize(
    ("created", "answering_since", "gives_up"),
    [(699, 0, True), (700, 0, False), (100, 699, True), (100, 700, False), (100, 1000, False)],
)
def test_a_submission_is_given_up_only_when_the_batch_system_has_answered_for_long_enough(
    created: int, answering_since: int, gives_up: bool
) -> None:
    dispatch = Dispatch("k", 1, "farm", (), created, user="ada")
    assert bool(plan(dispatch, answering_since=answering_since).give_up) is gives_up


@pytest.mark.parametrize(("tried", "gives_up"), [(699, True), (700, False)])
def test_a_submission_that_was_long_in_coming_is_waited_for_from_when_it_was_made(
    tried: int, gives_up: bool
) -> None:
    assert bool(plan(Dispatch("k", 1, "farm", (), 100), tried={"k": tried}).give_up) is gives_up


@pytest.mark.parametrize("ref", [JobRef("farm", "8", "k", 100), JobRef("farm", "7", "k", 101)])
def test_a_job_with_our_key_that_is_not_our_job_is_left_alone(ref: JobRef) -> None:
    planned = plan(made(Step.RUNNING), job(JobState.RUNNING, ref), cancelling={1})
    assert planned == Plan(missing=[made(Step.RUNNING)])


@pytest.mark.parametrize("state", [JobState.HELD, JobState.PENDING, JobState.RUNNING])
def test_the_job_of_a_request_that_was_taken_back_is_cancelled(state: JobState) -> None:
    assert plan(made(Step.HELD), job(state), cancelling={1}) == Plan(cancel=[REF])


@pytest.mark.parametrize(
    ("state", "user", "cancelled"),
    [(JobState.HELD, "ada", True), (JobState.HELD, "bob", False), (JobState.RUNNING, "ada", False)],
)
def test_a_job_that_appears_after_it_was_given_up_is_cancelled_as_long_as_it_is_held_and_ours(
    state: JobState, user: str, cancelled: bool
) -> None:
    given_up = {"k": made(Step.GIVEN_UP, None)}
    late = msgspec.structs.replace(job(state), user=user)
    planned = compare(
        [],
        given_up,
        [late],
        cancelling=(),
        tried={},
        missing_since={},
        answering_since=0,
        now=NOW,
        settle=300,
        patience=900,
        runs_as=str,
    )
    assert planned == Plan(cancel=[REF] if cancelled else [])


@pytest.mark.parametrize("step", [Step.SUBMITTING, Step.HELD, Step.RUNNING])
def test_a_strangers_job_under_our_key_is_neither_taken_nor_touched(step: Step) -> None:
    theirs = msgspec.structs.replace(job(JobState.HELD, JobRef("farm", "6", "k", 99)), user="bob")
    alone = plan(made(step), theirs, cancelling={1})
    assert alone == (
        Plan(missing=[made(step)]) if step is not Step.SUBMITTING else Plan(give_up=[made(step)])
    )
    beside = plan(made(step), theirs, job(JobState.HELD))
    assert beside == plan(made(step), job(JobState.HELD))


def test_of_two_copies_the_first_is_taken_and_the_other_cancelled_while_it_is_held() -> None:
    second = JobRef("farm", "10", "k", 100)
    held = plan(made(Step.SUBMITTING), job(JobState.HELD, second), job(JobState.HELD))
    assert held == Plan(found=[(made(Step.SUBMITTING), REF)], cancel=[second])
    free = plan(made(Step.HELD), job(JobState.RUNNING, second), job(JobState.HELD))
    assert free == Plan(release=[made(Step.HELD)])


def test_the_user_of_a_job_is_the_batch_systems_own_for_the_service() -> None:
    bait = msgspec.structs.replace(made(Step.SUBMITTING), user="")
    theirs = msgspec.structs.replace(job(JobState.HELD), user="wnodes")
    assert plan(bait, theirs, runs_as=lambda user: user or "wnodes").found == [(bait, REF)]


@pytest.mark.parametrize(
    ("since", "answering_since", "lost"),
    [(699, 0, True), (700, 0, False), (100, 700, False), (None, 0, False)],
)
def test_a_job_that_was_missing_for_long_enough_is_worth_a_second_look(
    since: int | None, answering_since: int, lost: bool
) -> None:
    missing = {} if since is None else {"k": since}
    planned = plan(made(Step.RELEASED), missing_since=missing, answering_since=answering_since)
    assert planned == Plan(missing=[made(Step.RELEASED)], lost=[made(Step.RELEASED)] if lost else [])


def test_a_job_that_was_lost_and_comes_back_is_cancelled_though_it_is_free() -> None:
    given_up = {"k": msgspec.structs.replace(made(Step.GIVEN_UP), ref=REF)}
    planned = compare(
        [],
        given_up,
        [job(JobState.PENDING)],
        cancelling=(),
        tried={},
        missing_since={},
        answering_since=0,
        now=NOW,
        settle=300,
        patience=900,
        runs_as=str,
    )
    assert planned == Plan(cancel=[REF])


def test_native_jobs_are_none_of_our_business() -> None:
    native = job(JobState.RUNNING, JobRef("farm", "9", "", 100))
    assert plan(made(Step.RELEASED), job(JobState.PENDING), native) == Plan()


@pytest.mark.parametrize(
    ("step", "state", "to_do"),
    [
        (Step.HELD, JobState.HELD, "late"),
        (Step.RELEASED, JobState.PENDING, "late"),
        (Step.RELEASED, JobState.HELD, "late"),
        (Step.RELEASED, JobState.STARTING, None),
        (Step.RELEASED, JobState.RUNNING, "running"),
        (Step.RUNNING, JobState.PENDING, None),
    ],
)
def test_what_has_not_started_in_time_is_withdrawn(step: Step, state: JobState, to_do: str | None) -> None:
    planned = plan(made(step), job(state), patience=899)
    done = {name for name in Plan.__struct_fields__ if getattr(planned, name)}
    assert done == ({to_do} if to_do else set())


def test_nothing_is_late_because_the_batch_system_was_away() -> None:
    assert not plan(made(Step.RELEASED), job(JobState.PENDING), patience=899, answering_since=101).late


@pytest.mark.parametrize(
    ("user", "placement", "state", "moved"),
    [
        ("ada", (), JobState.RUNNING, True),
        ("ada", (Placement("n1", 1),), JobState.RUNNING, True),
        ("ada", (Placement("n2", 1),), JobState.RUNNING, False),
        ("ada", (), JobState.PENDING, False),
        ("", (), JobState.RUNNING, True),
        ("", (Placement("n1", 1),), JobState.RUNNING, False),  # a bait does not move: it is lost
    ],
)
def test_a_job_is_charged_where_it_runs(
    user: str, placement: tuple[Placement, ...], state: JobState, moved: bool
) -> None:
    dispatch = msgspec.structs.replace(made(Step.RELEASED), user=user, placement=placement)
    shown = msgspec.structs.replace(job(state), user=user, nodes=(("n2", 1),))
    assert plan(dispatch, shown).moved == ([(dispatch, (("n2", 1),))] if moved else [])
