"""What `site.yaml` may say of an LSF cluster."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from wnodes_batch.identity import Means
from wnodes_engine.backend import is_word
from wnodes_engine.drivers import options_as

from wnodes_lsf.words import Unit

Word = Annotated[str, Meta(min_length=1, max_length=64)]
Path = Annotated[str, Meta(min_length=1, max_length=4096, pattern="^/")]


class Form(StrEnum):
    """How `bjobs` is asked: `AUTO` finds out, `JSON` needs `-json`, `DELIMITED` is for those without."""

    AUTO = "auto"
    JSON = "json"
    DELIMITED = "delimited"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An LSF cluster.

    `submit_as` is how jobs are submitted in their users' names (`self`, `runuser` or `sudo`), `service_user`
    whom baits run as (else the daemon's own user), `min_uid` the lowest uid that may have jobs.
    `envdir`, `bindir` and `serverdir` are LSF's directories (`LSF_ENVDIR` with lsf.conf, the commands,
    `LSF_SERVERDIR`), as profile.lsf sets them. `form` is how jobs are listed, `memory_unit` the unit that
    resource requirements are in (else what lsf.conf says). `accounting` is lsb.acct, if it can be read
    here; without it endings come from bjobs, bacct and bhist. `application` and `reservation` are those of
    all our jobs. `workdir` and `output` are where jobs run and write (else their user's home, and
    lsf-%J.out there; baits write nothing). `login`: jobs get their user's login environment.
    `limit`: seconds that a command may take. `history`: how far back endings are read at first; `lag`:
    how late one may be heard of, both in seconds.
    """

    submit_as: Means = Means.SELF
    service_user: Word | None = None
    min_uid: Annotated[int, Meta(ge=1)] = 1000
    envdir: Path | None = None
    bindir: Path | None = None
    serverdir: Path | None = None
    form: Form = Form.AUTO
    memory_unit: Unit | None = None
    accounting: Path | None = None
    application: Word | None = None
    reservation: Word | None = None
    workdir: Path | None = None
    output: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    login: bool = False
    limit: Annotated[float, Meta(ge=1, le=600)] = 60.0
    history: Annotated[int, Meta(ge=0)] = 86400
    lag: Annotated[int, Meta(ge=60)] = 600


def read_options(name: str, options: Mapping[str, Any]) -> Options:
    """The options of the backend `name`. Raises ValueError with the path of what is wrong."""
    read = options_as(Options, name, options)
    where = f"backends.{name}.options"
    if read.submit_as is Means.UID:
        raise ValueError(f"{where}.submit_as: bsub has no means to submit for others: say runuser or sudo")
    for field in ("service_user", "application", "reservation", "output"):
        if (value := getattr(read, field)) is not None and not is_word(value):
            raise ValueError(f"{where}.{field}: {value!r} is not one word")
    return read
