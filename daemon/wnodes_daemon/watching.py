"""News of requests for those who watch them: told once the change is on the disk."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from wnodes_daemon.records import LIVE, Change, EntryChange, NewOrder, OrderChange
from wnodes_daemon.views import RequestView

_QUIET: Final = 15.0
"""Seconds after which a sign of life is sent."""

_LONGEST: Final = 3600.0
"""Seconds of one watch: whoever wants more asks again, and is looked at again."""


class Full(Exception):  # noqa: N818 - it names a condition
    """There are as many watches as there may be."""


class Watches:
    """Who waits for news of which request; at most so many at one time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._of: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self.ended = False

    @contextmanager
    def of(self, id_: int) -> Iterator[asyncio.Event]:
        """An event that is set at each change of a request. Raises Full."""
        if self._count >= self._most:
            raise Full
        self._count += 1
        news = asyncio.Event()
        self._of[id_].add(news)
        try:
            yield news
        finally:
            self._count -= 1
            self._of[id_].discard(news)
            if not self._of[id_]:
                del self._of[id_]

    def tell(self, changes: Iterable[Change]) -> None:
        """These changes are on the disk."""
        if not self._of:
            return
        for change in changes:
            if isinstance(change, EntryChange):
                self._wake(change.entry.id)
            elif isinstance(change, NewOrder | OrderChange) and change.order.victim.isdigit():
                self._wake(int(change.order.victim))

    def end(self) -> None:
        """Let all go: the daemon ends."""
        self.ended = True
        for id_ in list(self._of):
            self._wake(id_)

    def _wake(self, id_: int) -> None:
        for news in self._of.get(id_, ()):
            news.set()


async def events(
    watches: Watches, id_: int, show: Callable[[int], Awaitable[RequestView | None]]
) -> AsyncIterator[bytes]:
    """The stream for one request (server-sent events): as it is, then each change, until it is over.

    Raises Full before anything is sent.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + _LONGEST
    with watches.of(id_) as news:
        while not watches.ended and loop.time() < end:
            news.clear()
            if (view := await show(id_)) is None:
                return
            yield b"event: " + view.state.encode() + b"\ndata: " + msgspec.json.encode(view) + b"\n\n"
            if view.state not in LIVE:
                return
            while not news.is_set():
                try:
                    await asyncio.wait_for(news.wait(), _QUIET)
                except TimeoutError:
                    yield b":\n\n"
