"""Simulation: the published workload model's jobs, through the whole scheduler."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from bench.conftest import Measure
from bench.scenes import NODES, checked, policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.simulate.mapping import PLAIN
from wnodes_engine.simulate.replay import Replay, replay
from wnodes_engine.simulate.workload import Workload, jobs, rate_for

MODEL = Workload(widest=256)


def test_a_simulated_job_up_to_256_wide(measure: Measure, quick: bool) -> None:
    """The load is 0.9 of the farm's cores."""
    compiled = compile_policy(checked(policy(10)))
    nodes = NODES[:100]
    model = replace(MODEL, rate=rate_for(0.9, sum(node.cores for node in nodes), MODEL))
    log = list(islice(jobs(1, model), 200 if quick else 5_000))

    def simulate(state: State) -> Replay:
        return replay(state, log, PLAIN.reader(0))

    account = measure(simulate, calls=len(log), rounds=3, prepare=lambda: State(compiled, nodes))
    assert account.finished + account.killed == account.jobs == len(log)
