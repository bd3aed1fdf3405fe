"""The Standard Workload Format: logs of jobs, plain or gzipped, read as a stream, and written.

The format is that of the Parallel Workloads Archive: Chapin, Cirne, Feitelson, Jones, Leutenegger,
Schwiegelshohn, Smith, Talby, "Benchmarks and Standards for the Evaluation of Parallel Job Schedulers",
JSSPP 1999. A line is a job of 18 numbers, -1 where unknown; comments begin with `;` and head the log.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final, NoReturn, cast

import msgspec

from wnodes_engine.documents import DocumentError
from wnodes_engine.findings import Finding
from wnodes_engine.language.source import Span

FIELDS: Final = (
    "job number",
    "submit time",
    "wait time",
    "run time",
    "allocated processors",
    "average CPU time",
    "used memory",
    "requested processors",
    "requested time",
    "requested memory",
    "status",
    "user",
    "group",
    "application",
    "queue",
    "partition",
    "preceding job",
    "think time",
)
"""The 18 fields of a job, in order; times in seconds, memory in KiB per processor."""

LONGEST: Final = 1 << 34
WIDEST: Final = 1 << 24
LARGEST: Final = 1 << 40
"""What a job may say at most: seconds (544 years), processors, and any other number."""

_BLOCK: Final = 1 << 18
_LONGEST_LINE: Final = 1 << 16
_MOST_HEADERS: Final = 10_000
_PLAIN: Final = b"0123456789- \t\r\n"
_WORD: Final = re.compile(rb"\S+")
_NUMBER: Final = re.compile(rb"([-+]?[0-9]{1,15})(?:\.[0-9]*)?")
_NOT_SWF: Final = "is this a log in the Standard Workload Format?"


class SwfJob(msgspec.Struct, frozen=True, gc=False):
    """One job of a log; -1 where the log does not say.

    `submitted` is in seconds after the start of the log; `processors` are those requested, else those
    allocated; `memory` (KiB per processor) is that requested, else that used; `walltime` is the time
    requested; `user`, `group`, `queue` and `partition` are the log's numbers.
    """

    number: int
    submitted: int
    runtime: int
    processors: int
    memory: int = -1
    walltime: int = -1
    user: int = -1
    group: int = -1
    queue: int = -1
    partition: int = -1


class SwfLog:
    """One log, read from its beginning each time it is iterated over, in bounded memory.

    `header` fills up while comments are read: as the first job comes out, everything above it is there.
    `read` is how much of the file has been read, from 0 to 1. Iterating raises DocumentError, at the line
    and column of what is wrong.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.header: dict[str, str] = {}
        self.read = 0.0

    @property
    def start_time(self) -> int:
        """The header's `UnixStartTime`, in seconds since the epoch; 0 where it does not say."""
        match = re.match(r"[0-9]{1,10}\b", self.header.get("UnixStartTime", ""))
        return int(match[0]) if match else 0

    def __iter__(self) -> Iterator[SwfJob]:
        last_number = last_time = -1
        for at, line, plain in self._lines():
            fields = line.split()
            if not fields or (not plain and self._is_comment(line)):
                continue
            try:
                number, time, _, runtime, width, _, used, asked, walltime, memory, _, user, group, _, queue, partition, _, _ = (
                    map(int, fields) if plain else self._numbers(line, at)
                )  # fmt: skip
            except ValueError:
                self._numbers(line, at)
                raise
            if asked > 0:
                width = asked
            if memory <= 0:
                memory = used
            if (
                not last_number < number <= LARGEST
                or not last_time <= time <= LONGEST
                or runtime > LONGEST
                or walltime > LONGEST
                or width > WIDEST
                or memory > LARGEST
            ):
                self._refuse_job(line, at, last_number, last_time)
            last_number = number
            last_time = time
            yield SwfJob(number, time, runtime, width, memory, walltime, user, group, queue, partition)

    def _lines(self) -> Iterator[tuple[int, bytes, bool]]:
        """Each line with its number, and whether it stands among nothing but integers and blanks."""
        at = 1
        rest = b""
        try:
            size = self.path.stat().st_size or 1
            with self.path.open("rb") as raw:
                zipped = raw.read(2) == b"\x1f\x8b"
                raw.seek(0)
                file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if zipped else raw)
                while block := file.read(_BLOCK):
                    self.read = min(1.0, raw.tell() / size)
                    text = rest + block
                    lines = text.split(b"\n")
                    rest = lines.pop()
                    if len(rest) > _LONGEST_LINE or max(map(len, lines), default=0) > _LONGEST_LINE:
                        long = next(n for n, line in enumerate([*lines, rest]) if len(line) > _LONGEST_LINE)
                        self._refuse(at + long, 1, "this line is longer than 64 KiB", _NOT_SWF)
                    plain = not text.translate(None, _PLAIN)
                    for at, line in enumerate(lines, at):  # noqa: B020 - counts on over the blocks
                        yield at, line, plain
                    at += bool(lines)
                if rest:
                    yield at, rest, False
        except EOFError:
            self._refuse(at, 1, "the compressed file breaks off after this line", _FETCH)
        except (gzip.BadGzipFile, zlib.error):
            self._refuse(at, 1, "the compressed file is damaged after this line", _FETCH)
        except OSError as error:
            self._refuse(1, 1, f"cannot read {self.path}: {(error.strerror or str(error)).lower()}", None)
