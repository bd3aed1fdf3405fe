"""Reading the accounting log's lines: `11/26/2026 02:00:00;E;12.server;user=ada group=lab … Exit_status=0 …`.

Some values are users' own words, and TORQUE puts them there as they are, blanks and all. What comes first
(user, group) and last (end, Exit_status) is the server's; a line that says a thing twice is none of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import Final

import msgspec
from wnodes_batch.bulk import Unreadable
from wnodes_batch.tags import ref_of
from wnodes_engine.backend import Ending, JobState

from wnodes_torque.commands import JOB
from wnodes_torque.states import shell_status
from wnodes_torque.words import (
    Cores,
    Size,
    exec_host,
    exec_vnode,
    mib,
    moment,
    node_spec,
    number,
    seconds,
    total,
)

STARTED: Final = "S"
ENDED: Final = "E"
DELETED: Final = "D"
ABORTED: Final = "A"
TOLD: Final = frozenset({ENDED, DELETED, ABORTED})
_LINE: Final = re.compile(r"([0-9/]{10} [0-9:]{8});([^;]);([^;]*);(.*)", re.DOTALL)
_QUOTED: Final = re.compile(r'([^\s=]+)=("(?:[^"\\]|\\.)*"|\S*)')
_ONCE: Final = frozenset(
    {"user", "group", "jobname", "queue", "ctime", "start", "exec_host", "exec_vnode", "end", "Exit_status"}
)
_FIRST: Final = frozenset({"user", "group"})
_EXIT: Final = re.compile(r"-?[0-9]{1,9}")


class Deletion(msgspec.Struct, frozen=True):
    """A job was deleted, or aborted by the server; if it had started, its end is told later."""

    id: str
    at: int
    kind: str


class Told(msgspec.Struct, frozen=True):
    """What some lines tell; `unread` counts those that are no lines of an accounting log.

    `skew` is by how many seconds the local time of the last end is from the end itself, None without one.
    """

    endings: tuple[Ending, ...]
    deletions: tuple[Deletion, ...]
    unread: int
    skew: int | None = None


def read(lines: Iterable[str], cluster: str, zone: tzinfo | None) -> Told:
    """What lines tell of endings. `zone` is the server's time zone, None for this machine's."""
    endings: list[Ending] = []
    deletions: list[Deletion] = []
    unread = 0
    last = ""
    for line in lines:
        if not line.strip():
            continue
        matched = _LINE.fullmatch(line)
        if matched is None:
            unread += 1
            continue
        when, kind, id_, text = matched.groups()
        if kind not in TOLD or not JOB.fullmatch(id_):
            continue
        try:
            if kind != ENDED:
                deletions.append(Deletion(id_, _local(when, zone), kind))
            elif "[]" not in id_:  # an array's own; each of its jobs has one
                endings.append(_ending(cluster, id_, text))
                last = when
        except (Unreadable, ValueError, OverflowError):
            unread += 1
    return Told(tuple(endings), tuple(deletions), unread, _skew(last, endings, zone))


def kinds(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Which kinds of records lines have of which jobs."""
    for line in lines:
        if (matched := _LINE.fullmatch(line)) is not None:
            yield matched[3], matched[2]


def _skew(when: str, endings: Sequence[Ending], zone: tzinfo | None) -> int | None:
    try:
        return _local(when, zone) - endings[-1].ended_at if when else None
    except ValueError:  # the line's own time is none
        return None


def _ending(cluster: str, id_: str, text: str) -> Ending:
    said, is_plain = _fields(text)
    user, ended_at, status = said.get("user", ""), moment(said.get("end", "")), said.get("Exit_status", "")
    if not user or ended_at is None or not _EXIT.fullmatch(status):
        raise Unreadable("a record of an end has no user, no time or no exit status")
    places: Cores = ()
    if is_plain:
        places = exec_vnode(said.get("exec_vnode", "")) or exec_host(said.get("exec_host", ""))
    asked = _asked(said)
    exit_status = int(status)
    name = said.get("jobname", "") if is_plain else ""
    return Ending(
        ref=ref_of(name, cluster, id_, moment(said.get("ctime", "")) or 0),
        state=JobState.DONE if exit_status == 0 else JobState.FAILED,
        started_at=moment(said.get("start", "")),
        ended_at=ended_at,
        exit_status=shell_status(exit_status),
        nodes=places,
        native_state=ENDED,
        user=user,
        group=said.get("group", ""),
        account=said.get("account", ""),
        queue=said.get("queue", ""),
        cores=total(places) or asked.cores,
        memory=asked.memory,
        gpus=asked.gpus,
        cpu_seconds=seconds(said.get("resources_used.cput", "")),
        memory_used=mib(said.get("resources_used.mem", "")) or None,
    )


def _fields(text: str) -> tuple[dict[str, str], bool]:
    """What is said, and whether each thing that matters is said once only."""
    if '="' in text:  # PBS puts values with blanks into quotes
        pairs = [[name, _unquoted(value)] for name, value in _QUOTED.findall(text)]
    else:
        pairs = [word.split("=", 1) for word in text.split(" ") if "=" in word]
    said = dict(pairs)
    if len(said) == len(pairs):
        return said, True
    names = [name for name, _ in pairs if name in _ONCE]
    said |= {name: value for name, value in reversed(pairs) if name in _FIRST}
    return said, len(names) == len(set(names))


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value.startswith('"') and value.endswith('"') else value


def _asked(said: dict[str, str]) -> Size:
    spec = node_spec(said["Resource_List.nodes"]) if said.get("Resource_List.nodes") else Size()
    cores = number(said.get("Resource_List.ncpus", "")) or spec.cores or 1
    memory = mib(said.get("Resource_List.mem", "")) or mib(said.get("Resource_List.pmem", "")) * cores
    return Size(cores, memory, number(said.get("Resource_List.ngpus", "")) or spec.gpus)


def _local(when: str, zone: tzinfo | None) -> int:
    """A time as the server writes it, in its own zone."""
    return int(datetime.strptime(when, "%m/%d/%Y %H:%M:%S").replace(tzinfo=zone).timestamp())
