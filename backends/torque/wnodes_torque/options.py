"""What `site.yaml` may say of a TORQUE or PBS server."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wnodes_batch.identity import Means
from wnodes_batch.options import CommonOptions, File, Word, single_words
from wnodes_engine.drivers import options_as


class Dialect(StrEnum):
    """Whose commands there are: TORQUE's, or those of OpenPBS and PBS Pro."""

    TORQUE = "torque"
    PBS = "pbs"


class Options(CommonOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A TORQUE or PBS server.

    `dialect`: whose commands there are (else `qstat --version` tells). `server` is the server's host (else
    the commands' own default), `bin` where its commands are (else the system's path), `conf` PBS's pbs.conf.
    `submit_as` may be `uid`, which is TORQUE's `qsub -P`. `output` is
    the folder that jobs write to (else their user's home; baits write nothing).
    `accounting` is the folder of the server's accounting log (else where the system has it, if it can be
    read; without one qstat tells how jobs have ended), `timezone` the server's (else this machine's).
    `memory`: whether the scheduler keeps to memory (else PBS's does, and TORQUE's does not); `manager`:
    whether the daemon is an operator or manager of the server (else the server's lists of them tell).
    """

    dialect: Dialect | None = None
    server: Word | None = None
    bin: File | None = None
    conf: File | None = None
    output: File | None = None
    accounting: File | None = None
    timezone: Word | None = None
    memory: bool | None = None
    manager: bool | None = None


def read_options(name: str, options: Mapping[str, Any]) -> Options:
    """The options of the backend `name`. Raises ValueError with the path of what is wrong."""
    read = options_as(Options, name, options)
    path = f"backends.{name}.options"
    single_words(read, path, ("server", "output", "bin"))
    if read.dialect is Dialect.PBS and read.submit_as is Means.UID:
        raise ValueError(f"{path}.submit_as: PBS cannot submit for others: say runuser or sudo")
    if read.timezone is not None:
        try:
            ZoneInfo(read.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{path}.timezone: there is no time zone {read.timezone!r}") from None
    return read
