"""The nodes, and where a request fits: an index that finds the best node without looking at the others.

Nodes fall into classes (equal in what the policy's node rules say of them). Inside a class they stand by
free GPUs, then free cores, then sorted by free memory and name, so that the tightest node that fits is one
bisection away; a bitmap by the magnitude of the free memory skips whole rows when memory is exhausted.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Final

from wnodes_engine.core.claim import Part
from wnodes_engine.core.tree import Amounts
from wnodes_engine.values import Node

_NAME_BITS: Final = 24
_NAME_MASK: Final = (1 << _NAME_BITS) - 1

Where = tuple[tuple[int, int], ...]
"""A placement inside the core: (node index, parts) in the order chosen."""


Free = tuple[int, int, int, int]
"""What is free on a node: cores, memory, GPUs, disk; below 0 where more is held than there is."""


class _Row:
    """The up nodes of one class with the same number of free GPUs, by free cores.

    `cells[c]` holds the nodes with c free cores as -(memory << 24 | index), ascending: the node with the
    least memory and the first name stands last, where lists are cheap to change. `reach[k]` has bit c set
    where the cell's largest memory has a bit length of k or more.
    """

    __slots__ = ("cells", "reach")

    def __init__(self) -> None:
        self.cells: dict[int, list[int]] = {}
        self.reach: list[int] = [0]

    def add(self, cores: int, memory: int, node: int) -> None:
        key = -(memory << _NAME_BITS | node)
        cell = self.cells.setdefault(cores, [])
        most = -cell[0] >> _NAME_BITS if cell else -1
        insort(cell, key)
        if memory > most:
            reach, bit = self.reach, 1 << cores
            while len(reach) <= memory.bit_length():
                reach.append(0)
            for k in range(most.bit_length() + 1 if most >= 0 else 0, memory.bit_length() + 1):
                reach[k] |= bit

    def remove(self, cores: int, memory: int, node: int) -> None:
        cell = self.cells[cores]
        key = -(memory << _NAME_BITS | node)
        del cell[bisect_left(cell, key)]
        lowest = (-cell[0] >> _NAME_BITS).bit_length() + 1 if cell else 0
        if lowest <= memory.bit_length():
            off = ~(1 << cores)
            for k in range(lowest, memory.bit_length() + 1):
                self.reach[k] &= off

    def rows(self, cores: int, memory: int) -> int:
        """A bitmap of the free-core counts, from `cores` up, whose cells may hold a node that fits."""
        k = memory.bit_length()
        return self.reach[k] >> cores << cores if k < len(self.reach) else 0


class Farm:
    """All nodes of the site: their capacity, what is free on them, and which are up.

    Nodes are known by their index in the order of their names.
    """

    def __init__(self, nodes: Iterable[Node], classify: Sequence[object]) -> None:
        """`classify` gives each node, in the order of names, the value that makes its class."""
        self.nodes = sorted(nodes, key=lambda node: node.name)
        self.names = [node.name for node in self.nodes]
        self.index = {name: i for i, name in enumerate(self.names)}
        if len(self.index) != len(self.nodes):
            raise ValueError("two nodes have the same name")
        if len(self.nodes) > _NAME_MASK:
            raise ValueError(f"a farm has at most {_NAME_MASK} nodes")
        marks = {mark: i for i, mark in enumerate(dict.fromkeys(classify))}
        self.class_marks = list(marks)
        self.class_of = [marks[mark] for mark in classify]
        self.cores = [node.cores for node in self.nodes]
        self.memory = [node.memory for node in self.nodes]
        self.gpus = [node.gpus for node in self.nodes]
        self.disk = [node.disk for node in self.nodes]
        self._rows: list[dict[int, _Row]] = [{} for _ in marks]
        self.free_cores = [0] * len(marks)
        self._is_open = False
        self.up = [node.up for node in self.nodes]
        self.open()

    # ------------------------------------------------------------ what changes

    def close(self) -> None:
        """Very much is about to be taken or given back, and nobody looks for nodes until `open`."""
        self._is_open = False

    def open(self) -> None:
        """Let nodes be found."""
        if not self._is_open:
            self._is_open = True
            self._rows = [{} for _ in self._rows]
            self.free_cores = [0] * len(self._rows)
            for node in range(len(self.nodes) - 1, -1, -1):  # the first name stands last in its row
                if self.up[node]:
                    self._enter(node)

    def set_up(self, node: int, up: bool) -> None:
        """Let a node take new work, or no longer."""
        if self.up[node] != up:
            self.up[node] = up
            if up:
                self._enter(node)
            else:
                self._leave(node)

    def take(self, node: int, part: Part, parts: int) -> None:
        """Hold so many parts on the node; a negative number gives them back."""
        up = self.up[node] and self._is_open
        if up:
            self._leave(node)
        self.cores[node] -= part.cores * parts
        self.memory[node] -= part.memory * parts
        self.gpus[node] -= part.gpus * parts
        self.disk[node] -= part.disk * parts
        if up:
            self._enter(node)

    def _enter(self, node: int) -> None:
        # What native work over-commits counts as nothing free.
        cores, memory = max(0, self.cores[node]), max(0, self.memory[node])
        gpus, kind = max(0, self.gpus[node]), self.class_of[node]
        rows = self._rows[kind]
        row = rows.get(gpus)
        if row is None:
            row = rows[gpus] = _Row()
            self._rows[kind] = dict(sorted(rows.items()))
        row.add(cores, memory, node)
        self.free_cores[kind] += cores

    def _leave(self, node: int) -> None:
        cores, memory = max(0, self.cores[node]), max(0, self.memory[node])
        kind = self.class_of[node]
        self._rows[kind][max(0, self.gpus[node])].remove(cores, memory, node)
        self.free_cores[kind] -= cores

    # ------------------------------------------------------------ what is there

    def free(self, node: int) -> Free:
        """What is free on the node now."""
        return self.cores[node], self.memory[node], self.gpus[node], self.disk[node]

    def fit(self, node: int, part: Part) -> int:
        """How many parts fit on the node now."""
        return fit(part, self.cores[node], self.memory[node], self.gpus[node], self.disk[node])

    def tightest(self, part: Part, kinds: Sequence[int]) -> int:
        """The node that fits one part and has the least left (GPUs, cores, memory, name), or -1."""
        best: tuple[int, int, int, int] | None = None
        for kind in kinds:
            for gpus, row in self._rows[kind].items():
                if gpus < part.gpus:
                    continue
                found = self._tightest_in(row, part)
                if found >= 0:
                    if len(kinds) == 1:
                        return found
                    rank = (gpus, max(0, self.cores[found]), max(0, self.memory[found]), found)
                    if best is None or rank < best:
                        best = rank
                    break
        return best[3] if best else -1

    def _tightest_in(self, row: _Row, part: Part) -> int:
        rows, wanted = row.rows(part.cores, part.memory), -(part.memory << _NAME_BITS)
        cells = row.cells
        while rows:
            low = rows & -rows
            cell = cells[low.bit_length() - 1]
            if cell[0] <= wanted:  # its largest memory is enough: where memory is short, few are
                at = bisect_right(cell, wanted) - 1
                if not part.disk:
                    return -cell[at] & _NAME_MASK
                while at >= 0:
                    node = -cell[at] & _NAME_MASK
                    if self.disk[node] >= part.disk:
                        return node
                    at -= 1
            rows ^= low
        return -1

    def in_order(self, part: Part, kinds: Sequence[int], spread: bool) -> Iterator[int]:
        """The nodes that fit at least one part: tightest first, or emptiest first when `spread`."""
        rows = ((gpus, row) for kind in kinds for gpus, row in self._rows[kind].items())
        streams = [self._stream(row, gpus, part, spread) for gpus, row in rows if gpus >= part.gpus]
        if len(streams) == 1:
            return map(_LAST, streams[0])
        return map(_LAST, heapq.merge(*streams))

    def _stream(self, row: _Row, gpus: int, part: Part, spread: bool) -> Iterator[tuple[int, int, int, int]]:
        rows, wanted = row.rows(part.cores, part.memory), -(part.memory << _NAME_BITS)
        while rows:
            cores = rows.bit_length() - 1 if spread else (rows & -rows).bit_length() - 1
            rows ^= 1 << cores
            cell = row.cells[cores]
            fitting = cell[: bisect_right(cell, wanted)]
            if spread:
                fitting.sort(key=lambda key: (-(-key >> _NAME_BITS), -key & _NAME_MASK))
            else:
                fitting.reverse()
            for key in fitting:
                node, memory = -key & _NAME_MASK, -key >> _NAME_BITS
                if self.disk[node] >= part.disk or not part.disk:
                    yield (gpus, -cores, -memory, node) if spread else (gpus, cores, memory, node)

    def emptiest(self, kinds: Sequence[int]) -> Iterator[int]:
        """All nodes that are up: fewest free GPUs first, then most free cores, most memory, last name."""
        rows = ((gpus, row.cells) for kind in kinds for gpus, row in self._rows[kind].items())
        for _, _, key in heapq.merge(*(_emptiest_of(gpus, cells) for gpus, cells in rows)):
            yield -key & _NAME_MASK

    # ------------------------------------------------------------- its capacity

    def configured(self) -> Amounts:
        """The capacity of all nodes, up or not."""
        return total(self.nodes)

    def taking(self) -> Amounts:
        """The capacity of the nodes that take new work."""
        return total(node for node, up in zip(self.nodes, self.up, strict=True) if up)

    def live(self) -> Amounts:
        """The capacity of the nodes that are up, and what is still held on the others."""
        total = list(self.taking())
        for i, node in enumerate(self.nodes):
            if not self.up[i]:
                held = node.cores - self.cores[i]
                total[0] += held
                total[1] += node.memory - self.memory[i]
                total[2] += node.gpus - self.gpus[i]
                total[3] += node.disk - self.disk[i]
                total[4] += held * node.factor
        return tuple(total)


_LAST: Final = itemgetter(3)


def fit(part: Part, cores: int, memory: int, gpus: int, disk: int) -> int:
    """How many parts fit into so much; a part that takes nothing at all fits without end, as 2^30."""
    # Written out: reservations ask this hundreds of times a pass.
    times = cores // part.cores if part.cores else 1 << 30
    if part.memory and memory // part.memory < times:
        times = memory // part.memory
    if part.gpus and gpus // part.gpus < times:
        times = gpus // part.gpus
    if part.disk and disk // part.disk < times:
        times = disk // part.disk
    return times if times > 0 else 0


def more(free: Free, part: Part, parts: int) -> Free:
    """What is free once so many parts have gone; a negative number takes them."""
    return (
        free[0] + part.cores * parts,
        free[1] + part.memory * parts,
        free[2] + part.gpus * parts,
        free[3] + part.disk * parts,
    )


def _emptiest_of(gpus: int, cells: dict[int, list[int]]) -> Iterator[tuple[int, int, int]]:
    for cores in sorted(cells, reverse=True):
        for key in cells[cores]:
            yield gpus, -cores, key


def total(nodes: Iterable[Node]) -> Amounts:
    """What the nodes have together, in the order of `RESOURCES`."""
    cores = memory = gpus = disk = hs23 = 0
    for node in nodes:
        cores += node.cores
        memory += node.memory
        gpus += node.gpus
        disk += node.disk
        hs23 += node.cores * node.factor
    return cores, memory, gpus, disk, hs23
