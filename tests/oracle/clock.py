"""What the clock of the site says: the hour, the weekday, and which windows are open."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from wnodes_engine.check.checked import CheckedPolicy, Condition, Period, Portions, Share

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def local(policy: CheckedPolicy, now: int) -> datetime:
    """The time of the site."""
    return datetime.fromtimestamp(now, ZoneInfo(policy.time_zone))


def is_open(policy: CheckedPolicy, window: int, now: int) -> bool:
    """Whether a window is open: a stretch of it began today, or yesterday if it runs over midnight."""
    moment = local(policy, now)
    return any(_covers(period, moment) for period in policy.windows[window].periods)


def _covers(period: Period, moment: datetime) -> bool:
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    if period.begin < period.end:
        return _on(period, moment) and period.begin <= second < period.end
    began_today = _on(period, moment) and second >= period.begin
    return began_today or (_on(period, moment - timedelta(days=1)) and second < period.end)


def _on(period: Period, moment: datetime) -> bool:
    return bool(period.days & 1 << moment.weekday())


def in_force(policy: CheckedPolicy, condition: Condition, now: int) -> bool:
    """Whether the window around a statement, if there is one, is open."""
    return condition.window is None or is_open(policy, condition.window, now)


def open_windows(policy: CheckedPolicy, now: int) -> list[int]:
    """The windows that are open, by index."""
    return [i for i in range(len(policy.windows)) if is_open(policy, i, now)]


def portions(policy: CheckedPolicy, share: Share, windows: list[int]) -> Portions | None:
    """What a share is granted while these windows are open: what one of them says, or its own statement."""
    said = [policy.windows[i].shares for i in windows]
    changes = [shares[share.index] for shares in said if share.index in shares]
    return changes[-1] if changes else share.portions
