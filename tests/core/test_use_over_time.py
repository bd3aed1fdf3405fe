"""`core_hours … per DURATION`: a sliding window that refuses early, by a bucket at most, and never late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from strategies.checking import checked
from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.core.meters import BUCKETS, Hours
from wnodes_engine.values import Code, Node, Outcome, Placement, Request

NOW = 1_700_000_040
HOUR = 3600
WINDOW = 2 * HOUR
BUCKET = WINDOW // BUCKETS


def job(request_id: str, cores: int, walltime: int = UNLIMITED, **asked: Any) -> Request:
    asked.setdefault("user", "ann")
    return Request(
        request_id, "job", "local", group="cms", submitted=NOW, cores=cores, walltime=walltime, **asked
    )


def farm(limit: str = "core_hours <= 4 per 2h", more: str = "") -> State:
    text = f"policy p\nshare a 100% assign a otherwise\nquota for each user: {limit}\n{more}\n"
    policy = checked(text + "route job, vmjob, vm, pool to simulated\n")
    return State(compile_policy(policy), [Node(f"n{i}", 64, 64_000) for i in range(4)])


def may_start(state: State, request: Request, now: int) -> bool:
    return decide(state, request, now).outcome is Outcome.START


def run(state: State, request: Request, begin: int, end: int) -> None:
    """The request ran from `begin` to `end`."""
    state.start(request, (Placement("n0", 1),), begin)
    state.finish(request.id, end)


# ------------------------------------------------------------------- what counts


def test_running_work_counts_with_its_whole_walltime_from_its_start() -> None:
    state = farm()
    state.start(job("r1", 2, walltime=HOUR), (Placement("n0", 1),), NOW)
    assert may_start(state, job("r2", 2, walltime=HOUR), NOW)
    assert not may_start(state, job("r2", 2, walltime=HOUR + 1), NOW)
    assert not may_start(state, job("r2", 2, walltime=HOUR + 1), NOW + HOUR - 1)


def test_ended_work_counts_with_what_it_used() -> None:
    state = farm()
    run(state, job("r1", 4, walltime=HOUR), NOW, NOW + 900)
    assert may_start(state, job("r2", 3, walltime=HOUR), NOW + 900)
    (reason,) = decide(state, job("r2", 4, walltime=HOUR), NOW + 900).reasons
    assert (reason.code, reason.limit, reason.current, reason.short) == (Code.QUOTA, 4, 1, 1)


def test_an_unlimited_walltime_counts_as_the_whole_window() -> None:
    state = farm()
    state.start(job("r1", 1), (Placement("n0", 1),), NOW)
    assert may_start(state, job("r2", 1), NOW)
    assert not may_start(state, job("r2", 1, walltime=HOUR, count=3), NOW)
    assert state.submit(job("r3", 3), NOW).outcome is Outcome.DENY  # 6 core hours in every window


def test_a_walltime_longer_than_the_window_counts_as_the_window() -> None:
    state = farm()
    assert may_start(state, job("r1", 2, walltime=100 * HOUR), NOW)
    assert not may_start(state, job("r1", 3, walltime=100 * HOUR), NOW)


def test_who_is_requeued_counts_with_what_was_used_and_again_when_it_starts() -> None:
    state = farm()
    state.submit(job("r1", 4, walltime=HOUR), NOW)
    assert len(state.schedule(NOW).starts) == 1
    state.requeue("r1", NOW + 900)  # one core hour is gone, and it wants four
    assert state.schedule(NOW + 900).starts == ()
    assert state.schedule(NOW + WINDOW - BUCKET).starts == ()
    assert len(state.schedule(NOW + 900 + WINDOW + BUCKET).starts) == 1


def test_at_least_begins_with_the_parts_whose_walltime_the_quota_has_room_for() -> None:
    state = farm()
    state.submit(job("r1", 1, walltime=HOUR, count=9, at_least=2), NOW)
    (start,) = state.schedule(NOW).starts
    assert sum(place.parts for place in start.decision.placement) == 4
    state.finish("r1", NOW + 900)
    assert state.meters[0].held("ann", NOW + 900) == HOUR


def test_a_quota_in_a_window_counts_before_it_opens() -> None:
    state = farm(
        "running <= 9", 'window w = "20:00-24:00" during w { quota for each user: core_hours <= 4 per 2h }'
    )
    evening = 1_699_992_000  # 20:00 by UTC
    run(state, job("r1", 60, walltime=HOUR), evening - 600, evening - 60)
    assert may_start(state, job("r2", 1, walltime=60), evening - 1)
    assert not may_start(state, job("r2", 1, walltime=60), evening)


# ---------------------------------------------------------------------- its edge


def test_use_leaves_the_window_with_the_bucket_in_which_it_was() -> None:
    state = farm("core_hours <= 1 per 2h")
    end = NOW + 90  # NOW is a multiple of a bucket, and so is this
    assert NOW % BUCKET == end % BUCKET == 0
    run(state, job("r1", 40, walltime=HOUR), NOW, end)
    ask = job("r2", 1, walltime=400)  # room for it is there when one bucket of ten has gone
    assert not may_start(state, ask, NOW + WINDOW)
    assert not may_start(state, ask, NOW + WINDOW + BUCKET - 1)
    assert may_start(state, ask, NOW + WINDOW + BUCKET)


# ------------------------------------------------------------------------ the laws


@dataclass(frozen=True)
class Use:
    """So many cores from `begin` to `end`."""

    cores: int
    begin: int
    end: int


def exact(uses: list[Use], since: int, now: int) -> int:
    """The core-seconds used in a stretch of time, to the second."""
    return sum(use.cores * max(0, min(use.end, now) - max(use.begin, since)) for use in uses)


past = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 4000), st.integers(0, 3000)), max_size=12)


@given(past, st.integers(0, 9000), st.sampled_from([720, 1000, WINDOW, 86_399]))
def test_what_a_window_holds_lies_between_the_exact_window_and_one_that_is_a_bucket_longer(
    drawn: list[tuple[int, int, int]], later: int, window: int
) -> None:
    hours = Hours(window)
    uses: list[Use] = []
    now = NOW
    for cores, lasted, gap in drawn:
        now += gap
        uses.append(Use(cores, now - lasted, now))
        hours.spend("ann", cores, now - lasted, now)
    now += later
    held = hours.held("ann", now)
    assert exact(uses, now - window, now) <= held <= exact(uses, now - window - hours.length, now)


@dataclass(frozen=True)
class Ask:
    """Somebody asks for so many cores and so much time; it runs for a part of that, in hundredths."""

    cores: int
    walltime: int | None
    runs: int
    again: bool


asks = st.builds(
    Ask,
    st.integers(1, 6),
    st.sampled_from([60, 600, 1234, 3600, 9000, None]),
    st.integers(0, 100),
    st.booleans(),
)
streams = st.lists(st.tuples(st.integers(0, 1500), asks), min_size=5, max_size=40)


@given(streams)
def test_nothing_starts_that_the_exact_window_would_not_admit_nor_waits_for_more_than_a_bucket(
    stream: list[tuple[int, Ask]],
) -> None:
    state, bound, now = farm(), 4 * HOUR, NOW
    uses: list[Use] = []
    running: dict[str, tuple[int, Ask]] = {}

    def end_what_is_over(now: int) -> None:
        for id_, (began, ask) in sorted(running.items(), key=lambda item: ends(*item[1])):
            end = ends(began, ask)
            if end <= now:
                del running[id_]
                uses.append(Use(ask.cores, began, end))
                if ask.again:
                    state.requeue(id_, end)
                    state.cancel(id_, end)
                else:
                    state.finish(id_, end)

    def ends(began: int, ask: Ask) -> int:
        return began + (ask.walltime or 3 * WINDOW) * ask.runs // 100

    def committed(ask: Ask) -> int:
        return ask.cores * min(ask.walltime or UNLIMITED, WINDOW)

    for i, (gap, ask) in enumerate(stream):
        now += gap
        end_what_is_over(now)
        request = job(f"r{i}", ask.cores, ask.walltime or UNLIMITED)
        ahead = committed(ask) + sum(committed(other) for _, other in running.values())
        if state.submit(request, now).outcome is Outcome.DENY:
            assert committed(ask) > bound
            continue
        if state.schedule(now).starts:
            assert exact(uses, now - WINDOW, now) + ahead <= bound
            running[request.id] = now, ask
        else:
            assert exact(uses, now - WINDOW - BUCKET, now) + ahead > bound
            state.cancel(request.id, now)

    for then in range(NOW, now + WINDOW, 97):
        done = [Use(ask.cores, began, ends(began, ask)) for began, ask in running.values()]
        assert exact([*uses, *done], then - WINDOW, then) <= bound
