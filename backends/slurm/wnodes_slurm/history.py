"""Reading accounting incrementally: nothing left out, however late it is heard of, and nothing told twice.

A cursor is the time from which to read, and how many endings this very backend had told by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from wnodes_batch.bulk import chunks
from wnodes_batch.client import AT_ONCE
from wnodes_batch.telling import Telling
from wnodes_engine.backend import ENDED, BackendUnavailable, Ending, Endings, Fate, JobRef

from wnodes_slurm import accounting, commands, jobs
from wnodes_slurm.client import Client
from wnodes_slurm.jobs import Row
from wnodes_slurm.options import Options

_SLICE: Final = 86400  # seconds of history that are read at a time
_AHEAD: Final = 3600  # seconds by which clocks may differ
_SKEW: Final = 2  # seconds by which our clock and the controller's may differ
_NAMED: Final = 120  # seconds after which accounting knows a job's name, if it ever does


class Cursor(msgspec.Struct, frozen=True):
    """From when to read, and what was told by then by the backend with this mark."""

    since: int
    mark: str
    told: int

    def __str__(self) -> str:
        return f"{self.since}:{self.mark}:{self.told}"


class History:
    """The endings of one cluster."""

    def __init__(self, client: Client, options: Options) -> None:
        self._client = client
        self._options = options
        self._telling = Telling()
        self._answering_since: int | None = None

    async def finished(self, text: str) -> Endings:
        """The endings since a cursor. Raises BackendUnavailable."""
        now = int(self._client.clock())
        cursor = self._read(text, now)
        settings = await self._client.learn()
        if not settings.has_accounting:
            return self._page(await self._shown(), cursor, cursor.since, more=False)
        more = cursor.since + _SLICE < now - self._options.lag
        until = cursor.since + _SLICE if more else now + _AHEAD
        try:
            endings = await self._recorded(cursor.since, until, now)
        except BackendUnavailable:
            self._answering_since = None
            raise
        if self._answering_since is None:
            self._answering_since = now
        if more:  # of what is that old everything has been heard
            return self._page(endings, cursor, until, more=True)
        # An accounting that was away still takes in what happened meanwhile: then the past is read again.
        settled = now - self._answering_since >= self._options.lag
        since = max(cursor.since, now - self._options.lag) if settled else cursor.since
        return self._page(endings, cursor, since, more=False)

    def _read(self, text: str, now: int) -> Cursor:
        """A cursor that cannot be read is the beginning: what is told again does no harm."""
        since, _, rest = text.partition(":")
        mark, _, told = rest.partition(":")
        if since.isdigit() and told.isdigit():
            return Cursor(min(int(since), now), mark, int(told))
        return Cursor(now - self._options.history, "", 0)

    def _page(self, endings: Iterable[Ending], cursor: Cursor, since: int, *, more: bool) -> Endings:
        telling = self._telling
        fresh = tuple(telling.fresh(endings, cursor.mark, cursor.told))
        if more:
            known = cursor.told if cursor.mark == telling.mark else 0
            return Endings(fresh, str(Cursor(since, telling.mark, known)), more=True)
        telling.forget(since - self._options.lag)
        return Endings(fresh, str(Cursor(since, telling.mark, telling.count)))

    async def _recorded(self, since: int, until: int, now: int) -> list[Ending]:
        client = self._client
        listing = await client.ask(commands.endings(_time(since), _time(until)))
        records = await client.parsed(accounting.read, listing, client.cluster)
        named = [each for each in records if not (each.unnamed and now - each.ending.ended_at < _NAMED)]
        last = [each for each in accounting.latest(named) if each.ending.state in ENDED]
        doubtful = {each.ending.ref.id for each in last if each.may_return}
        if not doubtful:
            return [each.ending for each in last]
        shown = {row.ref: row for row in (await client.rows(sorted(doubtful))).values()}
        final = await self._last_records(sorted(doubtful))
        return [
            each.ending
            for each in last
            if not each.may_return
            or (
                final.get(each.ending.ref) == each.ending.ended_at
                and not _goes_on(shown.get(each.ending.ref), each.ending)
            )
        ]

    async def look_again(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Fate | Ending]:
        """What the controller and accounting know together of jobs that are missing.

        Without accounting nobody can say that a job has not run. Raises BackendUnavailable.
        """
        fates: dict[JobRef, Fate | Ending] = dict.fromkeys(refs, Fate.UNKNOWN)
        if not (await self._client.learn()).has_accounting:
            return fates
        ids = sorted({ref.id for ref in refs})
        shown = {row.ref for row in (await self._client.rows(ids)).values()}
        records = _by_job(await self._records(ids), refs, int(self._options.limit))
        for ref in refs:
            if ref not in shown:
                fates[ref] = _fate(ref, records.get(ref, []))
        return fates

    async def _last_records(self, ids: list[str]) -> dict[JobRef, int]:
        """When each of these jobs has ended for the last time, by what accounting says of it now."""
        records = await self._records(ids)
        return {each.ending.ref: each.ending.ended_at for each in accounting.latest(records)}

    async def _records(self, ids: list[str]) -> list[accounting.Record]:
        client, records = self._client, list[accounting.Record]()
        for some in chunks(ids, AT_ONCE):
            listing = await client.ask(commands.records(some))
            records += await client.parsed(accounting.read, listing, client.cluster)
        return records

    async def _shown(self) -> list[Ending]:
        """Without accounting, the controller's own memory of what has ended lately."""
        client = self._client
        listing = await client.ask(commands.listing())
        rows = await client.parsed(jobs.read, listing, client.cluster)
        return [ending for row in rows if (ending := accounting.from_row(row)) is not None]


def _goes_on(row: Row | None, ending: Ending) -> bool:
    """Whether the controller knows more of a job than this ending: that it is queued, or ended later.

    Accounting lags by seconds: a job that was preempted and cancelled while it was queued again is still a
    preempted one there, for a while.
    """
    return row is not None and (row.state not in ENDED or (row.ended_at or 0) > ending.ended_at)


def _fate(ref: JobRef, records: Sequence[accounting.Record]) -> Fate | Ending:
    """What the records that may be of a job say of it."""
    over = [each for each in records if each.ending.state in ENDED]
    if len(over) == len(records) == 1 and over[0].unnamed:
        return msgspec.structs.replace(over[0].ending, ref=ref)
    if over:
        return Fate.UNKNOWN  # its end is told sooner or later
    started = any(each.ending.started_at is not None for each in records)
    return Fate.VANISHED if started else Fate.NEVER_STARTED


def _by_job(
    records: Iterable[accounting.Record], refs: Iterable[JobRef], limit: int
) -> dict[JobRef, list[accounting.Record]]:
    """The records of each job. Those whose name the controller has never told go by their id and time.

    A job is taken in no earlier than it was submitted, and no later than sbatch has answered, within `limit`
    seconds; of several jobs with one id the last that was submitted before the record is meant.
    """
    known: dict[JobRef, list[accounting.Record]] = {ref: [] for ref in refs}
    for record in records:
        ref: JobRef | None = record.ending.ref
        if record.unnamed:
            delays = {
                record.submitted - each.submitted_at: each
                for each in known
                if each.id == record.ending.ref.id
            }
            likely = [delay for delay in delays if -_SKEW <= delay <= limit + _SKEW]
            ref = delays[min(likely)] if likely else None
        if ref in known:
            known[ref].append(record)
    return known


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
