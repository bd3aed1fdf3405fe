"""Where things are: source texts and the spans inside them that every later stage points back to."""

from __future__ import annotations

from msgspec import Struct


class Span(Struct, frozen=True, gc=False):
    """A stretch of one source file, `start` inclusive and `end` exclusive.

    Lines and columns count from 1, columns in characters; offsets count characters from 0.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The span from the beginning of this one to the end of `other` in the same file."""
        return Span(
            self.path, self.line, self.column, other.end_line, other.end_column, self.start, other.end
        )


class Source(Struct, frozen=True, gc=False):
    """One policy file: its path as the user named it, and its text."""

    path: str
    text: str


def span_at(source: Source, start: int, end: int) -> Span:
    """The span between two offsets of a source."""
    before = source.text[:start]
    inside = source.text[start:end]
    line, column = before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1
    lines = inside.count("\n")
    end_column = len(inside) - inside.rfind("\n") if lines else column + len(inside)
    return Span(source.path, line, column, line + lines, end_column, start, end)
