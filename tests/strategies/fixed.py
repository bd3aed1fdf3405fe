"""One long stream that is the same in every process, and what the engine answers to it."""

from __future__ import annotations

from strategies.checking import checked
from strategies.streams import BEGIN
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Decision, Node, Request, ShareUse

POLICY = """
policy fixed
share grid 50% { share lhc 80% share small 20% borrow 10% lend 50% }
share local 30% borrow 50%
share rest weight 1
default walltime 1h when origin == grid
cap walltime 2d unless in rest
assign grid.lhc when origin == grid and group in {"alice", "cms"}
assign grid.small when origin == grid
assign local when "ops" in roles or "trial" in roles
assign rest otherwise
deny "too wide" when cores * count > 12 and not ("ops" in roles)
quota for each role: cores <= 20
quota for each user in local: running <= 6, core_hours <= 400 per 1d
quota for nodes "n1*": memory <= 30GiB
priority +5 when "ops" in roles
order grid.lhc by fairshare of group half-life 1h, priority, age
order local by priority, age strict
nodes "n2", "n3" preferred when memory > 1GiB
place job spread when count > 2
route job, vmjob, vm, pool to simulated
"""


def answers() -> tuple[list[Decision], list[tuple[str, Decision]], list[tuple[ShareUse, ...]]]:
    """Every decision, every start and the shares after every pass."""
    nodes = [Node(f"n{i}", cores=4 + i % 3 * 4, memory=16384, gpus=i % 2) for i in range(12)]
    state = State(compile_policy(checked(POLICY)), nodes)
    decisions, starts, shares = [], [], []
    for i in range(400):
        now = BEGIN + 37 * i
        request = Request(
            f"r{i}",
            "job",
            ("grid", "local", "cloud")[i % 3],
            f"user{i * 7 % 11}",
            ("alice", "cms", "guest")[i * 5 % 3],
            now,
            roles=frozenset([("ops", "trial", "shift")[j] for j in range(3) if i >> j & 1]),
            cores=1 + i * 13 % 5,
            memory=512 * (i * 3 % 7),
            count=1 + i * 11 % 4,
            walltime=600 * (1 + i * 17 % 9),
        )
        decisions += [decide(state, request, now), state.submit(request, now)]
        if i % 5 == 4:
            starts += [(start.request.id, start.decision) for start in state.schedule(now).starts]
            shares.append(state.shares(now))
            for request_id in sorted(state.running)[: i % 7]:
                state.finish(request_id, now)
    return decisions, starts, shares
