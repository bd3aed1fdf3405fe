"""Jobs that users submit to the batch system themselves: what the policy sees of them, and which are new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from wnodes_engine.backend import BatchBackend, Job, JobRef, JobState, Snapshot
from wnodes_engine.values import Placement, Request

from wnodes_daemon.records import Dispatch


class Native(msgspec.Struct, frozen=True):
    """A native job as the policy sees it: a local job of its user and group that is where it is."""

    request: Request
    placement: tuple[Placement, ...]
    since: int
    ref: JobRef
    suspended: bool = False


def natives_in(
    snapshot: Snapshot, backend: BatchBackend, dispatches: Mapping[str, Dispatch], now: int
) -> list[Native]:
    """What is not of ours, by key and user, and holds cores.

    `dispatches` are those of before the snapshot too: what has ended since then was ours, and so was what is
    still on its way out.
    """

    def is_ours(job: Job) -> bool:
        if not job.ref.key:
            return False
        if job.state is JobState.ENDING:
            return True
        dispatch = dispatches.get(job.ref.key)
        return dispatch is not None and job.user == backend.runs_as(dispatch.user)

    shown = (native_of(backend.name, job, now) for job in snapshot.jobs if not is_ours(job))
    return [native for native in shown if native is not None]


def native_of(backend: str, job: Job, now: int) -> Native | None:
    """What a job holds, or None if it holds nothing: it pends. A suspended one holds no cores.

    On one node it is one part. On several it is as many parts of one core each as it has cores, for Slurm
    and others spread a job as they like.
    """
    if not job.nodes or job.state in {JobState.HELD, JobState.PENDING}:
        return None
    placed = [(node, cores) for node, cores in job.nodes if cores > 0]
    total = sum(cores for _, cores in placed)
    if not total:
        return None
    alone = len(placed) == 1
    count = 1 if alone else total
    request = Request(
        id=f"native:{backend}:{job.ref.id}:{job.ref.submitted_at}",
        kind="job",
        origin="local",
        user=job.user,
        group=job.group,
        project=job.project or None,
        submitted=job.ref.submitted_at,
        cores=total // count,
        memory=job.memory // count,
        gpus=job.gpus // count,
        count=count,
        walltime=job.walltime,
        queue=job.queue or None,
        account=job.account or None,
    )
    placement = tuple(Placement(node, 1 if alone else cores) for node, cores in placed)
    since = job.started_at if job.started_at is not None else now
    return Native(request, placement, since, job.ref, job.state is JobState.SUSPENDED)


def changed(known: Mapping[str, Native], shown: Iterable[Native]) -> tuple[list[str], list[Native]]:
    """Which natives are gone or have changed, by id, and which are new or have."""
    now = {native.request.id: native for native in shown}
    gone = [id_ for id_, native in known.items() if now.get(id_) != native]
    return gone, [native for id_, native in now.items() if known.get(id_) != native]
