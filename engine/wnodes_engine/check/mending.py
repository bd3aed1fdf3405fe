"""Takes out of a policy what can go without changing a decision: names that nothing uses, needless rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from wnodes_engine.check.policy import check_policy
from wnodes_engine.findings import Finding, has_errors
from wnodes_engine.language import syntax
from wnodes_engine.language.load import Program, load_sources
from wnodes_engine.language.source import Source, Span
from wnodes_engine.site import Site
from wnodes_engine.values import Node

SAFE: Final = frozenset({"W104", "W105", "W110", "W112"})
"""What can be mended without asking: rules that are never reached or needless, unused names, repetitions."""

_MOST_ROUNDS: Final = 100
_COMMA_BEFORE: Final = re.compile(r",\s*\Z")

_Cut = tuple[int, int]


class ChangedMeaningError(Exception):
    """What was to be mended has errors afterwards: a defect of this module's."""


def mended(
    program: Program,
    site: Site | None = None,
    nodes: Sequence[Node] = (),
    wanted: Callable[[Finding], bool] = lambda _: True,
) -> tuple[Program, list[Finding]]:
    """The policy without what is safe to take out, again and again until nothing is; and what that was.

    Comments stay. A policy with errors is left as it is. Raises ChangedMeaningError.
    """
    done: list[Finding] = []
    for _ in range(_MOST_ROUNDS):
        policy, findings = check_policy(program, site, nodes)
        if policy is None or program.policy is None:
            if done:
                raise ChangedMeaningError
            return program, done
        cuts: dict[str, list[_Cut]] = {}
        for finding in findings:
            if finding.code in SAFE and wanted(finding):
                cut = _cut(finding, program, program.policy.statements)
                if cut is not None:
                    cuts.setdefault(finding.span.path, []).append(cut)
                    done.append(finding)
        if not cuts:
            return program, done
        program = load_sources([_without(source, cuts.get(source.path, ())) for source in program.sources])
        if has_errors(program.findings):
            raise ChangedMeaningError
    return program, done


def _cut(finding: Finding, program: Program, statements: Sequence[syntax.Statement]) -> _Cut | None:
    """What to take out for a finding: an element with the comma before it, or a statement."""
    span = finding.span
    if finding.code == "W110":
        text = next(source.text for source in program.sources if source.path == span.path)
        comma = _COMMA_BEFORE.search(text, 0, span.start)
        return (comma.start(), span.end) if comma else None
    around = [found for found in _spans(statements) if found.path == span.path and _inside(span, found)]
    inner = min(around, key=lambda found: found.end - found.start, default=None)
    return None if inner is None else (inner.start, inner.end)


def _spans(statements: Iterable[syntax.Statement]) -> Iterator[Span]:
    for statement in statements:
        if isinstance(statement, syntax.During):
            yield from _spans(statement.body)
        else:
            yield statement.span


def _inside(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _apart(cuts: Iterable[_Cut]) -> list[_Cut]:
    """The cuts in order, without those that lie inside of others."""
    made: list[_Cut] = []
    for start, end in sorted(set(cuts), key=lambda cut: (cut[0], -cut[1])):
        if not made or start >= made[-1][1]:
            made.append((start, end))
    return made


def _without(source: Source, cuts: Iterable[_Cut]) -> Source:
    """The text without the cuts, and without the lines on which nothing is left of them."""
    text = source.text
    for start, end in reversed(_apart(cuts)):
        begin = text.rfind("\n", 0, start) + 1
        stop = text.find("\n", end)
        stop = len(text) if stop < 0 else stop + 1
        if not text[begin:start].strip() and not text[end:stop].strip():
            start, end = begin, stop
        text = text[:start] + text[end:]
    return Source(source.path, text)
