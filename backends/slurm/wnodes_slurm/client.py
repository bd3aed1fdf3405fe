"""Asking Slurm: commands with the cluster's environment, and answers that are whole or an error."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, ParamSpec, TypeVar

from wnodes_batch.bulk import chunks
from wnodes_batch.identity import account
from wnodes_batch.runner import Answer, Command, run
from wnodes_engine.backend import BackendUnavailable

from wnodes_slurm import commands, config, jobs
from wnodes_slurm.columns import Unreadable
from wnodes_slurm.config import Config
from wnodes_slurm.errors import plain
from wnodes_slurm.options import Options

P = ParamSpec("P")
T = TypeVar("T")
Run = Callable[[Command], Awaitable[Answer]]

AT_ONCE: Final = 200
"""Jobs that one command is about."""

_EPOCH: Final = {"SLURM_TIME_FORMAT": "%s"}
_LARGEST: Final = 512 << 20  # bytes of a listing
_FRESH: Final = 3600  # seconds for which what is known of the cluster's settings counts


class Client:
    """One cluster as its commands show it."""

    def __init__(self, cluster: str, options: Options, clock: Callable[[], float], runner: Run = run) -> None:
        self.cluster = cluster
        self.clock = clock
        self.config: Config | None = None
        self.privileged = False
        self._options = options
        self._run = runner
        self._learned_at = 0.0

    @property
    def env(self) -> Mapping[str, str]:
        """What every command needs of its environment."""
        return {"SLURM_CONF": self._options.conf} if self._options.conf else {}

    async def run(self, argv: tuple[str, ...], stdin: bytes = b"") -> Answer:
        """Run a command that changes something."""
        return await self._run(Command(argv, stdin, limit=self._options.limit, env=self.env))

    async def ask(self, argv: tuple[str, ...]) -> bytes:
        """The whole answer of a command that changes nothing; times in seconds. Raises BackendUnavailable."""
        answer = await self._ask(argv)
        if answer.status != 0 or "error" in answer.said:
            raise BackendUnavailable(f"{self.cluster}: {argv[0]}: {plain(answer.said)}")
        return answer.out

    async def rows(self, ids: Iterable[str]) -> dict[str, jobs.Row]:
        """The jobs with these ids, by id, those that ended lately too. Raises BackendUnavailable."""
        found: dict[str, jobs.Row] = {}
        for some in chunks(ids, AT_ONCE):
            argv = commands.listing(some)
            answer = await self._ask(argv)
            if answer.status == 1 and "Invalid job id" in answer.said:
                continue  # it says so only where one was asked for
            if answer.status != 0 or "error" in answer.said:
                raise BackendUnavailable(f"{self.cluster}: squeue: {plain(answer.said)}")
            rows = await self.parsed(jobs.read, answer.out, self.cluster)
            found |= {row.ref.id: row for row in rows}
        return found

    async def parsed(self, parse: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        """What a parser makes of an answer, without keeping others waiting. Raises BackendUnavailable."""
        try:
            return await asyncio.to_thread(parse, *args, **more)
        except Unreadable as error:
            raise BackendUnavailable(f"{self.cluster}: {error}") from error

    async def learn(self) -> Config:
        """How the cluster is set up, looked up from time to time. Raises BackendUnavailable."""
        now = self.clock()
        if self.config is None or not 0 <= now - self._learned_at < _FRESH:
            read = config.read((await self.ask(commands.CONFIG)).decode("utf-8", "replace"))
            self.privileged = await self._is_privileged(read)
            self.config, self._learned_at = read, now
        return self.config

    async def _is_privileged(self, read: Config) -> bool:
        own = account(os.geteuid())
        if os.geteuid() == 0 or (own is not None and own.name == read.controller):
            return True
        if own is None or not read.has_accounting:
            return False
        answer = await self._ask(commands.rights(own.name))
        return answer.status == 0 and answer.out.strip().lower() in {b"operator", b"administrator"}

    async def _ask(self, argv: tuple[str, ...]) -> Answer:
        env = {**self.env, **_EPOCH}
        return await self._run(Command(argv, limit=self._options.limit, most=_LARGEST, env=env))
