"""How jobs have ended: from the accounting log, read on from where it was left, or from what qstat shows.

A job that is deleted before it has started leaves no more than a line with its id. Who it was is known from
qstat, or from the last time that it was seen; its end is told once the server does not know it as alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from wnodes_batch.telling import Telling
from wnodes_engine.backend import (
    ENDED,
    BackendUnavailable,
    Ending,
    Endings,
    Fate,
    JobRef,
    JobState,
    SlotRequest,
)

from wnodes_torque import accounting, jobs, logs
from wnodes_torque.accounting import Deletion, Told
from wnodes_torque.client import Client
from wnodes_torque.jobs import Row
from wnodes_torque.logs import Page, Position
from wnodes_torque.options import Dialect, Options

USUAL: Final[Mapping[Dialect, tuple[str, ...]]] = {
    Dialect.TORQUE: ("/var/spool/torque/server_priv/accounting",),
    Dialect.PBS: ("/var/spool/pbs/server_priv/accounting",),
}
"""Where the systems keep their accounting logs unless they were told otherwise."""

_KEPT: Final = 2 * 86400  # seconds for which an ending is known to have been told
_MOST_WAITING: Final = 1000
_MOST_SUBMITTED: Final = 20_000
_ALIVE: Final = frozenset(
    {JobState.HELD, JobState.PENDING, JobState.STARTING, JobState.RUNNING, JobState.SUSPENDED}
)


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was told by then by the backend with this mark, and from where to read on.

    `waiting` has the deletions, by id, of which it is not known yet whether the job had started.
    """

    since: int
    mark: str = ""
    told: int = 0
    position: Position = Position()
    waiting: dict[str, tuple[int, str]] = {}

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()


