"""Literals: numbers with their units, and quoted text, as values in the house's units."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Final

from wnodes_engine.language.syntax import Unit

UNITS: Final[dict[str, tuple[int, Unit]]] = {
    "": (1, Unit.NONE),
    "%": (100, Unit.PERCENT),
    "s": (1, Unit.SECONDS),
    "m": (60, Unit.SECONDS),
    "h": (3_600, Unit.SECONDS),
    "d": (86_400, Unit.SECONDS),
    "w": (604_800, Unit.SECONDS),
    "MiB": (1, Unit.MIB),
    "GiB": (1 << 10, Unit.MIB),
    "TiB": (1 << 20, Unit.MIB),
    "PiB": (1 << 30, Unit.MIB),
}
"""What may stand behind a number: its factor in the house's unit, and that unit."""

LARGEST: Final = 10**15
"""No literal exceeds this many of its house's unit; nothing on a farm does, and sums stay small integers."""

SPELLED_OTHERWISE: Final = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "day": "d", "days": "d", "week": "w", "weeks": "w",
    "mb": "MiB", "mib": "MiB", "mi": "MiB", "gb": "GiB", "gib": "GiB", "g": "GiB", "gi": "GiB",
    "tb": "TiB", "tib": "TiB", "t": "TiB", "ti": "TiB", "pb": "PiB", "pib": "PiB", "p": "PiB", "pi": "PiB",
}  # fmt: skip

_NUMBER: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?([A-Za-z%]*)")
_DURATION: Final = re.compile(r"(?:[0-9]+[wdhms])+")
_ESCAPE: Final = re.compile(r"\\(.)")


class LiteralError(ValueError):
    """A literal that means nothing; `help` says how to write it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.help = mend


def number(text: str) -> tuple[int, Unit]:
    """The value of `12.5%` or `160GiB` in thousandths of its house's unit, and that unit.

    Raises LiteralError for an unknown unit, more digits than are kept, and numbers out of bounds.
    """
    parts = _NUMBER.fullmatch(text)
    if parts is None:
        raise LiteralError(f"`{_short(text)}` is not a number", _mend(text))
    whole, decimals, suffix = parts[1], parts[2] or "", parts[3]
    if suffix not in UNITS:
        raise LiteralError(f"`{_short(suffix)}` is not a unit", _other_unit(text, suffix))
    if len(whole.lstrip("0")) > 16 or len(decimals) > 9:
        raise LiteralError("the number has too many digits", f"at most {LARGEST:,} can be written")
    factor, unit = UNITS[suffix]
    milli, rest = divmod(int(whole + decimals) * factor * 1000, 10 ** len(decimals))
    if rest:
        raise LiteralError(
            f"`{text}` has more decimals than are kept", "write fewer decimals, or a smaller unit"
        )
    if milli > LARGEST * 1000:
        raise LiteralError(f"`{text}` is too large", f"at most {LARGEST:,} can be written")
    return milli, unit


def unquote(text: str) -> str:
    r"""What a quoted string says: without its quotes, with `\"` and `\\` replaced.

    Raises LiteralError for any other escape, and for tabs.
    """
    inside = text[1:-1]
    if "\t" in inside:
        raise LiteralError("there is a tab in a quoted text", "write spaces")
    if "\\" not in inside:
        return inside
    for escape in _ESCAPE.finditer(inside):
        if escape[1] not in '"\\':
            raise LiteralError(
                f"`{escape[0]}` means nothing in a quoted text",
                r"only `\"` and `\\` are escapes; write `\\` for `\`",
            )
    return _ESCAPE.sub(r"\1", inside)


def _mend(text: str) -> str:
    if "_" in text:
        return f"write it without `_`: `{text.replace('_', '')}`"
    if _DURATION.fullmatch(text):
        pieces = [(int(count), unit) for count, unit in re.findall(r"([0-9]{1,9})([wdhms])", text)]
        smallest = min((unit for _, unit in pieces), key=lambda unit: UNITS[unit][0])
        seconds = sum(count * UNITS[unit][0] for count, unit in pieces)
        return f"a duration has one unit: `{seconds // UNITS[smallest][0]}{smallest}`"
    return "a number is digits, perhaps a decimal point, and a unit: `12h`, `160GiB`, `12.5%`"


def _other_unit(text: str, suffix: str) -> str:
    digits = text[: -len(suffix)]
    if meant := SPELLED_OTHERWISE.get(suffix.lower()):
        because = "; sizes are in powers of 1024" if meant.endswith("iB") else ""
        return f"write `{digits}{meant}`{because}"
    if close := get_close_matches(suffix, UNITS, n=1):
        return f"write `{digits}{close[0]}`"
    return "units are s m h d w for time, MiB GiB TiB PiB for sizes, and %"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}…"
