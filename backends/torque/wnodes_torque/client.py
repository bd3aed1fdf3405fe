"""Asking a server: commands with its environment, and answers that are whole or an error."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, ParamSpec, TypeVar

import msgspec
from wnodes_batch.bulk import chunks
from wnodes_batch.identity import account
from wnodes_batch.runner import Answer, Command, run
from wnodes_engine.backend import BackendUnavailable

from wnodes_torque import commands, openpbs, torque
from wnodes_torque.config import Config, dialect_of
from wnodes_torque.errors import all_unknown, plain
from wnodes_torque.jobs import Row
from wnodes_torque.nodes import Seen
from wnodes_torque.options import Dialect, Options
from wnodes_torque.words import Unreadable

P = ParamSpec("P")
T = TypeVar("T")
Run = Callable[[Command], Awaitable[Answer]]

AT_ONCE: Final = 200
"""Jobs that one command is about."""

_MANY: Final = 1000  # jobs for which the whole listing is cheaper
_LARGEST: Final = 1 << 30  # bytes of a listing
_FRESH: Final = 3600  # seconds for which what is known of the server's attributes counts
_FAILED: Final = re.compile(r"(?i)error|cannot|unable|refused")


class Form(msgspec.Struct, frozen=True):
    """How one dialect's answers are read."""

    jobs: Callable[[bytes, str], list[Row]]
    nodes: Callable[[bytes], Seen]
    settings: Callable[[bytes], dict[str, str]]


_FORMS: Final = {
    Dialect.TORQUE: Form(torque.jobs, torque.nodes, torque.settings),
    Dialect.PBS: Form(openpbs.jobs, openpbs.nodes, openpbs.settings),
}


