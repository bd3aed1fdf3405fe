"""A text as its words, each with the comments that stand around it, so that none is lost when words move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Protocol

BLANK: Final = ""
"""Among the comments before a word: an empty line."""


class Token(Protocol):
    """What is needed of a token: its text, and where it stands."""

    start_pos: int | None
    end_pos: int | None


@dataclass(frozen=True, slots=True)
class Word:
    """One word, number, text or sign; `start` counts characters from the beginning of the file.

    `before` are the comments on lines of their own between the word and the one before it, `after` is the
    comment behind it on its line.
    """

    text: str
    start: int
    before: tuple[str, ...] = ()
    after: str | None = None

    @property
    def is_bare(self) -> bool:
        """Whether no comment belongs to it."""
        return self.after is None and not any(self.before)


def words_of(text: str, tokens: Iterable[Token]) -> tuple[list[Word], tuple[str, ...]]:
    """The words of a text that has these tokens, and the comments behind the last of them."""
    spans = [(token.start_pos or 0, token.end_pos or 0) for token in tokens]
    words: list[Word] = []
    gaps = [_gap(text[end:start]) for (_, end), (start, _) in pairwise([(0, 0), *spans, (len(text), 0)])]
    for (start, end), (_, before), (after, _) in zip(spans, gaps[:-1], gaps[1:], strict=True):
        words.append(Word(text[start:end], start, before, after))
    # What stands on the first line before any word is no comment behind one.
    first_line, rest = gaps[0]
    opening = _trimmed((first_line, *rest)) if first_line is not None else rest
    if not words:
        return [], opening
    words[0] = replace(words[0], before=opening)
    return words, gaps[-1][1]


def _gap(text: str) -> tuple[str | None, tuple[str, ...]]:
    """What stands between two words: the comment on the first one's line, and those on their own lines."""
    first, *lines = text.split("\n")
    comments = [line.strip() for line in lines[:-1]] if lines else []
    return first.strip() or None, _trimmed(comments)


def _trimmed(comments: Sequence[str]) -> tuple[str, ...]:
    """The comments, with one empty line where there were several."""
    return tuple(
        comment for at, comment in enumerate(comments) if comment or not at or comments[at - 1] != BLANK
    )
