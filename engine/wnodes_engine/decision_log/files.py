"""The file that a decision log is written to, plain or, where its name ends in `.gz`, compressed."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import IO, Final, cast

_MODE: Final = 0o640
_LEVEL: Final = 3
"""Of compression: level 6 takes twice as long for a tenth less."""


class LogFile:
    """One file, made anew; whoever may read it learns who asked for what."""

    full = False

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self.size = 0
        """How many bytes of lines were written, before compression."""
        self._raw = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE), "wb")  # noqa: PTH123, SIM115
        zipped = path.name.endswith(".gz")
        self._file: IO[bytes] = self._raw
        if zipped:  # without a name and a time in it, the same records are the same bytes
            self._file = cast("IO[bytes]", gzip.GzipFile("", "wb", _LEVEL, self._raw, mtime=0))

    def new(self) -> None:
        """Nothing: it is new."""

    def write(self, line: bytes) -> None:
        """One more line. Raises OSError."""
        self._file.write(line)
        self.size += len(line)

    def hand_over(self) -> None:
        """Let the system have all that was written: it survives the end of the process. Raises OSError."""
        if isinstance(self._file, gzip.GzipFile):
            self._file.flush(zlib.Z_SYNC_FLUSH)
        self._raw.flush()

    def close(self) -> None:
        """Write what is left to the disk. Raises OSError."""
        try:
            if self._file is not self._raw:
                self._file.close()
            self._raw.flush()
            os.fsync(self._raw.fileno())
        finally:
            self._raw.close()
