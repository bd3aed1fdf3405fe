"""Laws of accounting: how jobs have ended, each told once, and doctor's word."""

from __future__ import annotations

from time import time
from typing import Final

from wnodes_engine.backend import Action, Capability, JobState
from wnodes_engine.conformance.subject import FAILING, SHORT, Subject, expect

_SKEW: Final = 5


async def a_job_that_has_run_is_told_with_its_times_node_and_status(farm: Subject) -> None:
    farm.needs(Capability.FINISHED)
    before = time()
    ref = await farm.submit(script=SHORT, cores=2)
    await farm.do(Action.RELEASE, ref)
    ending = await farm.ending(ref)
    expect(ending.state is JobState.DONE, f"a job that slept a second ended as {ending.state}")
    expect(ending.exit_status == 0, f"its exit status is {ending.exit_status}")
    expect(ending.started_at is not None, "nothing says when it was started")
    started = ending.started_at or 0
    expect(
        before - _SKEW <= started <= ending.ended_at <= time() + _SKEW,
        f"submitted at {before:.0f}, started at {started}, ended at {ending.ended_at}, now {time():.0f}",
    )
    expect(len(ending.nodes) == 1 and ending.nodes[0][1] == 2, f"2 cores of one node became {ending.nodes}")
    expect(ending.cores == 2, f"it is charged with {ending.cores} cores")


async def a_job_that_fails_is_told_with_its_exit_status(farm: Subject) -> None:
    farm.needs(Capability.FINISHED)
    ref = await farm.submit(script=FAILING)
    await farm.do(Action.RELEASE, ref)
    ending = await farm.ending(ref)
    expect(ending.state is JobState.FAILED, f"a job that exited with 3 ended as {ending.state}")
    expect(ending.exit_status == 3, f"its exit status is {ending.exit_status}")


async def a_job_that_was_cancelled_is_told_whether_it_ran_or_not(farm: Subject) -> None:
    farm.needs(Capability.FINISHED)
    held, running = await farm.submit(), await farm.run()
    for ref in (held, running):
        await farm.do(Action.CANCEL, ref)
    for ref in (held, running):
        ending = await farm.ending(ref)
        expect(ending.state in {JobState.CANCELLED, JobState.FAILED}, f"a killed job ended as {ending.state}")
    expect(farm.told[held].started_at is None, "a job that was held is said to have started")


async def each_ending_is_told_once_and_again_from_an_older_cursor(farm: Subject) -> None:
    farm.needs(Capability.FINISHED)
    await farm.read_on()
    start = farm.cursor
    refs = [await farm.submit(script=SHORT) for _ in range(3)]
    for ref in refs:
        await farm.do(Action.RELEASE, ref)
    read: list[object] = []

    async def all_told() -> bool | None:
        read.extend(ending.ref for ending in await farm.read_on())
        return set(refs) <= set(read) or None

    await farm.until(all_told, "not all endings are told")
    read.extend(ending.ref for ending in await farm.read_on())
    expect(all(read.count(ref) == 1 for ref in refs), "an ending was told twice")
    farm.cursor = start
    again = {ending.ref for ending in await farm.read_on()}
    expect(set(refs) <= again, "from an older cursor an ending is not told any more")


async def a_job_that_runs_has_not_ended(farm: Subject) -> None:
    farm.needs(Capability.FINISHED)
    ref = await farm.run()
    await farm.read_on()
    expect(ref not in farm.told, "accounting tells the end of a job that runs")


async def the_doctor_looks_at_something(farm: Subject) -> None:
    found = await farm.backend.doctor()
    expect(bool(found), "doctor has looked at nothing")
    expect(all(health.check and health.found for health in found), "doctor does not say what it found")
    expect(all(health.mend for health in found if not health.well), "doctor does not say how to mend it")


LAWS: Final = (
    a_job_that_has_run_is_told_with_its_times_node_and_status,
    a_job_that_fails_is_told_with_its_exit_status,
    a_job_that_was_cancelled_is_told_whether_it_ran_or_not,
    each_ending_is_told_once_and_again_from_an_older_cursor,
    a_job_that_runs_has_not_ended,
    the_doctor_looks_at_something,
)
