"""Reading what OpenPBS and PBS Pro write: the JSON of `qstat -f -F json` and `pbsnodes -a -F json`.

A value that looks like a number is written as one, whatever it is; so each may be either. Times of jobs are
text, in the zone of whoever asks: our commands run in UTC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from wnodes_batch.bulk import Unreadable, remembered
from wnodes_engine.values import Node

from wnodes_torque.jobs import Row, row
from wnodes_torque.nodes import Seen
from wnodes_torque.states import is_offline, takes_work
from wnodes_torque.words import Size, exec_host, exec_vnode, mib, moment, number, seconds

Said = str | int | float | bool | None
F = TypeVar("F")

_NO_PROJECT: Final = "_pbs_project_default"
_BUILT_IN: Final = frozenset({"arch", "host", "vnode", "mem", "ncpus", "ngpus", "vmem"})
_BARE: Final = re.compile(r'^(\s*"(?:[^"\\]|\\.)*":\s*)([^\s"{\[][^"\n]*?)(,?)[ \t]*$', re.MULTILINE)
_KNOWN: Final = frozenset({"true", "false", "null"})

_JOB_NAMES: Final = {
    "name": "Job_Name",
    "owner": "Job_Owner",
    "account": "Account_Name",
    "holds": "Hold_Types",
    "exit_status": "Exit_status",
    "asked": "Resource_List",
}


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a job asks for."""

    ncpus: Said = None
    mem: Said = None
    ngpus: Said = None
    walltime: Said = None


class Used(msgspec.Struct, frozen=True, gc=False):
    """What a job has used."""

    cput: Said = None
    mem: Said = None


class ShownJob(msgspec.Struct, frozen=True, gc=False, rename=_JOB_NAMES):
    """What is read of a job; all that is not named here is passed over."""

    name: Said = ""
    owner: Said = ""
    job_state: Said = ""
    substate: Said = ""
    queue: Said = ""
    account: Said = ""
    project: Said = ""
    euser: Said = ""
    egroup: Said = ""
    ctime: Said = ""
    mtime: Said = ""
    stime: Said = ""
    obittime: Said = ""
    history_timestamp: Said = ""
    exec_host: Said = ""
    exec_vnode: Said = ""
    holds: Said = ""
    comment: Said = ""
    run_count: Said = ""
    exit_status: Said = None
    asked: Asked = Asked()
    resources_used: Used = Used()


class ShownNode(msgspec.Struct, frozen=True, gc=False):
    """What is read of a node."""

    state: Said = ""
    comment: Said = ""
    resources_available: dict[str, Said] = {}
    resources_assigned: dict[str, Said] = {}


class JobListing(msgspec.Struct, frozen=True, gc=False, rename={"jobs": "Jobs"}):
    """A listing of jobs; without any, they are left out."""

    pbs_server: Said
    jobs: dict[str, ShownJob] = {}


class UnreadListing(msgspec.Struct, frozen=True, gc=False, rename={"jobs": "Jobs"}):
    """The same, with each job as it was written: all of them at once are larger than the listing."""

    pbs_server: Said
    jobs: dict[str, msgspec.Raw] = {}


class NodeListing(msgspec.Struct, frozen=True, gc=False):
    """A listing of nodes; one that is not there has its own name for its only attribute."""

    pbs_server: Said
    nodes: dict[str, ShownNode] = {}


class ServerListing(msgspec.Struct, frozen=True, gc=False, rename={"server": "Server"}):
    """The server, by its name."""

    pbs_version: Said
    timestamp: Said
    server: dict[str, dict[str, Any]] = {}


class Fields(msgspec.Struct, frozen=True):
    """How fields are read of which most jobs have what others have, too."""

    size: Callable[[Asked], Size]
    seconds: Callable[[str], int | None]
    when: Callable[[str], int | None]
    same: Callable[[str], str]


_JOB: Final = msgspec.json.Decoder(ShownJob)
_NO_JSON: Final = (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError)


def jobs(listing: bytes, cluster: str) -> list[Row]:
    """The jobs of a listing. Raises Unreadable."""
    fields = Fields(remembered(_size), remembered(seconds), remembered(moment), remembered(str))
    try:
        unread = msgspec.json.decode(listing, type=UnreadListing).jobs
        return [_row(cluster, id_, _JOB.decode(unread.pop(id_)), fields) for id_ in list(unread)]
    except _NO_JSON:
        shown = _mended(listing, JobListing).jobs
        return [_row(cluster, id_, shown.pop(id_), fields) for id_ in list(shown)]


