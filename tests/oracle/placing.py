"""On which nodes the parts of a request go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wnodes_engine.check.checked import Ceiling
from wnodes_engine.values import Node, Placement

ON_NODE = ("cores", "memory", "gpus", "disk")

Part = dict[str, int]
"""What one part asks of its node, by resource."""


@dataclass
class Budget:
    """No more than `parts` on these nodes together, because of that ceiling."""

    nodes: frozenset[str]
    parts: int
    ceiling: Ceiling


def size(node: Node) -> Part:
    """All that a node has."""
    return {"cores": node.cores, "memory": node.memory, "gpus": node.gpus, "disk": node.disk}


def parts_in(room: Part, part: Part) -> int:
    """How many parts the room takes, over the resources that are asked for."""
    return max(0, min(room[r] // part[r] for r in ON_NODE if part[r] > 0))


Before = Callable[[str, dict[str, int]], tuple[int, ...]]
"""What of a node, and of the parts that stand already, decides before anything else; smaller is first."""


def nothing(_name: str, _placed: dict[str, int]) -> tuple[int, ...]:
    """Nothing comes before what decides everywhere."""
    return ()


def place(
    free: dict[str, Part],
    part: Part,
    count: int,
    spread: bool,
    rank: dict[str, int],
    budgets: list[Budget],
    before: Before,
) -> tuple[Placement, ...] | None:
    """Where `count` parts go, all or none: nodes in the order of their first choice.

    `free` is the room of every candidate by name, `rank` 0 for nodes that are preferred and more for others.
    """
    room = {name: dict(amounts) for name, amounts in free.items()}
    placed: dict[str, int] = {}

    def takes(name: str) -> int:
        limits = [
            budget.parts - sum(placed.get(n, 0) for n in budget.nodes)
            for budget in budgets
            if name in budget.nodes
        ]
        return max(0, min([parts_in(room[name], part), *limits]))

    def left_on(name: str, r: str) -> int:
        return max(0, room[name][r])

    def packed(name: str) -> tuple[object, ...]:
        return rank[name], left_on(name, "gpus"), left_on(name, "cores"), left_on(name, "memory"), name

    def spread_out(name: str) -> tuple[object, ...]:
        most = (-left_on(name, "cores"), -left_on(name, "memory"))
        return rank[name], placed.get(name, 0), left_on(name, "gpus"), *most, name

    while (left := count - sum(placed.values())) > 0:
        able = [name for name in room if takes(name) > 0]
        if not able:
            return None
        key = spread_out if spread else packed
        best = min(able, key=lambda name: (before(name, placed), key(name)))
        parts = 1 if spread else min(left, takes(best))
        placed[best] = placed.get(best, 0) + parts
        for r in ON_NODE:
            room[best][r] -= part[r] * parts
    return tuple(Placement(name, parts) for name, parts in placed.items())
