"""Windows by the clock of the site: to the minute, over midnight, and on the nights when the clock is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from strategies.checking import checked
from wnodes_engine.check.checked import Period, Window
from wnodes_engine.check.times import stretches
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.core.windows import local_time
from wnodes_engine.language.source import Span
from wnodes_engine.values import Code, Node, Outcome, Request

ROME = "Europe/Rome"
NOWHERE = Span("", 1, 1, 1, 1, 0, 0)


def utc(moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())


def farm(statements: str, zone: str = ROME) -> State:
    text = f"policy p\n{statements}\nassign b when origin == cloud\nassign a otherwise\n"
    policy = checked(text + "route job, vmjob, vm, pool to simulated\n")
    return State(compile_policy(replace(policy, time_zone=zone)), [Node("n1", 100, 100_000)])


def with_window(times: str, zone: str = ROME) -> State:
    """A farm whose share `a` is worth 50 of 100 cores, and 30 while the window is open."""
    return farm(f"share a 50% share b 50% window w = {times} during w {{ share a 30% }}", zone)


def is_open(state: State, moment: str) -> bool:
    state.advance(utc(moment))
    return {50: False, 30: True}[state.nominal(1)[0]]


def changes(state: State, begin: str, hours: int) -> list[tuple[str, bool]]:
    """When the window opens and closes, to the minute, by UTC."""
    at, found = utc(begin), []
    was = is_open(state, begin)
    for minute in range(hours * 60 + 1):
        moment = datetime.fromtimestamp(at + 60 * minute, UTC).strftime("%Y-%m-%d %H:%M")
        now = is_open(state, moment)
        if now != was:
            found.append((moment, now))
            was = now
    return found


# --------------------------------------------------------------- common nights


def test_a_share_changes_with_the_second_at_which_its_window_opens_and_closes() -> None:
    state = with_window('"20:00-08:00"')
    assert not is_open(state, "2026-01-15 18:59:59")
    assert is_open(state, "2026-01-15 19:00:00")
    assert is_open(state, "2026-01-16 06:59:59")
    assert not is_open(state, "2026-01-16 07:00:00")


def test_the_same_hours_are_others_by_utc_in_summer() -> None:
    state = with_window('"20:00-08:00"')
    assert changes(state, "2026-07-15 12:00", 24) == [
        ("2026-07-15 18:00", True),
        ("2026-07-16 06:00", False),
    ]


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    state = with_window('"Mon-Fri 20:00-08:00"')
    assert is_open(state, "2026-01-17 06:59")  # Saturday, before 8
    assert not is_open(state, "2026-01-17 20:00")  # Saturday night
    assert not is_open(state, "2026-01-19 06:00")  # Monday morning: Sunday's night is none


def test_a_window_to_the_end_of_the_day_and_one_from_its_beginning_meet() -> None:
    state = with_window('"Sat 22:00-24:00", "Sun 00:00-02:00"')
    assert changes(state, "2026-01-17 12:00", 24) == [
        ("2026-01-17 21:00", True),
        ("2026-01-18 01:00", False),
    ]


# --------------------------------------- the night in which an hour is left out


def test_a_window_within_the_hour_that_does_not_exist_is_not_open_that_night() -> None:
    state = with_window('"02:10-02:50"')
    assert changes(state, "2026-03-28 22:00", 12) == []
    assert changes(state, "2026-03-29 22:00", 12) == [
        ("2026-03-30 00:10", True),
        ("2026-03-30 00:50", False),
    ]


def test_a_window_that_begins_within_it_opens_when_the_clock_jumps() -> None:
    state = with_window('"02:30-05:00"')
    assert changes(state, "2026-03-28 22:00", 12) == [
        ("2026-03-29 01:00", True),  # 03:00 by the clock, a second after 01:59:59
        ("2026-03-29 03:00", False),
    ]


def test_a_window_that_ends_within_it_closes_when_the_clock_jumps() -> None:
    state = with_window('"23:00-02:30"')
    assert changes(state, "2026-03-28 20:00", 12) == [
        ("2026-03-28 22:00", True),
        ("2026-03-29 01:00", False),
    ]


def test_a_night_over_midnight_is_an_hour_shorter() -> None:
    state = with_window('"Sat 20:00-08:00"')
    assert changes(state, "2026-03-28 12:00", 24) == [
        ("2026-03-28 19:00", True),
        ("2026-03-29 06:00", False),
    ]


# --------------------------------------------- the night in which one comes twice


def test_a_window_within_the_hour_that_comes_twice_is_open_both_times() -> None:
    state = with_window('"02:10-02:50"')
    assert changes(state, "2026-10-24 22:00", 12) == [
        ("2026-10-25 00:10", True),
        ("2026-10-25 00:50", False),
        ("2026-10-25 01:10", True),
        ("2026-10-25 01:50", False),
    ]


def test_a_window_that_begins_within_it_opens_twice() -> None:
    state = with_window('"02:30-05:00"')
    assert changes(state, "2026-10-24 22:00", 12) == [
        ("2026-10-25 00:30", True),
        ("2026-10-25 01:00", False),  # it is 02:00 again
        ("2026-10-25 01:30", True),
        ("2026-10-25 04:00", False),
    ]


def test_a_window_over_the_whole_hour_stays_open_through_both() -> None:
    state = with_window('"Sat 20:00-08:00"')
    assert changes(state, "2026-10-24 12:00", 24) == [
        ("2026-10-24 18:00", True),
        ("2026-10-25 07:00", False),
    ]


# ------------------------------------------------------------------ elsewhere


def test_where_the_clock_is_set_at_midnight_the_day_begins_at_one() -> None:
    state = with_window('"Sun 00:00-06:00"', "America/Santiago")
    assert changes(state, "2026-09-05 20:00", 24) == [
        ("2026-09-06 04:00", True),  # a second after Saturday's 23:59:59 it is 01:00
        ("2026-09-06 09:00", False),
    ]


def test_where_saturdays_last_hour_comes_twice_its_window_is_two_hours_long() -> None:
    state = with_window('"Sat 23:00-24:00"', "America/Santiago")
    assert changes(state, "2026-04-04 20:00", 12) == [
        ("2026-04-05 02:00", True),
        ("2026-04-05 04:00", False),
    ]


@pytest.mark.parametrize(
    ("zone", "opens"),
    [("Asia/Kathmandu", "14:15"), ("America/St_Johns", "23:30"), ("Australia/Lord_Howe", "09:00")],
)
def test_zones_that_are_not_a_whole_hour_from_utc(zone: str, opens: str) -> None:
    state = with_window('"20:00-21:00"', zone)
    assert (f"2026-01-15 {opens}", True) in changes(state, "2026-01-15 00:00", 24)


# ------------------------------------------------------------------ what is in it


def test_a_quota_counts_always_and_limits_while_its_window_is_open() -> None:
    state = farm(
        'share a 100% share b 0% window w = "20:00-08:00"\nduring w { quota for each user: cores <= 4 }\n'
    )
    day, night = utc("2026-01-15 12:00"), utc("2026-01-15 19:00")
    for i in range(3):
        state.submit(Request(f"r{i}", "job", "local", "ann", "cms", day, cores=2), day)
    assert len(state.schedule(day).starts) == 3
    late = Request("late", "job", "local", "ann", "cms", night, cores=1)
    (reason,) = decide(state, late, night).reasons
    assert (reason.code, reason.limit, reason.current, reason.short) == (Code.QUOTA, 4, 6, 3)
    state.submit(late, night)
    assert state.schedule(night).starts == ()
    morning = utc("2026-01-16 07:00")
    assert [start.request.id for start in state.schedule(morning).starts] == ["late"]


def test_what_waits_for_a_share_starts_with_the_pass_after_the_window_closes() -> None:
    state = farm(
        'share a 50% borrow none share b 50% borrow none\nwindow w = "20:00-08:00" during w { share a 30% }\n'
    )
    night, morning = utc("2026-01-16 06:59"), utc("2026-01-16 07:00")
    request = Request("r", "job", "local", "ann", "cms", night, cores=40)
    assert state.submit(request, night).outcome is Outcome.WAIT
    assert state.schedule(night).starts == ()
    assert len(state.schedule(morning).starts) == 1


def test_rules_speak_to_what_comes_in_while_the_window_is_open() -> None:
    state = farm(
        'share a 100% share b 0% window w = "02:00-03:00"\n'
        'during w { deny "not now" when kind == job default walltime 1h }\n'
    )
    request = Request("r", "job", "local", "ann", "cms", 0)
    for moment, outcome in (
        ("2026-10-25 00:30", Outcome.DENY),
        ("2026-10-25 01:30", Outcome.DENY),  # the second time
        ("2026-10-25 02:30", Outcome.START),
        ("2026-03-29 01:30", Outcome.START),  # at 03:30: there was no 02:30
    ):
        assert decide(state, request, utc(moment)).outcome is outcome, moment


# ------------------------------------------------------------------------ the law

zones = st.sampled_from(
    [ROME, "America/Santiago", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "UTC"]
)
quarters = st.integers(0, 95).map(lambda quarter: quarter * 900)
periods = st.lists(st.builds(Period, st.integers(1, 127), quarters, quarters), min_size=1, max_size=3)
moments = st.integers(utc("2020-01-01"), utc("2035-01-01"))
near_a_change = st.builds(
    lambda moment, off: utc(moment) + off,
    st.sampled_from(["2026-03-29 01:00", "2026-10-25 01:00", "2026-04-05 03:00", "2026-09-06 04:00"]),
    st.integers(-90_000, 90_000),
)


@given(zones, periods, st.one_of(moments, near_a_change))
def test_a_window_is_open_exactly_while_the_clock_on_the_wall_shows_its_hours(
    zone: str, week: list[Period], now: int
) -> None:
    shown = datetime.fromtimestamp(now, ZoneInfo(zone)).replace(tzinfo=None)
    monday = datetime.combine(shown.date() - timedelta(days=shown.weekday()), datetime.min.time())
    second = int((shown - monday).total_seconds())
    covered = any(begin <= second < end for begin, end in stretches(week))
    window = Window("w", tuple(week), {}, NOWHERE)
    assert local_time(now, ZoneInfo(zone), [window]).open == covered
