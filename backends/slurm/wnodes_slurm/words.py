"""Slurm's ways to write numbers: memory, durations, resources."""

from __future__ import annotations

import re
from typing import Final

import msgspec

TAG_WIDTH: Final = 48
"""The room for a job's name in our listings; a tag is shorter, so a longer name can never pass for one."""

_MEMORY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMGTP]?)[nc]?")
_DURATION: Final = re.compile(r"(?:([0-9]+)-)?(?:([0-9]+):)?(?:([0-9]+):)?([0-9]+)(?:\.[0-9]+)?")
_KIB: Final = {"K": 1, "": 1024, "M": 1024, "G": 1024**2, "T": 1024**3, "P": 1024**4}


class Resources(msgspec.Struct, frozen=True):
    """What a TRES string says; memory in MiB."""

    cores: int = 0
    memory: int = 0
    gpus: int = 0


def mib(text: str) -> int:
    """`62.50G`, `100M` or `2004K` in MiB, rounded up; 0 for what is no amount of memory."""
    matched = _MEMORY.fullmatch(text)
    if matched is None:
        return 0
    whole, _, part = matched[1].partition(".")
    scale = _KIB[matched[2]]
    kib = int(whole) * scale + (int(part) * scale // 10 ** len(part) if part else 0)
    return -(-kib // 1024)


def seconds(text: str) -> int | None:
    """`1-02:00:00`, `30:00` or `00:00.002` in seconds; None for UNLIMITED and all that is no duration."""
    matched = _DURATION.fullmatch(text)
    if matched is None or (matched[2] is None and matched[1] is None):
        return None
    days, first, second, last = (int(part or 0) for part in matched.groups())
    if matched[3] is None:  # MM:SS, or with days HH:MM as Slurm writes neither
        return days * 86400 + first * 60 + last
    return days * 86400 + first * 3600 + second * 60 + last


def moment(text: str) -> int | None:
    """Seconds since the epoch, as asked for; None for `N/A`, `Unknown`, `None` and 0."""
    return (int(text) or None) if text.isascii() and text.isdigit() and len(text) < 13 else None


def number(text: str) -> int:
    """A count; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def resources(tres: str) -> Resources:
    """What `cpu=4,mem=62.50G,node=1,billing=4,gres/gpu=2` asks or holds."""
    said = dict(part.partition("=")[::2] for part in tres.split(","))
    typed = sum(number(count) for name, count in said.items() if name.startswith("gres/gpu:"))
    gpus = number(said.get("gres/gpu", "")) or typed
    return Resources(number(said.get("cpu", "")), mib(said.get("mem", "")), gpus)
