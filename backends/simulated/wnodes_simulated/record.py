"""The record of a simulated farm: a line of JSON for everything that happens, from which it carries on.

Commands (`submit`, an action, `drain`, `undrain`) are what a restart repeats; the rest (`start`, `end`,
`down`, `back`) follows from them and is written for whoever reads along.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from wnodes_engine.backend import SlotRequest

_LONGEST_LINE: Final = 1 << 20


class Line(msgspec.Struct, omit_defaults=True, frozen=True):
    """One thing that happened `at` a time; `what` is a job's key or a node, `id` the job's id."""

    event: str
    at: float
    what: str = ""
    reason: str = ""
    id: str = ""
    submitted_at: int = 0
    slot: SlotRequest | None = None
    appears_at: float = 0.0
    walltime: int | None = None
    forgotten: bool = False
    stranger: bool = False


class Record:
    """An append-only file; each line is on its way to the disk before `write` returns."""

    def __init__(self, path: str | None) -> None:
        """Opens the file, or keeps nothing if `path` is None. Raises OSError."""
        self._file = None if path is None else os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        self._path = path

    def lines(self) -> Iterator[Line]:
        """What was recorded so far. Raises ValueError where the file is not such a record."""
        if self._path is None or self._file is None:
            return
        with Path(self._path).open("rb") as file:
            number, kept = 0, 0
            while raw := file.readline(_LONGEST_LINE):
                number += 1
                if not raw.endswith(b"\n"):
                    os.ftruncate(self._file, kept)  # the machine went down in the middle of it
                    return
                kept += len(raw)
                try:
                    yield msgspec.json.decode(raw, type=Line)
                except msgspec.DecodeError as error:
                    raise ValueError(
                        f"{self._path}:{number}: this is not a line of a farm's record: {error}"
                    ) from None

    def write(self, line: Line) -> None:
        """Append one line."""
        if self._file is not None:
            os.write(self._file, msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
