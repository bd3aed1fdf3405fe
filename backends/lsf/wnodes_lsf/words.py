"""LSF's ways to write things: times with and without a year, memory, limits, hosts, resources asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

Cores = tuple[tuple[str, int], ...]

_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MOMENT: Final = re.compile(
    r"(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) +([0-9]{1,2}) ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
    r"(?: ([0-9]{4}))?(?: [A-Z])?"
)
_NUMBERS: Final = re.compile(r"([0-9]{1,2})/([0-9]{1,2})-([0-9]{2}):([0-9]{2}):([0-9]{2})")
_MEMORY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGTPE]?)(?:i?[Bb](?:ytes?)?|bytes)?")
_CLOCK: Final = re.compile(r"([0-9]+):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?")
_MINUTES: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?(?: min)?(?:(?:/| of )\S+)?")
_SECONDS: Final = re.compile(r"([0-9]+)(?:\.[0-9]+)?(?: second\(?s?\)?)?")
_HOST: Final = re.compile(r"(?:([0-9]{1,7})\*)?([^*:\s<>]+)")
_RUSAGE: Final = re.compile(r"rusage\[([^\]]*)\]")
_MEM: Final = re.compile(
    r"(?:^|[,:\s])mem *= *([0-9.]+ ?[KMGTPE]?)(?:i?[Bb](?:ytes?)?)?(?:/(job|host|task))?"
)
_KIB: Final[dict[str, int]] = {"K": 1, "M": 1024, "G": 1024**2, "T": 1024**3, "P": 1024**4, "E": 1024**5}
_DAY: Final = 86400
_NOTHING: Final = frozenset({"", "-"})


class Unit(StrEnum):
    """A unit of memory, as `LSF_UNIT_FOR_LIMITS` names it."""

    KB = "KB"
    MB = "MB"
    GB = "GB"
    TB = "TB"


def said(text: str) -> str:
    """A value; empty for a dash."""
    text = text.strip()
    return "" if text in _NOTHING else text


@lru_cache(1 << 16)
def moment(text: str, now: int) -> int | None:
    """Seconds since the epoch of `Nov 23 01:53`, `Mon Nov 23 01:53:28 2026`, `11/23-01:53:28`.

    A letter may follow, as in `Nov 23 01:53 L`. Commands run in UTC, and in the C locale. A time without
    a year is the last one that is not more than a day after `now`. None for what is no time.
    """
    text = text.strip()
    if matched := _MOMENT.fullmatch(text):
        if matched[1] not in _MONTHS:
            return None
        month, year = _MONTHS.index(matched[1]) + 1, matched[6]
        day, hour, minute, second = (int(matched[at] or 0) for at in (2, 3, 4, 5))
    elif matched := _NUMBERS.fullmatch(text):
        month, day, hour, minute, second = (int(part) for part in matched.groups())
        year = None
    else:
        return None
    latest = datetime.fromtimestamp(now + _DAY, UTC).year
    years = (int(year),) if year else range(latest, latest - 9, -1)  # nine: the 29th of February
    for candidate in years:
        try:
            at = int(datetime(candidate, month, day, hour, minute, second, tzinfo=UTC).timestamp())
        except ValueError:
            continue
        if year or at <= now + _DAY:
            return at
    return None


def kib(text: str, unit: Unit = Unit.KB) -> int | None:
    """`5 Mbytes`, `24105M`, `3.2G` or, in this unit, `100.00`; in KiB, rounded up; None for no amount."""
    matched = _MEMORY.fullmatch(text.strip())
    if matched is None:
        return None
    whole, _, part = matched[1].partition(".")
    scale = _KIB[matched[2] or unit.value[0]]
    return int(whole) * scale + (-(-int(part) * scale // _tenth(part)) if part else 0)


def _tenth(part: str) -> int:
    return int("1" + "0" * len(part))


def mib(text: str, unit: Unit = Unit.KB) -> int:
    """The same in MiB, rounded up; 0 for what is no amount of memory."""
    return -(-(kib(text, unit) or 0) // 1024)


def amount(memory: int, unit: Unit | None) -> str:
    """So many MiB as LSF is told them: in a unit that it assumes, or with one (None) that it is told."""
    match unit:
        case None:
            return f"{memory}MB"
        case Unit.KB:
            return str(memory * 1024)
        case Unit.MB:
            return str(memory)
        case Unit.GB:
            return str(-(-memory // 1024))
        case Unit.TB:
            return str(-(-memory // 1024**2))


def run_limit(text: str) -> int | None:
    """`00:10:00`, `10.0`, `5.0 min of vm` or `10.0/vm` in seconds; None for no limit."""
    text = text.strip()
    if matched := _CLOCK.fullmatch(text):
        return int(matched[1]) * 3600 + int(matched[2]) * 60 + int(matched[3])
    if (matched := _MINUTES.fullmatch(text)) is None:
        return None
    part = matched[2] or "0"
    return int(matched[1]) * 60 + int(part) * 60 // _tenth(part)


def seconds(text: str) -> int | None:
    """`15 second(s)`, `0.1 seconds`, `000:02:10.00`; None for what is no duration."""
    text = text.strip()
    if matched := _CLOCK.fullmatch(text):
        return int(matched[1]) * 3600 + int(matched[2]) * 60 + int(matched[3])
    matched = _SECONDS.fullmatch(text)
    return int(matched[1]) if matched else None


def number(text: str) -> int:
    """A count; 0 for what is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def hosts(parts: Iterable[str]) -> Cores:
    """How many slots on which host, of `vm`, `vm` and `2*vn2`, in the order in which they come first."""
    held: dict[str, int] = {}
    for part in parts:
        if matched := _HOST.fullmatch(part.strip()):
            held[matched[2]] = held.get(matched[2], 0) + int(matched[1] or 1)
    return tuple(held.items())


def exec_hosts(text: str) -> Cores:
    """The same of `2*vn2:vn1` or `vn2:vn2:vn1`."""
    return hosts(text.split(":")) if said(text) else ()


def reserved(resources: str, unit: Unit, *, hosts: int, slots: int, per_task: bool) -> int:
    """The memory (MiB) that a job with these resource requirements holds in all.

    LSF reserves it on each host, or for each task if the cluster says so, or as `mem=1G/job` says itself.
    """
    total = 0
    for section in _RUSAGE.findall(resources):
        for asked, method in _MEM.findall(section.partition("||")[0]):
            each = mib(asked, unit)
            times = {"job": 1, "host": hosts, "task": slots}.get(method, slots if per_task else hosts)
            total += each * max(1, times)
    return total
