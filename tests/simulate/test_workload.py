"""The model's figures are those that follow from its published parameters."""

import math
from dataclasses import replace
from itertools import islice, pairwise

import pytest
from wnodes_engine.simulate.swf import SwfLog, swf_lines
from wnodes_engine.simulate.workload import Workload, day_weights, jobs, rate_for

COUNT = 20_000
MODEL = Workload()


@pytest.fixture(scope="module")
def sample():
    return list(islice(jobs(7, MODEL), COUNT))


def part(sample, condition):
    return sum(map(condition, sample)) / len(sample)


def test_the_published_part_of_the_jobs_is_serial(sample):
    assert part(sample, lambda job: job.processors == 1) == pytest.approx(0.2927, abs=0.01)


def test_powers_of_two_are_the_published_part_and_what_falls_on_them_by_chance(sample):
    powers = part(sample, lambda job: job.processors.bit_count() == 1)
    assert 0.2927 + 0.6686 - 0.01 < powers < 0.2927 + 0.6686 + 0.0387 * 0.3


def test_sizes_go_from_one_to_the_machine(sample):
    assert min(job.processors for job in sample) == 1
    assert max(job.processors for job in sample) == 128


def test_the_first_stage_has_its_published_part_of_the_parallel_jobs(sample):
    # Rounding to powers of two moves the border of the stages, 2^5, up to the next half: 2^5.5.
    parallel = [job for job in sample if job.processors > 1]
    within = 0.875 + 0.125 * 0.25
    assert part(parallel, lambda job: job.processors < 2**5.5) == pytest.approx(within, abs=0.015)


def test_run_times_are_a_mixture_of_the_two_published_gammas(sample):
    # For serial jobs p = 0.6986 - 0.003; gammas have the mean shape x scale; none is above 12.
    logs = [math.log(job.runtime) for job in sample if job.processors == 1]
    p = 0.6986 - 0.003
    assert sum(logs) / len(logs) == pytest.approx(p * 6.57 * 0.823 + (1 - p) * 639.1 * 0.0156, abs=0.15)
    assert max(job.runtime for job in sample) <= math.exp(12)


def test_wide_jobs_run_longer(sample):
    def mean(low, high):
        times = [math.log(job.runtime) for job in sample if low <= job.processors <= high]
        return sum(times) / len(times)

    assert mean(1, 1) < mean(16, 63) < mean(64, 128)


def test_jobs_come_in_the_order_of_time_and_mostly_by_day(sample):
    assert all(before.submitted <= after.submitted for before, after in pairwise(sample))
    by_day = part(sample, lambda job: 8 <= job.submitted % 86_400 // 3600 < 20)
    weights = day_weights(MODEL)
    assert by_day == pytest.approx(sum(weights[16:40]) / 48, abs=0.02)


def test_the_day_is_busiest_after_noon_and_quietest_before_dawn():
    weights = day_weights(MODEL)
    assert sum(weights) == pytest.approx(48)
    assert 24 <= weights.index(max(weights)) <= 28
    assert 6 <= weights.index(min(weights)) <= 11


def test_every_job_asks_for_at_least_its_run_time_in_whole_five_minutes(sample):
    assert all(
        job.runtime <= job.walltime <= 4 * job.runtime + 300 and job.walltime % 300 == 0 for job in sample
    )


def test_a_seed_gives_the_same_jobs_again_and_another_seed_others(sample):
    assert list(islice(jobs(7, MODEL), 100)) == sample[:100]
    assert list(islice(jobs(8, MODEL), 100)) != sample[:100]


def test_a_rate_for_a_load_offers_that_load():
    model = Workload(widest=256)
    model = replace(model, rate=rate_for(0.8, 5000, model))
    sample = list(islice(jobs(3, model), 50_000))
    asked = sum(job.processors * job.runtime for job in sample) / sample[-1].submitted
    assert asked == pytest.approx(0.8 * 5000, rel=0.1)


def test_each_user_stays_in_one_group(sample):
    groups = {}
    for job in sample:
        assert groups.setdefault(job.user, job.group) == job.group
    assert len(groups) == MODEL.users
    assert set(groups.values()) == set(range(1, MODEL.groups + 1))


def test_it_writes_a_log_that_reads_back(sample, tmp_path):
    path = tmp_path / "model.swf"
    path.write_text("".join(swf_lines(sample[:1000], {"MaxNodes": 128})))
    assert list(SwfLog(path)) == sample[:1000]
