"""What `site.yaml` may say of an LSF cluster."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta
from wnodes_batch.identity import Means
from wnodes_batch.options import CommonOptions, File, Limit, Word, single_words
from wnodes_engine.drivers import options_as

from wnodes_lsf.words import Unit


class Form(StrEnum):
    """How `bjobs` is asked: `AUTO` finds out, `JSON` needs `-json`, `DELIMITED` is for those without."""

    AUTO = "auto"
    JSON = "json"
    DELIMITED = "delimited"


class Options(CommonOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An LSF cluster.

    `submit_as` is `self`, `runuser` or `sudo`.
    `envdir`, `bindir` and `serverdir` are LSF's directories (`LSF_ENVDIR` with lsf.conf, the commands,
    `LSF_SERVERDIR`), as profile.lsf sets them. `form` is how jobs are listed, `memory_unit` the unit that
    resource requirements are in (else what lsf.conf says). `accounting` is lsb.acct, if it can be read
    here; without it endings come from bjobs, bacct and bhist. `application` and `reservation` are those of
    all our jobs. `workdir` and `output` are where jobs run and write (else their user's home, and
    lsf-%J.out there; baits write nothing). `login`: jobs get their user's login environment.
    """

    envdir: File | None = None
    bindir: File | None = None
    serverdir: File | None = None
    form: Form = Form.AUTO
    memory_unit: Unit | None = None
    accounting: File | None = None
    application: Word | None = None
    reservation: Word | None = None
    workdir: File | None = None
    output: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    login: bool = False
    limit: Limit = 60.0


def read_options(name: str, options: Mapping[str, Any]) -> Options:
    """The options of the backend `name`. Raises ValueError with the path of what is wrong."""
    read = options_as(Options, name, options)
    where = f"backends.{name}.options"
    if read.submit_as is Means.UID:
        raise ValueError(f"{where}.submit_as: bsub has no means to submit for others: say runuser or sudo")
    single_words(read, where, ("application", "reservation", "output"))
    return read
