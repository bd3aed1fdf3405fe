"""Reading `scontrol -o show node`: what only administrators and Slurm itself write."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from wnodes_batch.bulk import Unreadable
from wnodes_engine.values import Node

from wnodes_slurm.states import takes_work
from wnodes_slurm.words import number

_GPU: Final = re.compile(r"(?:^|,)gpu(?::[^,:()]+)?:([0-9]+)")
_REASON: Final = re.compile(r" Reason=(.*?)(?: \[[^\]]*\])?$")
_NOTHING: Final = frozenset({"", "(null)", "N/A"})


class Seen(msgspec.Struct, frozen=True):
    """The nodes, the cores that are taken on each, and why some were closed."""

    nodes: tuple[Node, ...]
    allocated: dict[str, int]
    reasons: dict[str, str]


def read(listing: str, reserved_for_us: bool = False) -> Seen:
    """The nodes of a listing, a line each. Raises Unreadable."""
    nodes: list[Node] = []
    allocated: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for line in listing.split("\n"):
        if not line.startswith("NodeName="):
            if line.strip() and not nodes:
                raise Unreadable(f"a listing of nodes begins with {line[:80]!r}")
            continue  # the rest of a reason with a line break in it
        said: dict[str, str] = {}
        for word in line.split(" "):
            name, _, value = word.partition("=")
            said.setdefault(name, value)  # whatever a reason says at the end, the first one counts
        node = _node(said, reserved_for_us)
        nodes.append(node)
        allocated[node.name] = number(said.get("CPUAlloc", ""))
        if matched := _REASON.search(line):
            reasons[node.name] = matched[1]
    return Seen(tuple(nodes), allocated, reasons)


def is_drained(line: str) -> bool:
    """Whether a node, as one line shows it, takes nothing new because somebody said so."""
    state = re.search(r" State=(\S+)", line)
    return state is not None and "DRAIN" in state[1].split("+")


def _node(said: dict[str, str], reserved_for_us: bool) -> Node:
    state = said.get("State", "UNKNOWN")
    features = said.get("ActiveFeatures", "")
    partitions = said.get("Partitions", "")
    marks = {name for name in features.split(",") if name not in _NOTHING}
    marks |= {f"partition:{name}" for name in partitions.split(",") if name not in _NOTHING}
    return Node(
        name=said["NodeName"],
        cores=number(said.get("CPUEfctv", "")) or number(said.get("CPUTot", "")),
        memory=max(0, number(said.get("RealMemory", "")) - number(said.get("MemSpecLimit", ""))),
        gpus=sum(int(count) for count in _GPU.findall(said.get("Gres", ""))),
        disk=number(said.get("TmpDisk", "")),
        properties=frozenset(marks),
        up=takes_work(state, reserved_for_us),
    )
