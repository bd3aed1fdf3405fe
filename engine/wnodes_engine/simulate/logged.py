"""A decision log as a trace: its requests, when they came in, and how long they ran."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import astuple

from wnodes_engine.decision_log.reading import LogReader
from wnodes_engine.decision_log.records import (
    AnyRecord,
    Finish,
    Head,
    More,
    PartRecord,
    Pass,
    Requeue,
    Submit,
    Suspend,
    Take,
)
from wnodes_engine.documents import DocumentError
from wnodes_engine.simulate.swf import SwfJob
from wnodes_engine.snapshot_form import RequestRow, Requests, Running, Waiting
from wnodes_engine.values import Request


def is_decision_log(path: str | Path) -> bool:
    """Whether the file begins as a decision log does; False where it cannot be read, or read only once."""
    if not Path(path).is_file():
        return False
    log = LogReader(path)
    try:
        return any(isinstance(log.record(at, line), Head) for at, line in log.first())
    except DocumentError:
        return False


class LoggedTrace:
    """The requests of one log, each time it is iterated over; it is read twice for that.

    What ran on when the log ended counts with what it had run by then. What never started has no run time,
    and no run counts that ended in the queue again. What waited or ran already as the log began comes first.
    """

    def __init__(self, path: str | Path) -> None:
        self._log = LogReader(path)
        self._coming: dict[int, Request] = {}

    @property
    def read(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        return self._log.read

    def request_of(self, job: SwfJob) -> Request:
        """The request of a job that has just come out; to be asked once for each."""
        return self._coming.pop(job.number)

    def __iter__(self) -> Iterator[SwfJob]:
        """The requests as jobs, by their arrival. Raises DocumentError."""
        runtimes = self._run_times()
        seen: set[str] = set()
        last = 0
        for number, request in enumerate(self._requests(), 1):
            if request.id in seen:  # a state that began anew has those of the one before
                continue
            seen.add(request.id)
            last = max(last, request.submitted)
            if request.submitted < last:
                request = msgspec.structs.replace(request, submitted=last)
            self._coming = {number: request}
            cores = (request.cores or 1) * (request.count or 1)
            yield SwfJob(number, last, runtimes.get(request.id, -1), cores)

    def _records(self) -> Iterator[AnyRecord]:
        for at, line in self._log:
            record = self._log.record(at, line)
            if at == 1:
                self._log.head(record)
            yield record

    def _run_times(self) -> dict[str, int]:
        """How long each request ran, in seconds, by its id."""
        started: dict[str, int] = {}
        before: dict[str, int] = {}  # it was suspended
        runtimes: dict[str, int] = {}
        now = 0
        for record in self._records():
            now = getattr(record, "now", None) or now
            match record:
                case Pass() | More():
                    started.update((start.id, now) for start in record.starts)
                    if isinstance(record, Pass):
                        started.update((id_, now) for id_ in record.resumed)
                case Take():
                    started[record.request.id] = now
                case Finish() if record.id in started:
                    ran = now - started.pop(record.id) + before.pop(record.id, 0)
                    runtimes[record.id] = max(0, ran)
                case Suspend() if record.id in started:
                    before[record.id] = before.get(record.id, 0) + now - started.pop(record.id)
                case Requeue():
                    started.pop(record.id, None)
                    before.pop(record.id, None)
                case PartRecord(part=Running() as rows):
                    started.update(zip(rows.id, rows.started, strict=False))
        for id_, since in started.items():
            runtimes[id_] = max(0, now - since + before.get(id_, 0))
        return runtimes

    def _requests(self) -> Iterator[Request]:
        """All requests in the order of their arrival; some may come twice."""
        table: list[RequestRow] = []
        before: list[Request] = []
        for record in self._records():
            match record:
                case PartRecord(part=Requests(requests=rows)):
                    table += rows
                case PartRecord(part=Running() | Waiting() as rows):
                    for id_, submitted, which in zip(rows.id, rows.submitted, rows.request, strict=False):
                        if which < len(table):
                            before.append(_request(table[which], id_, submitted))
                case Submit() | Take():
                    yield from _by_arrival(before)
                    yield Request(*astuple(record.request))
            if isinstance(record, PartRecord) and record.last:
                table = []
        yield from _by_arrival(before)


def _request(row: RequestRow, id_: str, submitted: int) -> Request:
    return Request(*astuple(msgspec.structs.replace(row, id=id_, submitted=submitted)))


def _by_arrival(requests: list[Request]) -> Iterator[Request]:
    """The requests, which are then no longer in the list."""
    yield from sorted(requests, key=lambda request: request.submitted)
    requests.clear()
