"""Siblings start by entitlement, then by the average of what they held, then by age: by the formula."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hypothesis import assume, event, given, note, settings
from hypothesis import strategies as st
from strategies import streams
from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.values import Node, Placement, Request

NOW = streams.BEGIN // 60 * 60
MINUTE, HOUR, DAY = 60, 3600, 86400

CORES, MEMORY = 200, 100_000
NODE = Node("n1", CORES, MEMORY)

TREE = {
    "grid": ("lhc", "small"),
    "local": (),
    "cloud": (),
}
LEAVES = ("grid.lhc", "grid.small", "local", "cloud")


@dataclass(frozen=True)
class Held:
    """So many cores and so much memory, held from so many minutes ago until so many."""

    leaf: str
    cores: int
    memory: int
    begin: int
    end: int


amounts = st.sampled_from([0, 10, 20, 40])
past = st.builds(
    Held,
    st.sampled_from(LEAVES),
    st.integers(1, 12),
    st.sampled_from([0, 0, 500, 9000]),
    st.sampled_from([30, 200, 1500]),
    st.sampled_from([0, 0, 10, 25]),
)
waiting = st.tuples(
    st.sampled_from(LEAVES), st.integers(1, 12), st.sampled_from([0, 0, 3000]), st.integers(0, 3)
)
half_lives = st.sampled_from([None, HOUR, DAY])


@given(
    st.tuples(amounts, amounts, amounts, amounts),
    st.tuples(half_lives, half_lives),
    st.lists(past, max_size=6),
    st.lists(waiting, min_size=3, max_size=9),
)
@settings(max_examples=150)
def test_siblings_start_entitled_before_borrowing_then_least_average_then_oldest(
    sizes: tuple[int, int, int, int],
    halves: tuple[int | None, int | None],
    history: list[Held],
    line: list[tuple[str, int, int, int]],
) -> None:
    nominal = dict(zip(LEAVES, sizes, strict=True))
    nominal["grid"] = sizes[0] + sizes[1]
    text = policy(nominal, *halves)
    note(text)
    state = State(compile_policy(checked(text)), [NODE])
    ids = remember(state, history)
    for i, (leaf, cores, memory, age) in enumerate(line):
        asked = Request(f"r{i}", "job", "local", leaf, "cms", NOW - MINUTE * age, cores=cores, memory=memory)
        state.submit(asked, NOW)
    started = [start.request.id for start in state.schedule(NOW).starts]

    farm = Expected(nominal, halves, history, line)
    assume(farm.cores_used() + sum(cores for _, cores, _, _ in line) <= CORES)
    assume(farm.memory_used() + sum(memory for _, _, memory, _ in line) <= MEMORY)
    assert ids.isdisjoint(started)
    event(f"borrowed: {any(farm.borrows(int(id_[1:])) for id_ in started)}")
    for id_ in started:
        best = farm.next_of("farm")
        assert best is not None
        if not farm.tie:
            assert id_ == f"r{best}"
        farm.start(int(id_[1:]))
    assert len(started) == len(line)


def policy(nominal: dict[str, int], whole: int | None, grid: int | None) -> str:
    """The tree with these amounts of cores, and half-lives for the children of the farm and of `grid`."""
    orders = []
    if whole is not None:
        orders.append(f"order any by fairshare of user half-life {whole}s, age")
    if grid is not None:
        orders.append(f"order grid by fairshare of user half-life {grid}s, age")
    return "\n".join(
        [
            "policy siblings",
            f"share grid {nominal['grid']} cores {{",
            f"share lhc {nominal['grid.lhc']} cores share small {nominal['grid.small']} cores }}",
            f"share local {nominal['local']} cores share cloud {nominal['cloud']} cores",
            *(f'assign {leaf} when user == "{leaf}"' for leaf in LEAVES),
            "assign local otherwise",
            *orders,
            "route job, vmjob, vm, pool to simulated",
        ]
    )


def remember(state: State, history: list[Held]) -> set[str]:
    """Let the farm have held all this; the ids of it."""
    moments = [(held.begin, 1, i) for i, held in enumerate(history)]
    moments += [(held.end, 0, i) for i, held in enumerate(history) if held.end]
    for ago, begins, i in sorted(moments, reverse=True):
        held, at = history[i], NOW - MINUTE * ago
        if begins:
            asked = Request(
                f"h{i}", "job", "local", held.leaf, "cms", at, cores=held.cores, memory=held.memory
            )
            state.start(asked, (Placement("n1", 1),), at)
        else:
            state.finish(f"h{i}", at)
    return {f"h{i}" for i in range(len(history))}


class Expected:
    """The order of siblings as allocation.md writes it, in real numbers."""

    def __init__(
        self,
        nominal: dict[str, int],
        halves: tuple[int | None, int | None],
        history: list[Held],
        line: list[tuple[str, int, int, int]],
    ) -> None:
        self.cores = nominal | {"farm": CORES}
        self.halves = {"farm": halves[0] or 7 * DAY, "grid": halves[1] or halves[0] or 7 * DAY}
        self.history = history
        self.line = line
        self.left = list(range(len(line)))
        self.tie = False

    def next_of(self, share: str) -> int | None:
        """Whose turn it is below this share, as an index into the line."""
        self.tie = False
        return self._next(share)

    def _next(self, share: str) -> int | None:
        children = {"farm": ["grid", "local", "cloud"], "grid": ["grid.lhc", "grid.small"]}.get(share)
        if children is None:
            own = [i for i in self.left if self.line[i][0] == share]
            return min(own, key=lambda i: (-self.line[i][3], i), default=None)
        offers = [(child, i) for child in children if (i := self._next(child)) is not None]
        if not offers:
            return None
        ranked = sorted((self.rank(share, child, i), i) for child, i in offers)
        if len(ranked) > 1:
            (one, two) = (rank[1] for rank, _ in ranked[:2])
            same_side = ranked[0][0][0] == ranked[1][0][0]
            # In whole numbers of 2^-20 what is as near as that may be the same.
            self.tie |= same_side and one != two and math.isclose(one, two, rel_tol=1e-4, abs_tol=1e-4)
        return ranked[0][1]

    def rank(self, parent: str, share: str, i: int) -> tuple[bool, float, int, int]:
        """Entitled first, then the least average by amount, then the oldest."""
        _, cores, memory, age = self.line[i]
        ratios = []
        for resource, ask, amount in (
            ("cores", cores, self.cores[share]),
            ("memory", memory, MEMORY * self.cores[share] // CORES),
        ):
            average = ask + sum(
                self.average(held, resource, self.halves[parent])
                for held in self.history
                if inside(held.leaf, share)
            )
            if average:
                ratios.append(average / amount if amount else math.inf)
        return self.borrows(i, share), max(ratios), -age, i

    def borrows(self, i: int, share: str | None = None) -> bool:
        """Whether a share (its leaf) would hold more than its amount with this one."""
        leaf, cores, memory, _ = self.line[i]
        share = share or leaf
        mine = [held for held in self.history if inside(held.leaf, share) and not held.end]
        more_cores = sum(held.cores for held in mine) + cores > self.cores[share]
        amount = MEMORY * self.cores[share] // CORES
        more_memory = memory > 0 and sum(held.memory for held in mine) + memory > amount
        return more_cores or more_memory

    def average(self, held: Held, resource: str, half_life: int) -> float:
        """What is left of it in the exponential average of now."""
        amount = held.cores if resource == "cores" else held.memory
        at_end = amount * (1 - 2 ** (-MINUTE * (held.begin - held.end) / half_life))
        return float(at_end * 2 ** (-MINUTE * held.end / half_life))

    def start(self, i: int) -> None:
        """It holds what it asked for, from now on: that has no past."""
        leaf, cores, memory, _ = self.line[i]
        self.left.remove(i)
        self.history = [*self.history, Held(leaf, cores, memory, 0, 0)]

    def cores_used(self) -> int:
        return sum(held.cores for held in self.history if not held.end)

    def memory_used(self) -> int:
        return sum(held.memory for held in self.history if not held.end)


def inside(leaf: str, share: str) -> bool:
    return share == "farm" or f"{leaf}.".startswith(f"{share}.")
