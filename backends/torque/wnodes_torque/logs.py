"""Reading an accounting log on from where it was left: a file a day, rotated, packed, cut off or not."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from pathlib import Path
from typing import IO, Final, cast

import msgspec

MOST: Final = 8 << 20
"""Bytes that are read at a time, unless somebody says another number."""

_DAY: Final = re.compile(r"([0-9]{8})(?:[.-][A-Za-z0-9._-]*)?")
_CHECKED: Final = 64  # bytes before a position that tell whether it is still the same file


class Position(msgspec.Struct, frozen=True):
    """How far was read: a day's file (`20261126`), the bytes of it, and a checksum of the last of them."""

    day: str = ""
    offset: int = 0
    check: int = 0


class Page(msgspec.Struct, frozen=True):
    """Whole lines, where they end, and whether there is more to read at once."""

    lines: tuple[str, ...]
    position: Position
    more: bool


def readable(folder: Path) -> bool:
    """Whether there is a log in this folder that we may read."""
    try:
        return any(os.access(path, os.R_OK) for path in _files(folder).values())
    except OSError:
        return False


def read(folder: Path, position: Position, most: int | None = None) -> Page:
    """The lines after a position; one without a day begins with the oldest file. Raises OSError.

    A file that is shorter than it was, or another one, is read again from its beginning. A line that has no
    end yet waits for it, unless the server has gone on to the next day's file.
    """
    files = _files(folder)
    days = [day for day in files if day >= position.day]
    lines: list[str] = []
    left = MOST if most is None else most
    for at, day in enumerate(days):
        is_last = at == len(days) - 1
        start = position if day == position.day else Position(day)
        text, position, ended = _read(files[day], start, left, keeps_rest=is_last)
        lines += text.decode("utf-8", "replace").split("\n")[:-1] if text else []
        left -= len(text)
        if not ended:
            return Page(tuple(lines), position, more=True)
    return Page(tuple(lines), position, more=False)


def _files(folder: Path) -> dict[str, Path]:
    """The file of each day, in their order; of several the one that has no more than the day for its name."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if matched := _DAY.fullmatch(path.name):
            found.setdefault(matched[1], path)
    return dict(sorted(found.items()))


def _read(path: Path, start: Position, most: int, *, keeps_rest: bool) -> tuple[bytes, Position, bool]:
    """Whole lines of one file, the position after them, and whether that is its end."""
    with _open(path) as file:
        if start.offset and not _is_same(file, start):
            start = Position(start.day)
        file.seek(start.offset)
        text = file.read(max(1, most))
        while text and b"\n" not in text and (rest := file.read(max(1, most))):
            text += rest  # a line that is longer than a page
        ended = not file.read(1)
        whole = text[: text.rfind(b"\n") + 1]
        if ended and not keeps_rest and len(whole) < len(text):
            whole = text + b"\n"  # a crash of the server, or of its disk, has cut it off: it stays so
        taken = min(len(whole), len(text))
        offset = start.offset + taken
        check = zlib.crc32((_before(file, start.offset) + text[:taken])[-_CHECKED:])
        return whole, Position(start.day, offset, check), ended


def _is_same(file: IO[bytes], position: Position) -> bool:
    return zlib.crc32(_before(file, position.offset)) == position.check


def _before(file: IO[bytes], offset: int) -> bytes:
    """The last bytes before an offset; fewer than there should be, if the file has been cut off."""
    start = max(0, offset - _CHECKED)
    file.seek(start)
    return file.read(offset - start)


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
