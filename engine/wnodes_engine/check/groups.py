"""Groups of nodes that parts are placed over: that no node is in two of them, and none is empty."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.names import Names
from wnodes_engine.language import syntax
from wnodes_engine.values import Node

_MANY: Final = "*"


def groups(
    written: tuple[syntax.Name, ...], names: Names, nodes: Collection[Node]
) -> tuple[checked.NodeGroup, ...] | None:
    """The groups of these names; None, and findings, where one is not there or two of them overlap.

    `nodes` are those of the site, where it says which: then the groups are looked at on them, too.
    """
    made: list[tuple[syntax.Name, checked.NodeGroup]] = []
    for name in written:
        found = names.group(name)
        if found is None:
            return None
        made.append((name, checked.NodeGroup(name.dotted, found)))
        if nodes and not any(found.has(node.name, node.properties) for node in nodes):
            message = f"no node of the site is in `{name.dotted}`"
            names.report.add("W111", message, name.span, "look at its patterns and properties")
    sound = True
    for (_, first), (at, second) in combinations(made, 2):
        if (both := _in_both(first, second, nodes)) is not None:
            message = f"`{first.name}` and `{second.name}` overlap: {both}"
            names.report.add("E173", message, at.span, "let each node be in one of them")
            sound = False
    return tuple(group for _, group in made) if sound else None


def _in_both(first: checked.NodeGroup, second: checked.NodeGroup, nodes: Collection[Node]) -> str | None:
    """What is in both groups, as a phrase; None where nothing is, or where only the nodes could tell."""
    one, other = first.nodes, second.nodes
    if first.name == second.name:
        return "it stands here twice"
    for node in nodes:
        if one.has(node.name, node.properties) and other.has(node.name, node.properties):
            return f"node {node.name} is in both"
    properties = [frozenset(one.properties), frozenset(other.properties)]
    if nodes or not (properties[0] <= properties[1] or properties[1] <= properties[0]):
        return None
    for a in one.patterns or (_MANY,):
        for b in other.patterns or (_MANY,):
            if can_meet(a, b):
                return f'"{a}" and "{b}" can be the same node'
    return None


def can_meet(one: str, other: str) -> bool:
    """Whether some name is matched by both patterns."""
    letters = {chr(max(1, ord(c) + step)) for c in one + other for step in (-1, 0, 1)}
    first, second = _steps(one, letters), _steps(other, letters)
    reached, seen = [(0, 0)], {(0, 0)}
    while reached:
        i, j = reached.pop()
        if i == len(first) and j == len(second):
            return True
        nexts = []
        a, b = first[i] if i < len(first) else None, second[j] if j < len(second) else None
        if a is not None and a[1]:
            nexts.append((i + 1, j))
        if b is not None and b[1]:
            nexts.append((i, j + 1))
        if a is not None and b is not None and a[0] & b[0]:
            nexts.append((i if a[1] else i + 1, j if b[1] else j + 1))
        new = [pair for pair in nexts if pair not in seen]
        seen.update(new)
        reached += new
    return False


def _steps(pattern: str, letters: Collection[str]) -> list[tuple[frozenset[str], bool]]:
    """The pattern letter by letter: which of `letters` may stand there, and whether any number of them."""
    steps: list[tuple[frozenset[str], bool]] = []
    at = 0
    while at < len(pattern):
        # A `]` right behind the opening one, or behind its `!`, stands for itself.
        first = at + (3 if pattern.startswith("[!", at) else 2)
        end = pattern.find("]", first) if pattern[at] == "[" else -1
        piece = pattern[at] if end < 0 else pattern[at : end + 1]
        if piece in ("*", "?") or len(piece) > 1:
            fitting = frozenset(c for c in letters if fnmatchcase(c, piece))
        else:
            fitting = frozenset(piece)
        steps.append((fitting, piece == _MANY))
        at += len(piece)
    return steps
