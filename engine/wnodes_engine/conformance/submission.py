"""Laws of submission: held until released, as asked, or refused."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from wnodes_engine.backend import ENDED, Action, ActionOutcome, Capability, JobRef, JobState, Verdict
from wnodes_engine.conformance.subject import HAS_STARTED, NotHere, Subject, expect


async def a_held_job_is_shown_as_it_was_asked_for_and_does_not_start(farm: Subject) -> None:
    slot = farm.slot(cores=2, memory=128)
    ref = await farm.hand_in(slot)
    job = await farm.reach(ref, JobState.HELD)
    runs_as = farm.backend.runs_as(slot.user)
    expect(job.user == runs_as, f"it was to run as {runs_as!r}, and belongs to {job.user!r}")
    expect(job.cores == 2, f"2 cores were asked for, and {job.cores} are shown")
    if slot.walltime is not None:
        expect(
            job.walltime is not None and 900 <= job.walltime <= 1020, f"15 minutes became {job.walltime} s"
        )
    if farm.settings.queue is not None:
        expect(job.queue == farm.settings.queue, f"it is in the queue {job.queue!r}")
    expect(not job.nodes and job.started_at is None, "it is shown on a node while it is held")
    await farm.stays(ref, JobState.HELD)


async def a_released_job_runs_on_a_node_that_is_shown(farm: Subject) -> None:
    ref = await farm.run(cores=2)
    job = await farm.reach(ref, JobState.RUNNING)
    names = {node.name for node in (await farm.backend.snapshot()).nodes}
    expect(len(job.nodes) == 1, f"a job of one part runs on {len(job.nodes)} nodes")
    expect(job.nodes[0][0] in names, f"it runs on {job.nodes[0][0]}, which is not among the nodes")
    expect(sum(cores for _, cores in job.nodes) == 2, f"2 cores were asked for, and it holds {job.nodes}")
    expect(job.started_at is not None, "nothing says when it was started")


async def a_job_that_was_not_to_be_held_runs_by_itself(farm: Subject) -> None:
    ref = await farm.submit(held=False)
    await farm.reach(ref, JobState.RUNNING)


async def many_submissions_at_once_become_as_many_jobs(farm: Subject) -> None:
    refs = await asyncio.gather(*(farm.submit() for _ in range(20)))
    expect(len({ref.id for ref in refs}) == 20, "two jobs have the same id")

    async def all_shown() -> bool | None:
        shown = {job.ref for job in (await farm.backend.snapshot()).jobs}
        return set(refs) <= shown or None

    await farm.until(all_shown, "not all of 20 jobs are shown")


async def a_pinned_job_runs_on_its_node(farm: Subject) -> None:
    farm.needs(Capability.PIN)
    for node in reversed(await farm.node(count=2)):
        ref = await farm.run(nodes=((node.name, 1),))
        job = await farm.reach(ref, JobState.RUNNING)
        expect(job.nodes == ((node.name, 1),), f"it was pinned to {node.name}, and is on {job.nodes}")


async def the_parts_of_a_pinned_job_run_where_they_were_put(farm: Subject) -> None:
    farm.needs(Capability.PIN)
    first, second = await farm.node(cores=3, count=2)
    wanted = ((first.name, 2), (second.name, 2))
    job = await farm.reach(await farm.run(count=4, nodes=wanted), JobState.RUNNING)
    expect(sorted(job.nodes) == sorted(wanted), f"the parts were to be on {wanted}, and are on {job.nodes}")


async def parts_in_different_numbers_stay_on_the_nodes_that_were_named(farm: Subject) -> None:
    farm.needs(Capability.PIN)
    first, second = await farm.node(cores=3, count=2)
    wanted = ((first.name, 1), (second.name, 2))
    job = await farm.reach(await farm.run(count=3, nodes=wanted), JobState.RUNNING)
    places = sorted(node for node, _ in job.nodes)
    expect(places == sorted((first.name, second.name)), f"it was to be on {wanted}, and is on {job.nodes}")
    expect(sum(cores for _, cores in job.nodes) == 3, f"3 cores were asked for, and it holds {job.nodes}")


async def a_job_keeps_to_the_nodes_that_are_allowed_and_off_those_that_are_not(farm: Subject) -> None:
    nodes = [node.name for node in await farm.node(count=2)]
    for fields, wanted in (({"allowed": (nodes[1],)}, nodes[1:2]), ({"excluded": (nodes[0],)}, None)):
        ref = await farm.run(**fields)
        job = await farm.reach(ref, JobState.RUNNING)
        places = [node for node, _ in job.nodes]
        expect(nodes[0] not in places, f"it runs on {places}, where it must not be")
        expect(wanted is None or places == wanted, f"it was to run on {wanted}, and is on {places}")


async def what_can_never_run_is_refused_or_does_not_start(farm: Subject) -> None:
    [largest] = await farm.node()
    answer = await farm.answer(farm.slot(cores=largest.cores * 1000, held=False))
    if isinstance(answer, JobRef):
        await farm.stays(answer, JobState.PENDING, JobState.HELD)
    else:
        expect(answer.verdict is Verdict.REFUSED, f"it came to {answer.verdict}")


UNFIT: Final[tuple[dict[str, Any], ...]] = (
    {"queue": "--help"},
    {"queue": "a\nb"},
    {"account": "-A"},
    {"account": "x y"},
    {"name": "a\x00b"},
    {"name": "-h"},
    {"nodes": (("--uid=0", 1),)},
    {"allowed": ("-w",)},
    {"excluded": ("a b",)},
    {"user": "-root"},
    {"user": "no\nbody"},
    {"key": ""},
    {"key": "../x"},
    {"cores": 0},
    {"cores": -1},
    {"count": 0},
    {"count": 2, "nodes": (("n", 1),)},
)


async def a_value_that_could_be_taken_for_something_else_is_refused(farm: Subject) -> None:
    for fields in UNFIT:
        answer = await farm.answer(farm.slot(**fields))
        refused = isinstance(answer, ActionOutcome) and answer.verdict is Verdict.REFUSED
        expect(refused, f"{fields} came to {answer}")


async def a_queue_that_is_not_there_is_refused_in_words(farm: Subject) -> None:
    if farm.settings.queue is None:
        raise NotHere("no queue was named (--queue)")
    answer = await farm.answer(farm.slot(queue="nosuchqueue"))
    refused = isinstance(answer, ActionOutcome) and answer.verdict is Verdict.REFUSED
    expect(refused, f"a queue that is not there came to {answer}")
    expect(bool(isinstance(answer, ActionOutcome) and answer.message), "nothing says why")


async def a_job_that_is_taken_back_while_it_is_held_never_starts(farm: Subject) -> None:
    ref = await farm.submit()
    await farm.do(Action.CANCEL, ref)

    async def over() -> bool | None:
        job = await farm.job(ref)
        expect(job is None or job.state not in HAS_STARTED - {JobState.ENDING}, f"it is {job and job.state}")
        return job is None or job.state in ENDED or None

    await farm.until(over, "a job that was cancelled is still shown")


LAWS: Final = (
    a_held_job_is_shown_as_it_was_asked_for_and_does_not_start,
    a_released_job_runs_on_a_node_that_is_shown,
    a_job_that_was_not_to_be_held_runs_by_itself,
    many_submissions_at_once_become_as_many_jobs,
    a_pinned_job_runs_on_its_node,
    the_parts_of_a_pinned_job_run_where_they_were_put,
    parts_in_different_numbers_stay_on_the_nodes_that_were_named,
    a_job_keeps_to_the_nodes_that_are_allowed_and_off_those_that_are_not,
    what_can_never_run_is_refused_or_does_not_start,
    a_value_that_could_be_taken_for_something_else_is_refused,
    a_queue_that_is_not_there_is_refused_in_words,
    a_job_that_is_taken_back_while_it_is_held_never_starts,
)
