"""The hosts as nodes: from bhosts and lshosts, which only administrators and LSF itself write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from wnodes_batch.bulk import Unreadable
from wnodes_engine.values import Node

from wnodes_lsf.fields import HostSaid
from wnodes_lsf.states import takes_work
from wnodes_lsf.words import mib, number

_COMMENT: Final = re.compile(r"^ ?ADMIN ACTION COMMENTS?: *\n?(.*)$", re.MULTILINE)
_NAMES: Final = ("HOST_NAME", "type", "model", "cpuf", "ncpus", "maxmem", "maxswp", "server")


class Machine(msgspec.Struct, frozen=True):
    """What lshosts tells of a host; cores and memory (MiB) are 0 while it is away."""

    cores: int
    memory: int
    marks: frozenset[str]


def machines(listing: str) -> dict[str, Machine]:
    """The machines of `lshosts -w`. Raises Unreadable."""
    header, *lines = listing.split("\n")
    columns = header.split()
    if tuple(columns[: len(_NAMES)]) != _NAMES:
        raise Unreadable(f"lshosts begins with {header[:80]!r}")
    found: dict[str, Machine] = {}
    for line in lines:
        values = line.split()
        if not values:
            continue
        if len(values) < len(_NAMES):
            raise Unreadable(f"lshosts shows a host as {line[:80]!r}")
        marks = set(line.partition("(")[2].rpartition(")")[0].split())
        marks |= {f"type:{values[1]}", f"model:{values[2]}"}
        found[values[0]] = Machine(number(values[4]), mib(values[5]), frozenset(marks))
    return found


def nodes(
    listing: Iterable[HostSaid], seen: Mapping[str, Machine], before: Mapping[str, Node]
) -> tuple[Node, ...]:
    """The nodes; what nobody tells of one that is away is as it was `before`. Its slots are its cores."""
    made: list[Node] = []
    for said in listing:
        machine = seen.get(said.host_name, Machine(0, 0, frozenset()))
        last = before.get(said.host_name)
        made.append(
            Node(
                name=said.host_name,
                cores=number(said.max) or machine.cores or (last.cores if last else 0),
                memory=machine.memory or (last.memory if last else 0),
                gpus=number(said.ngpus) or (last.gpus if last and not takes_work(said.status) else 0),
                properties=machine.marks,
                up=takes_work(said.status),
            )
        )
    return tuple(made)


def comment(listing: str) -> str:
    """Why an administrator has closed a host, of `bhosts -l`; empty without a reason."""
    matched = _COMMENT.search(listing)
    return matched[1].strip().strip('"') if matched else ""
