"""The tag that marks a job as ours: its name in a batch system that changes or blurs times of submission."""

from __future__ import annotations

import re
from typing import Final

from wnodes_engine.backend import JobRef

_TAG: Final = re.compile(r"wn-([a-z0-9]{1,32})-([0-9a-f]{1,10})")


def tag(key: str, submitted_at: int) -> str:
    """A job's name in the batch system, with the time of submission as we have it."""
    return f"wn-{key}-{submitted_at:x}"


def ref_of(name: str, cluster: str, id_: str, submitted_at: int) -> JobRef:
    """The reference of a job with this name; its own time of submission counts if it is not ours."""
    if matched := _TAG.fullmatch(name):
        return JobRef(cluster, id_, matched[1], int(matched[2], 16))
    return JobRef(cluster, id_, "", submitted_at)
