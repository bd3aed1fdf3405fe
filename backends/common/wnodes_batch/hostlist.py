"""Lists of hosts as batch systems write them: `n[1-3,07],gpu1`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Final

_MOST: Final = 1_000_000
_RANGE: Final = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
_NUMBERED: Final = re.compile(r"(.*?)([0-9]{1,18})")


def expand(text: str) -> tuple[str, ...]:
    """The names of a list, in its order; `n[01-03]x[1-2]` has six. Raises ValueError."""
    names: list[str] = []
    for part in _parts(text):
        names += _expanded(part)
        if len(names) > _MOST:
            raise ValueError(f"more than {_MOST} hosts: {text[:80]!r}")
    return tuple(names)


def compress(names: Iterable[str]) -> str:
    """A list with these names, as short as runs of numbers make it."""
    split = sorted({_split(name) for name in names})
    parts: list[str] = []
    for (prefix, width), group in groupby(split, key=lambda each: each[:2]):
        numbers = [number for _, _, number in group]
        ranges = list(_ranges(numbers, width)) if width else [""]
        alone = len(ranges) == 1 and "-" not in ranges[0]
        parts.append(prefix + (ranges[0] if alone else f"[{','.join(ranges)}]"))
    return ",".join(parts)


def _split(name: str) -> tuple[str, int, int]:
    matched = _NUMBERED.fullmatch(name)
    return (matched[1], len(matched[2]), int(matched[2])) if matched else (name, 0, 0)


def _ranges(numbers: list[int], width: int) -> Iterable[str]:
    start = last = numbers[0]
    for number in [*numbers[1:], -1]:
        if number != last + 1:
            yield f"{start:0{width}}" if start == last else f"{start:0{width}}-{last:0{width}}"
            start = number
        last = number


def _parts(text: str) -> Iterable[str]:
    """The parts between the commas outside brackets."""
    depth = start = 0
    for at, char in enumerate(text):
        depth += (char == "[") - (char == "]")
        if depth not in {0, 1}:
            raise ValueError(f"brackets do not match: {text[:80]!r}")
        if char == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    if depth:
        raise ValueError(f"brackets do not match: {text[:80]!r}")
    if text:
        yield text[start:]


def _expanded(part: str) -> list[str]:
    before, bracket, rest = part.partition("[")
    if not bracket:
        if not part:
            raise ValueError("an empty name in a list of hosts")
        return [part]
    inside, _, after = rest.partition("]")
    numbers = [number for piece in inside.split(",") for number in _counted(piece)]
    ends = _expanded(after) if after else [""]
    if len(numbers) * len(ends) > _MOST:
        raise ValueError(f"more than {_MOST} hosts")
    return [before + number + end for number in numbers for end in ends]


def _counted(piece: str) -> Iterable[str]:
    matched = _RANGE.fullmatch(piece)
    if matched is None:
        raise ValueError(f"{piece!r} is not a range of hosts")
    first, last = matched[1], matched[2] or matched[1]
    if int(last) - int(first) >= _MOST:
        raise ValueError(f"more than {_MOST} hosts")
    return (f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1))
