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
from operator import itemgetter
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

_NEEDED: Final = itemgetter(0, 1, 3, 4, 6, 7, 8, 9, 11, 12, 14, 15)
_BLOCK: Final = 1 << 18
_LONGEST_LINE: Final = 1 << 16
_MOST_HEADERS: Final = 10_000
_MOST_WITHOUT: Final = 1_000_000  # lines: a small .gz can hold billions of empty ones
_PLAIN: Final = b"0123456789- \t\r\n"
_WORD: Final = re.compile(rb"\S+")
_NUMBER: Final = re.compile(rb"([-+]?[0-9]{1,15})(?:\.[0-9]*)?")
_NOT_SWF: Final = "is this a log in the Standard Workload Format?"
_FETCH: Final = "fetch the file again; `gzip -t` tests it"


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
        last_number, last_time, last_at = -1, 0, 0
        for at, line, plain in self._lines():
            fields = line.split()
            if not fields or (not plain and self._is_comment(line)):
                if at - last_at > _MOST_WITHOUT:
                    self._refuse(at, f"{_MOST_WITHOUT:,} lines in a row hold no job", _NOT_SWF)
                continue
            last_at = at
            try:
                words = fields if plain and len(fields) == len(FIELDS) else self._numbers(line, at)
                numbers = list(map(int, _NEEDED(words)))
            except ValueError:  # digits and signs, but no number: say where
                numbers = list(_NEEDED(self._numbers(line, at)))
            number, time, runtime, width, used, asked, walltime, memory, user, group, queue, part = numbers
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
            yield SwfJob(number, time, runtime, width, memory, walltime, user, group, queue, part)
        if last_number < 0:
            self._refuse(
                1, "there is no job in this log", "fetch it again, or make one: wnodes-policy workload"
            )

    def _lines(self) -> Iterator[tuple[int, bytes, bool]]:
        """Each line with its number, and whether it stands among nothing but integers and blanks."""
        at = 1
        rest = b""
        try:
            size = self.path.stat().st_size or 1
            with self.path.open("rb") as raw:
                zipped = raw.peek(2)[:2] == b"\x1f\x8b"
                file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if zipped else raw)
                seekable = raw.seekable()
                while block := file.read(_BLOCK):
                    self.read = min(1.0, raw.tell() / size) if seekable else 0.0
                    text = rest + block
                    lines = text.split(b"\n")
                    rest = lines.pop()
                    if len(rest) > _LONGEST_LINE or max(map(len, lines), default=0) > _LONGEST_LINE:
                        long = next(n for n, line in enumerate([*lines, rest]) if len(line) > _LONGEST_LINE)
                        self._refuse(at + long, "this line is longer than 64 KiB", _NOT_SWF)
                    plain = not text.translate(None, _PLAIN)
                    for at, line in enumerate(lines, at):  # noqa: B020 - counts on over the blocks
                        yield at, line, plain
                    at += bool(lines)
                if rest:
                    yield at, rest, False
        except EOFError:
            self._refuse(max(1, at - 1), "the compressed file breaks off after this line", _FETCH)
        except (gzip.BadGzipFile, zlib.error):
            self._refuse(max(1, at - 1), "the compressed file is damaged after this line", _FETCH)
        except OSError as error:
            self._refuse(1, f"cannot read {self.path}: {(error.strerror or str(error)).lower()}", None)

    def _is_comment(self, line: bytes) -> bool:
        """Whether it is one; `; Key: value` is noted in the header, the first of each key."""
        text = line.lstrip()
        if not text.startswith(b";"):
            return False
        key, colon, value = text[1:].decode("utf-8", "replace").partition(":")
        if colon and (key := key.strip()) and len(self.header) < _MOST_HEADERS:
            self.header.setdefault(key, value.strip())
        return True

    def _numbers(self, line: bytes, at: int) -> list[int]:
        """The 18 numbers of a job, fractions cut off; raises DocumentError at what is not one."""
        numbers: list[int] = []
        for word in _WORD.finditer(line):
            if (match := _NUMBER.fullmatch(word[0])) is None:
                self._refuse_word(word, at, len(numbers))
            numbers.append(int(match[1]))
        if len(numbers) != len(FIELDS):
            message = f"a job has {len(FIELDS)} fields, and this line has {len(numbers)}"
            mend = "write -1 for what is not known" if len(numbers) > 4 else _NOT_SWF
            self._refuse(at, message, mend, re.match(rb".*", line))
        return numbers

    # ------------------------------------------------------------ refusing

    def _refuse_word(self, word: re.Match[bytes], at: int, field: int) -> NoReturn:
        text = word[0][:24].decode("latin-1")
        readable = text.isascii() and text.isprintable()
        shown = text if readable else text.encode("unicode_escape").decode()
        name = FIELDS[field] if field < len(FIELDS) else f"field {field + 1}"
        if re.fullmatch(rb"[-+]?[0-9]+", word[0]):
            self._refuse(at, f"the {name}, {shown}, is too large a number", None, word)
        mend = "write -1 for what is not known" if readable and field else _NOT_SWF
        self._refuse(at, f"the {name} has to be a number, not '{shown}'", mend, word)

    def _refuse_job(self, line: bytes, at: int, last_number: int, last_time: int) -> NoReturn:
        """Says which of the bounds the job breaks."""
        words = list(_WORD.finditer(line))
        numbers = self._numbers(line, at)
        bounds = {1: LONGEST, 3: LONGEST, 8: LONGEST, 4: WIDEST, 7: WIDEST}
        for field, number in enumerate(numbers):
            if number > bounds.get(field, LARGEST):
                self._refuse_word(words[field], at, field)
        number, time = numbers[:2]
        if time < 0:
            self._refuse(at, f"the submit time cannot be {time}", "the log starts at 0", words[1])
        if time < last_time:
            message = f"this job was submitted at {time}, before the one above it, at {last_time}"
            self._refuse(at, message, "sort the log by submit time: sort -s -n -k 2,2", words[1])
        message = f"the job numbers have to rise, and {number} does not come after {max(0, last_number)}"
        mend = "number the jobs anew: awk '/^;/ {print; next} {$1 = ++n; print}'"
        self._refuse(at, message, mend, words[0])

    def _refuse(
        self, at: int, message: str, mend: str | None, word: re.Match[bytes] | None = None
    ) -> NoReturn:
        begin, end = word.span() if word else (0, 1)
        span = Span(str(self.path), at, begin + 1, at, end + 1, begin, end)
        # The span counts inside the line alone, since that is all of the text that is kept.
        line = word.string.decode("latin-1") if word else ""
        raise DocumentError([Finding("E195", message, span, help=mend)], {str(self.path): line})


def swf_lines(jobs: Iterable[SwfJob], header: Mapping[str, str | int]) -> Iterator[str]:
    """The log's lines, each with its newline: the header's comments, then a line for each job."""
    for key, value in header.items():
        yield f"; {key}: {value}\n"
    for job in jobs:
        yield (
            f"{job.number:6d} {job.submitted:9d} -1 {job.runtime:7d} {job.processors:4d} -1 -1"
            f" {job.processors:4d} {job.walltime:7d} {job.memory} -1 {job.user:3d} {job.group:3d} -1"
            f" {job.queue} {job.partition} -1 -1\n"
        )
