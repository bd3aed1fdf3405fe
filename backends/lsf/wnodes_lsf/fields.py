"""What listings are asked for: as many fields as this LSF knows, and it says itself which it does not."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

NEEDED: Final = ("jobid", "stat", "user", "queue", "job_name", "submit_time", "exec_host")
WANTED: Final = (
    *NEEDED,
    "jobindex",
    "proj_name",
    "user_group",
    "start_time",
    "finish_time",
    "nalloc_slot",
    "alloc_slot",
    "nreq_slot",
    "slots",
    "runtimelimit",
    "combined_resreq",
    "pend_reason",
    "exit_code",
    "exit_reason",
    "cpu_used",
    "max_mem",
    "gpu_num",
)
_TELLING: Final = frozenset(
    {"proj_name", "start_time", "finish_time", "nalloc_slot", "runtimelimit", "exit_code"}
)
"""Without one of these, what the long listing says is needed too."""

_FREE: Final = ("proj_name", "combined_resreq", "job_name")
"""What users write as they like. Between delimiters it comes by itself, the name at the end."""

PLAIN: Final = tuple(name for name in WANTED if name not in {*_FREE, "pend_reason", "exit_reason"})
TEXTS: Final = ("jobid", "jobindex", *_FREE)

HOST_NEEDED: Final = ("host_name", "status", "max")
HOST_WANTED: Final = (*HOST_NEEDED, "ngpus")


class Said(msgspec.Struct, rename="upper", gc=False):
    """What a listing says of a job, word for word."""

    jobid: str = ""
    stat: str = ""
    user: str = ""
    queue: str = ""
    job_name: str = ""
    submit_time: str = ""
    exec_host: str = ""
    jobindex: str = ""
    proj_name: str = ""
    user_group: str = ""
    start_time: str = ""
    finish_time: str = ""
    nalloc_slot: str = ""
    alloc_slot: str = ""
    nreq_slot: str = ""
    slots: str = ""
    runtimelimit: str = ""
    combined_resreq: str = ""
    pend_reason: str = ""
    exit_code: str = ""
    exit_reason: str = ""
    cpu_used: str = ""
    max_mem: str = ""
    gpu_num: str = ""
    error: str = ""


class HostSaid(msgspec.Struct, rename="upper", gc=False):
    """What a listing says of a host, word for word."""

    host_name: str = ""
    status: str = ""
    max: str = ""
    ngpus: str = ""


def fewer(message: str, asked: Sequence[str], needed: Collection[str]) -> list[str] | None:
    """What to ask for instead, after a message that a field is not known; None if it says something else.

    A message that does not name the field costs the last one that can be done without: the newest.
    """
    said = message.lower()
    if "field" not in said and "format" not in said:
        return None
    named = [name for name in asked if re.search(rf"(?<![a-z_]){re.escape(name)}(?![a-z_])", said)]
    spare = [name for name in asked if name not in needed]
    drop = named[0] if len(named) == 1 else spare[-1] if spare else ""
    return [name for name in asked if name != drop] if drop in spare else None


def tells_all(fields: Iterable[str]) -> bool:
    """Whether a listing with these fields needs no other beside it."""
    return set(fields) >= _TELLING
