"""Laws of the replay: every job is accounted for once, no node over-committed, nothing by chance."""

from collections import defaultdict
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wnodes_engine.commands.inputs import read_policy
from wnodes_engine.core import State
from wnodes_engine.simulate.mapping import Form, JobMapping, Rule
from wnodes_engine.simulate.replay import replay
from wnodes_engine.simulate.swf import SwfJob
from wnodes_engine.simulate.workload import Workload, jobs
from wnodes_engine.values import Node, Outcome

POLICY = """
policy test "two ways in"
share grid 60% { share big 70% share small 30% borrow 10% }
share local 40% borrow none lend 50%
assign grid.big when origin == grid and group in {"group1", "group2"}
assign grid.small when origin == grid
assign local otherwise
cap walltime 2d
deny "too wide" when count > 60
quota for each user in local: running <= 3
quota for group "group3": waiting <= 4 else deny
quota for each project: core_hours <= 200 per 1d
order grid.big by fairshare of group half-life 1d, age best effort
order local by age strict
route job, vmjob, vm, pool to batch queue "{share}"
"""

MAPPING = JobMapping(
    Form("grid", "job", cores_per_part=4, memory_per_core=2000),
    (
        Rule({"group": ((4, 6),)}, Form("local", "job", memory_per_core=1000)),
        Rule({"group": ((7, 7),)}, Form("local", "job", project="p{user}")),
    ),
)

NODES = [Node(f"n{i}", 8, 20_000) for i in range(5)]


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "test.policy"
    path.write_text(POLICY)
    return read_policy(str(path), None)


class Watched:
    """What a replay does to a state goes through this, which keeps its own books of it."""

    def __init__(self, state, nodes):
        self.state = state
        self.room = {node.name: [node.cores, node.memory] for node in nodes}
        self.seen = defaultdict(list)
        self.clock = 0

    def _turn(self, allocation, sign):
        part = allocation.claim.part
        for place in allocation.placement:
            room = self.room[place.node]
            room[0] -= sign * part.cores * place.parts
            room[1] -= sign * part.memory * place.parts
            assert min(room) >= 0, f"{place.node} is over-committed"

    def submit(self, request, now):
        assert self.clock <= now == request.submitted
        self.clock = now
        decision = self.state.submit(request, now)
        self.seen[request.id].append("denied" if decision.outcome is Outcome.DENY else "queued")
        return decision

    def schedule(self, now):
        assert self.clock <= now
        self.clock = now
        starts = self.state.schedule(now)
        for start in starts.starts:
            self.seen[start.request.id].append("started")
            self._turn(start.allocation, 1)
        return starts

    def finish(self, id_, now):
        assert self.clock <= now
        self.clock = now
        self.seen[id_].append("finished")
        self._turn(self.state.running[id_], -1)
        self.state.finish(id_, now)


def run(policy, log, nodes=NODES, clock=(120, 90_000)):
    state = State(policy, nodes)
    watched = Watched(state, nodes)
    return replay(state, log, MAPPING.reader(0), clock=clock, book=watched), watched


@st.composite
def logs(draw):
    gaps = draw(st.lists(st.integers(0, 400), max_size=40))
    log, now = [], 0
    for number, gap in enumerate(gaps, 1):
        now += gap
        log.append(
            SwfJob(
                number,
                now,
                runtime=draw(st.sampled_from((-1, 0, 1, 60, 600, 5000))),
                processors=draw(st.sampled_from((-1, 1, 1, 2, 4, 7, 16, 40, 70))),
                walltime=draw(st.sampled_from((-1, 60, 600, 10_000, 400_000))),
                user=draw(st.integers(1, 3)),
                group=draw(st.integers(1, 7)),
            )
        )
    return log


@settings(max_examples=60, deadline=None)
@given(log=logs())
def test_every_job_is_accounted_for_once_and_no_node_over_committed(policy, log):
    account, watched = run(policy, log)
    assert account.jobs == len(log)
    assert account.jobs == (
        account.unusable + account.denied + account.finished + account.killed + account.stranded
    )
    histories = [tuple(history) for history in watched.seen.values()]
    assert len(histories) == account.jobs - account.unusable
    assert histories.count(("denied",)) == account.denied == sum(account.refusals.values())
    assert histories.count(("queued",)) == account.stranded
    assert histories.count(("queued", "started", "finished")) == account.finished + account.killed
    assert sum(len(tally.waits) for tally in account.tallies.values()) == account.finished + account.killed
    assert account.cores == 0
    assert all(room == [8, 20_000] for room in watched.room.values())


@settings(max_examples=20, deadline=None)
@given(log=logs())
def test_the_same_log_twice_gives_the_same_account(policy, log):
    assert run(policy, log)[0] == run(policy, log)[0]


def one(**fields):
    return SwfJob(**{"number": 1, "submitted": 0, "runtime": 100, "processors": 4, "group": 1} | fields)


def test_a_job_runs_as_long_as_it_did_and_is_killed_at_its_walltime(policy):
    account, _ = run(policy, [one(walltime=100)])
    assert (account.finished, account.killed, account.end) == (1, 0, 100)
    account, _ = run(policy, [one(walltime=99)])
    assert (account.finished, account.killed, account.end) == (0, 1, 99)


def test_what_ends_makes_room_for_what_arrives_at_that_moment(policy):
    log = [one(walltime=600, processors=28), one(number=2, submitted=100, walltime=600, processors=28)]
    account, _ = run(policy, log)
    (tally,) = account.tallies.values()
    assert list(tally.waits) == [0, 0]
    assert account.peak_waiting == 0


def test_a_wait_is_counted_from_the_submission(policy):
    log = [one(walltime=600, processors=28), one(number=2, submitted=30, walltime=600, processors=28)]
    account, _ = run(policy, log)
    (tally,) = account.tallies.values()
    assert list(tally.waits) == [0, 70]
    assert (tally.held, tally.stayed) == (28 * 200, 28 * 270)
    assert (account.peak_waiting, account.peak_waiting_at, account.peak_cores) == (1, 30, 28)


def test_use_that_leaves_a_quotas_window_lets_the_next_start_without_any_other_event(policy):
    # 8 cores for 80,000 s are 178 of 200 core hours: the second waits until the first is out of the day.
    log = [
        one(group=7, processors=8, runtime=80_000, walltime=80_000),
        one(number=2, group=7, processors=8, runtime=80_000, walltime=80_000, submitted=80_000),
    ]
    account, _ = run(policy, log)
    assert account.finished == 2
    assert max(wait for tally in account.tallies.values() for wait in tally.waits) > 0
    stuck, _ = run(policy, log, clock=None)
    assert (stuck.finished, stuck.stranded) == (1, 1)


def test_an_empty_log_is_an_empty_account(policy):
    account, _ = run(policy, [])
    assert (account.jobs, account.begin, account.end, account.tallies) == (0, 0, 0, {})


def test_a_model_workload_runs_to_its_end(policy):
    model = replace(Workload(widest=16), rate=8.0)
    account, _ = run(policy, islice(jobs(5, model), 400))
    assert account.jobs == 400
    assert account.finished + account.killed > 200


LCG = Path(__file__).parents[3] / "shared" / "traces" / "LCG.swf.gz"


@pytest.mark.skipif(not LCG.exists(), reason="the log of the LHC Computing Grid is not here")
def test_a_slice_of_the_lhc_computing_grid_runs_through(policy):
    from wnodes_engine.simulate.swf import SwfLog

    account, _ = run(policy, islice(SwfLog(LCG), 3000))
    assert account.jobs == 3000
    assert account.unusable == 0
    assert account.finished + account.denied + account.stranded == 3000
