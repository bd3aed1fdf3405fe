"""Meters: what each quota counts, for each one that it counts.

A ceiling of a quota is one meter. Most count what is held or waits now; `Hours` counts use inside a sliding
window, as sums over fixed buckets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from wnodes_engine.check.checked import Ceiling, Expr, Quota

BUCKETS: Final = 720
"""Buckets to a window: the length of one is how much too early a quota may refuse at the window's edge."""


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """One thing to count: a ceiling of a quota, or (no quota, no bound) a value that some rule reads.

    `bound` is a constant, or an expression over the farm's capacity. `window` is set for core_hours.
    """

    index: int
    resource: str
    window: int | None = None
    bound: Expr | None = None
    quota: Quota | None = None
    ceiling: Ceiling | None = None


class Hours:
    """Core-seconds used inside a sliding window, by key: what has ended, and what running work commits.

    Bucket k covers the seconds from k·length to (k+1)·length; it counts until all of it has left the window,
    so that the quota refuses early, never late.
    """

    __slots__ = ("_accounts", "length", "window")

    def __init__(self, window: int) -> None:
        """`window` in seconds."""
        self.window = window
        self.length = max(1, window // BUCKETS)
        self._accounts: dict[str | int, _Use] = {}

    def commitment(self, cores: int, walltime: int) -> int:
        """What a request commits when it starts: unlimited work commits the window's length."""
        return cores * (walltime if walltime < self.window else self.window)

    def held(self, key: str | int, now: int) -> int:
        """Core-seconds that count against the key now."""
        use = self._accounts.get(key)
        if use is None:
            return 0
        first = self.first(now)
        ended = use.ended
        if use.oldest < first:
            ended -= sum(amount for bucket, amount in use.buckets.items() if bucket < first)
        return ended + use.committed

    def commit(self, key: str | int, amount: int) -> None:
        """Running work takes on so many core-seconds, or, negative, gives them back."""
        self._use(key).committed += amount

    def spend(self, key: str | int, cores: int, begin: int, end: int) -> None:
        """Work that held so many cores from `begin` to `end` has ended at `end`."""
        use = self._use(key)
        first = self.first(end)
        if use.oldest < first:
            use.forget(first)
        begin = max(begin, first * self.length)
        while begin < end:
            bucket = begin // self.length
            until = min(end, (bucket + 1) * self.length)
            use.add(bucket, cores * (until - begin))
            begin = until

    def first(self, now: int) -> int:
        """The first bucket of which some part is still inside the window: (k+1)·length > now - window."""
        return (now - self.window) // self.length

    def names(self) -> Iterable[str | int]:
        """The keys of everybody who was ever counted."""
        return self._accounts.keys()

    def buckets(self, key: str | int) -> Mapping[int, int]:
        """What has ended, in core-seconds by bucket; buckets out of the window may still be among them."""
        use = self._accounts.get(key)
        return use.buckets if use is not None else {}

    def leaving(self, key: str | int, now: int) -> list[int]:
        """The buckets that are out of the window by now: the next `spend` forgets them."""
        use, first = self._accounts.get(key), self.first(now)
        if use is None or use.oldest >= first:
            return []
        return [bucket for bucket in use.buckets if bucket < first]

    def restore(self, key: str | int, buckets: Mapping[int, int]) -> None:
        """Take up what had ended, as `buckets` told it; what is committed stays."""
        use = self._use(key)
        del self._accounts[key]
        self._accounts[key] = use  # as the last, so that all stand in the order in which they are restored
        use.buckets = dict(buckets)
        use.forget(min(buckets, default=0))

    def _use(self, key: str | int) -> _Use:
        use = self._accounts.get(key)
        if use is None:
            use = self._accounts[key] = _Use()
        return use


class _Use:
    """One key's use: by bucket, its sum, and what running work commits."""

    __slots__ = ("buckets", "committed", "ended", "oldest")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.oldest = 0
        self.ended = 0
        self.committed = 0

    def add(self, bucket: int, amount: int) -> None:
        if not self.buckets or bucket < self.oldest:
            self.oldest = bucket
        self.buckets[bucket] = self.buckets.get(bucket, 0) + amount
        self.ended += amount

    def forget(self, first: int) -> None:
        self.buckets = {bucket: amount for bucket, amount in self.buckets.items() if bucket >= first}
        self.ended = sum(self.buckets.values())
        self.oldest = min(self.buckets, default=0)
