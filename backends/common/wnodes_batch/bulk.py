"""Large listings: so many values to a command, and each field read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")

_NEVER: Final[Any] = object()


class Unreadable(Exception):  # noqa: N818 - it says what a listing is
    """A listing is not of the form that was asked for: the whole of it is worth nothing."""


def chunks(values: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """The values, so many at a time."""
    rest = iter(values)
    while some := tuple(islice(rest, size)):
        yield some


def remembered(read: Callable[[K], V]) -> Callable[[K], V]:
    """The same reading, once for each field: of 100,000 jobs most have the users and sizes of others."""
    known: dict[K, V] = {}

    def look(field: K) -> V:
        value = known.get(field, _NEVER)
        if value is _NEVER:
            value = known[field] = read(field)
        return cast("V", value)

    return look
