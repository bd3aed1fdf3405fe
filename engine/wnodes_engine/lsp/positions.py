"""Places in the protocol's own measure: lines from 0, and columns in the units that the editor counts."""

from __future__ import annotations

from lsprotocol import types
from pygls.workspace import PositionCodec

from wnodes_engine.language.source import Span


class Measure:
    """Turns spans and offsets of one text into positions, and back; lines end with a line feed."""

    def __init__(self, text: str, codec: PositionCodec) -> None:
        self._lines = text.split("\n")
        self._codec = codec

    def position(self, line: int, column: int) -> types.Position:
        """Of a line and a column from 1."""
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        return types.Position(line - 1, self._codec.client_num_units(text[: column - 1]))

    def range(self, span: Span) -> types.Range:
        """Of a span in this text."""
        return types.Range(
            self.position(span.line, span.column), self.position(span.end_line, span.end_column)
        )

    @property
    def whole(self) -> types.Range:
        """All of the text."""
        return types.Range(types.Position(0, 0), self.position(len(self._lines), len(self._lines[-1]) + 1))

    def offset(self, position: types.Position) -> int:
        """How many characters stand before a position; those beyond a line's end are at its end."""
        line = min(position.line, len(self._lines) - 1)
        text, units, column = self._lines[line], 0, 0
        while column < len(text) and units < position.character:
            units += self._codec.client_num_units(text[column])
            column += 1
        return sum(len(before) + 1 for before in self._lines[:line]) + column
