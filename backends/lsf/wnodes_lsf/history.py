"""Reading endings incrementally: nothing left out, however late it is heard of, and nothing told twice.

From lsb.acct, where it can be read, a cursor is a position in it. Else bjobs shows what has ended of late,
and the cursor is the time of the last look, and how many endings this very backend had told by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from wnodes_batch import logfile
from wnodes_batch.bulk import chunks
from wnodes_batch.client import AT_ONCE
from wnodes_batch.telling import Telling
from wnodes_engine.backend import ENDED, BackendUnavailable, Ending, Endings, Fate, JobRef

from wnodes_lsf import accounting, acct_file, commands
from wnodes_lsf.client import Client
from wnodes_lsf.options import Options

_PIECE: Final = 16 << 20  # bytes of lsb.acct that are read at a time
_FILE: Final = "acct:"
_LOOK: Final = "seen:"
_NOTHING: Final = ("No matching job found", "No job found", "There is no job", "no matching job")


class Cursor(msgspec.Struct, frozen=True):
    """When was looked last, and what was told by then by the backend with this mark."""

    since: int
    mark: str
    told: int

    def __str__(self) -> str:
        return f"{_LOOK}{self.since}:{self.mark}:{self.told}"


class History:
    """The endings of one cluster."""

    def __init__(self, client: Client, options: Options) -> None:
        self._client = client
        self._options = options
        self._telling = Telling()
        self._noticed: dict[JobRef, int] = {}
        self.broken = 0
        """Records of lsb.acct that could not be read."""
        self.lost = False
        """Whether lsb.acct was cut off or replaced, so that something may be missing."""

    async def finished(self, text: str) -> Endings:
        """The endings since a cursor. Raises BackendUnavailable."""
        if self._options.accounting is not None:
            return await self._filed(Path(self._options.accounting), text)
        return await self._listed(text)

    # --------------------------------------------------------------- lsb.acct

    async def _filed(self, path: Path, text: str) -> Endings:
        after = logfile.position(text[len(_FILE) :]) if text.startswith(_FILE) else None
        oldest = int(self._client.clock()) - self._options.history if after is None else 0
        try:
            piece = await asyncio.to_thread(logfile.read, path, after, _PIECE)
            read = await asyncio.to_thread(acct_file.read, piece.text, self._client.cluster)
            reached = piece.position
            if read.rest:
                reached = await asyncio.to_thread(logfile.back, path, piece, read.rest)
        except OSError as error:
            raise BackendUnavailable(f"{self._client.cluster}: {path}: {error.strerror}") from None
        self.broken += read.broken
        self.lost = self.lost or piece.lost
        ended = [each for each in read.records if each.ending.ended_at >= oldest and not each.requeued]
        last = {each.ending.ref: each.ending for each in ended}
        doubtful = [ending for ending in last.values() if ending.native_state == "EXIT"]
        live = await self._live() if doubtful else frozenset()
        more = piece.more and (read.rest < len(piece.text))
        records = tuple(ending for ending in last.values() if ending.ref not in live)
        return Endings(records, f"{_FILE}{reached}", more)

    async def _live(self) -> frozenset[JobRef]:
        """What is queued or runs: a job that was requeued has a record of its end all the same."""
        rows = await self._client.rows(commands.EVERYBODY, in_full=False)
        return frozenset(row.ref for row in rows if row.state not in ENDED)

    # --------------------------------------------------------------- commands

    async def _listed(self, text: str) -> Endings:
        client, now = self._client, int(self._client.clock())
        cursor = self._read(text, now)
        settings = await client.learn()
        endings = accounting.from_rows(await client.rows(commands.FINISHED))
        if cursor.since < now - settings.remembers + self._options.lag and cursor.mark != self._telling.mark:
            seen = {ending.ref for ending in endings}
            older = await self._older(cursor.since - self._options.lag, now)
            endings = [ending for ending in older if ending.ref not in seen] + endings
        return self._page(endings, cursor, now)

    def _read(self, text: str, now: int) -> Cursor:
        """A cursor that cannot be read is the beginning: what is told again does no harm."""
        since, _, rest = text.removeprefix(_LOOK).partition(":")
        mark, _, told = rest.partition(":")
        if text.startswith(_LOOK) and since.isdigit() and told.isdigit():
            return Cursor(min(int(since), now), mark, int(told))
        return Cursor(now - self._options.history, "", 0)

    async def _older(self, since: int, now: int) -> list[Ending]:
        """What has ended before bjobs can tell, from bacct, or bhist where there is none."""
        return await self._asked(commands.accounted(since, now + 60), commands.remembered(since, now + 60))

    async def _asked(self, *commands_: tuple[str, ...]) -> list[Ending]:
        """The endings that the first of these commands which is there tells."""
        client, now = self._client, int(self._client.clock())
        for argv in commands_:
            answer = await client.answer(argv)
            if not answer.began or answer.status == 127:
                continue
            missing = answer.status is not None and any(known in answer.said for known in _NOTHING)
            if answer.status != 0 and not missing:
                raise client.failed(argv, answer)
            return await client.parsed(accounting.from_text, answer.out, client.cluster, now)
        return []

    async def again(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Fate | Ending]:
        """What bjobs, bacct or bhist tell of these very jobs. Raises BackendUnavailable.

        LSF has a submission on disk before it answers, so a job that nobody knows is not said to be lost.
        """
        fates: dict[JobRef, Fate | Ending] = dict.fromkeys(refs, Fate.UNKNOWN)
        for some in chunks(sorted({ref.id for ref in refs}), AT_ONCE):
            rows = await self._client.rows((), some)
            told = accounting.from_rows(rows)
            if rest := sorted(set(some) - {row.ref.id for row in rows}):
                told = await self._asked(*commands.accounts_of(rest)) + told
            now = int(self._client.clock())
            fates |= {each.ref: self._dated(each, now) for each in told if each.ref in fates}
        return fates

    def _page(self, endings: Iterable[Ending], cursor: Cursor, now: int) -> Endings:
        dated = [self._dated(ending, now) for ending in endings]
        fresh = self._telling.fresh(dated, cursor.mark, cursor.told)
        if cursor.mark != self._telling.mark:  # all is new to this backend, but not to whom it serves
            oldest = cursor.since - self._options.lag
            fresh = [ending for ending in fresh if ending.ended_at >= oldest]
        listed = {ending.ref for ending in dated}
        self._noticed = {ref: at for ref, at in self._noticed.items() if ref in listed}
        self._telling.forget(min([now - 2 * self._options.lag, *(ending.ended_at for ending in dated)]))
        return Endings(tuple(fresh), str(Cursor(now, self._telling.mark, self._telling.count)))

    def _dated(self, ending: Ending, now: int) -> Ending:
        """An ending of which no listing tells the time is as old as its first sight."""
        if ending.ended_at:
            return ending
        return msgspec.structs.replace(ending, ended_at=self._noticed.setdefault(ending.ref, now))
