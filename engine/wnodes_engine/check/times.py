"""Time as policies write it: windows of the week, and dates in the site's time zone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.names import Names
from wnodes_engine.check.report import Report
from wnodes_engine.language import syntax
from wnodes_engine.language.vocabulary import MEMBERS, Type

DAY: Final = 86_400
_DAYS: Final = MEMBERS[Type.WEEKDAY]
_EVERY_DAY: Final = (1 << 7) - 1
_PERIOD: Final = re.compile(
    r"\s*(?:([A-Za-z]+(?:\s*[-,]\s*[A-Za-z]+)*))?\s*(?:(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d))?\s*"
)
_MOMENT: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?")
_PERIOD_HELP: Final = 'write it like "Mon-Fri 20:00-08:00", "Sat,Sun" or "22:00-06:00"'
_MOMENT_HELP: Final = 'write it like "2026-12-03 06:00"'


def periods(window: syntax.Window, report: Report) -> tuple[checked.Period, ...] | None:
    """The stretches of the week that a window is made of; None, and findings, where one cannot be read."""
    made = [_period(text, report) for text in window.times]
    sound = tuple(period for period in made if period is not None)
    return sound if len(sound) == len(made) else None


def _period(text: syntax.Text, report: Report) -> checked.Period | None:
    parts = _PERIOD.fullmatch(text.value) if len(text.value) <= 200 else None
    if parts is None or not text.value.strip():
        report.add("E170", f'"{text.value[:60]}" is not a time of the week', text.span, _PERIOD_HELP)
        return None
    days = _EVERY_DAY if parts[1] is None else _mask(parts[1], text, report)
    if days is None:
        return None
    if parts[2] is None:
        return checked.Period(days, 0, DAY)
    begin, end = (
        int(hour) * 3600 + int(minute) * 60 for hour, minute in ((parts[2], parts[3]), (parts[4], parts[5]))
    )
    if begin >= DAY or end > DAY or int(parts[3]) > 59 or int(parts[5]) > 59:
        report.add(
            "E170",
            f'"{text.value}" names a time that no clock shows',
            text.span,
            "a day runs from 00:00 to 24:00",
        )
        return None
    return checked.Period(days, begin, end)


def _mask(written: str, text: syntax.Text, report: Report) -> int | None:
    mask = 0
    for piece in re.split(r"\s*,\s*", written):
        ends = re.split(r"\s*-\s*", piece)
        known = [end[:3].lower() if _is_day(end) else None for end in ends]
        if None in known or len(ends) > 2:
            wrong = next((end for end, day in zip(ends, known, strict=True) if day is None), piece)
            report.add(
                "E170",
                f"`{wrong}` is not a day of the week",
                text.span,
                "days are Mon Tue Wed Thu Fri Sat Sun",
            )
            return None
        first, last = _DAYS.index(str(known[0])), _DAYS.index(str(known[-1]))
        for step in range((last - first) % 7 + 1):
            mask |= 1 << (first + step) % 7
    return mask


def _is_day(word: str) -> bool:
    names = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    return len(word) >= 3 and any(name.startswith(word.lower()) for name in names)


def stretches(periods: Sequence[checked.Period]) -> list[tuple[int, int]]:
    """Seconds of the week, from Monday; what runs over the end of the week is cut there."""
    made: list[tuple[int, int]] = []
    week = 7 * DAY
    for period in periods:
        length = (period.end - period.begin) % DAY or DAY
        for day in range(7):
            if period.days >> day & 1:
                begin = day * DAY + period.begin
                made.append((begin, min(begin + length, week)))
                if begin + length > week:
                    made.append((0, begin + length - week))
    return made


def downtime(statement: syntax.Downtime, names: Names) -> checked.Downtime | None:
    """A downtime in seconds since the epoch; None, and findings, where it cannot be read.

    Of an hour that comes twice, it begins in the first and ends in the second.
    """
    zone = names.site.time_zone if names.site else "UTC"
    begin = _moment(statement.begin, zone, 0, names.report)
    end = _moment(statement.finish, zone, 1, names.report)
    nodes = names.nodes(statement.nodes)
    if begin is not None and end is not None and end <= begin:
        names.report.add(
            "E170", "the downtime ends before it begins", statement.finish.span, "exchange the two"
        )
        return None
    if begin is None or end is None or nodes is None:
        return None
    return checked.Downtime(begin, end, nodes, statement.span)


def _moment(text: syntax.Text, zone: str, fold: int, report: Report) -> int | None:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    parts = _MOMENT.fullmatch(text.value.strip())
    if parts is None:
        report.add("E170", f'"{text.value[:60]}" is not a date and time', text.span, _MOMENT_HELP)
        return None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in parts.groups())
        moment = datetime(year, month, day, hour, minute, second, tzinfo=ZoneInfo(zone), fold=fold)
        seconds = int(moment.timestamp())
        shown = datetime.fromtimestamp(seconds, ZoneInfo(zone))
    except (ValueError, OverflowError) as error:
        report.add("E170", f'"{text.value}" is not a date and time: {error}', text.span, _MOMENT_HELP)
        return None
    if shown.replace(tzinfo=None) != moment.replace(tzinfo=None):
        message = f'"{text.value}" is left out by the clocks of {zone}, which are set forward then'
        report.add("E170", message, text.span, "write a time before or after that hour")
        return None
    return seconds