def nodes(listing: bytes) -> Seen:
    """The nodes of a listing. Raises Unreadable."""
    found: list[Node] = []
    taken: dict[str, int] = {}
    notes: dict[str, str] = {}
    offline: set[str] = set()
    for name, shown in _read(listing, NodeListing).nodes.items():
        state, has = _text(shown.state), shown.resources_available
        if not state and not has:
            continue  # `{"nosuch": "Unknown node "}`, with exit code 0
        found.append(
            Node(
                name=name,
                cores=number(_text(has.get("ncpus"))),
                memory=mib(_text(has.get("mem"))),
                gpus=number(_text(has.get("ngpus"))),
                properties=frozenset(
                    f"{key}:{word}"
                    for key, value in has.items()
                    if key not in _BUILT_IN
                    for word in _text(value).split(",")
                ),
                up=takes_work(state),
            )
        )
        taken[name] = number(_text(shown.resources_assigned.get("ncpus")))
        if is_offline(state):
            offline.add(name)
        if note := _text(shown.comment):
            notes[name] = note
    return Seen(tuple(found), taken, frozenset(offline), notes)


def settings(listing: bytes) -> dict[str, str]:
    """The server's attributes, of `qstat -B -f -F json`. Raises Unreadable."""
    read = _read(listing, ServerListing)
    if not read.server:
        raise Unreadable("the server's attributes are not there")
    attributes = next(iter(read.server.values()))
    said = {name: _text(value) for name, value in attributes.items() if not isinstance(value, dict | list)}
    return {**said, "timestamp": _text(read.timestamp), "pbs_version": _text(read.pbs_version)}


def _row(cluster: str, id_: str, job: ShownJob, fields: Fields) -> Row:
    resources, used = job.asked, job.resources_used
    project = "" if (named := _text(job.project)) == _NO_PROJECT else named
    over = _text(job.job_state) in {"F", "X"}
    placed = exec_vnode(_text(job.exec_vnode)) or exec_host(_text(job.exec_host))
    when, same = fields.when, fields.same
    endings = (job.obittime, job.history_timestamp, job.mtime) if over else ()
    ended = next((at for at in map(when, map(_text, endings)) if at), None)
    return row(
        cluster,
        id_,
        name=_text(job.name),
        created=when(_text(job.ctime)),
        native=same(_text(job.job_state)),
        substate=_text(job.substate),
        user=same(_text(job.euser) or _text(job.owner).partition("@")[0]),
        group=same(_text(job.egroup)),
        account=same(_text(job.account) or project),
        queue=same(_text(job.queue)),
        asked=fields.size(resources),
        walltime=fields.seconds(_text(resources.walltime)),
        started_at=when(_text(job.stime)),
        ended_at=ended,
        nodes=placed,
        holds=same(_text(job.holds)),
        reason=same(_text(job.comment)),
        starts=number(_text(job.run_count)),
        exit_status=_whole(job.exit_status),
        cpu_seconds=fields.seconds(_text(used.cput)),
        memory_used=mib(_text(used.mem)) or None,
        project=same(project),
    )


def _size(asked: Asked) -> Size:
    return Size(number(_text(asked.ncpus)), mib(_text(asked.mem)), number(_text(asked.ngpus)))


def _text(said: Any) -> str:
    """A value as text: what was written as a number is one of whole numbers only."""
    if isinstance(said, str):
        return said
    if said is None or isinstance(said, dict | list):
        return ""
    if isinstance(said, float) and said.is_integer() and abs(said) < 1e18:
        return str(int(said))
    return str(said)


def _whole(said: Said) -> int | None:
    return said if isinstance(said, int) and not isinstance(said, bool) and abs(said) < 1 << 31 else None


def _read(listing: bytes, form: type[F]) -> F:
    """A listing in its form; what older servers write against the rules of JSON is put right first."""
    try:
        return msgspec.json.decode(listing, type=form)
    except _NO_JSON:
        return _mended(listing, form)


def _mended(listing: bytes, form: type[F]) -> F:
    text = _BARE.sub(_quoted, listing.decode("utf-8", "replace"))
    try:
        return msgspec.convert(json.loads(text, strict=False), form, strict=True)
    except (ValueError, msgspec.ValidationError, RecursionError) as error:
        raise Unreadable(f"a listing is not the JSON of PBS: {str(error)[:200]}") from None


def _quoted(matched: re.Match[str]) -> str:
    """A value without quotes, such as `007`, with them."""
    before, value, comma = matched.groups()
    if value in _KNOWN:
        return matched[0]
    return f"{before}{json.dumps(value)}{comma}"
