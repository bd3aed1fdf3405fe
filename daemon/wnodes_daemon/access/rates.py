"""How fast one user may ask: a bucket each, which fills with time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_SECONDS: Final = 5.0
"""A bucket holds what comes in so many seconds, so that a list of requests can be handed in at once."""

_MOST: Final = 100_000


class Rates:
    """The buckets of all users; `rate` is in requests a second, None for no bound."""

    def __init__(self, rate: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, user: str, requests: int) -> float:
        """Take so many requests out of a user's bucket: 0, or the seconds after which they would be there.

        A list that no bucket could hold passes when the bucket is full, and leaves it in debt.
        """
        if self._rate is None:
            return 0.0
        now, full = self._clock(), self._rate * _SECONDS
        filled, at = self._buckets.get(user, (full, now))
        filled = min(full, filled + (now - at) * self._rate)
        if filled < min(requests, full):
            return (min(requests, full) - filled) / self._rate
        if user not in self._buckets and len(self._buckets) >= _MOST:
            self._forget(now, full)
        self._buckets[user] = (filled - requests, now)
        return 0.0

    def _forget(self, now: float, full: float) -> None:
        """Those whose bucket is full again are like new ones."""
        rate = self._rate or 0
        self._buckets = {
            user: (filled, at)
            for user, (filled, at) in self._buckets.items()
            if filled + (now - at) * rate < full
        }
