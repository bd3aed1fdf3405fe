"""When those that wait will start: exact where all is as it was taken to be, and a guess is called one."""

from __future__ import annotations

import pytest
from hypothesis import given, note
from strategies import farms, streams
from strategies.checking import checked
from strategies.played import Player
from strategies.policies import Asking, policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.simulate.forecast import Estimate, forecast
from wnodes_engine.simulate.leaving import Leaving
from wnodes_engine.snapshot import snapshot
from wnodes_engine.values import Node, Preemption, Request

NOW = streams.BEGIN
HOUR = 3600
POLICY = """
policy plain
share a 50% borrow any share b 50% borrow any
assign a when group == "cms" assign b otherwise
{more}
route job, vmjob, vm, pool to simulated
"""


def job(id_: str, walltime: int | None = HOUR, group: str = "cms", **fields: object) -> Request:
    usual = {"kind": "job", "origin": "local", "user": "ann", "group": group, "submitted": NOW, "cores": 1}
    return Request(id_, **usual | {"walltime": walltime} | fields)


def farm(more: str = "", cores: int = 2) -> State:
    return State(compile_policy(checked(POLICY.format(more=more))), [Node("n1", cores, 4096)])


def having_run(state: State, seconds: list[int]) -> State:
    """The state after jobs of an hour that ended after so many seconds, the last one now."""
    for n, ran in enumerate(seconds):
        state.submit(job(f"old{n}"), NOW - ran)
        state.schedule(NOW - ran)
        state.finish(f"old{n}", NOW)
    return state


