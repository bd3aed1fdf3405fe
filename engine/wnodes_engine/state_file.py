"""Farm and state documents: what the farm is made of, and how it stands at one moment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any, Final

from wnodes_engine.documents import DocumentError, Positions, read_document
from wnodes_engine.findings import Finding
from wnodes_engine.language.literals import LiteralError, number
from wnodes_engine.values import Node

MOST_NODES: Final = 200_000
"""How many nodes a farm may have, ranges expanded."""

_RANGES: Final = re.compile(r"\[([^]]*)\]")


def load_farm(path: str | Path) -> tuple[Node, ...]:
    """The nodes of the farm in the file at `path`, ranges of names expanded. Raises DocumentError."""
    value, positions = read_document(path, "farm")
    return nodes_of(value["nodes"], positions)


def nodes_of(entries: Sequence[Mapping[str, Any]], positions: Positions) -> tuple[Node, ...]:
    """The nodes of a document's valid `nodes`. Raises DocumentError for what the schema cannot say."""
    nodes: dict[str, Node] = {}
    findings: list[Finding] = []
    for at, entry in enumerate(entries):
        key = "name"
        try:
            names = _expanded(entry["name"], MOST_NODES - len(nodes), nodes)
            key = "memory"
            memory = mib(entry["memory"])
            key = "disk"
            disk = mib(entry.get("disk", 0))
            key = "hs23"
            factor = _thousandths(entry.get("hs23", 1))
        except LiteralError as error:
            findings.append(Finding("E194", str(error), positions.of("nodes", at, key), help=error.help))
            continue
        gpus, up = entry.get("gpus", 0), entry.get("up", True)
        properties = frozenset(entry.get("properties", ()))
        for name in names:
            nodes[name] = Node(name, entry["cores"], memory, gpus, disk, factor, properties, up)
    if findings:
        raise DocumentError(findings)
    return tuple(nodes.values())


def mib(size: int | str) -> int:
    """A size as documents write it, in MiB: `98304` or `96GiB`. Raises LiteralError."""
    return size if isinstance(size, int) else number(size)[0] // 1000


def _thousandths(value: float) -> int:
    if abs(value * 1000 - round(value * 1000)) > 1e-6 or value < 0.001:
        raise LiteralError(f"{value} has more decimals than are kept", "round it to three decimals")
    return round(value * 1000)


def _expanded(pattern: str, most: int, taken: Mapping[str, Node]) -> list[str]:
    """The names that a pattern with ranges stands for. Raises LiteralError."""
    parts = _RANGES.split(pattern)
    choices = [
        [part] if at % 2 == 0 else list(islice(_range(part), most + 1)) for at, part in enumerate(parts)
    ]
    names = ["".join(name) for name in islice(product(*choices), most + 1)]
    if len(names) > most:
        raise LiteralError(f"with '{pattern}' there are more than {MOST_NODES:,} nodes", "narrow the range")
    seen = set(names)
    if len(seen) < len(names):
        raise LiteralError(f"'{pattern}' says the same name twice", "let the ranges not overlap")
    if again := next((name for name in names if name in taken), None):
        raise LiteralError(f"there is a node named '{again}' already", "give each node a name of its own")
    if long := next((name for name in names if len(name) > 255), None):
        raise LiteralError(f"the name '{long[:20]}…' is too long", "a name has at most 255 characters")
    return names


def _range(text: str) -> Iterator[str]:
    """`001-100,150`: each number, as wide as the first of its range is written."""
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        last = last or first
        if len(last) > 18 or len(first) > 18:
            raise LiteralError(f"'{piece[:24]}' is too long for a range", "a number has at most 18 digits")
        if int(last) < int(first):
            raise LiteralError(f"the range '{piece}' runs backwards", f"write '{last}-{first}'")
        for count in range(int(first), int(last) + 1):
            yield f"{count:0{len(first)}d}"
