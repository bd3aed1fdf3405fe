"""When what waits is likely to start: the queue played on in a thread of its own, one question at a time."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from wnodes_engine import core
from wnodes_engine.simulate.forecast import Estimate, played_on
from wnodes_engine.snapshot import snapshot

MOST: Final = 20_000
"""With more requests than these waiting and running nothing is estimated: it would take minutes."""

_FRESH: Final = 30
"""Seconds for which an answer is good."""

_STARTS: Final = 2_000
"""Who has not started after so many others is given no estimate."""


class Estimates:
    """Answers are kept for a while, so that asking again and again costs nothing."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "estimates")
        self._known: dict[str, tuple[int, Estimate]] = {}
        self._asking = asyncio.Lock()

    async def of(self, state: core.State, id_: str, now: int) -> Estimate | None:
        """The estimate for one that waits; None for who does not, and on a farm that is too large."""
        async with self._asking:
            known = self._known.get(id_)
            if known is not None and now - known[0] < _FRESH:
                return known[1]
            if id_ not in state.waiting or len(state.waiting) + len(state.running) > MOST:
                return None
            self._known = {k: v for k, v in self._known.items() if now - v[0] < _FRESH}
            arguments = (state.policy, snapshot(state), state.lasting.copy(), (id_,), now, _STARTS)
            found = await asyncio.get_running_loop().run_in_executor(self._thread, played_on, *arguments)
            self._known[id_] = now, found[id_]
            return found[id_]

    def close(self) -> None:
        """Wait for no answer any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
