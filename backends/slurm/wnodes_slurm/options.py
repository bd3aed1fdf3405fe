"""What `site.yaml` may say of a Slurm cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from wnodes_batch.identity import Means
from wnodes_engine.backend import is_word
from wnodes_engine.drivers import options_as

Word = Annotated[str, Meta(min_length=1, max_length=64)]
File = Annotated[str, Meta(min_length=1, max_length=4096, pattern="^/")]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Slurm cluster.

    `submit_as` is how jobs are submitted in their users' names, `service_user` whom baits run as (else the
    daemon's own user), `min_uid` the lowest uid that may have jobs. `conf` is the slurm.conf of the cluster
    (else the system's). `qos` and `reservation` are those of all our jobs. `workdir` and `output` are where
    jobs run and write (else their user's home, and slurm-%j.out there; baits write nothing). `login`: jobs
    get their user's login environment, else a bare one.
    `limit`: seconds that a command may take. `history`: how far back accounting is read at first; `lag`:
    how late it may hear of an ending, both in seconds.
    """

    submit_as: Means = Means.SELF
    service_user: Word | None = None
    min_uid: Annotated[int, Meta(ge=1)] = 1000
    conf: File | None = None
    qos: Word | None = None
    reservation: Word | None = None
    workdir: File | None = None
    output: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    login: bool = True
    limit: Annotated[float, Meta(ge=1, le=600)] = 30.0
    history: Annotated[int, Meta(ge=0)] = 86400
    lag: Annotated[int, Meta(ge=60)] = 600


def read_options(name: str, options: Mapping[str, Any]) -> Options:
    """The options of the backend `name`. Raises ValueError with the path of what is wrong."""
    read = options_as(Options, name, options)
    for field in ("service_user", "qos", "reservation", "output"):
        if (value := getattr(read, field)) is not None and not is_word(value):
            raise ValueError(f"backends.{name}.options.{field}: {value!r} is not one word")
    return read
