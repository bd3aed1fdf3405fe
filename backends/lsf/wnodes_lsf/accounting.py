"""The endings that listings tell: of bjobs, as long as it remembers them, and of bacct and bhist beyond."""

from __future__ import annotations

from collections.abc import Iterable

from wnodes_batch.tags import ref_of
from wnodes_engine.backend import ENDED, Ending

from wnodes_lsf import long
from wnodes_lsf.jobs import Row, minute
from wnodes_lsf.long import Told
from wnodes_lsf.states import REQUEUED, ended_as, reason_of


def from_rows(rows: Iterable[Row]) -> list[Ending]:
    """The endings among the rows of a listing. One without a time of its end has 0."""
    return [_of_row(row) for row in rows if row.state in ENDED]


def from_text(listing: bytes, cluster: str, now: int) -> list[Ending]:
    """The endings that bacct or bhist tells; one that may not be its job's is nobody's: no key, no user."""
    return [
        _of_text(id_, told, doubtful, cluster)
        for id_, told, doubtful in long.endings(listing, now)
        if reason_of(told.ending) not in REQUEUED
    ]


def _of_row(row: Row) -> Ending:
    return Ending(
        ref=row.ref,
        state=row.state,
        started_at=row.started_at,
        ended_at=row.ended_at or 0,
        exit_status=row.exit_status if row.started_at is not None else None,
        nodes=row.nodes,
        native_state=row.native_state,
        user=row.user,
        group=row.group,
        account=row.account,
        queue=row.queue,
        cores=sum(cores for _, cores in row.nodes),
        memory=row.memory if row.nodes else 0,
        gpus=row.gpus if row.nodes else 0,
        cpu_seconds=row.cpu_seconds,
        memory_used=row.memory_used,
    )


def _of_text(id_: str, told: Told, doubtful: bool, cluster: str) -> Ending:
    native = "DONE" if told.done else "EXIT"
    reason = reason_of(told.ending)
    ran = told.started_at is not None and bool(told.hosts)
    return Ending(
        ref=ref_of("" if doubtful else told.name, cluster, id_, minute(told.submitted_at or 0)),
        state=ended_as(native, reason, ran),
        started_at=told.started_at if ran else None,
        ended_at=told.ended_at or 0,
        exit_status=told.exit_status if ran else None,
        nodes=told.hosts if ran else (),
        native_state=f"{native} {reason}".strip(),
        user="" if doubtful else told.user,
        account="" if doubtful else told.project,
        queue=told.queue,
        cores=sum(cores for _, cores in told.hosts) if ran else 0,
        cpu_seconds=told.cpu_seconds,
        memory_used=told.memory,
    )
