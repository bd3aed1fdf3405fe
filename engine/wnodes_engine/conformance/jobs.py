"""Laws of what is done to jobs: held, released, suspended, started anew, extended, ended."""

from __future__ import annotations

from typing import Final

from wnodes_engine.backend import Action, Capability, JobState, Verdict
from wnodes_engine.conformance.subject import Subject, expect


async def a_job_may_be_held_and_released_as_often_as_one_likes(farm: Subject) -> None:
    farm.needs(Capability.HOLD)
    ref = await farm.submit()
    await farm.do(Action.HOLD, ref)
    await farm.stays(ref, JobState.HELD, looks=2)
    await farm.do(Action.RELEASE, ref)
    await farm.do(Action.RELEASE, ref)
    await farm.reach(ref, JobState.RUNNING)
    await farm.do(Action.RELEASE, ref)
    await farm.stays(ref, JobState.RUNNING, looks=2)


async def a_suspended_job_goes_on_where_it_was(farm: Subject) -> None:
    farm.needs(Capability.SUSPEND)
    ref = await farm.run()
    before = await farm.reach(ref, JobState.RUNNING)
    await farm.do(Action.SUSPEND, ref)
    await farm.reach(ref, JobState.SUSPENDED)
    await farm.do(Action.RESUME, ref)
    after = await farm.reach(ref, JobState.RUNNING)
    expect(before.nodes == after.nodes, f"it was on {before.nodes}, and is on {after.nodes}")
    expect(before.restarts == after.restarts, "it was started anew")


async def a_requeued_job_begins_anew_under_the_same_reference(farm: Subject) -> None:
    farm.needs(Capability.REQUEUE)
    ref = await farm.run(rerun=True)
    await farm.do(Action.REQUEUE, ref)
    await farm.reach(ref, JobState.PENDING, JobState.HELD, JobState.STARTING, JobState.RUNNING)
    await farm.stays(
        ref, JobState.PENDING, JobState.HELD, JobState.STARTING, JobState.RUNNING, JobState.ENDING
    )
    await farm.read_on()
    expect(ref not in farm.told, "accounting calls a job ended that was only requeued")


async def a_job_that_does_not_run_cannot_be_suspended(farm: Subject) -> None:
    farm.needs(Capability.SUSPEND)
    ref = await farm.submit()
    outcome = await farm.outcome(Action.SUSPEND, ref)
    expect(outcome.verdict is Verdict.REFUSED, f"to suspend a held job came to {outcome.verdict}")
    await farm.stays(ref, JobState.HELD, looks=2)


async def an_extended_job_is_given_its_longer_time(farm: Subject) -> None:
    farm.needs(Capability.EXTEND)
    ref = await farm.run()
    await farm.do(Action.EXTEND, ref, walltime=3600)
    job = await farm.reach(ref, JobState.RUNNING)
    expect(job.walltime is not None and 3600 <= job.walltime <= 3720, f"an hour became {job.walltime} s")


async def what_a_backend_cannot_do_it_refuses(farm: Subject) -> None:
    ref = await farm.run()
    lacking = {
        Action.REQUEUE: Capability.REQUEUE,
        Action.SUSPEND: Capability.SUSPEND,
        Action.EXTEND: Capability.EXTEND,
    }
    for action, capability in lacking.items():
        if capability not in farm.backend.capabilities:
            outcome = await farm.outcome(action, ref, walltime=3600 if action is Action.EXTEND else None)
            expect(outcome.verdict is Verdict.REFUSED, f"to {action} came to {outcome.verdict}")
    await farm.stays(ref, JobState.RUNNING, looks=2)


async def a_running_job_can_be_ended(farm: Subject) -> None:
    ref = await farm.run()
    await farm.do(Action.CANCEL, ref)

    async def over() -> bool | None:
        return await farm.job(ref) is None or None

    await farm.until(over, "a job that was cancelled is still shown")


LAWS: Final = (
    a_job_may_be_held_and_released_as_often_as_one_likes,
    a_suspended_job_goes_on_where_it_was,
    a_requeued_job_begins_anew_under_the_same_reference,
    a_job_that_does_not_run_cannot_be_suspended,
    an_extended_job_is_given_its_longer_time,
    what_a_backend_cannot_do_it_refuses,
    a_running_job_can_be_ended,
)
