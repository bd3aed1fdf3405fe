"""What can be asked of the store, by whoever leads and by who stands by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from wnodes_engine.payload import Payload
from wnodes_engine.simulate.forecast import Estimate

from wnodes_daemon.records import Dispatch, Entry, Filter, KnownPolicy, Order
from wnodes_daemon.store import Store

R = TypeVar("R")


class Reader:
    """Reads in threads of its own. All of it raises StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._readers = ThreadPoolExecutor(4, "store-reader")

    async def show(self, id_: int) -> Entry | None:
        """One request, as it was written last."""
        return await self._read(self._store.entry, id_)

    async def attempts(self, id_: int) -> list[Dispatch]:
        """How a request was carried out so far."""
        return await self._read(self._store.attempts, id_)

    async def orders_of(self, id_: int) -> list[Order]:
        """When a request was told to leave, and what became of it."""
        return await self._read(self._store.orders_of, str(id_))

    async def estimate(self, id_: int) -> Estimate | None:  # noqa: ARG002 - who leads can tell
        """When a request that waits is likely to start; None where that is not known."""
        return None

    async def payload(self, id_: int) -> Payload:
        """What a request runs that is not over. Raises StoreUnavailable."""
        return await self._read(self._store.payload, id_)

    def ends(self, entry: Entry) -> int | None:  # noqa: ARG002 - who leads can tell
        """When the walltime of a request that runs is over; None where that is not known."""
        return None

    async def page(self, which: Filter) -> list[Entry]:
        """The next requests of a listing."""
        return await self._read(self._store.page, which)

    async def policies(self) -> list[KnownPolicy]:
        """The policies that were in force, the last one is."""
        return await self._read(self._store.policies)

    async def cursor(self, backend: str) -> str:
        """How far the accounting of a backend was taken in."""
        return await self._read(self._store.cursor, backend)

    def let_go(self) -> None:
        """Wait for what is being read, and let go of the store."""
        self._readers.shutdown(wait=True)
        self._store.close()

    async def _read(self, read: Callable[..., R], *arguments: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._readers, read, *arguments)
