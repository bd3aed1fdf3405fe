"""Numbers and words as they are written, turned into constants; and what to write instead of a wrong one."""

from __future__ import annotations

from string import ascii_letters
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.report import Report
from wnodes_engine.language import syntax
from wnodes_engine.language.syntax import Unit
from wnodes_engine.language.vocabulary import MEMBERS, Type

OF_UNIT: Final = {
    Unit.NONE: Type.NUMBER,
    Unit.SECONDS: Type.DURATION,
    Unit.MIB: Type.SIZE,
    Unit.PERCENT: Type.PERCENT,
}
"""The type that a number's unit gives it."""

QUANTITIES: Final = frozenset({Type.NUMBER, Type.DURATION, Type.SIZE, Type.PERCENT})
"""The types that have an order and can be reckoned with."""

ENUMS: Final = {word: type_ for type_, words in MEMBERS.items() for word in words}
"""The words of all enumerations."""

_SMALLEST: Final = {Unit.SECONDS: "second", Unit.MIB: "MiB", Unit.PERCENT: "hundredth of a percent"}


def whole(number: syntax.Number, report: Report) -> int | None:
    """The number in its house's unit; None, and a finding, where it is not a whole number of it."""
    value, rest = divmod(number.milli, 1000)
    if rest:
        unit = _SMALLEST.get(number.unit)
        of_what = f"a whole {unit}" if unit else "a whole number"
        report.add("E112", f"`{number.text}` is not {of_what}", number.span, "write it without a fraction")
        return None
    return value


def duration(number: syntax.Number, report: Report, least: int, what: str) -> int | None:
    """The seconds of a number with a unit of time, at least `least`; else None, and a finding."""
    if number.unit is not Unit.SECONDS:
        report.add("E111", f"{what} is a duration, not `{number.text}`", number.span, _as_duration(number))
        return None
    seconds = whole(number, report)
    if seconds is not None and seconds < least:
        report.add(
            "E112", f"{what} is at least {show(least, Type.DURATION)}", number.span, "write a longer one"
        )
        return None
    return seconds


def count(number: syntax.Number, report: Report, least: int, what: str) -> int | None:
    """A whole number without a unit, at least `least`; else None, and a finding."""
    if number.unit is not Unit.NONE:
        plain = _digits(number)
        report.add("E111", f"{what} is a plain number, not `{number.text}`", number.span, f"write `{plain}`")
        return None
    value = whole(number, report)
    if value is not None and value < least:
        report.add("E112", f"{what} cannot be `{number.text}`", number.span, f"write {least} or more")
        return None
    return value


def other_unit(number: syntax.Number, wanted: Type) -> str | None:
    """What to write instead of a number whose unit does not fit the wanted type."""
    digits = _digits(number)
    match wanted:
        case Type.DURATION:
            return _as_duration(number)
        case Type.SIZE:
            return f"give it a unit: `{digits}MiB` or `{digits}GiB`"
        case Type.NUMBER:
            return f"write it without a unit: `{digits}`"
        case Type.STRING:
            return f'put it in quotes: `"{number.text}"`'
        case _:
            return None


def show(value: object, type_: Type) -> str:
    """A constant as a policy would write it."""
    if isinstance(value, frozenset):
        quote = '"' if type_ is Type.STRINGS else ""
        return "{" + ", ".join(f"{quote}{item}{quote}" for item in sorted(value)) + "}"
    if value == checked.UNLIMITED and type_ is Type.DURATION:
        return "unlimited"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int):
        return f'"{value}"' if type_ is Type.STRING else str(value)
    match type_:
        case Type.DURATION:
            return _largest_unit(value, (("d", 86400), ("h", 3600), ("m", 60)), "s")
        case Type.SIZE:
            return _largest_unit(value, (("TiB", 1 << 20), ("GiB", 1 << 10)), "MiB")
        case Type.PERCENT:
            return f"{value / 100:g}%"
        case _:
            return str(value)


def percent(hundredths: int) -> str:
    """`12.5%`."""
    return show(hundredths, Type.PERCENT)


def _digits(number: syntax.Number) -> str:
    return number.text.rstrip(f"%{ascii_letters}")


def _as_duration(number: syntax.Number) -> str:
    digits = _digits(number)
    return f"give it a unit: `{digits}s` or `{digits}d`"


def _largest_unit(value: int, units: tuple[tuple[str, int], ...], smallest: str) -> str:
    for unit, factor in units:
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return f"{value}{smallest}"
