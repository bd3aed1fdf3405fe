"""Comparing what we recorded with what the batch system shows: pure, one plan of what is to be done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final

import msgspec
from wnodes_engine.backend import Job, JobRef, JobState

from wnodes_daemon.records import Dispatch, Step

_HAS_STARTED: Final = frozenset({JobState.RUNNING, JobState.SUSPENDED, JobState.ENDING})
_WAITS: Final = frozenset({JobState.HELD, JobState.PENDING})
_NOT_STARTED: Final = frozenset({JobState.HELD, JobState.PENDING, JobState.STARTING})


class Plan(msgspec.Struct):
    """What is to be done, and what is to be known. Missing jobs are unknown, never over."""

    found: list[tuple[Dispatch, JobRef]] = []
    """The answer to the submission was lost, but the job is there: record its id, then release it."""
    release: list[Dispatch] = []
    """The id is recorded, and the job is still held."""
    released: list[Dispatch] = []
    """The job is free to start, but that was not recorded."""
    running: list[tuple[Dispatch, int]] = []
    """The job was seen to run, since then."""
    moved: list[tuple[Dispatch, tuple[tuple[str, int], ...]]] = []
    """The job runs on these nodes, with so many cores there, and others are recorded, or none."""
    late: list[Dispatch] = []
    """The job has not started in time: record that it is to be withdrawn."""
    hold: list[JobRef] = []
    """Jobs that are to be withdrawn: what is held cannot start while it is being cancelled."""
    cancel: list[JobRef] = []
    """Jobs of requests that were taken back or have to leave, held copies, late ones of what was given up."""
    suspend: list[Dispatch] = []
    """The job is to stop where it is."""
    stopped: list[Dispatch] = []
    """It was to, and has."""
    resume: list[Dispatch] = []
    """The job may go on."""
    returned: list[Dispatch] = []
    """It may, and does."""
    give_up: list[Dispatch] = []
    """No job has appeared, though the batch system has answered for long enough."""
    missing: list[Dispatch] = []
    """The job was there once, and is not shown now."""
    lost: list[Dispatch] = []
    """Those of them that were not shown for long enough to be worth a second look."""


def compare(
    dispatches: Iterable[Dispatch],
    given_up: Mapping[str, Dispatch],
    jobs: Iterable[Job],
    *,
    cancelling: Container[int],
    stopping: Container[int] = (),
    returning: Container[int] = (),
    tried: Mapping[str, int],
    missing_since: Mapping[str, int],
    answering_since: int,
    now: int,
    settle: int,
    patience: int,
    runs_as: Callable[[str], str],
) -> Plan:
    """The plan for one backend, from dispatches that were recorded before the jobs were listed.

    Jobs of requests in `cancelling` are ended, those in `stopping` suspended, those in `returning` resumed.
    The batch system has answered since `answering_since`, and submissions of which nothing is known were made
    when `tried` says; one without a trace is given up `settle` seconds after both, and a job that was missing
    for that long is lost. One that could have started for `patience` seconds, and has not, is late. A job is
    ours if it has the key and belongs to whom a slot `runs_as`: anyone can name a job like ours.
    """
    plan = Plan()
    by_key: defaultdict[str, list[Job]] = defaultdict(list)
    for shown in jobs:
        if shown.ref.key:
            by_key[shown.ref.key].append(shown)

    def ours(dispatch: Dispatch) -> list[Job]:
        copies = by_key.get(dispatch.key, ())
        return [copy for copy in copies if copy.user == runs_as(dispatch.user)]

    for dispatch in dispatches:
        job, extra = _told_apart(dispatch, ours(dispatch))
        plan.cancel.extend(extra)
        if job is not None and dispatch.ref is not None and _is_elsewhere(dispatch, job):
            plan.moved.append((dispatch, job.nodes))
        if job is None:
            if dispatch.step is not Step.SUBMITTING:
                plan.missing.append(dispatch)
                if now - max(missing_since.get(dispatch.key, now), answering_since) > settle:
                    plan.lost.append(dispatch)
            elif now - max(tried.get(dispatch.key, dispatch.created), answering_since) > settle:
                plan.give_up.append(dispatch)
        elif dispatch.ref is None:
            plan.found.append((dispatch, job.ref))
        elif dispatch.request in cancelling:
            plan.cancel.append(job.ref)
        elif dispatch.request in stopping and job.state in _NOT_STARTED:
            plan.cancel.append(job.ref)  # nothing of it is lost
        elif dispatch.step is Step.RUNNING and dispatch.request in stopping:
            if job.state is JobState.RUNNING:
                plan.suspend.append(dispatch)
            elif job.state is JobState.SUSPENDED:
                plan.stopped.append(dispatch)
        elif dispatch.step is Step.RUNNING and dispatch.request in returning:
            if job.state is JobState.RUNNING:
                plan.returned.append(dispatch)
            elif job.state is JobState.SUSPENDED:
                plan.resume.append(dispatch)
        elif dispatch.step is Step.WITHDRAWING and job.state in _WAITS:
            (plan.cancel if job.state is JobState.HELD else plan.hold).append(job.ref)
        elif dispatch.step is Step.WITHDRAWING and job.state is JobState.SUSPENDED:
            plan.resume.append(dispatch)  # it had started, and what holds a job in LSF has stopped it
        elif job.state in _WAITS and _is_late(dispatch, answering_since, now - patience):
            plan.late.append(dispatch)
        elif job.state is JobState.HELD:
            plan.release.append(dispatch)
        elif job.state in _HAS_STARTED and dispatch.step is not Step.RUNNING:
            plan.running.append((dispatch, job.started_at if job.started_at is not None else now))
        elif dispatch.step is Step.HELD:
            plan.released.append(dispatch)
    for dispatch in given_up.values():
        copies = ours(dispatch)
        plan.cancel.extend(
            copy.ref for copy in copies if copy.state is JobState.HELD or copy.ref == dispatch.ref
        )
    return plan


def _is_late(dispatch: Dispatch, answering_since: int, before: int) -> bool:
    """Whether it was free to start before then, as far as its batch system could do anything about it."""
    if dispatch.ref is None or dispatch.step not in {Step.HELD, Step.RELEASED}:
        return False
    return max(dispatch.ref.submitted_at, answering_since) < before


def _is_elsewhere(dispatch: Dispatch, job: Job) -> bool:
    """Whether it runs where it is not charged. A bait that had its node has lost it: it does not move."""
    if job.state is not JobState.RUNNING or not job.nodes or (dispatch.placement and not dispatch.user):
        return False
    return {node for node, _ in job.nodes} != {place.node for place in dispatch.placement}


def _told_apart(dispatch: Dispatch, copies: list[Job]) -> tuple[Job | None, list[JobRef]]:
    """The dispatch's own job, the first if no id is recorded, and the copies that are still held."""
    if not copies:
        return None, []
    own: Job | None = min(copies, key=lambda job: (job.ref.submitted_at, len(job.ref.id), job.ref.id))
    if dispatch.ref is not None:
        own = next((job for job in copies if job.ref == dispatch.ref), None)
    return own, [job.ref for job in copies if job is not own and job.state is JobState.HELD]
