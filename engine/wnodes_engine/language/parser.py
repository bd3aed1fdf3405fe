"""From policy text to the syntax tree: `parse`, the bounds of what it reads, and what it finds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from threading import Lock
from typing import Final, cast

from lark import Lark, Token, UnexpectedInput

from wnodes_engine.findings import Finding, in_order
from wnodes_engine.language import tables
from wnodes_engine.language.builder import Builder
from wnodes_engine.language.expressions import token_span
from wnodes_engine.language.quick import QuickParser, UnsoundError
from wnodes_engine.language.source import Source, span_at
from wnodes_engine.language.syntax import Policy

LARGEST: Final = 4 << 20
"""The largest policy file, in bytes (as text: in characters)."""

LONGEST_LINE: Final = 10_000
"""The longest line, in characters."""

_FORBIDDEN: Final = re.compile(
    # Control characters but tab and line ends, line ends of other systems, halves of surrogate pairs, and
    # what reorders text on the screen, so that a policy says something else than it shows.
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]|\r(?!\n)"
)
_MOST_CHARACTERS: Final = 10


@dataclass(frozen=True, slots=True)
class ParseResult:
    """The tree of one source, None if there are errors, and what was found, in source order."""

    policy: Policy | None
    findings: tuple[Finding, ...]


_lock: Final = Lock()


@lru_cache(maxsize=1)
def _parser() -> tuple[QuickParser, Lark, Builder]:
    builder = Builder()
    lark = tables.load(builder)
    return QuickParser(lark, tables.Bounds().process), lark, builder


def parse(source: Source) -> ParseResult:
    """The syntax tree of a policy, with an exact span on every node, or what is wrong with its text."""
    if findings := _unreadable(source):
        return ParseResult(None, tuple(findings))
    with _lock:
        try:
            policy, findings = _read(source)
        except tables.TooMuchError as problem:
            policy, findings = None, [_too_much(source, problem)]
    return ParseResult(None if findings else policy, tuple(in_order(findings)))


def words(text: str) -> list[Token]:
    """The tokens of a text that `parse` has no findings about, in order."""
    with _lock:
        quick, _, _ = _parser()
        return list(quick.words(text))


def tokens(text: str) -> list[Token]:
    """The tokens of any text, in order; none of one that is too large or nests too deeply."""
    with _lock, suppress(tables.TooMuchError):
        return tables.tokens(_parser()[1], text)
    return []


def expected(before: Sequence[Token]) -> frozenset[str]:
    """The types of tokens that may follow these; none where they are wrong by themselves."""
    from wnodes_engine.language import recovery

    with _lock:
        _, lark, builder = _parser()
        builder.open("")
        return recovery.expected(lark, before)


def keywords() -> dict[str, str]:
    """Each word of the language by the type of its token."""
    words = {terminal.name: terminal.pattern.value for terminal in _parser()[1].terminals}
    return {type_: word for type_, word in words.items() if word.isalpha() and word.islower()}


def _read(source: Source) -> tuple[Policy | None, list[Finding]]:
    quick, lark, builder = _parser()
    builder.open(source.path)
    with suppress(UnsoundError):
        return cast("Policy", quick.parse(source.text)), builder.findings
    builder.open(source.path)
    try:
        return cast("Policy", lark.parse(source.text)), builder.findings
    except UnexpectedInput:
        # Only a broken policy pays for the import of what explains it.
        from wnodes_engine.language import recovery

    builder.open(source.path)
    findings = recovery.errors(lark, source.path, tables.tokens(lark, source.text))
    return None, findings + builder.findings


def _unreadable(source: Source) -> list[Finding]:
    """What keeps the text from being read at all."""
    text = source.text
    if len(text) > LARGEST:
        message = f"the file is larger than {LARGEST >> 20} MiB"
        return [Finding("E002", message, span_at(source, 0, 0), "divide it, and `include` its parts")]
    findings = []
    for found in islice(_FORBIDDEN.finditer(text), _MOST_CHARACTERS):
        message, mend = _forbidden(found[0])
        findings.append(Finding("E003", message, span_at(source, *found.span()), mend))
    if max(map(len, text.split("\n"))) > LONGEST_LINE:
        start = next(line.start() for line in re.finditer(r"[^\n]+", text) if len(line[0]) > LONGEST_LINE)
        message = f"the line is longer than {LONGEST_LINE:,} characters"
        findings.append(Finding("E002", message, span_at(source, start, start), "divide the line"))
    return in_order(findings)


def _forbidden(character: str) -> tuple[str, str]:
    """What a forbidden character is, and how to mend it."""
    if character == "\0":
        return "there is a NUL byte here", "remove it; a policy is plain text"
    if character == "\r":
        return "there is a carriage return alone here", "end lines with a line feed"
    if character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        name = f"U+{ord(character):04X}"
        return f"the character {name} makes text show in another order than it is read", "remove it"
    return f"the control character U+{ord(character):04X} does not belong here", "remove it"


def _too_much(source: Source, problem: tables.TooMuchError) -> Finding:
    span = token_span(source.path, problem.token)
    if problem.deep:
        mend = f"at most {tables.DEEPEST} brackets and braces can be inside each other"
        return Finding("E004", "this nests too deeply", span, mend)
    mend = f"at most {tables.MOST_TOKENS:,} are read; divide the file, and `include` its parts"
    return Finding("E002", "the file has too many words", span, mend)
