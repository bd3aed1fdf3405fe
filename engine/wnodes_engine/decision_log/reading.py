"""Reading a decision log: line by line, in bounded memory, plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Final, NoReturn, cast

from wnodes_engine.decision_log.lines import LONGEST, LineError, read, sums
from wnodes_engine.decision_log.records import FORMAT, AnyRecord, Head
from wnodes_engine.documents import DocumentError
from wnodes_engine.findings import Finding
from wnodes_engine.language.source import Span

_OFTEN: Final = 256
_NOT_A_LOG: Final = 'is this a decision log? Its first line says so: {"do":"head", …}'


class LogReader:
    """One decision log, from its beginning each time it is iterated over.

    `read` is how much of the file has been read, from 0 to 1. `cut` says, once all is read, that the last
    line breaks off, as it does when its writer was killed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.read = 0.0
        self.cut = False

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Each whole line with its number, without its newline. Raises DocumentError."""
        self.cut = False
        at = 0
        try:
            size = self.path.stat().st_size or 1
            with self.path.open("rb") as raw:
                zipped = raw.peek(2)[:2] == b"\x1f\x8b"
                file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if zipped else raw)
                seekable = raw.seekable()
                while line := file.readline(LONGEST + 1):
                    at += 1
                    if at % _OFTEN == 0 and seekable:
                        self.read = min(1.0, raw.tell() / size)
                    if line.endswith(b"\n"):
                        yield at, line[:-1]
                    elif len(line) > LONGEST:
                        self.refuse(at, f"this line is longer than {LONGEST >> 20} MiB", _NOT_A_LOG)
                    else:
                        self.cut = True
        except EOFError:
            self.cut = True
        except (gzip.BadGzipFile, zlib.error):
            self.refuse(max(1, at), "the compressed file is damaged after this line", "`gzip -t` tests it")
        except OSError as error:
            self.refuse(1, f"cannot read {self.path}: {(error.strerror or str(error)).lower()}", None)

    def first(self) -> Iterator[tuple[int, bytes]]:
        """The first line with its number, where there is a whole one. Raises DocumentError."""
        return islice(self, 1)

    def record(self, at: int, line: bytes) -> AnyRecord:
        """The record of a line. Raises DocumentError."""
        try:
            return read(line)
        except LineError as error:
            self.refuse(at, str(error), _NOT_A_LOG if at == 1 else "it is not as it was written")

    def head(self, record: AnyRecord) -> Head:
        """The record of the first line, which is a head of this format. Raises DocumentError."""
        if not isinstance(record, Head):
            self.refuse(1, "a decision log begins with its head", _NOT_A_LOG)
        if record.format != FORMAT:
            message = f"this log is of format {record.format}, and only format {FORMAT} can be read"
            self.refuse(1, message, f"take the version that wrote it: {record.engine}")
        return record

    def refuse(self, at: int, message: str, mend: str | None) -> NoReturn:
        """Raise DocumentError for a line."""
        span = Span(str(self.path), at, 1, at, 2, 0, 1)
        raise DocumentError([Finding("E196", message, span, help=mend)], {})


def altered(line: bytes, before: str) -> tuple[str, str, str] | None:
    """("sum", what the line says, what it has to say behind `before`), where the two differ."""
    said, right = sums(line, before)
    return None if said == right else ("sum", said, right)
