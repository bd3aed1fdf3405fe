"""Conditions as boxes: the values of each attribute that are let in. Two rules compare without a search.

A box maps keys, those of `coverage`, to extents; what is not in it is free. An expression is the union of
its boxes. What is no test of one attribute with a constant (arithmetic, patterns, two attributes) is a key of
its own, true or false: the same words are the same key, so that inclusion that is told is inclusion indeed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.coverage import BELOW_ZERO, LEAST, Key, plain, shape
from wnodes_engine.language.vocabulary import MEMBERS, Type

MOST: Final = 16
"""An expression of more boxes is not looked at as boxes."""

_MOST_VALUES: Final = 64
_TOP: Final = 1 << 63
_MEMBERS: Final = {"kind": MEMBERS[Type.KIND], "origin": MEMBERS[Type.ORIGIN]}


@dataclass(frozen=True, slots=True)
class Range:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Among:
    """One of the values; with `but`, any other one."""

    values: frozenset[object]
    but: bool = False


Extent = Range | Among
Box = Mapping[Key, Extent]
_Bounds = tuple[int, int, int, int]

_TRUE: Final = Among(frozenset({True}))
_FALSE: Final = Among(frozenset({False}))


def boxes(expr: checked.Expr | None, kinds: Iterable[str] = ()) -> list[Box] | None:
    """The boxes of an expression, for requests of these kinds only; None where there are too many."""
    made: list[Box] | None = [{}] if expr is None else _boxes(expr, True)
    if made is None or not (among := frozenset(kinds)) or len(among) == len(_MEMBERS["kind"]):
        return made
    return [box for one in made if (box := overlap(one, {("value", "kind"): Among(among)})) is not None]


def covers(wide: Box, narrow: Box) -> bool:
    """Whether every request of the one is in the other."""
    return all(key in narrow and _inside(narrow[key], extent) for key, extent in wide.items())


def meet(one: Sequence[Box], other: Sequence[Box]) -> bool:
    """Whether some request may be in both, as far as boxes tell."""
    return any(overlap(a, b) is not None for a in one for b in other)


class Shelf:
    """Boxes by their most telling attributes: those that may cover one are found without trying all.

    Those that pin no attribute to values stand by their first two ranges, and are held against these first.
    """

    def __init__(self) -> None:
        self._filed: dict[tuple[Key, object], list[tuple[int, Box]]] = {}
        self._ranged: dict[tuple[Key, ...], list[tuple[int, int, int, int, int, Box]]] = {}

    def add(self, rule: int, all_of: Iterable[Box]) -> None:
        """Files the boxes of a rule, by its number."""
        for box in all_of:
            pinned = min(_pinned(box), key=lambda each: len(each[1]), default=None)
            if pinned is not None:
                key, values = pinned
                for value in values:
                    self._filed.setdefault((key, value), []).append((rule, box))
            else:
                keys, bounds = _ranges(box)[-1]
                self._ranged.setdefault(keys, []).append((*bounds, rule, box))

    def covering(self, box: Box) -> Iterator[int]:
        """The rules that have a box around this one."""
        for key, values in _pinned(box):
            for rule, wide in self._filed.get((key, next(iter(values))), ()):
                if covers(wide, box):
                    yield rule
        for keys, (low, high, least, most) in _ranges(box, every=True):
            for l1, h1, l2, h2, rule, wide in self._ranged.get(keys, ()):
                if l1 <= low and high <= h1 and l2 <= least and most <= h2 and covers(wide, box):
                    yield rule


def _pinned(box: Box) -> Iterator[tuple[Key, frozenset[object]]]:
    """The attributes that a box pins to a few values."""
    for key, extent in box.items():
        if isinstance(extent, Among) and not extent.but and len(extent.values) <= _MOST_VALUES:
            yield key, extent.values


def _ranges(box: Box, every: bool = False) -> list[tuple[tuple[Key, ...], _Bounds]]:
    """The bounds of the first two ranges; with `every`, of none, of each one, and of each two."""
    ranges = sorted((str(key), key, extent) for key, extent in box.items() if isinstance(extent, Range))
    made: list[tuple[tuple[Key, ...], _Bounds]] = [((), (0, 0, 0, 0))]
    for _, key, extent in ranges if every else ranges[:1]:
        made.append(((key,), (extent.low, extent.high, 0, 0)))
    for (_, one, first), (_, other, second) in combinations(ranges if every else ranges[:2], 2):
        made.append(((one, other), (first.low, first.high, second.low, second.high)))
    return made


def _boxes(expr: checked.Expr, holds: bool) -> list[Box] | None:
    match expr:
        case checked.Const():
            return [{}] if bool(expr.value) is holds else []
        case checked.Not():
            return _boxes(expr.operand, not holds)
        case checked.And() | checked.Or():
            parts = (_boxes(operand, holds) for operand in expr.operands)
            return _all(parts) if isinstance(expr, checked.And) is holds else _any(parts)
        case _:
            return [{key: extent} if extent else {} for key, extent in _test(expr, holds)]


def _any(parts: Iterable[list[Box] | None]) -> list[Box] | None:
    made: list[Box] = []
    for part in parts:
        if part is None or len(made) + len(part) > MOST:
            return None
        made += part
    return made


def _all(parts: Iterable[list[Box] | None]) -> list[Box] | None:
    made: list[Box] = [{}]
    for part in parts:
        if part is None or len(made) * len(part) > MOST:
            return None
        made = [box for one in made for other in part if (box := overlap(one, other)) is not None]
    return made


def _test(expr: checked.Expr, holds: bool) -> list[tuple[Key, Extent | None]]:
    """The extents of one test, any of them; None where everything is let in."""
    match expr:
        case checked.Attr(name=name):
            return [(("value", name), _TRUE if holds else _FALSE)]
        case checked.Has(name=name):
            return [(("has", name), _TRUE if holds else _FALSE)]
        case checked.InShare(leaves=leaves):
            return [(("value", "share"), Among(leaves, not holds))]
        case checked.Member(left=checked.Const(value=str() as element), right=checked.Attr(name=name)):
            return [(("member", name, element), _TRUE if holds else _FALSE)]
        case checked.Member(left=checked.Attr(name=name), right=checked.Const(value=frozenset() as among)):
            return [_among(name, frozenset(among), holds)]
        case checked.Compare() if (told := plain(expr)) is not None:
            return _compared(*told, holds, expr)
        case _:
            return [(("opaque", str(shape(expr))), _TRUE if holds else _FALSE)]


def _compared(
    op: str, name: str, constant: object, holds: bool, expr: checked.Compare
) -> list[tuple[Key, Extent | None]]:
    key: Key = ("value", name)
    attribute = expr.left if isinstance(expr.left, checked.Attr) else expr.right
    assert isinstance(attribute, checked.Attr)  # noqa: S101 - a plain comparison has one
    if isinstance(constant, bool):
        return [(key, _TRUE if (constant is (op == "==")) is holds else _FALSE)]
    if isinstance(constant, str) or attribute.type is Type.SHARE:
        return [_among(name, frozenset({constant}), (op == "==") is holds)]
    assert isinstance(constant, int)  # noqa: S101 - what is neither text nor truth is counted
    if not holds:
        op = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "==": "!=", "!=": "=="}[op]
    least = LEAST.get(name, -_TOP if attribute.site or name in BELOW_ZERO else 0)
    ranges = {
        "==": [(constant, constant)],
        "!=": [(least, constant - 1), (constant + 1, _TOP)],
        "<": [(least, constant - 1)],
        "<=": [(least, constant)],
        ">": [(constant + 1, _TOP)],
        ">=": [(constant, _TOP)],
    }[op]
    cut = [Range(max(least, low), high) for low, high in ranges if max(least, low) <= high]
    return [(key, None if (made.low, made.high) == (least, _TOP) else made) for made in cut]


def _among(name: str, values: frozenset[object], holds: bool) -> tuple[Key, Extent]:
    every = _MEMBERS.get(name)
    if every is not None and not holds:
        return ("value", name), Among(frozenset(every) - values)
    return ("value", name), Among(values, not holds)


def overlap(one: Box, other: Box) -> Box | None:
    """The box of what is in both; None where nothing is."""
    made = dict(one)
    for key, extent in other.items():
        mine = made.get(key)
        both = extent if mine is None else _common(mine, extent)
        if both is None or (isinstance(both, Among) and not both.but and not both.values):
            return None
        made[key] = both
    return made


def _common(one: Extent, other: Extent) -> Extent | None:
    if isinstance(one, Range) and isinstance(other, Range):
        low, high = max(one.low, other.low), min(one.high, other.high)
        return Range(low, high) if low <= high else None
    assert isinstance(one, Among)  # noqa: S101 - a key has extents of one sort
    assert isinstance(other, Among)  # noqa: S101
    if one.but and other.but:
        return Among(one.values | other.values, True)
    if one.but or other.but:
        some, without = (other, one) if one.but else (one, other)
        return Among(some.values - without.values)
    return Among(one.values & other.values)


def _inside(narrow: Extent, wide: Extent) -> bool:
    if isinstance(narrow, Range) and isinstance(wide, Range):
        return wide.low <= narrow.low and narrow.high <= wide.high
    assert isinstance(narrow, Among)  # noqa: S101 - a key has extents of one sort
    assert isinstance(wide, Among)  # noqa: S101
    if wide.but:
        return wide.values <= narrow.values if narrow.but else not wide.values & narrow.values
    return not narrow.but and narrow.values <= wide.values
