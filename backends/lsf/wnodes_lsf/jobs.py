"""The jobs that listings show: rows with all that is known of each, and the jobs made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
from wnodes_batch.bulk import remembered
from wnodes_batch.tags import ref_of
from wnodes_engine.backend import ENDED, Job, JobRef, JobState

from wnodes_lsf import words
from wnodes_lsf.fields import Said
from wnodes_lsf.long import Told
from wnodes_lsf.states import HOLDING, ended_as, job_state, reason_of
from wnodes_lsf.words import Cores, Unit

_UNTOLD: Final = Told()
_ELEMENT: Final = re.compile(r".*\[([0-9]{1,7})\]", re.DOTALL)
_MINUTE: Final = 60
_SIGNAL: Final = re.compile(r"signal ([0-9]{1,3})")


_NO_PROJECT: Final = "default"
"""What LSF calls the project of a job that names none."""


class Form(msgspec.Struct, frozen=True):
    """How this LSF means what it shows: the unit of memory, whether each task has its own, its fields."""

    unit: Unit = Unit.MB
    per_task: bool = False
    has_index: bool = True


class Row(msgspec.Struct, frozen=True, gc=False):
    """One job as a listing shows it; `submitted_at` of a job that is not ours is known to the minute."""

    ref: JobRef
    state: JobState
    native_state: str
    user: str
    queue: str
    account: str
    group: str
    cores: int
    memory: int
    gpus: int
    walltime: int | None
    started_at: int | None
    ended_at: int | None
    nodes: Cores
    reason: str
    exit_status: int | None
    cpu_seconds: int | None
    memory_used: int | None


def minute(at: int) -> int:
    """Natively submitted jobs are known by the minute of their submission: most listings tell no more."""
    return at - at % _MINUTE


def id_of(said: Said, has_index: bool) -> str:
    """The id, of an element of an array with its index; where no field has that, the name ends with it."""
    if has_index:
        index = words.said(said.jobindex)
    else:
        matched = _ELEMENT.fullmatch(said.job_name)
        index = matched[1] if matched else ""
    return f"{said.jobid}[{index}]" if index not in {"", "0"} else said.jobid


def rows(
    listing: list[Said], cluster: str, now: int, form: Form, told: Mapping[str, Told] | None = None
) -> list[Row]:
    """The rows of a listing, with what the long listing tells of them, by id.

    The listing is used up, for it is large: what has been read of it is let go.
    """
    reading, told = _Reading(now, form), told or {}
    made: list[Row] = []
    listing.reverse()
    while listing:
        said = listing.pop()
        id_ = id_of(said, form.has_index)
        made.append(_row(said, id_, cluster, reading, told.get(id_, _UNTOLD)))
    return made


class _Reading:
    """Readers of fields that many jobs share."""

    def __init__(self, now: int, form: Form) -> None:
        self.unit = form.unit
        self.moment: Callable[[str], int | None] = remembered(lambda text: words.moment(text, now))
        self.places: Callable[[str], Cores] = remembered(words.exec_hosts)
        self.limit: Callable[[str], int | None] = remembered(words.run_limit)
        self.memory: Callable[[tuple[str, int, int]], int] = remembered(
            lambda asked: words.reserved(
                asked[0], form.unit, hosts=asked[1], slots=asked[2], per_task=form.per_task
            )
        )


def _row(said: Said, id_: str, cluster: str, reading: _Reading, more: Told) -> Row:
    native, moment = said.stat, reading.moment
    nodes = _nodes(reading.places(words.said(said.alloc_slot) or said.exec_host), more)
    started = more.started_at if more.started_at is not None else moment(said.start_time)
    ran = bool(nodes) or started is not None
    reason = reason_of(said.exit_reason) or reason_of(more.ending)
    state = job_state(native)
    if state in ENDED:
        state = ended_as(native, reason, ran)
    cores = sum(count for _, count in nodes) if state in HOLDING else 0
    cores = cores or _asked(said, more)
    resources = words.said(said.combined_resreq) or more.resources
    submitted = moment(said.submit_time) or more.submitted_at or 0
    return Row(
        ref=ref_of(said.job_name, cluster, id_, minute(submitted)),
        state=state,
        native_state=f"{native} {reason}".rstrip(),
        user=said.user,
        queue=said.queue,
        account=words.said(said.proj_name) or more.project,
        group=words.said(said.user_group),
        cores=cores,
        memory=reading.memory((resources, max(1, len(nodes)), cores)) if resources else 0,
        gpus=words.number(said.gpu_num),
        walltime=reading.limit(said.runtimelimit) if said.runtimelimit else more.run_limit,
        started_at=started if ran else None,
        ended_at=more.ended_at if more.ended_at is not None else moment(said.finish_time),
        nodes=nodes,
        reason=words.said(said.pend_reason),
        exit_status=_status(said, more, native),
        cpu_seconds=words.seconds(said.cpu_used) if words.said(said.cpu_used) else more.cpu_seconds,
        memory_used=(words.mib(said.max_mem, reading.unit) if words.said(said.max_mem) else more.memory)
        or None,
    )


def _nodes(shown: Cores, more: Told) -> Cores:
    """The hosts of the long listing, if it tells of one start, on the host that the other listing shows."""
    if more.starts == 1 and shown and more.hosts and more.hosts[0][0] == shown[0][0]:
        return more.hosts
    return shown


def _asked(said: Said, more: Told) -> int:
    fields = (said.nalloc_slot, said.nreq_slot, said.slots)
    return next((count for field in fields if (count := words.number(field))), more.slots or 1)


def jobs(listing: Iterable[Row], group_of: Callable[[str], str] = lambda _: "") -> tuple[Job, ...]:
    """The jobs that have not ended; `group_of` a user is the group of a job that names none."""
    return tuple(_job(row, group_of) for row in listing if row.state not in ENDED)


def _job(row: Row, group_of: Callable[[str], str]) -> Job:
    holds = row.state in HOLDING
    return Job(
        ref=row.ref,
        state=row.state,
        native_state=row.native_state,
        user=row.user,
        cores=row.cores,
        memory=row.memory,
        group=row.group or group_of(row.user),
        account=row.account,
        queue=row.queue,
        gpus=row.gpus,
        walltime=row.walltime,
        started_at=row.started_at if holds else None,
        nodes=row.nodes if holds else (),
        reason=row.reason,
        project="" if row.account == _NO_PROJECT else row.account,
    )


def _status(said: Said, more: Told, native: str) -> int | None:
    """As a shell tells it: LSF shows 128 + N for a job that a signal ended, or names the signal."""
    if native == "DONE":
        return 0
    if matched := _SIGNAL.search(said.exit_reason):
        return 128 + int(matched[1])
    code = words.said(said.exit_code)
    return int(code) if code.isdigit() and int(code) else more.exit_status
