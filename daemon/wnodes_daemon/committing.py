"""Whatever changes anything is a command: a plain function that moves the memory and says what to write.

The commands that arrive together run one after another, are committed together, and are answered only then.
If the commit fails, none of them has happened: the memory is made anew from the store, as after a restart.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from wnodes_engine import core
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.decision_log.log import Log
from wnodes_engine.values import Node

from wnodes_daemon import dispatching, making_room
from wnodes_daemon.grouping import Grouped
from wnodes_daemon.memory import Changes, Memory
from wnodes_daemon.natives import Native
from wnodes_daemon.reading import Reader
from wnodes_daemon.records import CursorChange, Dispatch, Entry, Leave, Order, Stored
from wnodes_daemon.store import Store, StoreUnavailable
from wnodes_daemon.taking_up import take_up

R = TypeVar("R")
NativesOf = Callable[[Mapping[str, Dispatch]], Mapping[str, Sequence[Native]]]
"""The native jobs by backend, given which dispatches are ours."""

_log: Final = logging.getLogger(__name__)


class Commands(Reader):
    """A memory, the store behind it, and commands that change both. Used from one event loop only."""

    def __init__(
        self,
        memory: Memory,
        store: Store,
        clock: Callable[[], float],
        log: Log | None,
        tell: Callable[[Changes, float], None],
    ) -> None:
        super().__init__(store)
        self.memory = memory
        self.work_to_do = asyncio.Event()
        self.broken = ""
        """Why the store cannot be written now; empty while it can."""
        self._clock = clock
        self._log = log
        self._tell = tell
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._commands: Grouped[Callable[[Changes], Any], Any] = Grouped(self._perform, most=256)

    @property
    def policy(self) -> CompiledPolicy:
        """The policy in force."""
        return self.memory.policy

    @property
    def state(self) -> core.State:
        """What decisions are made on; to be read only."""
        return self.memory.state

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes, by name."""
        return self.memory.nodes

    @property
    def entries(self) -> Mapping[int, Entry]:
        """The requests that are not over."""
        return self.memory.entries

    @property
    def dispatches(self) -> Mapping[str, Dispatch]:
        """The dispatches that are not over, by key."""
        return self.memory.dispatches

    @property
    def given_up(self) -> Mapping[str, Dispatch]:
        """Those of which no job has appeared, by key."""
        return self.memory.given_up

    @property
    def orders(self) -> Mapping[str, Order]:
        """Who has been told to leave, by id."""
        return self.memory.orders

    def now(self) -> int:
        """Seconds since the epoch; it never goes back, whatever the clock does."""
        return self.memory.now()

    async def recover(self, natives: NativesOf | None = None) -> None:
        """Make the memory anew from the store, with these native jobs. Raises StoreUnavailable."""
        loop, memory, changes = asyncio.get_running_loop(), self.memory, Changes()
        stored = await loop.run_in_executor(self._writer, self._load)
        if natives is not None:
            shown = natives({dispatch.key: dispatch for dispatch in stored.dispatches})
            stopped = {o.victim for o in stored.orders if o.step in {Leave.STOPPED, Leave.RETURNING}}
            memory.natives = {
                name: {n.request.id: n for n in each if not n.suspended or n.request.id in stopped}
                for name, each in shown.items()
            }
        take_up(memory, self.policy, stored, self._log, "taken up from the store", changes)
        if self.broken:  # that it can be read does not say that it can be written
            changes.append(CursorChange("", str(self.now())))
        if changes:
            await loop.run_in_executor(self._writer, self._store.commit, changes)
        self.broken = ""
        self.work_to_do.set()

    async def settled(self) -> None:
        """Return when all that was asked for until now is on the disk. Raises Busy and StoreUnavailable."""
        await self._do(lambda _: None)

    async def change(self, command: Callable[[Memory, Changes], R]) -> R:
        """Run a command of another room; returns when it is on the disk. Raises Busy and StoreUnavailable."""
        return await self._do(lambda changes: command(self.memory, changes))

    async def _about(self, key: str, do: Callable[[Memory, Dispatch, Changes], bool]) -> bool:
        """Do something about a dispatch; False if it is over."""

        def command(changes: Changes) -> bool:
            dispatch = self.memory.dispatches.get(key)
            return dispatch is not None and do(self.memory, dispatch, changes)

        return await self._do(command)

    async def _do(self, command: Callable[[Changes], R]) -> R:
        """Run a command; returns when what it changed is on the disk. Raises Busy and StoreUnavailable."""
        result: R = await self._commands(command)
        return result

    async def _perform(self, commands: list[Callable[[Changes], Any]]) -> list[Any]:
        if self.broken:
            raise StoreUnavailable(self.broken)
        changes: Changes = []
        try:
            results = [command(changes) for command in commands]
            making_room.follow(self.memory, changes)
            if changes:
                began = time.perf_counter()
                await asyncio.get_running_loop().run_in_executor(self._writer, self._store.commit, changes)
                self._tell(changes, time.perf_counter() - began)
        except Exception as error:  # whatever it was, the memory is ahead of the store now
            self.broken = str(error) or type(error).__name__
            if not isinstance(error, StoreUnavailable):
                _log.exception("a command went wrong")
            self.work_to_do.set()
            raise StoreUnavailable(self.broken) from error
        return results

    def _load(self) -> Stored:
        return self._store.load(int(self._clock()), dispatching.REMEMBERED)
