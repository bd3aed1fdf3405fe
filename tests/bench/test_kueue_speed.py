"""The load of Kueue's performance test: the driver does with it what the test does, and how fast."""

from __future__ import annotations

from dataclasses import replace

from bench.conftest import Measure
from bench.kueue import BASELINE, LARGE_SCALE, Account, Class, Load, arrivals, drive, farm, report

WIDE = Class("wide", count=3, every=10, cores=20, priority=1, runtime=30)


def one_queue(*classes: Class) -> Load:
    return Load("little", cohorts=1, queues=1, classes=classes)


def driven(load: Load) -> Account:
    return drive(farm(load), load)


def test_a_job_of_the_kueue_load(measure: Measure, quick: bool) -> None:
    load = replace(BASELINE, cohorts=1, queues=2) if quick else BASELINE
    account = measure(lambda state: drive(state, load), calls=load.jobs, rounds=1, prepare=lambda: farm(load))
    assert account.jobs == load.jobs


def test_the_loads_are_as_large_as_the_published_ones() -> None:
    assert [load.jobs for load in (BASELINE, LARGE_SCALE)] == [15_000, 50_000]


def test_jobs_come_after_one_interval_each() -> None:
    assert [moment for moment, _, _ in arrivals(one_queue(WIDE))] == [10, 20, 30]


def test_a_queue_runs_what_it_has_room_for_and_the_rest_waits() -> None:
    account = driven(one_queue(WIDE))
    assert account.admissions == {"wide": [0, 20, 40]}
    assert account.ended == 100


def test_a_queue_borrows_what_its_cohort_does_not_use() -> None:
    account = driven(Load("two", cohorts=1, queues=3, classes=(replace(WIDE, count=1),)))
    assert account.admissions == {"wide": [0, 0, 0]}
    borrowing = farm(Load("two", cohorts=1, queues=2, classes=(WIDE,)))
    one = one_queue(WIDE)
    assert drive(borrowing, one).admissions == {"wide": [0, 0, 10]}


def test_cohorts_lend_each_other_nothing() -> None:
    two = farm(Load("two", cohorts=2, queues=1, classes=(WIDE,)))
    assert drive(two, one_queue(WIDE)).admissions == {"wide": [0, 20, 40]}


def test_a_job_of_low_priority_is_pushed_out_and_runs_again_from_the_beginning() -> None:
    low = Class("low", count=1, every=10, cores=20, priority=1, runtime=100)
    high = Class("high", count=1, every=20, cores=20, priority=2, runtime=30)
    account = driven(one_queue(low, high))
    assert account.admissions == {"low": [40], "high": [0]}
    assert (account.pushed_out, account.started, account.ended) == (1, 3, 150)


def test_the_report_has_a_row_for_each_class_beside_what_is_published() -> None:
    rows = list(report(BASELINE, driven(replace(BASELINE, cohorts=1, queues=1))))
    assert [row.split("|")[2].strip() for row in rows[:3]] == [
        f"mean time to admission, {name}" for name in ("small", "medium", "large")
    ]
    assert [row.split("|")[4].strip() for row in rows[:3]] == ["215.5 s", "76.8 s", "16.5 s"]
