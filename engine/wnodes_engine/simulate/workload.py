"""The Lublin–Feitelson model: any number of batch jobs like those of real parallel machines, from a seed.

Formulae and parameters: U. Lublin, D. G. Feitelson, "The workload on parallel supercomputers: modeling the
characteristics of rigid jobs", Journal of Parallel and Distributed Computing 63(11), 2003, pp. 1105–1122,
with the values for batch jobs of the program that its authors published beside it.

- Sizes: a job is serial with one probability; else the logarithm (base 2) of its size is two-stage uniform,
  and rounded, so that the size is a power of two, with another.
- Run times: the logarithm is hyper-gamma, a mixture of two gammas; p, the part of the shorter one, falls
  with the size: p = a·size + b.
- Arrivals: the logarithm of the gap in rush hour is gamma; time runs the slower, the fewer jobs come at that
  time of day, as a second gamma over its half hours says.

The model knows no users and no requested times. Here users are drawn by Zipf's law, each in one group, and a
job asks for a time between its run time and `1 + f` times it (the f-model of A. W. Mu'alem, D. G. Feitelson,
IEEE TPDS 12(6), 2001), rounded up to five minutes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Final

from wnodes_engine.simulate.swf import SwfJob

LONGEST_LOG_RUNTIME: Final = 12.0
LONGEST_LOG_GAP: Final = 13.0
"""Logarithms of seconds: no job runs longer than two days, none comes more than five after another."""

_BUCKETS: Final = 48
_BUCKET: Final = 86_400 // _BUCKETS
_FIRST_BUCKET: Final = 11
"""The half hour in which the model's day begins, when the fewest jobs come."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The model's parameters; the values given are those published for batch jobs.

    `widest` is the largest size, that of the machine. `rate` is how many times as many jobs come as the
    model's machine had. Gammas are (shape, scale). `f` is that of the f-model.
    """

    widest: int = 128
    rate: float = 1.0
    users: int = 200
    groups: int = 20
    f: float = 3.0
    serial: float = 0.2927
    power_of_two: float = 0.6686
    smallest: float = 1.2
    stage_below_widest: float = 2.0
    first_stage: float = 0.875
    short: tuple[float, float] = (6.57, 0.823)
    long: tuple[float, float] = (639.1, 0.0156)
    part_short: tuple[float, float] = (-0.003, 0.6986)
    gap: tuple[float, float] = (6.0415 * 1.0519, 0.8531)
    day: tuple[float, float] = (6.1271, 5.2740)


def jobs(seed: int, model: Workload = Workload()) -> Iterator[SwfJob]:
    """Jobs without end, by submit time; the same seed and model give the same jobs."""
    draw = random.Random(seed)  # noqa: S311 - a model, not a secret
    members = [draw.randrange(model.groups) + 1 for _ in range(model.users)]
    popularity = list(accumulate(1 / rank for rank in range(1, model.users + 1)))
    users = range(model.users)
    for number, submitted in enumerate(_arrivals(draw, model), 1):
        size = _size(draw, model)
        runtime = _runtime(draw, model, size)
        walltime = -(-runtime * (1 + draw.random() * model.f) // 300) * 300
        user = draw.choices(users, cum_weights=popularity)[0]
        yield SwfJob(
            number, submitted, runtime, size, walltime=int(walltime), user=user + 1, group=members[user]
        )


def rate_for(load: float, cores: int, model: Workload) -> float:
    """The `rate` at which the model's jobs ask for that part of so many cores, estimated from a sample."""
    sample = list(islice(jobs(0, model), 20_000))
    asked = sum(job.processors * job.runtime for job in sample) / sample[-1].submitted
    return model.rate * load * cores / asked


def _size(draw: random.Random, model: Workload) -> int:
    chance = draw.random()
    if chance <= model.serial:
        return 1
    top = math.log2(model.widest)
    middle = max(model.smallest, top - model.stage_below_widest)
    low, high = (model.smallest, middle) if draw.random() <= model.first_stage else (middle, top)
    exponent = draw.uniform(low, high)
    if chance <= model.serial + model.power_of_two:
        exponent = math.floor(exponent + 0.5)
    return min(model.widest, int(2**exponent + 0.5))


def _runtime(draw: random.Random, model: Workload, size: int) -> int:
    slope, level = model.part_short
    part = min(1.0, max(0.0, slope * size + level))
    while True:
        shape, scale = model.short if draw.random() <= part else model.long
        if (logarithm := draw.gammavariate(shape, scale)) <= LONGEST_LOG_RUNTIME:
            return max(1, int(math.exp(logarithm)))


def _arrivals(draw: random.Random, model: Workload) -> Iterator[int]:
    """Submit times in seconds after a midnight.

    A gap is worth so many buckets of mean traffic; a bucket of the day takes as much of it as its weight.
    """
    weights = day_weights(model)
    bucket, spent = 0, 0.0
    midnight_to_bucket = 0
    while True:
        while (gap := draw.gammavariate(*model.gap)) > LONGEST_LOG_GAP:
            pass
        spent += math.exp(gap) / model.rate / _BUCKET
        while spent > weights[bucket]:
            spent -= weights[bucket]
            bucket = (bucket + 1) % _BUCKETS
            midnight_to_bucket += _BUCKET
        yield midnight_to_bucket + int(_BUCKET * spent / weights[bucket])


def day_weights(model: Workload) -> list[float]:
    """The traffic of each half hour of the day, from midnight, as a multiple of the mean."""
    weights = [0.0] * _BUCKETS
    for at in range(_FIRST_BUCKET, _FIRST_BUCKET + _BUCKETS):
        weights[(at - 1) % _BUCKETS] = _gamma_cdf(at + 0.5, *model.day) - _gamma_cdf(at - 0.5, *model.day)
    mean = sum(weights) / _BUCKETS
    return [weight / mean for weight in weights]


def _gamma_cdf(x: float, shape: float, scale: float) -> float:
    """The regularised lower incomplete gamma function by its series; exact enough below x = 40 scales."""
    x /= scale
    term = total = 1 / shape
    step = shape
    while term > total * 1e-15:
        step += 1
        term *= x / step
        total += term
    return total * math.exp(shape * math.log(x) - x - math.lgamma(shape))
