"""Reading what TORQUE writes: the XML of `qstat -x` and `pbsnodes -x`, the server's settings, ids.

TORQUE escapes `<`, `>`, `&` and quotes in every value, so no value holds a tag; control characters it leaves
as they are, which no XML parser takes: the tags are looked for instead. One document follows another where
several jobs were asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Final

from wnodes_batch.bulk import Unreadable, remembered
from wnodes_engine.values import Node

from wnodes_torque.jobs import Row, row
from wnodes_torque.nodes import Seen
from wnodes_torque.states import is_offline, takes_work
from wnodes_torque.words import (
    Size,
    exec_host,
    mib,
    moment,
    node_spec,
    number,
    seconds,
    slots,
)

_BETWEEN: Final = re.compile(rb"(?:\s|<\?xml[^<>]*\?>|</?Data>)*")
_ELEMENT: Final = re.compile(rb"<([A-Za-z_]+)>([^<]*)")
_OF_JOB: Final = re.compile(
    rb"<(Job_Id|Job_Name|Job_Owner|ctime|job_state|substate|euser|egroup|Account_Name|queue|start_time"
    rb"|comp_time|exec_host|Hold_Types|comment|start_count|exit_status|cput|mem)>([^<]*)"
)
_PHYSICAL: Final = re.compile(r"(?:^|,)physmem=([^,]*)")
_DISK: Final = re.compile(r"(?:^|,)size=[^,:]*:([^,]*)")


def jobs(listing: bytes, cluster: str) -> list[Row]:
    """The jobs of `qstat -x`. Raises Unreadable."""
    text: Callable[[bytes], str] = remembered(_text)
    asked: Callable[[bytes], Size] = remembered(_asked)
    limit: Callable[[bytes], int | None] = remembered(_limit)
    used: Callable[[bytes], int | None] = remembered(lambda field: seconds(_text(field)))
    rows: list[Row] = []
    for job in _records(listing, b"Job"):
        before, _, rest = job.partition(b"<Resource_List>")
        resources, _, after = rest.partition(b"</Resource_List>")
        said = dict(_OF_JOB.findall(before))  # what it has used is in here too
        said.update(_OF_JOB.findall(after))
        get = said.get
        if not (id_ := get(b"Job_Id")):
            raise Unreadable("a job of qstat has no id")
        status = get(b"exit_status")
        rows.append(
            row(
                cluster,
                _text(id_),
                name=_text(get(b"Job_Name", b"")),
                created=_moment(get(b"ctime", b"")),
                native=text(get(b"job_state", b"")),
                substate=text(get(b"substate", b"")),
                user=text(get(b"euser") or get(b"Job_Owner", b"").partition(b"@")[0]),
                group=text(get(b"egroup", b"")),
                account=text(get(b"Account_Name", b"")),
                queue=text(get(b"queue", b"")),
                asked=asked(resources),
                walltime=limit(resources),
                started_at=_moment(get(b"start_time", b"")),
                ended_at=_moment(get(b"comp_time", b"")),
                nodes=exec_host(_text(get(b"exec_host", b""))),
                holds=text(get(b"Hold_Types", b"")),
                reason=text(get(b"comment", b"")),
                starts=number(text(get(b"start_count", b""))),
                exit_status=_signed(text(status)) if status else None,
                cpu_seconds=used(get(b"cput", b"")),
                memory_used=mib(_text(get(b"mem", b""))) or None,
            )
        )
    return rows


def nodes(listing: bytes) -> Seen:
    """The nodes of `pbsnodes -x`. Raises Unreadable."""
    found: list[Node] = []
    taken: dict[str, int] = {}
    notes: dict[str, str] = {}
    offline: set[str] = set()
    for shown in _records(listing, b"Node"):
        said = {name: _text(value) for name, value in _ELEMENT.findall(shown)}
        name, state = said.get(b"name", ""), said.get(b"state", "")
        if not name:
            raise Unreadable("a node of pbsnodes has no name")
        status = said.get(b"status", "")
        physical, disk = _PHYSICAL.search(status), _DISK.search(status)
        properties = said.get(b"properties", "")
        found.append(
            Node(
                name=name,
                cores=number(said.get(b"np", "")),
                memory=mib(physical[1]) if physical else 0,
                gpus=number(said.get(b"gpus", "")),
                disk=mib(disk[1]) if disk else 0,
                properties=frozenset(word for word in properties.split(",") if word),
                up=takes_work(state, said.get(b"power_state", "") or "Running"),
            )
        )
        taken[name] = _taken(said.get(b"jobs", ""))
        if is_offline(state):
            offline.add(name)
        if note := said.get(b"note", ""):
            notes[name] = note
    return Seen(tuple(found), taken, frozenset(offline), notes)


def settings(listing: bytes) -> dict[str, str]:
    """The server's attributes, of `qstat -B -f -1`. Raises Unreadable."""
    lines = listing.decode("utf-8", "replace").splitlines()
    if not any(line.startswith("Server: ") for line in lines):
        raise Unreadable("the server's attributes do not begin with its name")
    said: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition(" = ")
        if equals:
            said.setdefault(name.strip(), value.strip())
    return said


def _records(listing: bytes, tag: bytes) -> Iterator[bytes]:
    """The records of one or several documents, each whole. Raises Unreadable."""
    start, end = b"<%b>" % tag, b"</%b>" % tag
    at = opened = 0
    while (begins := listing.find(start, at)) >= 0:
        if begins > at:
            opened += _opened(listing, at, begins, tag)
        ends = listing.find(end, begins)
        if ends < 0:
            raise Unreadable(f"a {tag.decode()} of a listing has no end")
        if not opened:
            raise Unreadable(f"a {tag.decode()} of a listing is in no document of TORQUE's")
        yield listing[begins + len(start) : ends]
        at = ends + len(end)
    if opened + _opened(listing, at, len(listing), tag):
        raise Unreadable(f"a listing of {tag.decode()} is not whole")


def _opened(listing: bytes, start: int, end: int, tag: bytes) -> int:
    """How many documents begin between two records, less those that end there. Raises Unreadable."""
    if _BETWEEN.fullmatch(listing, start, end) is None:
        raise Unreadable(
            f"a listing of {tag.decode()} has something between: {listing[start : start + 80]!r}"
        )
    return listing.count(b"<Data>", start, end) - listing.count(b"</Data>", start, end)


def _text(field: bytes) -> str:
    return unescape(text) if "&" in (text := field.decode("utf-8", "replace")) else text


def _moment(field: bytes) -> int | None:
    return int(field) or None if field.isdigit() and len(field) < 13 else moment(_text(field))


def _signed(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def _asked(resources: bytes) -> Size:
    """What a list of resources asks for: `mem` of the whole job, or `pmem` of each of its processes."""
    said = {name: _text(value) for name, value in _ELEMENT.findall(resources)}
    spec = node_spec(said[b"nodes"]) if b"nodes" in said else Size()
    named = (number(said.get(name, "")) for name in (b"procs", b"ncpus"))
    cores = spec.cores or next((many for many in named if many), 1)
    memory = mib(said.get(b"mem", "")) or mib(said.get(b"pmem", "")) * cores
    return Size(cores, memory, spec.gpus or number(said.get(b"gpus", "")))


def _limit(resources: bytes) -> int | None:
    return seconds(_text(dict(_ELEMENT.findall(resources)).get(b"walltime", b"")))


def _taken(listed: str) -> int:
    """The slots of `0-1/23.vm,2,4/25.vm` or of `0/23.vm, 1/23.vm`."""
    return sum(slots(part.strip().partition("/")[0]) for part in listed.split(",") if part.strip())
