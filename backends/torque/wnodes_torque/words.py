"""How TORQUE and PBS write things: memory, durations, times, slots on hosts, what is asked for."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec
from wnodes_batch.bulk import Unreadable

Cores = tuple[tuple[str, int], ...]


class Size(msgspec.Struct, frozen=True):
    """What a job asks for or holds; memory in MiB."""

    cores: int = 0
    memory: int = 0
    gpus: int = 0


_SIZE: Final = re.compile(r"([0-9]{1,20})(?:([kmgtp]?)([bw])?)?", re.ASCII | re.IGNORECASE)
_BYTES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_WORD: Final = 8  # bytes
_MONTHS: Final = {"Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6} | {
    "Jul": 7,
    "Aug": 8,
    "Sep": 9,
    "Oct": 10,
    "Nov": 11,
    "Dec": 12,
}
_SLOTS: Final = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_MOST_SLOTS: Final = 1_000_000
_CHUNK: Final = re.compile(r"[()]")


def mib(text: str) -> int:
    """`24683656kb`, `100mb`, `2gw` or `1048576` (bytes) in MiB, rounded up; 0 for what is no size.

    A word (`w`) is of 8 bytes, as on every machine that these systems run on.
    """
    matched = _SIZE.fullmatch(text)
    if matched is None:
        return 0
    number, scale, unit = matched.groups()
    size = int(number) * _BYTES[(scale or "").lower()] * (_WORD if (unit or "").lower() == "w" else 1)
    return -(-size // (1 << 20))


def seconds(text: str) -> int | None:
    """`100:00:00`, `2:00:00:00` (days first), `05:00` or `12722` in seconds; None for all else."""
    text = text.partition(".")[0]
    parts = text.split(":")
    if len(parts) > 4 or len(text) > 24 or not text.isascii() or not text.replace(":", "").isdigit():
        return None
    total = 0
    try:
        for part, factor in zip(reversed(parts), (1, 60, 3600, 86400), strict=False):
            total += int(part) * factor
    except ValueError:  # nothing between two colons
        return None
    return total


def moment(text: str) -> int | None:
    """Seconds since the epoch, of `1795400510` or of `Mon Nov 23 02:35:12 2026`, which is in UTC for us."""
    if text.isascii() and text.isdigit() and len(text) < 13:
        return int(text) or None
    if len(text) != 24 or (midnight := _midnight(text[3:11] + text[19:])) is None:
        return None
    clock = seconds(text[11:19])
    return midnight + clock if clock is not None and clock <= 86400 else None


@lru_cache(maxsize=4096)
def _midnight(text: str) -> int | None:
    """When the day ` Nov 23  2026` began in UTC."""
    parts = text.split()
    if len(parts) != 3 or parts[0] not in _MONTHS:
        return None
    day, year = number(parts[1]), number(parts[2])
    if not 1 <= day <= 31 or not 1971 <= year <= 9999:
        return None
    return timegm((year, _MONTHS[parts[0]], day, 0, 0, 0, 0, 1, 0))


def number(text: str) -> int:
    """A count; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def slots(text: str) -> int:
    """How many slots `3`, `0-2` or `0,4-5` are. Raises Unreadable."""
    total = 0
    for part in text.split(","):
        matched = _SLOTS.fullmatch(part)
        if matched is None:
            raise Unreadable(f"{text[:80]!r} are no slots of a host")
        first, last = int(matched[1]), int(matched[2] or matched[1])
        if not 0 <= last - first < _MOST_SLOTS:
            raise Unreadable(f"{text[:80]!r} are no slots of a host")
        total += last - first + 1
    return total


def exec_host(text: str) -> Cores:
    """The cores on each host of `tq1/2-3+tq2/0-1`, `n/0+n/1` or `pbsn1/3*2+pbsn2/2*2`. Raises Unreadable."""
    if not text:
        return ()
    held: dict[str, int] = {}
    for part in text.split("+"):
        host, slash, at = part.rpartition("/")
        if not slash or not host:
            raise Unreadable(f"{part[:80]!r} is no host with slots")
        first, star, many = at.partition("*")
        cores = number(many) if star and many.isdigit() else slots(at)
        if star and not (first.isdigit() and many.isdigit()):
            raise Unreadable(f"{part[:80]!r} is no host with slots")
        held[host] = held.get(host, 0) + cores
    return tuple(held.items())


def exec_vnode(text: str) -> Cores:
    """The cores on each vnode of `(a:ncpus=2:mem=9kb)+(b:ncpus=1+c:ncpus=1)`. Raises Unreadable."""
    held: dict[str, int] = {}
    for part in _CHUNK.sub("", text).split("+") if text else ():
        vnode, *resources = part.split(":")
        if not vnode:
            raise Unreadable(f"{text[:80]!r} are no vnodes")
        held.setdefault(vnode, 0)
        for resource in resources:
            name, _, value = resource.partition("=")
            if name == "ncpus":
                held[vnode] += number(value)
    return tuple((vnode, cores) for vnode, cores in held.items() if cores)


def node_spec(text: str) -> Size:
    """What `2:ppn=4:gpus=1+tq3:ppn=2#shared` asks for; a part that is no number is one node, by its name."""
    cores = gpus = 0
    for part in text.partition("#")[0].split("+"):
        first, *words = part.split(":")
        count = number(first) if first.isdigit() else 1
        said = dict(word.partition("=")[::2] for word in words)
        cores += count * (number(said.get("ppn", "1")) or 1)
        gpus += count * number(said.get("gpus", "0"))
    return Size(cores, 0, gpus)


def total(cores: Iterable[tuple[str, int]]) -> int:
    """The cores of all nodes together."""
    return sum(each for _, each in cores)
