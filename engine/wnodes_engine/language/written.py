"""A statement as it is written, and nothing else of the text around it."""

from __future__ import annotations

from wnodes_engine.language.parser import words


def as_written(text: str) -> str:
    """A statement on one line, without its comments."""
    said, end = "", 0
    for token in words(text):
        start = token.start_pos or 0
        said += (" " if said and start > end else "") + text[start : token.end_pos]
        end = token.end_pos or 0
    return said
