"""Doing together what is asked for at one time: one commit for many requests, one command for many jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Busy(Exception):  # noqa: N818 - it names a condition
    """More is asked for than can be taken in now; ask again after a while."""


class Grouped(Generic[T, R]):
    """Calls `work` with everything that was asked for while it was away, at most `most` at a time.

    Whoever asks gets the result of their own item, or the exception of the call. With more than `limit`
    waiting, asking raises Busy.
    """

    def __init__(
        self, work: Callable[[list[T]], Awaitable[Sequence[R]]], most: int = 500, limit: int = 100_000
    ) -> None:
        self._work = work
        self._most = most
        self._limit = limit
        self._asked: list[tuple[T, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """Ask for one; returns when its group is done."""
        if len(self._asked) >= self._limit:
            raise Busy
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._asked.append((item, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._asked:
            group, self._asked = self._asked[: self._most], self._asked[self._most :]
            try:
                results = await self._work([item for item, _ in group])
            except Exception as error:
                _tell(group, error)
            else:
                for (_, future), result in zip(group, results, strict=True):
                    if not future.done():
                        future.set_result(result)
        self._task = None


def _tell(group: Sequence[tuple[T, asyncio.Future[R]]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
