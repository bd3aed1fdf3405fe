"""What `site.yaml` may say of every batch system that is reached by its commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta
from wnodes_engine.backend import is_word

from wnodes_batch.identity import Means

Word = Annotated[str, Meta(min_length=1, max_length=64)]
File = Annotated[str, Meta(min_length=1, max_length=4096, pattern="^/")]
Limit = Annotated[float, Meta(ge=1, le=600)]


class CommonOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How commands are run and in whose name.

    `submit_as` is how jobs are submitted in their users' names, `service_user` whom baits run as (else the
    daemon's own user), `min_uid` the lowest uid that may have jobs. `limit`: seconds that a command may take.
    `history`: how far back endings are read at first; `lag`: how late one may be heard of, both in seconds.
    """

    submit_as: Means = Means.SELF
    service_user: Word | None = None
    min_uid: Annotated[int, Meta(ge=1)] = 1000
    limit: Limit = 30.0
    history: Annotated[int, Meta(ge=0)] = 86400
    lag: Annotated[int, Meta(ge=60)] = 600


def single_words(options: CommonOptions, where: str, fields: Iterable[str]) -> None:
    """Raises ValueError, with its path, for the first of these options that is set and is not one word."""
    for field in ("service_user", *fields):
        if (value := getattr(options, field)) is not None and not is_word(value):
            raise ValueError(f"{where}.{field}: {value!r} is not one word")
