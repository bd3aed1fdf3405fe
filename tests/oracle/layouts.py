"""How a place rule lays out parts over groups of nodes: the ways that there are, the first tried first."""

from __future__ import annotations

from collections.abc import Iterator

from oracle.placing import Before, Part, nothing
from oracle.state import State
from wnodes_engine.check.checked import Place

Layout = tuple[list[str], Before]
"""The nodes that may be used, and what decides between them first."""


def layouts(state: State, rule: Place | None, room: dict[str, Part]) -> Iterator[Layout]:
    """The ways as the rule has them; `room` is that of the open nodes."""
    if rule is None or not rule.groups:
        yield list(room), nothing
        return
    group = groups_of(state, rule)
    numbers = range(len(rule.groups))
    free = [sum(max(0, room[name]["cores"]) for name in room if group[name] == g) for g in numbers]

    def evenly(name: str, placed: dict[str, int]) -> tuple[int, ...]:
        if group[name] < 0:
            return (1,)
        return 0, sum(placed[n] for n in placed if group[n] == group[name]), group[name]

    def roomiest(name: str, placed: dict[str, int]) -> tuple[int, ...]:
        return (1,) if group[name] < 0 else (0, -free[group[name]], group[name])

    if rule.spread and not rule.in_one:
        yield list(room), evenly
        return
    for g in sorted(numbers, key=lambda g: (free[g], g)):
        yield [name for name in room if group[name] == g], nothing
    if not rule.in_one:
        yield list(room), roomiest


def frugal(state: State, rule: Place | None, room: dict[str, Part]) -> Iterator[Layout]:
    """The ways on the nodes with the lowest benchmark factor; in one group where they have to."""

    def lowest(name: str, _: dict[str, int]) -> tuple[int, ...]:
        return (state.nodes[name].factor,)

    in_one = rule is not None and rule.in_one
    ways = layouts(state, rule, room) if in_one else [(list(room), nothing)]
    yield from ((names, lowest) for names, _ in ways)


def groups_of(state: State, rule: Place) -> dict[str, int]:
    """By node: the first group of the rule that it is in, -1 for none."""
    members = [state.in_set(group.nodes) for group in rule.groups]
    return {name: next((g for g, names in enumerate(members) if name in names), -1) for name in state.nodes}