class Client:
    """One server as its commands show it."""

    def __init__(self, cluster: str, options: Options, clock: Callable[[], float], runner: Run = run) -> None:
        self.cluster = cluster
        self.clock = clock
        self.config: Config | None = None
        self.privileged = bool(options.manager)
        self._options = options
        self._run = runner
        self._learned_at = 0.0

    @property
    def env(self) -> Mapping[str, str]:
        """What every command needs of its environment; each dialect passes over what is the other's."""
        env: dict[str, str] = {}
        if self._options.server:
            env |= {"PBS_DEFAULT": self._options.server, "PBS_SERVER": self._options.server}
        if self._options.conf:
            env |= {"PBS_CONF_FILE": self._options.conf}
        return env

    def program(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """A command with the path of its program, where the options name one."""
        folder = self._options.bin
        return (f"{folder.rstrip('/')}/{argv[0]}", *argv[1:]) if folder else argv

    async def run(self, argv: tuple[str, ...], stdin: bytes = b"") -> Answer:
        """Run a command that changes something, its program's path included."""
        return await self._run(Command(argv, stdin, limit=self._options.limit, env=self.env))

    async def do(self, argv: tuple[str, ...]) -> Answer:
        """Run a command that changes something, in our own name."""
        return await self.run(self.program(argv))

    async def ask(self, argv: tuple[str, ...]) -> bytes:
        """The whole answer of a command that changes nothing. Raises BackendUnavailable."""
        answer = await self._ask(argv)
        if answer.status != 0 or _FAILED.search(answer.said):
            raise BackendUnavailable(f"{self.cluster}: {argv[0]}: {plain(answer.said)}")
        return answer.out

    async def jobs(self) -> list[Row]:
        """All jobs that the server shows. Raises BackendUnavailable."""
        dialect = await self.dialect()
        listing = await self.ask(commands.jobs(dialect))
        return await self.parsed(_FORMS[dialect].jobs, listing, self.cluster)

    async def nodes(self) -> Seen:
        """All nodes. Raises BackendUnavailable."""
        dialect = await self.dialect()
        seen = await self.parsed(_FORMS[dialect].nodes, await self.ask(commands.nodes(dialect)))
        if not seen.nodes:
            raise BackendUnavailable(f"{self.cluster}: pbsnodes shows no nodes")
        return seen

    async def node(self, name: str) -> Seen:
        """One node; nothing if it is not there. Raises BackendUnavailable."""
        dialect = await self.dialect()
        answer = await self._ask(commands.nodes(dialect, name))
        if "Unknown node" in answer.said:
            return Seen((), {}, frozenset(), {})
        if answer.status != 0:
            raise BackendUnavailable(f"{self.cluster}: pbsnodes: {plain(answer.said)}")
        return await self.parsed(_FORMS[dialect].nodes, answer.out)

    async def rows(self, ids: Iterable[str]) -> dict[str, Row]:
        """The jobs with these ids, by id, those that the server remembers too. Raises BackendUnavailable."""
        wanted = set(ids)
        if len(wanted) > _MANY:
            return {row.ref.id: row for row in await self.jobs() if row.ref.id in wanted}
        dialect = await self.dialect()
        found: dict[str, Row] = {}
        for some in chunks(sorted(wanted), AT_ONCE):
            answer = await self._ask(commands.some_jobs(dialect, some))
            if answer.status is None or (answer.status != 0 and not all_unknown(answer.said)):
                raise BackendUnavailable(f"{self.cluster}: qstat: {plain(answer.said)}")
            if not answer.out.strip():
                continue
            rows = await self.parsed(_FORMS[dialect].jobs, answer.out, self.cluster)
            found |= {row.ref.id: row for row in rows if row.ref.id in wanted}
        return found

    async def remembered(self, since: int) -> list[Row]:
        """What has ended since a time, as far as the server remembers. Raises BackendUnavailable."""
        if await self.dialect() is Dialect.TORQUE:
            return await self.jobs()
        listed = (await self.ask(commands.ended(since))).decode("ascii", "replace").split()
        found: list[Row] = []
        for some in chunks((id_ for id_ in listed if commands.JOB.fullmatch(id_)), AT_ONCE):
            found += (await self.rows(some)).values()
        return found

    async def parsed(self, parse: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        """What a parser makes of an answer, without keeping others waiting. Raises BackendUnavailable."""
        try:
            return await asyncio.to_thread(parse, *args, **more)
        except Unreadable as error:
            raise BackendUnavailable(f"{self.cluster}: {error}") from error

    async def dialect(self) -> Dialect:
        """Whose commands there are. Raises BackendUnavailable."""
        if self._options.dialect is not None:
            return self._options.dialect
        if self.config is not None:
            return self.config.dialect
        return (await self._version())[0]

    async def learn(self) -> Config:
        """How the server is set up, looked up from time to time. Raises BackendUnavailable."""
        now = self.clock()
        if self.config is None or not 0 <= now - self._learned_at < _FRESH:
            dialect, version = await self._version()
            listing = await self.ask(commands.server(dialect))
            said = await self.parsed(_FORMS[dialect].settings, listing)
            read = Config(dialect, version, said)
            self.privileged = self._is_privileged(read)
            self.config, self._learned_at = read, now
        return self.config

    async def _version(self) -> tuple[Dialect, str]:
        answer = await self._ask(commands.VERSION)
        said = f"{answer.out.decode('utf-8', 'replace')}\n{answer.said}"
        found = dialect_of(said) if answer.status is not None else None
        if self._options.dialect is not None:
            return self._options.dialect, found[1] if found is not None else ""
        if found is None:
            raise BackendUnavailable(f"{self.cluster}: qstat is neither TORQUE's nor PBS's: {plain(said)}")
        return found

    def _is_privileged(self, read: Config) -> bool:
        if self._options.manager is not None:
            return self._options.manager
        own = account(os.geteuid())
        return os.geteuid() == 0 or (own is not None and read.trusts(own.name, socket.gethostname()))

    async def _ask(self, argv: tuple[str, ...]) -> Answer:
        limit = self._options.limit
        return await self._run(Command(self.program(argv), limit=limit, most=_LARGEST, env=self.env))
