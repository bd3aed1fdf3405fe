"""Reading sacct: rows of jobs and of their steps, and the endings that they tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec
from wnodes_batch.bulk import Unreadable, remembered
from wnodes_batch.hostlist import expand
from wnodes_batch.tags import ref_of
from wnodes_engine.backend import ENDED, Ending, JobState

from wnodes_slurm.columns import Columns
from wnodes_slurm.jobs import Row, text_of
from wnodes_slurm.states import JOB_STATES, MAY_RETURN
from wnodes_slurm.words import TAG_WIDTH, Resources, mib, moment, number, resources, seconds

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
_JOB_ID: Final = COLUMNS.names.index("JobID")
_MAX_RSS: Final = COLUMNS.names.index("MaxRSS")
UNNAMED: Final = "allocation"
"""The name of a job until the controller has told accounting more; seconds, as a rule."""


class Record(msgspec.Struct, frozen=True):
    """One job, or one start of it, in accounting; it has ended only if the state of its `ending` says so.

    `unnamed`: its name is not known yet; `may_return`: it may have been queued again.
    """

    ending: Ending
    submitted: int
    unnamed: bool
    may_return: bool


def read(listing: bytes, cluster: str) -> list[Record]:
    """The records of a listing; the steps that follow a job tell what it used. Raises Unreadable."""
    records: list[Record] = []
    readers = _Readers()
    job: tuple[bytes, ...] | None = None
    memory = 0
    for fields in COLUMNS.records(listing):
        if b"." not in fields[_JOB_ID]:
            if job is not None:
                records.append(_record(job, memory, cluster, readers))
            job, memory = fields, 0
        elif job is not None and fields[_JOB_ID].startswith(job[_JOB_ID].rstrip(b" ") + b"."):
            memory = max(memory, readers.memory(fields[_MAX_RSS]))
    if job is not None:
        records.append(_record(job, memory, cluster, readers))
    return records


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


class _Readers:
    """Readers of fields that many records share."""

    def __init__(self) -> None:
        self.text: Callable[[bytes], str] = remembered(text_of)
        self.memory: Callable[[bytes], int] = remembered(lambda field: mib(text_of(field)))
        self.tres: Callable[[bytes], Resources] = remembered(lambda field: resources(text_of(field)))


def _record(fields: tuple[bytes, ...], memory: int, cluster: str, readers: _Readers) -> Record:
    text = readers.text
    (_, id_, state, code, submit, start, end, user, group, account, queue, qos, tres, nodes, cpu, _) = fields
    name = text_of(fields[0])
    native = text(state).split(" ")[0].rstrip("+")  # CANCELLED by 1000
    held = readers.tres(tres)
    exited, _, signal = text(code).partition(":")
    ended_at = moment(text_of(end))
    submitted = moment(text_of(submit)) or 0
    places = _places(text_of(nodes), held.cores)
    ending = Ending(
        ref=ref_of(name, cluster, text_of(id_), submitted),
        state=JOB_STATES.get(native, JobState.UNKNOWN) if ended_at is not None else JobState.UNKNOWN,
        started_at=moment(text_of(start)) if places else None,  # else Slurm says when it ended
        ended_at=ended_at or 0,
        exit_status=_status(native, number(exited), number(signal)),
        nodes=places,
        native_state=text(state),
        user=text(user),
        group=text(group),
        account=text(account),
        queue=text(queue),
        qos=text(qos),
        cores=held.cores,
        memory=held.memory,
        gpus=held.gpus,
        cpu_seconds=seconds(text(cpu)),
        memory_used=memory or None,
    )
    return Record(ending, submitted, unnamed=name == UNNAMED, may_return=native in MAY_RETURN)


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
        names = (nodes,) if nodes.isalnum() else expand(nodes)
    except ValueError as error:
        raise Unreadable(str(error)) from None
    each, more = divmod(cores, len(names))
    return tuple((name, each + (at < more)) for at, name in enumerate(names))


def latest(records: Iterable[Record]) -> Iterator[Record]:
    """Of several records of one job the last that was submitted: those before it were no end."""
    last: dict[object, Record] = {}
    for record in records:
        known = last.get(record.ending.ref)
        if known is None or (record.submitted, record.ending.ended_at) >= (
            known.submitted,
            known.ending.ended_at,
        ):
            last[record.ending.ref] = record
    return iter(last.values())
