"""Listings in columns of fixed width, which no text of a user can forge: not even with line breaks in it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from wnodes_batch.bulk import Unreadable


class Columns:
    """A record is each field in its width and a separator after it, and a line's end."""

    def __init__(self, fields: Sequence[tuple[str, int]], separator: bytes) -> None:
        self.names = tuple(name for name, _ in fields)
        self.widths = tuple(width for _, width in fields)
        self._separator = separator
        self._unpack = struct.Struct("".join(f"{width}sx" for width in self.widths) + "x").iter_unpack
        self.size = sum(self.widths) + len(self.widths) + 1

    def records(self, listing: bytes) -> Iterator[tuple[bytes, ...]]:
        """The records, each field still with the blanks that fill it. Raises Unreadable."""
        count, rest = divmod(len(listing), self.size)
        if rest:
            raise Unreadable(f"a listing of records of {self.size} bytes has {len(listing)}")
        at = -1
        for width in self.widths:
            at += width + 1
            if listing[at :: self.size] != self._separator * count:
                raise Unreadable(f"a column of a listing does not end at byte {at}")
        if listing[self.size - 1 :: self.size] != b"\n" * count:
            raise Unreadable("a record of a listing does not end with its line")
        return self._unpack(listing)

    def is_full(self, at: int, field: bytes) -> bool:
        """Whether a field fills its column, so that some of it may have been cut off."""
        return len(field.rstrip(b" ")) == self.widths[at]
