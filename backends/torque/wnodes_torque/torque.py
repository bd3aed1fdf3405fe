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

from wnodes_engine.values import Node

from wnodes_torque.jobs import Row, remembered, row
from wnodes_torque.nodes import Seen
from wnodes_torque.states import is_offline, takes_work
from wnodes_torque.words import (
    Size,
    Unreadable,
    exec_host,
    mib,
    moment,
    node_spec,
    number,
    seconds,
    slots,
)

_BETWEEN: Final = re.compile(rb"(?:\s|<\?xml[^<>]*\?>|</?Data>)*")
_PHYSICAL: Final = re.compile(r"(?:^|,)physmem=([^,]*)")
_DISK: Final = re.compile(r"(?:^|,)size=[^,:]*:([^,]*)")


def jobs(listing: bytes, cluster: str) -> list[Row]:
    """The jobs of `qstat -x`. Raises Unreadable."""
    text: Callable[[bytes], str] = remembered(_text)
    asked: Callable[[bytes], Size] = remembered(_asked)
    limit: Callable[[bytes], int | None] = remembered(lambda field: seconds(text(field)))
    rows: list[Row] = []
    for job in _records(listing, b"Job"):
        resources = _part(job, b"Resource_List")
        used = _part(job, b"resources_used")
        id_ = _of(job, b"Job_Id")
        if not id_:
            raise Unreadable("a job of qstat has no id")
        status = _of(job, b"exit_status")
        rows.append(
            row(
                cluster,
                _text(id_),
                name=_text(_of(job, b"Job_Name")),
                created=moment(_text(_of(job, b"ctime"))),
                native=text(_of(job, b"job_state")),
                substate=text(_of(job, b"substate")),
                user=text(_of(job, b"euser") or _of(job, b"Job_Owner").partition(b"@")[0]),
                group=text(_of(job, b"egroup")),
                account=text(_of(job, b"Account_Name")),
                queue=text(_of(job, b"queue")),
                asked=asked(resources),
                walltime=limit(_of(resources, b"walltime")),
                started_at=moment(_text(_of(job, b"start_time"))),
                ended_at=moment(_text(_of(job, b"comp_time"))),
                nodes=exec_host(_text(_of(job, b"exec_host"))),
                holds=text(_of(job, b"Hold_Types")),
                reason=text(_of(job, b"comment")),
                starts=number(text(_of(job, b"start_count"))),
                exit_status=_signed(text(status)) if status else None,
                cpu_seconds=seconds(_text(_of(used, b"cput"))) if used else None,
                memory_used=mib(_text(_of(used, b"mem"))) or None if used else None,
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
        name, state = _text(_of(shown, b"name")), _text(_of(shown, b"state"))
        if not name:
            raise Unreadable("a node of pbsnodes has no name")
        status = _text(_of(shown, b"status"))
        physical, disk = _PHYSICAL.search(status), _DISK.search(status)
        properties = _text(_of(shown, b"properties"))
        found.append(
            Node(
                name=name,
                cores=number(_text(_of(shown, b"np"))),
                memory=mib(physical[1]) if physical else 0,
                gpus=number(_text(_of(shown, b"gpus"))),
                disk=mib(disk[1]) if disk else 0,
                properties=frozenset(word for word in properties.split(",") if word),
                up=takes_work(state, _text(_of(shown, b"power_state")) or "Running"),
            )
        )
        taken[name] = _taken(_text(_of(shown, b"jobs")))
        if is_offline(state):
            offline.add(name)
        if note := _text(_of(shown, b"note")):
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
    if listing.count(b"<Data>") != listing.count(b"</Data>") or (
        listing.strip() and b"<Data>" not in listing
    ):
        raise Unreadable(f"a listing of {tag.decode()} is not whole, or no XML of TORQUE's")
    at = 0
    while (begins := listing.find(start, at)) >= 0:
        _nothing_between(listing, at, begins, tag)
        ends = listing.find(end, begins)
        if ends < 0:
            raise Unreadable(f"a {tag.decode()} of a listing has no end")
        yield listing[begins + len(start) : ends]
        at = ends + len(end)
    _nothing_between(listing, at, len(listing), tag)


def _nothing_between(listing: bytes, start: int, end: int, tag: bytes) -> None:
    if end > start and _BETWEEN.fullmatch(listing, start, end) is None:
        raise Unreadable(
            f"a listing of {tag.decode()} has something between: {listing[start : start + 80]!r}"
        )


def _of(record: bytes, tag: bytes) -> bytes:
    """The value of a tag; empty where it is not."""
    start = record.find(b"<%b>" % tag)
    if start < 0:
        return b""
    start += len(tag) + 2
    return record[start : record.find(b"<", start)]


def _part(record: bytes, tag: bytes) -> bytes:
    """All that is between a tag and its end."""
    start = record.find(b"<%b>" % tag)
    return record[start + len(tag) + 2 : record.find(b"</%b>" % tag, start)] if start >= 0 else b""


def _text(field: bytes) -> str:
    return unescape(text) if "&" in (text := field.decode("utf-8", "replace")) else text


def _signed(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def _asked(resources: bytes) -> Size:
    """What a list of resources asks for: `mem` of the whole job, or `pmem` of each of its processes."""
    spec = node_spec(_text(_of(resources, b"nodes"))) if b"<nodes>" in resources else Size()
    named = (number(_text(_of(resources, name))) for name in (b"procs", b"ncpus"))
    cores = spec.cores or next((many for many in named if many), 1)
    memory = mib(_text(_of(resources, b"mem"))) or mib(_text(_of(resources, b"pmem"))) * cores
    return Size(cores, memory, spec.gpus or number(_text(_of(resources, b"gpus"))))


def _taken(listed: str) -> int:
    """The slots of `0-1/23.vm,2,4/25.vm` or of `0/23.vm, 1/23.vm`."""
    return sum(slots(part.strip().partition("/")[0]) for part in listed.split(",") if part.strip())
