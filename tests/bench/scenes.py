"""What the benchmarks measure: policies of any length as text, farms, loads and requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Node, Placement, Request

NOW = 1_767_600_000
DAY = 86_400
GIB = 1 << 10
CALLS = 1_000
"""How many calls one round is made of."""

NODES = tuple(Node(f"wn{n:04}", cores=24, memory=96 * GIB) for n in range(1, 1001))
LARGE_FARM = tuple(Node(f"wn{n:05}", cores=24, memory=96 * GIB) for n in range(1, 10_001))

_TREE = """
share grid 92% {
    share lhc 80% {
        share atlas 90%
        share cms   10% borrow none
    }
    share small 20%
}
share local 8%

default memory   2GiB
default walltime 12h

assign grid.lhc.atlas when origin == grid and group == "atlas"
assign grid.lhc.cms   when origin == grid and group == "cms"
assign grid.small     when origin == grid
assign local          otherwise

quota for group "atlas" in grid: cores <= 20000, running <= 9000
quota for each user in grid:     cores <= 2000
quota for each project:          core_hours <= 10000000 per 30d

order grid by fairshare of group half-life 7d, age best effort

route job, vmjob, vm, pool to farm queue "{share}" account "{group}"
"""

_DEEP_TREE = """
share grid 92% {
    share lhc 80% {
        share atlas 90% {
            share production 80%
            share analysis   20%
        }
        share cms 10% borrow none {
            share physics 90%
            share test    10%
        }
    }
    share small 20%
}
share local 8%

default memory   2GiB
default walltime 12h

assign grid.lhc.atlas.production when origin == grid and group == "atlas" and "production" in roles
assign grid.lhc.atlas.analysis   when origin == grid and group == "atlas"
assign grid.lhc.cms.physics      when origin == grid and group == "cms"
assign grid.small                when origin == grid
assign local                     otherwise

quota for group "atlas" in grid:  cores <= 200000, running <= 90000
quota for each user in grid:      cores <= 20000, memory <= 400TiB
quota for each user in grid.lhc:  running <= 2500
quota for share grid.lhc:         cores <= 220000
quota for each project:           core_hours <= 100000000 per 30d

order grid by fairshare of group half-life 7d, age best effort

route job, vmjob, vm, pool to farm queue "{share}" account "{group}"
"""


def policy(rules: int) -> str:
    """A share tree of depth 3, 3 quotas and so many admission rules.

    Each rule is for one group, user or project, or for one share or kind that `job` has nothing to do with:
    of however many there are, three can match a request of ada's.
    """
    return f'policy bench "{rules} rules"\n{_TREE}\n' + "\n".join(_rules(rules)) + "\n"


def deep_policy(rules: int) -> str:
    """A share tree of depth 4, 5 quotas (7 limits, which all count ada), and rules as in `policy`."""
    return f'policy deep "{rules} rules"\n{_DEEP_TREE}\n' + "\n".join(_rules(rules)) + "\n"


def _rules(count: int) -> Iterator[str]:
    for i in range(count):
        ours = i < 5
        pins = (
            f'group == "{"atlas" if ours else f"vo{i}"}"',
            f'user == "{"ada" if ours else f"user{i}"}"',
            f'has project and project == "{"higgs" if ours else f"project{i}"}"',
            "in grid.small",
            "kind == vm",
        )
        yield f'deny "rule {i}" when {pins[i % 5]} and walltime > {20 + i}d'


def long_policy(lines: int) -> str:
    """A policy of so many lines, with statements of many kinds; checking it finds no error."""
    head = f'policy long "{lines} lines"\n{_TREE}\n'.splitlines()
    return "\n".join([*head, *(_statement(i) for i in range(lines - len(head)))]) + "\n"


def _statement(i: int) -> str:
    match i % 6:
        case 0:
            return f'deny "too long for vo{i}" when group == "vo{i}" and walltime > {1 + i % 9}d'
        case 1:
            return f'let friends{i} = {{"ada{i}", "bob{i}", "eve{i}"}}'
        case 2:
            return f'deny "not from friends" when user in friends{i - 1} and cores > 8 unless "ops" in roles'
        case 3:
            return f'quota for group "vo{i}" in grid: cores <= {100 + i}, memory <= {1 + i}GiB'
        case 4:
            return f'priority +{1 + i % 50} when kind in {{job, vmjob}} and group in {{"vo{i}", "cms"}}'
        case _:
            return f'cap walltime {1 + i % 20}d when group == "vo{i}"    # as agreed'


def refusing_policy(rules: int) -> str:
    """A policy with so many rules to be held against each other; none of them makes another needless."""
    ranges = (f'deny "rule {i}" when cores > {8 + i} and memory < {1 + i}MiB' for i in range(0, rules, 2))
    pinned = (
        f'deny "rule {i}" when group == "vo{i % 40}" and cores > {8 + i} and memory > {rules - i}GiB'
        for i in range(1, rules, 2)
    )
    return "\n".join(["policy refusing", _TREE, *ranges, *pinned]) + "\n"


def checked(text: str) -> CheckedPolicy:
    """The checked policy of a text without errors."""
    found, findings = check_policy(load_text(text, "bench.policy"))
    assert found is not None, findings
    return found


def job(n: int, **fields: Any) -> Request:
    """The n-th of many requests of ada's, of a few sizes, with these fields."""
    cores = 1 << n % 4
    usual: dict[str, Any] = {
        "id": f"job{n}",
        "kind": "job",
        "origin": "grid",
        "user": "ada",
        "group": "atlas",
        "project": "higgs",
        "submitted": NOW - n % 600,
        "cores": cores,
        "memory": 2 * GIB * cores,
        "walltime": 7200 + 3600 * (n % 5),
    }
    return Request(**usual | fields)


def jobs(**fields: Any) -> list[Request]:
    """As many requests as a round has calls."""
    return [job(n, **fields) for n in range(CALLS)]


_numbers = count()


def strangers(**fields: Any) -> list[Request]:
    """As many requests, no two of which are alike in user, project, size and walltime, today or ever."""
    return [
        job(
            n % 4,
            id=f"stranger{n}",
            **{
                "user": f"stranger{n}",
                "project": f"new{n}",
                "memory": 2 * GIB + n % 7919,
                "walltime": 3600 + n,
            }
            | fields,
        )
        for n in (next(_numbers) for _ in range(CALLS))
    ]


def load(memory: int, nodes: Sequence[Node] = NODES) -> Iterator[tuple[Request, tuple[Placement, ...]]]:
    """One allocation on each node, of 8 cores and so much memory in MiB; every fourth is mia's, of cms."""
    for n, node in enumerate(nodes):
        whose = {"group": "cms", "user": "mia"} if n % 4 == 0 else {"user": f"user{n % 40}"}
        held = job(n, id=f"held{n}", cores=8, memory=memory, project=None, walltime=DAY, **whose)
        yield held, (Placement(node.name, 1),)


def state(text: str, memory: int = 32 * GIB, nodes: Sequence[Node] = NODES) -> State:
    """The farm under a policy, every node loaded with that much memory."""
    made = State(compile_policy(checked(text)), nodes)
    for request, placement in load(memory, nodes):
        made.start(request, placement, NOW - 3600)
    return made
