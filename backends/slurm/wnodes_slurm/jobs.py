"""Reading squeue: rows of a listing, and the jobs that they show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec
from wnodes_batch.bulk import Unreadable, remembered
from wnodes_batch.hostlist import expand
from wnodes_batch.tags import ref_of
from wnodes_engine.backend import ENDED, Job, JobRef, JobState

from wnodes_slurm.columns import Columns
from wnodes_slurm.states import job_state
from wnodes_slurm.words import TAG_WIDTH, Resources, moment, number, resources, seconds

COLUMNS: Final = Columns(
    (
        ("Name", TAG_WIDTH),
        ("JobArrayID", 24),
        ("State", 16),
        ("UserName", 32),
        ("GroupName", 32),
        ("Account", 32),
        ("Partition", 32),
        ("QOS", 24),
        ("tres-alloc", 160),
        ("TimeLimit", 16),
        ("SubmitTime", 12),
        ("StartTime", 12),
        ("EndTime", 12),
        ("NodeList", 64),
        ("Reason", 40),
        ("PriorityLong", 12),
        ("RestartCnt", 6),
        ("exit_code", 8),
    ),
    b"|",
)
FORMAT: Final = ",".join(
    f"{name}:{width}|" for name, width in zip(COLUMNS.names, COLUMNS.widths, strict=True)
)
_NODE_LIST: Final = COLUMNS.names.index("NodeList")


Cores = tuple[tuple[str, int], ...]


class Row(msgspec.Struct, frozen=True, gc=False):
    """One job as squeue lists it; `cut`: the list of its nodes did not fit into its column."""

    ref: JobRef
    state: JobState
    native_state: str
    user: str
    group: str
    account: str
    queue: str
    qos: str
    held: Resources
    walltime: int | None
    started_at: int | None
    ended_at: int | None
    nodes: str
    cut: bool
    reason: str
    restarts: int
    exit_code: int


def read(listing: bytes, cluster: str) -> list[Row]:
    """The rows of a listing. Raises Unreadable."""
    return list(_rows(listing, cluster))


def _rows(listing: bytes, cluster: str) -> Iterator[Row]:
    text: Callable[[bytes], str] = remembered(text_of)
    tres: Callable[[bytes], Resources] = remembered(lambda field: resources(text_of(field)))
    limit: Callable[[bytes], int | None] = remembered(lambda field: seconds(text_of(field)))
    for fields in COLUMNS.records(listing):
        (name, id_, native, user, group, account, queue, qos, held, time_limit) = fields[:10]
        (submitted, started, ended, nodes, reason, priority, restarts, code) = fields[10:]
        state = text(native)
        yield Row(
            ref=ref_of(text_of(name), cluster, text_of(id_), moment(text_of(submitted)) or 0),
            state=job_state(state, text(reason), text(priority)),
            native_state=state,
            user=text(user),
            group=text(group),
            account=text(account),
            queue=text(queue),
            qos=text(qos),
            held=tres(held),
            walltime=limit(time_limit),
            started_at=moment(text(started)),
            ended_at=moment(text(ended)),
            nodes=text(nodes),
            cut=COLUMNS.is_full(_NODE_LIST, nodes),
            reason=text(reason),
            restarts=number(text(restarts)),
            exit_code=number(text(code)),
        )


def read_nodes(listing: bytes) -> dict[str, str]:
    """Ids and whole lists of nodes, from a listing of `id|nodes`. Raises Unreadable."""
    lists: dict[str, str] = {}
    for line in listing.decode("utf-8", "replace").splitlines():
        id_, bar, nodes = line.partition("|")
        if not bar:
            raise Unreadable("a listing of ids and nodes has another form")
        lists[id_] = nodes
    return lists


def jobs(rows: Iterable[Row], lists: Mapping[str, str], allocated: Mapping[str, int]) -> tuple[Job, ...]:
    """The jobs that have not ended.

    `lists` has the nodes of those whose column was too narrow, by id. How Slurm has spread a job over
    several nodes follows from `allocated`, the cores that each node says are taken.
    """
    live = [row for row in rows if row.state not in ENDED]
    placed: dict[JobRef, Cores] = {}
    wide: list[tuple[Row, tuple[str, ...]]] = []
    left = defaultdict(int, allocated)
    for row in live:
        if row.state not in _HOLDING or not row.nodes:
            continue
        names = _expanded(lists.get(row.ref.id, "") if row.cut else row.nodes)
        if len(names) == 1:
            placed[row.ref] = ((names[0], row.held.cores),)
            if row.state is not JobState.SUSPENDED:
                left[names[0]] -= row.held.cores
        elif names:
            wide.append((row, names))
    placed |= _spread(wide, left)
    return tuple(_job(row, placed.get(row.ref, ())) for row in live)


def _spread(wide: list[tuple[Row, tuple[str, ...]]], left: Mapping[str, int]) -> dict[JobRef, Cores]:
    """How jobs of several nodes are spread: by what is left where only one of them is, else evenly."""
    on: defaultdict[str, int] = defaultdict(int)
    for _, names in wide:
        for name in names:
            on[name] += 1
    placed: dict[JobRef, Cores] = {}
    for row, names in wide:
        seen = tuple((name, left[name]) for name in names if on[name] == 1 and left[name] > 0)
        if len(seen) == len(names) and sum(cores for _, cores in seen) == row.held.cores:
            placed[row.ref] = seen
        else:
            each, more = divmod(row.held.cores, len(names))
            placed[row.ref] = tuple((name, each + (at < more)) for at, name in enumerate(names))
    return placed


_HOLDING: Final = frozenset(
    {JobState.STARTING, JobState.RUNNING, JobState.SUSPENDED, JobState.ENDING, JobState.UNKNOWN}
)


def _job(row: Row, nodes: Cores) -> Job:
    started = row.state not in {JobState.PENDING, JobState.HELD}  # what pends has a guess for a start
    return Job(
        ref=row.ref,
        state=row.state,
        native_state=row.native_state,
        user=row.user,
        cores=row.held.cores,
        memory=row.held.memory,
        group=row.group,
        account=row.account,
        queue=row.queue,
        qos=row.qos,
        gpus=row.held.gpus,
        walltime=row.walltime,
        started_at=row.started_at if started else None,
        nodes=nodes,
        reason="" if row.reason == "None" else row.reason,
        restarts=row.restarts,
    )


def _expanded(text: str) -> tuple[str, ...]:
    try:
        return expand(text)
    except ValueError as error:
        raise Unreadable(str(error)) from None


def text_of(field: bytes) -> str:
    """A field without the blanks that fill it."""
    return field.rstrip(b" ").decode("utf-8", "replace")
