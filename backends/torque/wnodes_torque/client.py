"""Asking a TORQUE or PBS server: its nodes, its jobs, whose commands it has, and what we may do."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
from wnodes_batch.bulk import chunks
from wnodes_batch.client import AT_ONCE, CommandClient
from wnodes_batch.identity import account
from wnodes_engine.backend import BackendUnavailable

from wnodes_torque import commands, openpbs, torque
from wnodes_torque.config import Config, dialect_of
from wnodes_torque.errors import all_unknown, plain
from wnodes_torque.jobs import Row
from wnodes_torque.nodes import Seen
from wnodes_torque.options import Dialect, Options

_MANY: Final = 1000  # jobs for which the whole listing is cheaper
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


class Client(CommandClient[Options, Config]):
    """One server as its commands show it."""

    @property
    def privileged(self) -> bool:
        """Whether we are an operator or manager of the server, as far as that is known."""
        if self._options.manager is not None or self.config is None:
            return bool(self._options.manager)
        own = account(os.geteuid())
        return os.geteuid() == 0 or (own is not None and self.config.trusts(own.name, socket.gethostname()))

    @property
    def folder(self) -> str | None:
        """Where the commands are."""
        return self._options.bin

    @property
    def env(self) -> Mapping[str, str]:
        """What every command needs of its environment; each dialect passes over what is the other's."""
        env: dict[str, str] = {}
        if self._options.server:
            env |= {"PBS_DEFAULT": self._options.server, "PBS_SERVER": self._options.server}
        if self._options.conf:
            env |= {"PBS_CONF_FILE": self._options.conf}
        return env

    def plain(self, said: str) -> str:
        """A message on one line, without the program's own words before it."""
        return plain(said)

    def complains(self, said: str) -> bool:
        """Whether what stands in standard error is an error, though the exit status is 0."""
        return _FAILED.search(said) is not None

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
        answer = await self.answer(commands.nodes(dialect, name))
        if "Unknown node" in answer.said:
            return Seen((), {}, frozenset(), {})
        if answer.status != 0:
            raise self.failed(("pbsnodes",), answer)
        return await self.parsed(_FORMS[dialect].nodes, answer.out)

    async def rows(self, ids: Iterable[str]) -> dict[str, Row]:
        """The jobs with these ids, by id, those that the server remembers too. Raises BackendUnavailable."""
        wanted = set(ids)
        if len(wanted) > _MANY:
            return {row.ref.id: row for row in await self.jobs() if row.ref.id in wanted}
        dialect = await self.dialect()
        found: dict[str, Row] = {}
        for some in chunks(sorted(wanted), AT_ONCE):
            answer = await self.answer(commands.some_jobs(dialect, some))
            if answer.status is None or (answer.status != 0 and not all_unknown(answer.said)):
                raise self.failed(("qstat",), answer)
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

    async def dialect(self) -> Dialect:
        """Whose commands there are. Raises BackendUnavailable."""
        if self._options.dialect is not None:
            return self._options.dialect
        if self.config is not None:
            return self.config.dialect
        return (await self._version())[0]

    async def _settings(self) -> Config:
        dialect, version = await self._version()
        listing = await self.ask(commands.server(dialect))
        return Config(dialect, version, await self.parsed(_FORMS[dialect].settings, listing))

    async def _version(self) -> tuple[Dialect, str]:
        answer = await self.answer(commands.VERSION)
        said = f"{answer.out.decode('utf-8', 'replace')}\n{answer.said}"
        found = dialect_of(said) if answer.status is not None else None
        if self._options.dialect is not None:
            return self._options.dialect, found[1] if found is not None else ""
        if found is None:
            raise BackendUnavailable(f"{self.cluster}: qstat is neither TORQUE's nor PBS's: {plain(said)}")
        return found
