"""Amounts and reasons in words: what a decision says to whoever asked."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from wnodes_engine.check.checked import UNLIMITED

_DURATIONS: Final = ((604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m"))
_SIZES: Final = ((1 << 30, "PiB"), (1 << 20, "TiB"), (1 << 10, "GiB"))
_SINGULAR: Final = {
    "cores": "core",
    "gpus": "GPU",
    "volumes": "volume",
    "machines": "machine",
    "core_hours": "core hour",
}
_PLURAL: Final = {"gpus": "GPUs", "core_hours": "core hours", "count": "parts"}


def duration(seconds: int) -> str:
    """`12h`, `90m`, `unlimited`: the largest unit that leaves a whole number."""
    if seconds >= UNLIMITED:
        return "unlimited"
    for length, unit in _DURATIONS:
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def size(mib: int) -> str:
    """`160GiB`, `500MiB`: the largest unit that leaves a whole number."""
    for length, unit in _SIZES:
        if mib >= length and mib % length == 0:
            return f"{mib // length}{unit}"
    return f"{mib}MiB"


@lru_cache(maxsize=4096)
def amount(resource: str, value: int) -> str:
    """An amount with its unit: `4 cores`, `8GiB memory`, `12.5 HS23`, `walltime 12h`."""
    if resource in ("memory", "disk"):
        return f"{size(value)} {resource}"
    if resource == "walltime":
        return f"walltime {duration(value)}"
    if resource == "hs23":
        return f"{value / 1000:g} HS23"
    if value == 1 and resource in _SINGULAR:
        return f"1 {_SINGULAR[resource]}"
    return f"{value} {_PLURAL.get(resource, resource)}"
