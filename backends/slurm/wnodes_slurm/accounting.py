"""Reading sacct: rows of jobs and of their steps, and the endings that they tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from wnodes_batch.hostlist import expand
from wnodes_engine.backend import ENDED, Ending, JobState

from wnodes_slurm.columns import Columns, Unreadable
from wnodes_slurm.jobs import Row
from wnodes_slurm.states import JOB_STATES, MAY_RETURN
from wnodes_slurm.words import TAG_WIDTH, mib, moment, ref_of, resources, seconds

COLUMNS: Final = Columns(
    (
        ("JobName", TAG_WIDTH),
        ("JobID", 32),
        ("State", 24),
        ("ExitCode", 9),
        ("Submit", 12),
        ("Start", 12),
        ("End", 12),
        ("User", 32),
        ("Group", 32),
        ("Account", 32),
        ("Partition", 32),
        ("QOS", 24),
        ("AllocTRES", 160),
        ("NodeList", 128),
        ("TotalCPU", 16),
        ("MaxRSS", 16),
    ),
    b" ",
)
FORMAT: Final = ",".join(
    f"{name}%-{width}" for name, width in zip(COLUMNS.names, COLUMNS.widths, strict=True)
)
UNNAMED: Final = "allocation"
"""The name of a job until the controller has told accounting more; seconds, as a rule."""


class Record(msgspec.Struct, frozen=True):
    """One ending in accounting; `unnamed`: its name is not known yet; `may_return`: it may be queued anew."""

    ending: Ending
    submitted: int
    unnamed: bool
    may_return: bool


def read(listing: bytes, cluster: str) -> list[Record]:
    """The endings of a listing; the steps that follow a job tell what it used. Raises Unreadable."""
    records: list[Record] = []
    for fields in COLUMNS.records(listing):
        row = [field.rstrip(b" ").decode("utf-8", "replace") for field in fields]
        job, dot, _ = row[1].partition(".")
        if not dot:
            records.append(_record(row, cluster))
        elif records and records[-1].ending.ref.id == job:
            records[-1] = _with_step(records[-1], mib(row[15]))
    return [record for record in records if record.ending.state in ENDED]


def from_row(row: Row) -> Ending | None:
    """The ending of a job that squeue still shows; for clusters without accounting."""
    if row.state not in ENDED or row.ended_at is None:
        return None
    code = row.exit_code
    return Ending(
        ref=row.ref,
        state=row.state,
        started_at=row.started_at if row.nodes else None,
        ended_at=row.ended_at,
        exit_status=_status(row.native_state, code >> 8, code & 0x7F),
        nodes=_places(row.nodes, row.held.cores),
        native_state=row.native_state,
        user=row.user,
        group=row.group,
        account=row.account,
        queue=row.queue,
        qos=row.qos,
        cores=row.held.cores if row.nodes else 0,
        memory=row.held.memory if row.nodes else 0,
        gpus=row.held.gpus if row.nodes else 0,
    )


def _record(row: list[str], cluster: str) -> Record:
    (name, id_, state, code, submit, start, end, user, group, account, queue, qos, tres, nodes, cpu, _) = row
    native = state.split(" ")[0].rstrip("+")  # CANCELLED by 1000
    held = resources(tres)
    exited, _, signal = code.partition(":")
    ended_at = moment(end)
    known = JOB_STATES.get(native, JobState.UNKNOWN) if ended_at is not None else JobState.UNKNOWN
    submitted = moment(submit) or 0
    places = _places(nodes, held.cores)
    return Record(
        Ending(
            ref=ref_of(name, cluster, id_, submitted),
            state=known,
            started_at=moment(start) if places else None,  # else Slurm says when it ended
            ended_at=ended_at or 0,
            exit_status=_status(native, int(exited or 0), int(signal or 0)),
            nodes=places,
            native_state=state,
            user=user,
            group=group,
            account=account,
            queue=queue,
            qos=qos,
            cores=held.cores,
            memory=held.memory,
            gpus=held.gpus,
            cpu_seconds=seconds(cpu),
        ),
        submitted,
        unnamed=name == UNNAMED,
        may_return=native in MAY_RETURN,
    )


def _with_step(record: Record, memory: int) -> Record:
    if not memory:
        return record
    most = max(memory, record.ending.memory_used or 0)
    ending = msgspec.structs.replace(record.ending, memory_used=most)
    return msgspec.structs.replace(record, ending=ending)


def _status(native: str, exited: int, signal: int) -> int | None:
    """The exit status that a shell would tell; what Slurm itself has ended has none of its own."""
    if signal:
        return 128 + signal
    return exited if exited or native in {"COMPLETED", "FAILED", "OUT_OF_MEMORY"} else None


def _places(nodes: str, cores: int) -> tuple[tuple[str, int], ...]:
    """The cores on each node, evenly: accounting does not tell more. A list that was cut off is left out."""
    if not nodes or nodes.startswith("None") or nodes.endswith("+"):
        return ()
    try:
        names = expand(nodes)
    except ValueError as error:
        raise Unreadable(str(error)) from None
    each, more = divmod(cores, len(names))
    return tuple((name, each + (at < more)) for at, name in enumerate(names))


def latest(records: Iterable[Record]) -> Iterator[Record]:
    """Of several records of one job the last that was submitted; of those that came back, the end alone."""
    last: dict[object, Record] = {}
    for record in records:
        known = last.get(record.ending.ref)
        if known is None or (record.submitted, record.ending.ended_at) >= (
            known.submitted,
            known.ending.ended_at,
        ):
            last[record.ending.ref] = record
    return iter(last.values())
