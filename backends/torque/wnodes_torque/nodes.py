"""Nodes as both systems show them, and where parts go that may not go everywhere."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from wnodes_engine.backend import SlotRequest
from wnodes_engine.values import Node


class Seen(msgspec.Struct, frozen=True):
    """The nodes; the cores that are taken on each; which are offline, and the notes that say why."""

    nodes: tuple[Node, ...]
    taken: Mapping[str, int]
    offline: frozenset[str]
    notes: Mapping[str, str]


def placed(slot: SlotRequest, seen: Seen) -> tuple[tuple[str, int], ...]:
    """Parts on nodes for a slot that is kept to some nodes, or off some: neither system can be told so.

    Those that take work come first, then those with the most free cores. Empty if the nodes are too small.
    """
    allowed = frozenset(slot.allowed or (node.name for node in seen.nodes)) - frozenset(slot.excluded)
    fit = [node for node in seen.nodes if node.name in allowed]

    def free(node: Node) -> int:
        return node.cores - seen.taken.get(node.name, 0)

    order = sorted(fit, key=lambda node: (not node.up, -free(node), node.name))
    for room in (lambda node: free(node) if node.up else 0, lambda node: node.cores):
        chosen: list[tuple[str, int]] = []
        missing = slot.count
        for node in order:
            if parts := min(missing, max(0, room(node)) // slot.cores):
                chosen.append((node.name, parts))
                missing -= parts
            if not missing:
                return tuple(chosen)
    return ()
