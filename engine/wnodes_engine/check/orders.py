"""Orders: which one each leaf inherits, and by which half-life siblings are compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.literals import duration
from wnodes_engine.check.names import FARM, Names
from wnodes_engine.check.report import listed
from wnodes_engine.findings import Note
from wnodes_engine.language import syntax
from wnodes_engine.language.vocabulary import FAIRSHARE_OF

HALF_LIFE: Final = 7 * 86_400
"""The half-life of averages where the policy gives none, in seconds."""

SHORTEST_HALF_LIFE: Final = 60
"""Averages are looked at once a minute."""

DEFAULT: Final = checked.Order((checked.OrderKey("age"),), strict=False, span=None)


def orders(
    statements: Iterable[syntax.Order], names: Names
) -> tuple[dict[int, checked.Order], dict[int, int]]:
    """The order of each leaf, and the half-life of each share that has children."""
    given: dict[int, checked.Order] = {}
    for statement in statements:
        index = FARM if statement.share is None else names.share(statement.share)
        keys = _keys(statement.keys, names)
        if index is None or keys is None:
            continue
        made = checked.Order(keys, bool(statement.strict), statement.span)
        first = given.setdefault(index, made)
        if first is not made and first.span is not None:
            path = names.shares[index].path
            notes = [Note("the first one is here", first.span)]
            names.report.add(
                "E103", f"there are two orders for `{path}`", statement.span, "keep one of the two", notes
            )
    return (
        {share.index: _inherited(share.index, given, names) for share in names.shares if not share.children},
        {share.index: _half_life(share.index, given, names) for share in names.shares if share.children},
    )


def _keys(written: Iterable[syntax.OrderKey], names: Names) -> tuple[checked.OrderKey, ...] | None:
    made: list[checked.OrderKey] = []
    sound = True
    for key in written:
        half_life = None
        if key.key == "fairshare":
            half_life = HALF_LIFE
            if key.of not in FAIRSHARE_OF:
                mend = names.report.meant(str(key.of), FAIRSHARE_OF, f"it can be of {listed(FAIRSHARE_OF)}")
                names.report.add("E150", f"there is no fairshare of `{key.of}`", key.span, mend)
                sound = False
            if key.half_life is not None:
                seconds = duration(key.half_life, names.report, SHORTEST_HALF_LIFE, "a half-life")
                sound = sound and seconds is not None
                half_life = seconds
        if any(other.key == key.key and other.of == key.of for other in made):
            names.report.add("E103", f"it is ordered by {key.key} twice", key.span, "keep one of the two")
            sound = False
        made.append(checked.OrderKey(key.key, key.of, half_life))
    return tuple(made) if sound else None


def _inherited(index: int, given: dict[int, checked.Order], names: Names) -> checked.Order:
    at: int | None = index
    while at is not None:
        if (order := given.get(at)) is not None:
            return order
        at = names.shares[at].parent
    return DEFAULT


def _half_life(index: int, given: dict[int, checked.Order], names: Names) -> int:
    at: int | None = index
    while at is not None:
        for key in given[at].keys if at in given else ():
            if key.half_life is not None:
                return key.half_life
        at = names.shares[at].parent
    return HALF_LIFE
