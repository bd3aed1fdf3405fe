"""What `site.yaml` may say of a simulated farm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from wnodes_engine.drivers import options_as

Chance = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
File = Annotated[str, Meta(min_length=1, max_length=4096)]


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong, how often. Chances are per call or per job; times are seconds of the wall clock.

    `passing`: a submission is turned away for the moment. `lost`: it is taken, but the answer does not
    arrive. `late`: the answer does not arrive, and the job appears only `late_by` seconds afterwards.
    `lost_actions`: what was to be done to a job is done, but the answer does not arrive.
    `slow`: an answer takes `slow_by` seconds. `unavailable`: a query is not answered.
    `forgotten`: a job is taken, and the farm forgets it at once, and gives its id to the next. `strangers`:
    after a submission somebody else submits a job of the same name. `vanish`: a job is gone halfway, and
    nothing tells how it ended. `job_failure`: a job fails halfway. `node_failure`: the mean time between
    two failures of one node (0 is never); its jobs fail with it, and it is back after `repair` seconds.
    """

    passing: Chance = 0.0
    lost: Chance = 0.0
    late: Chance = 0.0
    late_by: Seconds = 5.0
    slow: Chance = 0.0
    slow_by: Seconds = 1.0
    unavailable: Chance = 0.0
    lost_actions: Chance = 0.0
    forgotten: Chance = 0.0
    strangers: Chance = 0.0
    vanish: Chance = 0.0
    job_failure: Chance = 0.0
    node_failure: Seconds = 0.0
    repair: Annotated[float, Meta(gt=0, le=1e9)] = 60.0


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A simulated farm.

    `farm` is the file with its nodes. A job runs for a fraction of its walltime that is drawn between the
    two of `runs`; one without a walltime for `unlimited` seconds; one whose script is `sleep N` for N
    seconds, but never past its walltime. `speed`: how many times faster than they say jobs run.
    `record` is a file to which everything that happens is appended, and from which the farm carries on
    after a restart. `ids`: how many job ids there are before they are used again.
    """

    farm: File
    seed: int = 0
    speed: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    runs: tuple[Chance, Chance] = (1.0, 1.0)
    unlimited: Seconds = 3600.0
    record: File | None = None
    ids: Annotated[int, Meta(ge=1)] | None = None
    faults: Faults = Faults()


def read_options(name: str, options: Mapping[str, Any]) -> Options:
    """The options of the backend `name`. Raises ValueError with the path of what is wrong."""
    read = options_as(Options, name, options)
    if read.runs[0] > read.runs[1]:
        raise ValueError(f"backends.{name}.options.runs: the first fraction is above the second")
    return read
