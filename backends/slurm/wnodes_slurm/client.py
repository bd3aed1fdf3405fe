"""Asking Slurm: which jobs there are, and what we may do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import ClassVar

from wnodes_batch.bulk import chunks
from wnodes_batch.client import AT_ONCE, CommandClient
from wnodes_batch.identity import account

from wnodes_slurm import commands, config, jobs
from wnodes_slurm.config import Config
from wnodes_slurm.errors import plain
from wnodes_slurm.options import Options


class Client(CommandClient[Options, Config]):
    """One cluster as its commands show it; times in seconds."""

    ASKING: ClassVar[Mapping[str, str]] = {"SLURM_TIME_FORMAT": "%s"}
    privileged = False

    @property
    def env(self) -> Mapping[str, str]:
        """What every command needs of its environment."""
        return {"SLURM_CONF": self._options.conf} if self._options.conf else {}

    def plain(self, said: str) -> str:
        """A message on one line, without the program's own words before it."""
        return plain(said)

    def complains(self, said: str) -> bool:
        """Whether what stands in standard error is an error, though the exit status is 0."""
        return "error" in said

    async def rows(self, ids: Iterable[str]) -> dict[str, jobs.Row]:
        """The jobs with these ids, by id, those that ended lately too. Raises BackendUnavailable."""
        found: dict[str, jobs.Row] = {}
        for some in chunks(ids, AT_ONCE):
            argv = commands.listing(some)
            answer = await self.answer(argv)
            if answer.status == 1 and "Invalid job id" in answer.said:
                continue  # it says so only where one was asked for
            if answer.status != 0 or self.complains(answer.said):
                raise self.failed(argv, answer)
            rows = await self.parsed(jobs.read, answer.out, self.cluster)
            found |= {row.ref.id: row for row in rows}
        return found

    async def _settings(self) -> Config:
        read = config.read((await self.ask(commands.CONFIG)).decode("utf-8", "replace"))
        self.privileged = await self._is_privileged(read)
        return read

    async def _is_privileged(self, read: Config) -> bool:
        own = account(os.geteuid())
        if os.geteuid() == 0 or (own is not None and own.name == read.controller):
            return True
        if own is None or not read.has_accounting:
            return False
        answer = await self.answer(commands.rights(own.name))
        return answer.status == 0 and answer.out.strip().lower() in {b"operator", b"administrator"}
