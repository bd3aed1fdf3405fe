"""Jobs as TORQUE and PBS show them, whatever the form; and the jobs and endings that are made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from wnodes_batch.tags import ref_of
from wnodes_engine.backend import ENDED, Ending, Job, JobRef, JobState

from wnodes_torque.states import job_state, shell_status
from wnodes_torque.words import Cores, Size, total

_HOLDING: Final = frozenset(
    {JobState.STARTING, JobState.RUNNING, JobState.SUSPENDED, JobState.ENDING, JobState.UNKNOWN}
)


class Row(msgspec.Struct, frozen=True, gc=False):
    """One job as qstat shows it. `asked` is all it asks for, `holds` the kinds of hold upon it (`n`: none).

    `nodes` stay where it was after it has ended. `exit_status` is the system's own.
    """

    ref: JobRef
    state: JobState
    native_state: str
    user: str
    group: str
    account: str
    queue: str
    asked: Size
    walltime: int | None
    started_at: int | None
    ended_at: int | None
    nodes: Cores
    holds: str
    reason: str
    restarts: int
    exit_status: int | None
    cpu_seconds: int | None
    memory_used: int | None
    project: str


def row(
    cluster: str,
    id_: str,
    *,
    name: str,
    created: int | None,
    native: str,
    substate: str,
    user: str,
    group: str,
    account: str,
    queue: str,
    asked: Size,
    walltime: int | None,
    started_at: int | None,
    ended_at: int | None,
    nodes: Cores,
    holds: str,
    reason: str,
    starts: int,
    exit_status: int | None,
    cpu_seconds: int | None,
    memory_used: int | None,
    project: str = "",
) -> Row:
    """A row of what a listing says, with the states made out. A job whose cores are known holds those."""
    held = total(nodes) or asked.cores or 1
    return Row(
        ref=ref_of(name, cluster, id_, created or 0),
        state=job_state(native, substate, exit_status, has_started=started_at is not None and bool(nodes)),
        native_state=native,
        user=user,
        group=group,
        account=account,
        queue=queue,
        asked=asked if held == asked.cores else Size(held, asked.memory, asked.gpus),
        walltime=walltime,
        started_at=started_at if nodes else None,
        ended_at=ended_at,
        nodes=nodes,
        holds=holds,
        reason=reason,
        restarts=max(0, starts - 1),
        exit_status=exit_status,
        cpu_seconds=cpu_seconds,
        memory_used=memory_used,
        project=project,
    )


def without_arrays(rows: Iterable[Row]) -> list[Row]:
    """The rows without those of arrays whose jobs are shown one by one."""
    listed = list(rows)
    single = {array_of(row.ref.id) for row in listed} - {""}
    return [row for row in listed if row.ref.id not in single]


def array_of(id_: str) -> str:
    """The id of the array that a job belongs to, as `41[].vm` for `41[3].vm`; empty for a job of its own."""
    before, bracket, rest = id_.partition("[")
    index, _, server = rest.partition("]")
    return f"{before}[]{server}" if bracket and index else ""


def jobs(rows: Iterable[Row]) -> tuple[Job, ...]:
    """The jobs that have not ended."""
    return tuple(_job(row) for row in rows if row.state not in ENDED)


def _job(row: Row) -> Job:
    holds_cores = row.state in _HOLDING
    return Job(
        ref=row.ref,
        state=row.state,
        native_state=row.native_state,
        user=row.user,
        cores=row.asked.cores,
        memory=row.asked.memory,
        group=row.group,
        account=row.account,
        queue=row.queue,
        gpus=row.asked.gpus,
        walltime=row.walltime,
        started_at=row.started_at if holds_cores else None,
        nodes=row.nodes if holds_cores else (),
        reason="" if row.state is JobState.RUNNING else row.reason,
        restarts=row.restarts,
        project=row.project,
    )


def ending(row: Row) -> Ending | None:
    """How a job that is still shown has ended; None if it has not."""
    if row.state not in ENDED or row.ended_at is None:
        return None
    ran = row.started_at is not None
    return Ending(
        ref=row.ref,
        state=row.state,
        started_at=row.started_at,
        ended_at=row.ended_at,
        exit_status=shell_status(row.exit_status),
        nodes=row.nodes if ran else (),
        native_state=row.native_state,
        user=row.user,
        group=row.group,
        account=row.account,
        queue=row.queue,
        cores=row.asked.cores if ran else 0,
        memory=row.asked.memory if ran else 0,
        gpus=row.asked.gpus if ran else 0,
        cpu_seconds=row.cpu_seconds,
        memory_used=row.memory_used,
    )
