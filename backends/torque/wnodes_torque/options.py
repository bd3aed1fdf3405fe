"""What `site.yaml` may say of a TORQUE or PBS server."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta
from wnodes_batch.identity import Means
from wnodes_engine.backend import is_word
from wnodes_engine.drivers import options_as

Word = Annotated[str, Meta(min_length=1, max_length=64)]
File = Annotated[str, Meta(min_length=1, max_length=4096, pattern="^/")]


class Dialect(StrEnum):
    """Whose commands there are: TORQUE's, or those of OpenPBS and PBS Pro."""

    TORQUE = "torque"
    PBS = "pbs"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A TORQUE or PBS server.

    `dialect`: whose commands there are (else `qstat --version` tells). `server` is the server's host (else
    the commands' own default), `bin` where its commands are (else the system's path), `conf` PBS's pbs.conf.
    `submit_as` is how jobs are submitted in their users' names (`uid` is TORQUE's `qsub -P`), `service_user`
    whom baits run as (else the daemon's own user), `min_uid` the lowest uid that may have jobs. `output` is
    the folder that jobs write to (else their user's home; baits write nothing).
    `accounting` is the folder of the server's accounting log (else where the system has it, if it can be
    read; without one qstat tells how jobs have ended), `timezone` the server's (else this machine's).
    `memory`: whether the scheduler keeps to memory (else PBS's does, and TORQUE's does not); `manager`:
    whether the daemon is an operator or manager of the server (else the server's lists of them tell).
    `limit`: seconds that a command may take. `history`: how far back accounting is read at first; `lag`:
    how late it may tell of an ending, both in seconds.
    """

    dialect: Dialect | None = None
    server: Word | None = None
    bin: File | None = None
    conf: File | None = None
    submit_as: Means = Means.SELF
    service_user: Word | None = None
    min_uid: Annotated[int, Meta(ge=1)] = 1000
    output: File | None = None
    accounting: File | None = None
    timezone: Word | None = None
    memory: bool | None = None
    manager: bool | None = None
    limit: Annotated[float, Meta(ge=1, le=600)] = 30.0
    history: Annotated[int, Meta(ge=0)] = 86400
    lag: Annotated[int, Meta(ge=60)] = 600


def read_options(name: str, options: Mapping[str, Any]) -> Options:
    """The options of the backend `name`. Raises ValueError with the path of what is wrong."""
    read = options_as(Options, name, options)
    path = f"backends.{name}.options"
    for field in ("server", "service_user", "output", "bin"):
        if (value := getattr(read, field)) is not None and not is_word(value):
            raise ValueError(f"{path}.{field}: {value!r} is not one word")
    if read.dialect is Dialect.PBS and read.submit_as is Means.UID:
        raise ValueError(f"{path}.submit_as: PBS cannot submit for others: say runuser or sudo")
    if read.timezone is not None:
        try:
            ZoneInfo(read.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{path}.timezone: there is no time zone {read.timezone!r}") from None
    return read
