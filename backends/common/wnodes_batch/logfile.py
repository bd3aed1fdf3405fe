"""Reading a log that grows, is renamed away (`lsb.acct` to `lsb.acct.1`) or cut off: from where one was.

A position is the file's number, how far it was read, and the check sum of what stands before that: so a file
that was cut off and has grown again, or another one under the same number, is not taken for the old one; and
one that was copied before it was emptied is known by what stands in it.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

_BEFORE: Final = 512  # bytes that the check sum is over
_NUMBERED: Final = re.compile(r"\.([0-9]{1,6})")


class Position(msgspec.Struct, frozen=True):
    """How far a log was read."""

    inode: int
    offset: int
    check: int

    def __str__(self) -> str:
        return f"{self.inode}.{self.offset}.{self.check}"


class Piece(msgspec.Struct, frozen=True):
    """Some of a log; `more`: there is more to be read at once. `lost`: what comes before it is not there."""

    text: bytes
    position: Position
    more: bool
    lost: bool


def position(text: str) -> Position | None:
    """A position that was written down; None for what is none."""
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        return None
    return Position(*(int(part) for part in parts))


def read(path: Path, after: Position | None, most: int) -> Piece:
    """What stands after a position, at most so many bytes; None is the beginning of the oldest file.

    Raises OSError if the log cannot be read.
    """
    files = [*sorted(_rotated(path)), (0, path)]
    start, offset, lost = 0, 0, False
    if after is not None:
        found = _where([file for _, file in files], after)
        if found is None:
            start, lost = max(0, len(files) - 1), True
        else:
            start, offset = found, after.offset
    for at in range(start, len(files)):
        with files[at][1].open("rb") as file:
            file.seek(offset)
            text = file.read(most)
            reached = offset + len(text)
            is_last = at == len(files) - 1
            if text or is_last:
                more = not is_last or bool(file.read(1))
                return Piece(text, _position(file, reached), more, lost)
        offset = 0
    raise FileNotFoundError(path)


def back(path: Path, piece: Piece, length: int) -> Position:
    """The position so many bytes before the end of a piece: what was left of an unfinished record."""
    offset = piece.position.offset - length
    for _, file_path in [(0, path), *_rotated(path)]:
        with file_path.open("rb") as file:
            if _inode(file) == piece.position.inode:
                return _position(file, offset)
    return Position(piece.position.inode, offset, 0)


def _rotated(path: Path) -> Iterator[tuple[int, Path]]:
    """The older files; the highest number is the oldest, so it counts lowest."""
    for file in path.parent.glob(f"{path.name}.*"):
        if matched := _NUMBERED.fullmatch(file.name[len(path.name) :]):
            yield -int(matched[1]), file


def _where(files: Sequence[Path], after: Position) -> int | None:
    """Which file it is: that of the same number, else one with the same before the position."""
    copies = []
    for at, path in enumerate(files):
        try:
            with path.open("rb") as file:
                there = _position(file, after.offset)
        except OSError:
            continue
        if there == after:
            return at
        if after.offset and (there.offset, there.check) == (after.offset, after.check):
            copies.append(at)
    return copies[0] if copies else None


def _position(file: BinaryIO, offset: int) -> Position:
    begin = max(0, offset - _BEFORE)
    file.seek(begin)
    before = file.read(offset - begin)
    return Position(_inode(file), begin + len(before), zlib.crc32(before))


def _inode(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_ino
