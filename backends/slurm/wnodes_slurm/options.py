"""What `site.yaml` may say of a Slurm cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta
from wnodes_batch.options import CommonOptions, File, Word, single_words
from wnodes_engine.drivers import options_as


class Options(CommonOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Slurm cluster.

    `conf` is the slurm.conf of the cluster (else the system's). `qos` and `reservation` are those of all our
    jobs. `workdir` and `output` are where jobs run and write (else their user's home, and slurm-%j.out there;
    baits write nothing). `login`: jobs get their user's login environment, else a bare one.
    """

    conf: File | None = None
    qos: Word | None = None
    reservation: Word | None = None
    workdir: File | None = None
    output: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    login: bool = True


def read_options(name: str, options: Mapping[str, Any]) -> Options:
    """The options of the backend `name`. Raises ValueError with the path of what is wrong."""
    read = options_as(Options, name, options)
    single_words(read, f"backends.{name}.options", ("qos", "reservation", "output"))
    return read
