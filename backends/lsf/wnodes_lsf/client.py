"""Asking LSF: its hosts and its jobs, in the form that this version of it knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from wnodes_batch.bulk import chunks
from wnodes_batch.client import AT_ONCE, CommandClient, Run
from wnodes_batch.runner import Answer, run
from wnodes_engine.backend import BackendUnavailable
from wnodes_engine.values import Node

from wnodes_lsf import commands, config, fields, hosts, jobs, listing, long
from wnodes_lsf.config import Config
from wnodes_lsf.errors import plain
from wnodes_lsf.fields import HostSaid, Said
from wnodes_lsf.listing import NO_JOBS
from wnodes_lsf.options import Form, Options

_MOST_CHANGES: Final = 3  # times that a listing may have changed under our eyes
_MOST_DOUBTFUL: Final = 50  # jobs that are asked for one by one
_OPTION: Final = ("nvalid option", "llegal option", "nrecognized option", "Usage:", "usage:")


class Client(CommandClient[Options, Config]):
    """One cluster as its commands show it."""

    ASKING: ClassVar[Mapping[str, str]] = {"LSB_DISPLAY_YEAR": "Y"}

    def __init__(self, cluster: str, options: Options, clock: Callable[[], float], runner: Run = run) -> None:
        super().__init__(cluster, options, clock, runner)
        self._form = options.form
        self._fields = list(fields.WANTED)
        self._host_fields: list[str] | None = list(fields.HOST_WANTED)

    # --------------------------------------------------------------- commands

    @property
    def env(self) -> Mapping[str, str]:
        """What every command needs of its environment; none tries for ever to reach a daemon."""
        said = {"LSF_ENVDIR": self._options.envdir, "LSF_SERVERDIR": self._options.serverdir}
        return {"LSB_NTRIES": "1"} | {name: path for name, path in said.items() if path}

    @property
    def folder(self) -> str | None:
        """Where the commands are."""
        return self._options.bindir

    def plain(self, said: str) -> str:
        """A message on one line, without what LSF says while it tries again."""
        return plain(said)

    async def text(self, argv: tuple[str, ...]) -> str:
        """The whole answer of a command that changes nothing, as text. Raises BackendUnavailable."""
        return (await self.ask(argv)).decode("utf-8", "replace")

    # --------------------------------------------------------------- settings

    async def _settings(self) -> Config:
        lsid, bparams, clusters = await asyncio.gather(
            self.text(commands.IDENTITY), self.text(commands.PARAMETERS), self.answer(commands.CLUSTERS)
        )
        told = clusters.out.decode("utf-8", "replace")
        return config.read(lsid, bparams, told, await asyncio.to_thread(self._lsf_conf))

    def _lsf_conf(self) -> str:
        try:
            path = Path(self._options.envdir or "/etc") / "lsf.conf"
            return path.read_text("utf-8", "replace")
        except OSError:
            return ""

    @property
    def form(self) -> str:
        """How jobs are listed, as far as that is known."""
        return "text between delimiters" if self._form is Form.DELIMITED else "JSON"

    @property
    def tells_all(self) -> bool:
        """Whether the listing needs no other beside it."""
        return fields.tells_all(self._fields)

    # ------------------------------------------------------------------- jobs

    async def rows(
        self, where: Sequence[str], ids: Iterable[str] = (), *, in_full: bool = True
    ) -> list[jobs.Row]:
        """The jobs that a listing shows, with all that can be learned of them. Raises BackendUnavailable."""
        settings, ids = await self.learn(), tuple(ids)
        said = await self._said(where, ids)
        now = int(self.clock())
        lacking = self._form is not Form.DELIMITED and not fields.tells_all(self._fields)
        form = jobs.Form(
            settings.unit(self._options.memory_unit), settings.per_task, "jobindex" in self._fields
        )
        told = await self._told(where, ids, said, form, now) if in_full and lacking and said else {}
        return await self.parsed(jobs.rows, said, self.cluster, now, form, told)

    async def by_id(self, ids: Iterable[str]) -> dict[str, jobs.Row]:
        """The jobs with these ids, by id, those that ended lately too. Raises BackendUnavailable."""
        found: dict[str, jobs.Row] = {}
        for some in chunks(ids, AT_ONCE):
            found |= {row.ref.id: row for row in await self.rows((), some, in_full=False)}
        return found

    async def _said(self, where: Sequence[str], ids: tuple[str, ...]) -> list[Said]:
        settings = await self.learn()
        where = (*commands.EXPANDED, *where) if settings.is_lsf else tuple(where)
        changed = 0
        while self._form is not Form.DELIMITED:
            argv = commands.listing(where, self._fields, ids)
            answer = await self.answer(argv)
            if answer.out.strip():
                said = await self.parsed(listing.jobs, answer.out)
                if await self._is_sure(where, ids, said, answer):
                    return [each for each in said if not each.error]
                changed += 1
                if changed > _MOST_CHANGES:
                    raise BackendUnavailable(f"{self.cluster}: bjobs shows jobs, but not in JSON")
            elif answer.status is not None and _has(answer.said, NO_JOBS):
                return []
            elif fewer := fields.fewer(answer.said, self._fields, fields.NEEDED):
                self._fields = fewer
            elif self._form is Form.AUTO and answer.status is not None and _has(answer.said, _OPTION):
                self._form, self._fields = Form.DELIMITED, list(fields.PLAIN)
            else:
                raise self.failed(argv, answer)
        return await self._delimited(where, ids)

    async def _is_sure(
        self, where: Sequence[str], ids: tuple[str, ...], said: list[Said], answer: Answer
    ) -> bool:
        """Whether a listing counts: some versions show no jobs in JSON when the daemon is away.

        False if there are jobs all the same, which have just come. Raises BackendUnavailable.
        """
        strange = [each.error for each in said if each.error and "not found" not in each.error]
        if answer.status is None or strange:
            raise BackendUnavailable(f"{self.cluster}: bjobs: {plain(answer.said or '; '.join(strange))}")
        if answer.status == 0 or any(not each.error for each in said):
            return True
        argv = commands.plainly(where, ids)
        plainly = await self.answer(argv)
        if plainly.status is not None and _has(plainly.said, (*NO_JOBS, "is not found")):
            return True
        if plainly.status == 0 and plainly.out.strip():
            return False
        raise self.failed(argv, plainly)

    async def _delimited(self, where: Sequence[str], ids: tuple[str, ...]) -> list[Said]:
        while True:
            argv = commands.delimited(where, self._fields, ids)
            answer = await self.answer(argv)
            missing = answer.status is not None and _has(answer.said, (*NO_JOBS, "is not found"))
            if (answer.status == 0 or missing) and answer.out.strip():
                break
            if missing:
                return []
            if (fewer := fields.fewer(answer.said, self._fields, fields.NEEDED)) is None:
                raise self.failed(argv, answer)
            self._fields = fewer
        said = await self.parsed(listing.delimited, answer.out, self._fields)
        named, doubtful = await self._named(where, ids, said)
        if len(doubtful) > _MOST_DOUBTFUL:
            raise BackendUnavailable(f"{self.cluster}: the names of {len(doubtful)} jobs are not certain")
        for id_ in sorted(doubtful):
            of_one = [each for each in named if each.jobid == id_]
            certain, _ = await self._named((), (id_,), of_one)
            named = [each for each in named if each.jobid != id_] + certain
        return named

    async def _named(
        self, where: Sequence[str], ids: tuple[str, ...], said: list[Said]
    ) -> tuple[list[Said], set[str]]:
        argv = commands.delimited(where, fields.TEXTS, ids, listing.TEXT_DELIMITER)
        answer = await self.answer(argv)
        if answer.status != 0 and not _has(answer.said, (*NO_JOBS, "is not found")):
            raise self.failed(argv, answer)
        return await self.parsed(listing.texts, answer.out, said)

    async def _told(
        self, where: Sequence[str], ids: tuple[str, ...], said: list[Said], form: jobs.Form, now: int
    ) -> dict[str, long.Told]:
        """What the long listing tells of these jobs, where it is certain that it speaks of them."""
        names = {jobs.id_of(each, form.has_index): (each.job_name, each.user) for each in said}
        listing = await self._long(where, ids)
        told, doubtful = await asyncio.to_thread(long.told_of, listing, names, now)
        for id_ in sorted(doubtful)[:_MOST_DOUBTFUL]:
            first = next(long.blocks(await self._long((), (id_,))), None)
            if first is not None and first.id == id_ and long.belongs(first, *names[id_]):
                told[id_] = long.read(first, now, names[id_][0])
        return told

    async def _long(self, where: Sequence[str], ids: tuple[str, ...]) -> bytes:
        argv = commands.long(where, ids)
        answer = await self.answer(argv)
        if answer.status != 0 and not (
            answer.status is not None and _has(answer.said, (*NO_JOBS, "is not found"))
        ):
            raise self.failed(argv, answer)
        return answer.out

    # ------------------------------------------------------------------ hosts

    async def nodes(self, before: Mapping[str, Node]) -> tuple[Node, ...]:
        """All hosts. Raises BackendUnavailable."""
        said, machines = await asyncio.gather(self._hosts(), self.text(commands.MACHINES))
        seen = await self.parsed(hosts.machines, machines)
        if not said:
            raise BackendUnavailable(f"{self.cluster}: bhosts shows no hosts")
        return hosts.nodes(said, seen, before)

    async def _hosts(self) -> list[HostSaid]:
        settings = await self.learn()
        while settings.is_lsf and self._form is not Form.DELIMITED and self._host_fields is not None:
            argv = commands.hosts(self._host_fields)
            answer = await self.answer(argv)
            if answer.status == 0:
                return await self.parsed(listing.hosts, answer.out)
            if fewer := fields.fewer(answer.said, self._host_fields, fields.HOST_NEEDED):
                self._host_fields = fewer
            elif answer.status is not None and _has(answer.said, _OPTION):
                self._host_fields = None
            else:
                raise self.failed(argv, answer)
        return await self.parsed(listing.wide_hosts, await self.text(commands.HOSTS))


def _has(said: str, any_of: Iterable[str]) -> bool:
    return any(text in said for text in any_of)