class History:
    """The endings of one server's jobs."""

    def __init__(self, client: Client, options: Options) -> None:
        self.unread = 0
        self.doubtful = 0
        self.skew = 0
        """By how many seconds the log's local times are from ours."""
        self._client = client
        self._options = options
        self._zone: tzinfo | None = ZoneInfo(options.timezone) if options.timezone else None
        self._telling = Telling()
        self._seen: dict[str, Row] = {}
        self._submitted: dict[str, Ending] = {}

    def saw(self, rows: Iterable[Row]) -> None:
        """Remember who the jobs are that have not started: nothing else may tell that later."""
        waiting = {JobState.HELD, JobState.PENDING}
        self._seen = {row.ref.id: row for row in rows if row.state in waiting}

    def submitted(self, ref: JobRef, slot: SlotRequest, user: str) -> None:
        """Remember who a job is that nobody may see before it is deleted."""
        self._submitted[ref.id] = Ending(
            ref,
            JobState.CANCELLED,
            None,
            0,
            None,
            user=user,
            account=slot.account or "",
            queue=slot.queue or "",
        )
        for id_ in list(islice(self._submitted, max(0, len(self._submitted) - _MOST_SUBMITTED))):
            del self._submitted[id_]

    async def folder(self) -> Path | None:
        """Where the accounting log is; None where there is none that we may read."""
        if self._options.accounting is not None:
            return Path(self._options.accounting)
        for usual in USUAL[await self._client.dialect()]:
            if await asyncio.to_thread(logs.readable, Path(usual)):
                return Path(usual)
        return None

    async def finished(self, text: str) -> Endings:
        """The endings since a cursor. Raises BackendUnavailable."""
        now = int(self._client.clock())
        cursor = self._read(text, now)
        folder = await self.folder()
        if folder is None:
            return await self._shown(cursor, now)
        page = await self._page(folder, cursor.position if cursor.position.day else self._first(cursor.since))
        told = await self._told(page.lines)
        waiting = {**cursor.waiting, **{each.id: (each.at, each.kind) for each in told.deletions}}
        endings = await self._confirmed(told.endings, waiting)
        position = page.position
        if not page.more and waiting:
            position, more = await self._settle(folder, position, waiting, now)
            endings += more
        kept = dict(list(waiting.items())[-_MOST_WAITING:])
        endings = [each for each in endings if each.ended_at >= cursor.since]
        return self._told_now(endings, cursor, Cursor(cursor.since, "", 0, position, kept), now, page.more)

    async def look_again(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Fate | Ending]:
        """What the server and its log know together of jobs that are missing.

        Without a log nobody can say that a job has not run. Raises BackendUnavailable.
        """
        fates: dict[JobRef, Fate | Ending] = dict.fromkeys(refs, Fate.UNKNOWN)
        folder = await self.folder()
        if folder is None or not refs:
            return fates
        shown = await self._client.rows(ref.id for ref in refs)
        missing = [ref for ref in refs if ref.id not in shown]
        seen: dict[str, set[str]] = {ref.id: set() for ref in missing}
        servers: set[str] = set()
        position, more = self._first(min(ref.submitted_at for ref in refs)), bool(missing)
        while more:
            page = await self._page(folder, position)
            position, more = page.position, page.more
            for id_, kind in accounting.kinds(page.lines):
                servers.add(id_.partition(".")[2])
                if id_ in seen:
                    seen[id_].add(kind)
            await asyncio.sleep(0)
        for ref in missing:
            told = not seen[ref.id].isdisjoint(accounting.TOLD)  # then its end is told sooner or later
            if not told and ref.id.partition(".")[2] in servers:  # else it is not this server's log
                started = accounting.STARTED in seen[ref.id]
                fates[ref] = Fate.VANISHED if started else Fate.NEVER_STARTED
        return fates

    # ------------------------------------------------------------ from the log

    async def _page(self, folder: Path, position: Position) -> Page:
        try:
            return await asyncio.to_thread(logs.read, folder, position)
        except (OSError, EOFError) as error:
            raise BackendUnavailable(
                f"{self._client.cluster}: the accounting log in {folder} cannot be read: {error}"
            ) from None

    async def _told(self, lines: Iterable[str]) -> Told:
        told = await asyncio.to_thread(accounting.read, lines, self._client.cluster, self._zone)
        self.unread += told.unread
        self.skew = self.skew if told.skew is None else told.skew
        return told

    async def _confirmed(
        self, endings: Iterable[Ending], waiting: dict[str, tuple[int, str]]
    ) -> list[Ending]:
        """The endings that are true: no line's word ends a job of ours that the server shows alive."""
        told = list(endings)
        ours = [each.ref.id for each in told if each.ref.key]
        shown = await self._client.rows(ours) if ours else {}
        found: list[Ending] = []
        for each in told:
            row = shown.get(each.ref.id)
            if row is not None and row.ref == each.ref and row.state in _ALIVE:
                self.doubtful += 1
                continue
            deleted = waiting.pop(each.ref.id, None)
            was_deleted = deleted is not None and deleted[1] == accounting.DELETED
            found.append(msgspec.structs.replace(each, state=JobState.CANCELLED) if was_deleted else each)
        return found

    async def _settle(
        self, folder: Path, position: Position, waiting: dict[str, tuple[int, str]], now: int
    ) -> tuple[Position, list[Ending]]:
        """What has become of jobs that were deleted, and whose end the log has not told so far."""
        shown = await self._client.rows(waiting)
        # What the server had forgotten by then, has its end in the log by now, if it ever started.
        page = await self._page(folder, position)
        told = await self._told(page.lines)
        endings = await self._confirmed(told.endings, waiting)
        for id_, (at, kind) in list(waiting.items()) if not page.more else ():
            row = shown.get(id_)
            if row is not None and (row.state not in ENDED or row.started_at is not None):
                if now - at > self._options.lag:
                    del waiting[id_]  # it lives on, or its end is told when it comes
                continue
            del waiting[id_]
            endings.append(self._deleted(Deletion(id_, at, kind), row))
        waiting |= {each.id: (each.at, each.kind) for each in told.deletions}
        return page.position, endings

    def _deleted(self, deletion: Deletion, row: Row | None) -> Ending:
        """The ending of a job that never started."""
        row = row or self._seen.get(deletion.id)
        known = self._submitted.get(deletion.id)
        if row is not None:
            known = Ending(
                row.ref,
                JobState.CANCELLED,
                None,
                0,
                None,
                user=row.user,
                group=row.group,
                account=row.account,
                queue=row.queue,
            )
        if known is None:  # nobody has ever seen it: it held nothing, and is not ours
            known = Ending(
                JobRef(self._client.cluster, deletion.id, "", 0), JobState.CANCELLED, None, 0, None
            )
        state = JobState.CANCELLED if deletion.kind == accounting.DELETED else JobState.FAILED
        return msgspec.structs.replace(known, state=state, ended_at=deletion.at, native_state=deletion.kind)

    def _first(self, since: int) -> Position:
        """The file to begin with: that of the day before, whatever the server's time zone is."""
        return Position(datetime.fromtimestamp(max(0, since - 86400), UTC).strftime("%Y%m%d"))

    # ----------------------------------------------------------- without a log

    async def _shown(self, cursor: Cursor, now: int) -> Endings:
        """What the server remembers of jobs that have ended lately."""
        since = max(cursor.since, now - self._options.history) - self._options.lag
        rows = await self._client.remembered(since)
        endings = [each for row in rows if (each := jobs.ending(row)) is not None and each.ended_at >= since]
        until = max(cursor.since, now - self._options.lag)
        return self._told_now(endings, cursor, Cursor(until), now, more=False)

    # ------------------------------------------------------------------ telling

    def _read(self, text: str, now: int) -> Cursor:
        """A cursor that cannot be read is the beginning: what is told again does no harm."""
        try:
            read = msgspec.json.decode(text, type=Cursor)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return Cursor(now - self._options.history)
        return msgspec.structs.replace(read, since=min(read.since, now))

    def _told_now(self, endings: Iterable[Ending], old: Cursor, new: Cursor, now: int, more: bool) -> Endings:
        telling = self._telling
        fresh = telling.fresh(endings, old.mark, old.told)
        telling.forget(now - _KEPT)
        known = old.told if old.mark == telling.mark else 0
        told = known if more else telling.count  # what was told of later pages, was not by this cursor
        cursor = msgspec.structs.replace(new, mark=telling.mark, told=told)
        return Endings(tuple(fresh), str(cursor), more)
