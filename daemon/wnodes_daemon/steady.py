"""The time of day without its jumps: limits of time are counted by it, and it never goes back.

While the clock agrees with the seconds that have gone by, it is believed. Where it jumps ahead, that is
believed after a minute; where it falls back, time goes half as fast until it is caught up with.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

_log: Final = logging.getLogger(__name__)
_AGREES: Final = 5.0
"""Seconds by which a clock may be set without anybody saying that it has jumped."""

_BELIEVED: Final = 60.0
"""Seconds for which a clock has to stay ahead."""


class SteadyClock:
    """Call it for the time, in seconds since the epoch."""

    def __init__(
        self, wall: Callable[[], float] = time.time, gone_by: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._gone_by = gone_by
        self._now = wall()
        self._at = gone_by()
        self._ahead_since: float | None = None
        self._behind = False

    def __call__(self) -> float:
        """The time, never less than before."""
        wall, at = self._wall(), self._gone_by()
        passed, self._at = max(0.0, at - self._at), at
        off = wall - (self._now + passed)
        if off > _AGREES:
            if self._ahead_since is None:
                self._ahead_since = at
                _log.error("the clock has jumped ahead", extra={"seconds": round(off)})
            believed = at - self._ahead_since >= _BELIEVED
            self._now = wall if believed else self._now + passed
            if believed:
                self._ahead_since = None
            return self._now
        self._ahead_since = None
        if off < -_AGREES:
            if not self._behind:
                self._behind = True
                _log.error("the clock was set back: time goes slowly", extra={"seconds": round(-off)})
            self._now += passed / 2
        else:
            self._behind = False
            self._now = max(self._now, wall)
        return self._now
