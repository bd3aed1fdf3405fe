"""Local time: which windows of a policy are open, and the hour and weekday that its rules read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from wnodes_engine.check.checked import Period, Window

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class LocalTime(NamedTuple):
    """A moment as the site sees it; `open` has a bit for each window that is open."""

    hour: int
    weekday: str
    open: int


def local_time(now: int, zone: ZoneInfo, windows: Sequence[Window]) -> LocalTime:
    """The hour, the weekday and the open windows at `now`, by the wall clock of the zone."""
    moment = datetime.fromtimestamp(now, zone)
    day = moment.weekday()
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    opened = 0
    for i, window in enumerate(windows):
        if any(_covers(period, day, second) for period in window.periods):
            opened |= 1 << i
    return LocalTime(moment.hour, _DAYS[day], opened)


def _covers(period: Period, day: int, second: int) -> bool:
    today, yesterday = period.days >> day & 1, period.days >> (day - 1) % 7 & 1
    if period.begin < period.end:
        return bool(today) and period.begin <= second < period.end
    # Over midnight: what began yesterday still runs until `end`.
    return (bool(today) and second >= period.begin) or (bool(yesterday) and second < period.end)
