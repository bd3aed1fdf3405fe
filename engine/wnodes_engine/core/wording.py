"""Amounts in words: what a decision says to whoever asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.core.claim import Part

_DURATIONS: Final = ((604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m"))


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
    # By bits, since every reason has some sizes in it.
    if mib & 0x3FF or mib <= 0:
        return f"{mib}MiB"
    if mib & 0xFFFFF:
        return f"{mib >> 10}GiB"
    if mib & 0x3FFFFFFF:
        return f"{mib >> 20}TiB"
    return f"{mib >> 30}PiB"


def _counted(one: str, many: str) -> Callable[[int], str]:
    """How what is counted is said."""
    return lambda count: f"1 {one}" if count == 1 else f"{count} {many}"


_SAID: Final[dict[str, Callable[[int], str]]] = {
    "cores": _counted("core", "cores"),
    "memory": lambda mib: f"{size(mib)} memory",
    "gpus": _counted("GPU", "GPUs"),
    "disk": lambda mib: f"{size(mib)} disk",
    "hs23": lambda thousandths: f"{thousandths / 1000:g} HS23",
    "volumes": _counted("volume", "volumes"),
    "machines": _counted("machine", "machines"),
    "core_hours": _counted("core hour", "core hours"),
    "count": _counted("parts", "parts"),
    "walltime": lambda seconds: f"walltime {duration(seconds)}",
    "running": _counted("running", "running"),
    "waiting": _counted("waiting", "waiting"),
}


_cores, _memory, _gpus, _disk = (_SAID[resource] for resource in ("cores", "memory", "gpus", "disk"))


def wording(resource: str) -> Callable[[int], str]:
    """How amounts of a resource are said; see `amount`."""
    return _SAID[resource]


def amount(resource: str, value: int) -> str:
    """An amount with its unit: `4 cores`, `8GiB memory`, `12.5 HS23`, `walltime 12h`."""
    return _SAID[resource](value)


def parts_of(part: Part, parts: int) -> str:
    """All parts of a request: `4 cores, 8GiB memory`, or `3 × (1 core)`."""
    each = _cores(part.cores) if part.cores else ""
    if part.memory:
        each = f"{each}, {_memory(part.memory)}" if each else _memory(part.memory)
    if part.gpus:
        each = f"{each}, {_gpus(part.gpus)}" if each else _gpus(part.gpus)
    if part.disk:
        each = f"{each}, {_disk(part.disk)}" if each else _disk(part.disk)
    return each if parts == 1 else f"{parts} × ({each})"