@given(policies(Asking(rules=False)), farms.nodes(most=3), streams.crowds())
def test_the_latest_start_is_the_start_where_all_that_runs_takes_its_walltime(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    note(text)
    player = Player(State(compile_policy(checked(text)), nodes))
    for step in stream:
        player.play(step)
    state, waits = player.state, list(player.state.waiting)
    told = forecast(state, waits, player.now)
    real = starts(player)
    assert {id_: told[id_].latest for id_ in waits} == {id_: real.get(id_) for id_ in waits}


def starts(player: Player) -> dict[str, int]:
    """When everybody starts from now on, if all that runs ends with its walltime."""
    state, now, found = player.state, player.now, dict[str, int]()
    while True:
        found |= {start.request.id: now for start in state.schedule(now).starts}
        ends = {id_: a.started + a.claim.walltime for id_, a in state.running.items()}
        ends = {id_: max(now + 1, end) for id_, end in ends.items() if end < now + 90 * 24 * HOUR}
        if not ends:
            return found
        now = min(ends.values())
        for id_ in sorted(id_ for id_, end in ends.items() if end == now):
            state.finish(id_, now)


def test_without_any_work_that_has_ended_only_the_latest_start_is_told() -> None:
    state = farm()
    for n in range(4):
        state.submit(job(f"r{n}"), NOW)
    state.schedule(NOW)
    assert forecast(state, ["r2", "r3"], NOW + 60) == {
        "r2": Estimate(latest=NOW + HOUR),
        "r3": Estimate(latest=NOW + HOUR),
    }


def test_work_is_taken_to_end_as_the_middle_one_did_and_the_first_tenth() -> None:
    state = having_run(farm(), [360] * 2 + [1800] * 9 + [3600] * 5)
    for n in range(3):
        state.submit(job(f"r{n}"), NOW)
    state.schedule(NOW)
    assert forecast(state, ["r2"], NOW)["r2"] == Estimate(NOW + 360, NOW + 1800, NOW + HOUR)


def test_what_runs_for_longer_than_most_did_is_compared_with_those_that_did_too() -> None:
    state = having_run(farm(), [360] * 50 + [1800] * 10 + [3240] * 10)
    for n in range(3):
        state.submit(job(f"r{n}"), NOW)
    state.schedule(NOW)
    assert forecast(state, ["r2"], NOW + 600)["r2"] == Estimate(NOW + 1800, NOW + 1800, NOW + HOUR)


def test_nobody_can_tell_who_waits_for_work_without_a_limit() -> None:
    state = farm()
    for n in range(2):
        state.submit(job(f"r{n}", walltime=None), NOW)
    state.submit(job("late"), NOW)
    state.schedule(NOW)
    assert forecast(state, ["late"], NOW)["late"] == Estimate()


def test_who_has_room_made_starts_when_the_victims_have_to_have_left() -> None:
    state = farm("reclaim for any when waited > 5m by requeue for job after 10m")
    for n in range(2):
        state.submit(job(f"b{n}", group="lhcb"), NOW)
    state.schedule(NOW)
    state.submit(job("mine"), NOW + 60)
    state.schedule(NOW + 60)
    told = forecast(state, ["mine"], NOW + 60)["mine"].latest
    assert told == NOW + 300 + 60 + 600  # looked at once a minute; it was submitted at NOW


def test_an_estimate_leaves_the_state_as_it_was() -> None:
    state = having_run(farm(), [600] * 12)
    for n in range(4):
        state.submit(job(f"r{n}"), NOW)
    state.schedule(NOW)
    before = snapshot(state)
    forecast(state, ["r2", "r3"], NOW)
    assert snapshot(state) == before


def test_who_does_not_start_within_so_many_starts_is_given_no_estimate() -> None:
    state = farm()
    for n in range(12):
        state.submit(job(f"r{n}"), NOW)
    state.schedule(NOW)
    assert forecast(state, ["r4", "r11"], NOW, most=4) == {
        "r4": Estimate(latest=NOW + 2 * HOUR),
        "r11": Estimate(),
    }


def test_the_end_of_a_window_is_waited_for() -> None:
    state = farm('window day = "06:00-22:30" during day { quota for share a: cores <= 1 }')  # it is 22:13:20
    for n in range(2):
        state.submit(job(f"r{n}", walltime=None), NOW)
    state.schedule(NOW)
    told = forecast(state, ["r1"], NOW)["r1"].latest
    assert told is not None
    assert 1000 <= told - NOW <= 1000 + 900  # it looks every quarter of an hour


@pytest.mark.parametrize("walltime", [1, 59])
def test_the_shortest_walltimes_end_too(walltime: int) -> None:
    state = farm(cores=1)
    state.submit(job("r0", walltime=walltime), NOW)
    state.submit(job("r1"), NOW)
    state.schedule(NOW)
    assert forecast(state, ["r1"], NOW)["r1"].latest == NOW + walltime


def test_a_budget_that_comes_back_is_waited_for() -> None:
    state = farm("reclaim for any at most 1 per hour by requeue for job")
    for n in range(2):
        state.submit(job(f"b{n}", group="lhcb", walltime=None), NOW)
    state.schedule(NOW)
    assert state.schedule(NOW).starts == ()
    state.submit(job("first", walltime=60), NOW)
    (order,) = state.schedule(NOW).preemptions
    state.requeue(order.victim, NOW)
    state.schedule(NOW)
    state.finish("first", NOW + 60)
    state.schedule(NOW + 60)
    state.submit(job("second"), NOW + 60)
    state.schedule(NOW + 60)
    told = forecast(state, ["second"], NOW + 60)["second"].latest
    assert told is not None
    assert HOUR <= told - NOW <= HOUR + 900


def test_who_is_told_to_leave_sooner_by_another_rule_leaves_sooner() -> None:
    leaving = Leaving()
    orders = [Preemption(f"v{n}", "x", "requeue", by, 0) for n, by in enumerate((NOW + 1, NOW + 5))]
    for order in orders:
        leaving.tell(order)
    assert leaving.due(NOW + 1)
    leaving.next(farm(), {}, NOW + 1)
    leaving.tell(Preemption("v2", "x", "requeue", NOW + 5, 0))
    assert [order.victim for _, _, order in sorted(leaving.orders)] == ["v1", "v2"]
