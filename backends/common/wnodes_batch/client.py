"""Asking a batch system: commands with its environment, and answers that are whole or an error."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, Final, Generic, ParamSpec, TypeVar

from wnodes_engine.backend import BackendUnavailable

from wnodes_batch.bulk import Unreadable
from wnodes_batch.options import CommonOptions
from wnodes_batch.runner import Answer, Command

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")
O = TypeVar("O", bound=CommonOptions)  # noqa: E741 - the others are letters, too
Run = Callable[[Command], Awaitable[Answer]]

AT_ONCE: Final = 200
"""Jobs that one command is about."""

_LARGEST: Final = 1 << 30  # bytes of a listing
_FRESH: Final = 3600  # seconds for which what is known of the system's settings counts


class CommandClient(ABC, Generic[O, C]):
    """One batch system as its commands show it; `C` are its settings, `O` what the site says of it."""

    ASKING: ClassVar[Mapping[str, str]] = {}
    """What commands that change nothing need of their environment besides."""

    def __init__(self, cluster: str, options: O, clock: Callable[[], float], runner: Run) -> None:
        self.cluster = cluster
        self.clock = clock
        self.config: C | None = None
        self._options = options
        self._run = runner
        self._learned_at = 0.0

    @property
    @abstractmethod
    def env(self) -> Mapping[str, str]:
        """What every command needs of its environment."""

    @property
    def folder(self) -> str | None:
        """Where the commands are; None for the system's path."""
        return None

    def located(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """A command of the batch system's, where it is."""
        return (f"{self.folder.rstrip('/')}/{argv[0]}", *argv[1:]) if self.folder else argv

    async def run(self, argv: tuple[str, ...], stdin: bytes = b"") -> Answer:
        """Run a command, located already, that changes something."""
        return await self._run(Command(argv, stdin, limit=self._options.limit, env=self.env))

    async def do(self, argv: tuple[str, ...]) -> Answer:
        """Run a command of the batch system's that changes something, in our own name."""
        return await self.run(self.located(argv))

    async def answer(self, argv: tuple[str, ...]) -> Answer:
        """The answer of a command that changes nothing."""
        env, limit = {**self.env, **self.ASKING}, self._options.limit
        return await self._run(Command(self.located(argv), limit=limit, most=_LARGEST, env=env))

    async def ask(self, argv: tuple[str, ...]) -> bytes:
        """The whole answer of a command that changes nothing. Raises BackendUnavailable."""
        answer = await self.answer(argv)
        if answer.status != 0 or self.complains(answer.said):
            raise self.failed(argv, answer)
        return answer.out

    def failed(self, argv: tuple[str, ...], answer: Answer) -> BackendUnavailable:
        """That a command failed, in its own words."""
        return BackendUnavailable(f"{self.cluster}: {argv[0]}: {self.plain(answer.said)}")

    async def parsed(self, parse: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        """What a parser makes of an answer, without keeping others waiting. Raises BackendUnavailable."""
        try:
            return await asyncio.to_thread(parse, *args, **more)
        except Unreadable as error:
            raise BackendUnavailable(f"{self.cluster}: {error}") from error

    async def learn(self) -> C:
        """How the system is set up, looked up from time to time. Raises BackendUnavailable."""
        now = self.clock()
        if self.config is None or not 0 <= now - self._learned_at < _FRESH:
            self.config, self._learned_at = await self._settings(), now
        return self.config

    @abstractmethod
    def plain(self, said: str) -> str:
        """A message on one line, without the program's own words before it."""

    @abstractmethod
    async def _settings(self) -> C:
        """How the system is set up. Raises BackendUnavailable."""

    def complains(self, said: str) -> bool:  # noqa: ARG002 - the exit status is enough for most
        """Whether what stands in standard error is an error, though the exit status is 0."""
        return False
