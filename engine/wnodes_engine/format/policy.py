"""A whole file in the canonical layout, which is proved to mean the same before anybody gets it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from wnodes_engine.findings import Finding
from wnodes_engine.format.layout import INDENT, comments, lines_of
from wnodes_engine.format.pieces import BLANK, Word, words_of
from wnodes_engine.language import syntax as tree
from wnodes_engine.language.parser import parse, words
from wnodes_engine.language.source import Source


@dataclass(frozen=True, slots=True)
class Formatted:
    """A file's text in the canonical layout; None where its own cannot be read, and why."""

    text: str | None
    findings: tuple[Finding, ...] = ()


class ChangedMeaningError(Exception):
    """A file would mean something else in the canonical layout: a defect of the formatter's."""


def formatted(source: Source) -> Formatted:
    """The source in the canonical layout: other blanks and line ends, the same words and comments.

    A comma behind the last element of a set is left out. A file with errors is not touched. Raises
    ChangedMeaningError.
    """
    read = parse(source)
    if read.policy is None:
        return Formatted(None, read.findings)
    printer = _Printer(source.text, read.policy)
    text = "".join(f"{line}\n" for line in printer.lines())
    # The grammar knows words and nothing between them: the same words are the same policy.
    if [text[token.start_pos : token.end_pos] for token in words(text)] != printer.said:
        raise ChangedMeaningError(source.path)
    return Formatted(text)


class _Printer:
    """Goes through the words of a file, statement by statement."""

    def __init__(self, text: str, policy: tree.Policy) -> None:
        words_, self._rest = words_of(text, words(text))
        self._words = _without_last_commas(words_)
        self.said = [word.text for word in self._words]
        self._policy = policy
        self._at = 0

    def lines(self) -> Iterator[str]:
        """The lines of the file, none of them empty at its beginning or its end."""
        yield from _spaced(self._all())

    def _all(self) -> Iterator[str]:
        policy = self._policy
        begins = [statement.span.start for statement in policy.statements]
        if policy.name is not None:
            yield from lines_of(self._until(begins[0] if begins else None), None, 0)
            yield BLANK
        yield from self._statements(policy.statements, 0)
        yield from comments(self._rest, "")

    def _statements(self, statements: Sequence[tree.Statement], depth: int) -> Iterator[str]:
        for statement in statements:
            own = self._until(statement.span.end)
            if not isinstance(statement, tree.Share | tree.During) or (block := _block_of(own)) is None:
                yield from lines_of(own, statement, depth)
                continue
            self._at -= len(own) - block
            yield from lines_of(own[:block], statement, depth)
            inner = statement.children if isinstance(statement, tree.Share) else statement.body
            yield from _spaced(self._inside(inner, depth + 1))
            end = self._words[self._at]
            self._at += 1
            yield from lines_of([replace(end, before=())], None, depth)

    def _inside(self, statements: Sequence[tree.Statement], depth: int) -> Iterator[str]:
        """What stands between the braces of a block, the comments before its end too."""
        yield from self._statements(statements, depth)
        yield from comments(self._words[self._at].before, INDENT * depth)

    def _until(self, end: int | None) -> list[Word]:
        """The next words, up to that place."""
        begin = self._at
        while self._at < len(self._words) and (end is None or self._words[self._at].start < end):
            self._at += 1
        return self._words[begin : self._at]


def _block_of(words_: Sequence[Word]) -> int | None:
    """Before which word what is inside of the block begins, if there is one."""
    return next((at + 1 for at, word in enumerate(words_) if word.text == "{"), None)


def _without_last_commas(words_: Sequence[Word]) -> list[Word]:
    """The words without commas that no element follows, where no comment is lost with them."""
    kept: list[Word] = []
    for at, word in enumerate(words_):
        closes = at + 1 < len(words_) and words_[at + 1].text == "}"
        if not (closes and word.text == "," and word.is_bare):
            kept.append(word)
    return kept


def _spaced(lines: Iterator[str]) -> Iterator[str]:
    """The lines, with one empty one where there are several, and none before the first or behind the last."""
    empty, any_ = False, False
    for line in lines:
        if line == BLANK:
            empty = any_
            continue
        if empty:
            yield BLANK
        empty, any_ = False, True
        yield line
