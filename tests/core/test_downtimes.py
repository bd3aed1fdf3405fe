"""Downtimes drain ahead of time: nothing starts that would run into one, however it is placed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies.checking import checked
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Code, Decision, Node, Outcome, Placement, Request

NOW = 1_700_000_000
HOUR = 3600
PLAIN = "share a 100% assign a otherwise"


def at(seconds: int) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime('"%Y-%m-%d %H:%M:%S"')


def down(begin: int, end: int, nodes: str = '"n1"') -> str:
    return f"downtime {at(begin)} to {at(end)} on nodes {nodes}\n"


def farm(statements: str, sizes: tuple[int, ...] = (8,)) -> State:
    policy = checked(f"policy p\n{statements}\nroute job, vmjob, vm, pool to simulated\n")
    nodes = [Node(f"n{i + 1}", cores, 64_000) for i, cores in enumerate(sizes)]
    return State(compile_policy(policy), nodes)


def job(request_id: str, walltime: int | None, count: int = 1, **asked: Any) -> Request:
    asked.setdefault("cores", 1)
    asked.setdefault("submitted", NOW)
    return Request(
        request_id,
        "job",
        "local",
        "ann",
        "cms",
        asked.pop("submitted"),
        walltime=walltime,
        count=count,
        **asked,
    )


def placed(decision: Decision) -> dict[str, int]:
    return {place.node: place.parts for place in decision.placement}


def started(state: State, now: int) -> list[str]:
    return [start.request.id for start in state.schedule(now).starts]


# ---------------------------------------------------------------------- its edges


@pytest.mark.parametrize(
    ("begin", "end", "walltime", "starts"),
    [
        (HOUR, 2 * HOUR, HOUR, True),  # it ends with the second in which the downtime begins
        (HOUR, 2 * HOUR, HOUR + 1, False),
        (HOUR, 2 * HOUR, None, False),  # unlimited work never ends
        (30 * 24 * HOUR, 31 * 24 * HOUR, None, False),
        (0, HOUR, 60, False),  # it begins now
        (-HOUR, 1, 60, False),
        (-HOUR, 0, None, True),  # it ends now
    ],
)
def test_nothing_starts_that_would_not_have_ended_by_its_begin(
    begin: int, end: int, walltime: int | None, starts: bool
) -> None:
    state = farm(PLAIN + "\n" + down(begin, end))
    answer = decide(state, job("r", walltime), NOW)
    assert (answer.outcome is Outcome.START) == starts
    if not starts:
        assert [reason.code for reason in answer.reasons] == [Code.NODE]
        said = "are in a downtime" if begin < 0 else "go down before its walltime"
        assert said in answer.reasons[0].message


def test_what_runs_is_left_alone() -> None:
    state = farm(PLAIN + "\n" + down(HOUR, 2 * HOUR))
    state.start(job("r", 2 * HOUR), (Placement("n1", 1),), NOW)
    assert started(state, NOW + HOUR) == []
    assert list(state.running) == ["r"]


def test_of_two_downtimes_that_overlap_both_have_to_be_over() -> None:
    state = farm(PLAIN + "\n" + down(0, 2 * HOUR) + down(HOUR, 3 * HOUR, "all"))
    for moment in (0, 2 * HOUR, 3 * HOUR - 1):
        assert decide(state, job("r", 60), NOW + moment).outcome is Outcome.WAIT
    assert decide(state, job("r", 60), NOW + 3 * HOUR).outcome is Outcome.START


def test_between_two_downtimes_runs_what_is_short_enough() -> None:
    state = farm(PLAIN + "\n" + down(0, HOUR) + down(2 * HOUR, 3 * HOUR))
    assert decide(state, job("r", HOUR), NOW + HOUR).outcome is Outcome.START
    assert decide(state, job("r", HOUR), NOW + HOUR + 1).outcome is Outcome.WAIT


# ---------------------------------------------------------- nodes that stay, wide work


def test_work_goes_to_the_nodes_that_stay_up_long_enough() -> None:
    state = farm(PLAIN + "\n" + down(HOUR, 2 * HOUR), (2, 8))
    assert placed(decide(state, job("r", HOUR), NOW)) == {"n1": 1}
    assert placed(decide(state, job("r", HOUR + 1), NOW)) == {"n2": 1}


def test_all_parts_need_nodes_that_stay_up() -> None:
    state = farm(PLAIN + "\n" + down(HOUR, 2 * HOUR), (8, 8))
    assert placed(decide(state, job("r", HOUR, count=12), NOW)) == {"n1": 8, "n2": 4}
    answer = decide(state, job("r", 2 * HOUR, count=12), NOW)
    assert [(reason.code, reason.limit) for reason in answer.reasons] == [(Code.NODE, 8)]


def test_at_least_begins_with_the_parts_for_which_nodes_stay_up() -> None:
    state = farm(PLAIN + "\n" + down(HOUR, 2 * HOUR), (8, 8))
    assert placed(decide(state, job("r", 2 * HOUR, count=12, at_least=3), NOW)) == {"n2": 8}
    assert placed(decide(state, job("r", HOUR, count=12, at_least=3), NOW)) == {"n1": 8, "n2": 4}


def test_parts_are_spread_over_the_groups_that_stay_up() -> None:
    groups = 'group A = nodes "n1"\ngroup B = nodes "n2"\nplace job spread over A, B\n'
    state = farm(f"{PLAIN}\n{groups}{down(HOUR, 2 * HOUR)}", (8, 8, 8))
    assert placed(decide(state, job("r", HOUR, count=4), NOW)) == {"n1": 2, "n2": 2}
    assert placed(decide(state, job("r", 2 * HOUR, count=4), NOW)) == {"n2": 4}


# ---------------------------------------------------------------- behind a blocked head


def test_a_head_that_waits_for_a_downtime_to_end_is_promised_its_end() -> None:
    state = farm(PLAIN + "\n" + down(0, 2 * HOUR), (8, 8))
    state.submit(job("head", 4 * HOUR, count=2, cores=8), NOW)
    assert started(state, NOW) == []
    (reservation,) = state.reservations(NOW)
    assert reservation.start == NOW + 2 * HOUR
    assert state.placement(reservation.where) == (Placement("n1", 1), Placement("n2", 1))
    state.submit(job("long", 2 * HOUR + 1, submitted=NOW + 1), NOW)
    state.submit(job("short", 2 * HOUR, submitted=NOW + 2), NOW)
    assert started(state, NOW) == ["short"]
    state.finish("short", NOW + HOUR)
    assert started(state, NOW + 2 * HOUR) == ["head"]


def test_a_head_is_not_promised_a_moment_from_which_it_would_run_into_a_downtime() -> None:
    state = farm(PLAIN + "\n" + down(2 * HOUR, 3 * HOUR), (8,))
    state.start(job("r", HOUR, cores=8), (Placement("n1", 1),), NOW)
    state.submit(job("head", HOUR + 1, cores=8), NOW)
    (reservation,) = state.reservations(NOW)
    assert reservation.start == NOW + 3 * HOUR


def test_a_shorter_one_passes_a_head_that_a_downtime_stops() -> None:
    state = farm(PLAIN + " order a by age best effort\n" + down(HOUR, 2 * HOUR))
    state.submit(job("head", 2 * HOUR), NOW)
    state.submit(job("next", HOUR, submitted=NOW + 1), NOW)
    assert started(state, NOW) == ["next"]
    strict = farm(PLAIN + " order a by age strict\n" + down(HOUR, 2 * HOUR))
    strict.submit(job("head", 2 * HOUR), NOW)
    strict.submit(job("next", HOUR, submitted=NOW + 1), NOW)
    assert started(strict, NOW) == []


# ------------------------------------------------------------------------- the law

moments = st.integers(-4, 12).map(lambda quarter: quarter * 900)
downtimes = st.lists(
    st.tuples(moments, st.integers(1, 8), st.sampled_from(['"n1"', '"n2", "n3"', "all"])), max_size=3
)
requests = st.tuples(
    st.integers(0, 5),
    st.sampled_from([600, 1800, HOUR, 3 * HOUR, None]),
    st.integers(1, 12),
    st.sampled_from([None, 1, 3]),
)
places = st.sampled_from(
    ["", "place job spread", "place job spread over A, B", "place job pack in one of A, B"]
)


@given(
    downtimes, st.lists(requests, min_size=5, max_size=25), places, st.sampled_from(["strict", "best effort"])
)
def test_nothing_that_ever_starts_would_run_into_a_downtime(
    drawn: list[tuple[int, int, str]],
    asked: list[tuple[int, int | None, int, int | None]],
    place: str,
    mode: str,
) -> None:
    groups = 'group A = nodes "n1", "n2"\ngroup B = nodes "n3"\n'
    closed = "".join(down(begin, begin + 900 * quarters, nodes) for begin, quarters, nodes in drawn)
    state = farm(f"{PLAIN} order a by age {mode}\n{groups}{place}\n{closed}", (8, 4, 2))
    now = NOW
    for i, (gap, walltime, count, at_least) in enumerate(asked):
        now += gap * 600
        state.submit(job(f"r{i}", walltime, count, at_least=at_least, submitted=now), now)
        for start in state.schedule(now).starts:
            end = now + (walltime_of(start.request))
            for node in placed(start.decision):
                assert not any(
                    NOW + begin < end and now < NOW + begin + 900 * quarters
                    for begin, quarters, nodes in drawn
                    if nodes == "all" or f'"{node}"' in nodes
                )
        for id_, allocation in list(state.running.items()):
            if now >= allocation.started + walltime_of(allocation.request):
                state.finish(id_, now)


def walltime_of(request: Request) -> int:
    return request.walltime if request.walltime is not None else 1 << 60
