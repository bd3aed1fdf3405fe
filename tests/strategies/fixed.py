"""Long streams that are the same in every process, and what the engine answers to them."""

from __future__ import annotations

from typing import Any

from strategies.checking import checked
from strategies.closed import leave
from strategies.streams import BEGIN
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Decision, Node, Preemption, Request, ShareUse

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


PRESSING = """
policy pressing
share grid 40% { share lhc 75% share small 25% }
share local 40%
share rest weight 1
assign grid.lhc when origin == grid and group in {"alice", "cms"}
assign grid.small when origin == grid
assign local when "ops" in roles
assign rest otherwise
quota for each role: cores <= 30
priority +5 when "trial" in roles
priority +1 per 10m waited
order any by fairshare of group half-life 1h, priority, age
reclaim for any sparing "shift" in roles taking smallest size at most 40 per hour
    by requeue, shelve for vm, pool after 3m
preempt fairly when waited > 4m at most 3 per victim by suspend, shelve for vm, pool after 1m
preempt self when waited > 8m and victim.priority < priority
    by suspend for job, checkpoint for vmjob, delete after 2m
route job, vmjob, vm, pool to simulated
"""


def moves() -> list[dict[str, Any]]:
    """What every pass did on a farm on which most have to leave for others, and the answers to who waits."""
    nodes = [Node(f"n{i}", cores=4 + i % 3 * 4, memory=16384) for i in range(4)]
    state = State(compile_policy(checked(PRESSING)), nodes)
    done, told = [], dict[str, Preemption]()
    for i in range(240):
        now = BEGIN + 47 * i
        request = Request(
            f"r{i}",
            ("job", "job", "vm", "vmjob")[i * 3 % 4],
            ("grid", "local", "cloud")[i * i % 3 if i % 40 < 20 else 0],
            f"user{i * 7 % 11}",
            ("alice", "cms", "guest")[i * 5 % 3],
            now,
            roles=frozenset([("ops", "trial", "shift")[j] for j in range(3) if i >> j & 1]),
            cores=1 + i * 13 % 4,
            memory=512 * (i * 3 % 7),
            count=1 + i * 11 % 3,
        )
        state.submit(request, now)
        for id_ in [id_ for id_, order in told.items() if order.leave_by <= now]:
            leave(state, told.pop(id_), now)
        if i % 7 == 0 and state.pledges:
            state.cancel(min(state.pledges), now)
        for id_ in sorted(state.running)[: i % 5 // 3]:
            state.finish(id_, now)
        passed = state.schedule(now)
        told |= {order.victim: order for order in passed.preemptions}
        done.append(
            {
                "starts": [(start.request.id, start.decision) for start in passed.starts],
                "resumed": passed.resumed,
                "preemptions": passed.preemptions,
                "reprieves": passed.reprieves,
                "answers": [decide(state, state.waiting[id_], now) for id_ in sorted(state.waiting)[:5]],
            }
        )
    return done
