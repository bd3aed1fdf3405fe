"""Requests at the edges of what two policies say: where one of them changes its mind, some of these are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, product
from typing import Final

import msgspec
import yaml

from wnodes_engine.check.boxes import Among, Box, Extent, Range, boxes, overlap
from wnodes_engine.check.checked import CheckedPolicy, Const, Expr, Not
from wnodes_engine.check.coverage import Known, Value
from wnodes_engine.check.witness import as_request
from wnodes_engine.values import Request
from wnodes_engine.wire import Known as SiteKnown
from wnodes_engine.wire import WireError, convert, to_request

MOST: Final = 4_000
"""So many requests are tried at the most."""

_TOP: Final = 1 << 62
_HELD: Final = frozenset({"cores", "memory", "gpus", "disk", "volumes"})
_KINDS: Final = ("job", "vmjob", "vm", "pool")
_ORIGINS: Final = ("local", "grid", "cloud")


class Probe(msgspec.Struct, frozen=True):
    """A request, the text that `eval` reads it from, and what of it was chosen."""

    text: str
    request: Request
    known: Known


class Probes:
    """Makes requests out of what two policies speak of; each once, and not more than `MOST`."""

    def __init__(self, policies: Sequence[CheckedPolicy], now: int, known: SiteKnown) -> None:
        self._now, self._known = now, known
        self._defaults = [default for policy in policies for default in policy.defaults]
        self._assigned = [
            box for policy in policies for one in policy.assigns for box in _either(one.condition.expr)
        ]
        self._told = [box for policy in policies for box in _told(policy)]
        self._seen: set[str] = set()

    def alone(self) -> Iterator[Probe]:
        """The corners of each condition, by itself and together with each assignment."""
        plain: list[Box] = [
            {("value", "kind"): Among(frozenset({kind})), ("value", "origin"): Among(frozenset({origin}))}
            for kind, origin in product(_KINDS, _ORIGINS)
        ]
        pairs = chain(
            product(plain, self._told), product(self._assigned, self._told), product(plain, self._assigned)
        )
        both = (box for one, other in pairs if (box := overlap(one, other)) is not None)
        for box in chain(plain, self._assigned, self._told, both):
            for corner in _corners(box):
                yield from self._made(corner)

    def beside(self, admitted: Iterable[Known]) -> Iterator[Probe]:
        """Requests that were admitted, each with one thing changed to the corner of a condition."""
        for known in admitted:
            for box in self._told:
                for corner in _corners(box):
                    yield from self._made({**known, **corner})

    def _made(self, known: Known) -> Iterator[Probe]:
        text = as_request(known, self._defaults)
        if text is None or text in self._seen or len(self._seen) >= MOST:
            return
        self._seen.add(text)
        try:
            request = to_request(convert(yaml.safe_load(text)), "probe", self._now, self._known)
        except WireError:  # nobody can ask for this here
            return
        yield Probe(text, request, known)


def _told(policy: CheckedPolicy) -> Iterator[Box]:
    """What the policy's rules, caps and quotas speak of, and the sizes on both sides of each limit."""
    conditions = [
        *(rule.condition for rule in policy.denies),
        *(rule.condition for rule in policy.priorities),
        *(rule.condition for rule in policy.routes),
        *(rule.condition for rule in policy.quotas),
        *(rule.condition for rule in policy.caps),
        *(rule.condition for rule in policy.defaults),
    ]
    for condition in conditions:
        yield from _either(condition.expr)
    for cap in policy.caps:
        yield from _around(cap.attribute, cap.value)
    for quota in policy.quotas:
        whose: list[Box] = [{}]
        if quota.key in {"user", "group", "project"} and isinstance(quota.value, str):
            whose = [{("value", quota.key): Among(frozenset({quota.value}))}]
        for ceiling in quota.ceilings:
            if ceiling.resource in _HELD and isinstance(ceiling.bound, Const):
                for size in _around(ceiling.resource, int(str(ceiling.bound.value))):
                    yield from (both for one in whose if (both := overlap(one, size)) is not None)


def _around(attribute: str, value: int) -> Iterator[Box]:
    yield {("value", attribute): Range(value, value)}
    yield {("value", attribute): Range(value + 1, value + 1)}


def _either(expr: Expr | None) -> list[Box]:
    """The boxes where a condition holds, and where it does not."""
    if expr is None:
        return []
    no = Not(expr, expr.span)
    return [*(boxes(expr) or ()), *(boxes(no) or ())]


def _corners(box: Box) -> Iterator[Known]:
    """The first and the last of what each attribute may be: all the first ones, and all the last ones."""
    for last in (False, True):
        yield {key: _one(extent, last) for key, extent in box.items()}


def _one(extent: Extent, last: bool) -> Value:
    if isinstance(extent, Range):
        return extent.high if last and extent.high < _TOP else max(extent.low, 0)
    values = sorted(extent.values, key=str)
    chosen = values[-1 if last else 0]
    if extent.but:
        return not chosen if isinstance(chosen, bool) else "other"
    return chosen if isinstance(chosen, bool | int | str) else str(chosen)
