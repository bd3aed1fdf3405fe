"""Numbers with units, and quoted texts."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_engine.language.literals import LARGEST, UNITS, LiteralError, number, unquote
from wnodes_engine.language.syntax import Unit


@pytest.mark.parametrize(
    ("text", "milli", "unit"),
    [
        ("64", 64_000, Unit.NONE),
        ("10.5", 10_500, Unit.NONE),
        ("007", 7_000, Unit.NONE),
        ("50%", 5_000_000, Unit.PERCENT),
        ("12.5%", 1_250_000, Unit.PERCENT),
        ("30s", 30_000, Unit.SECONDS),
        ("1.5h", 5_400_000, Unit.SECONDS),
        ("2m", 120_000, Unit.SECONDS),
        ("7d", 604_800_000, Unit.SECONDS),
        ("1w", 604_800_000, Unit.SECONDS),
        ("512MiB", 512_000, Unit.MIB),
        ("1.5GiB", 1_536_000, Unit.MIB),
        ("20TiB", 20 * 1024 * 1024 * 1000, Unit.MIB),
        ("1PiB", 1024**3 * 1000, Unit.MIB),
        ("0.0005", None, None),
        ("0.001", 1, Unit.NONE),
    ],
)
def test_a_number_is_exact_in_thousandths_of_its_unit(text, milli, unit):
    if milli is None:
        with pytest.raises(LiteralError):
            number(text)
    else:
        assert number(text) == (milli, unit)


@given(st.integers(0, LARGEST), st.sampled_from(sorted(UNITS)))
def test_every_whole_number_is_read_or_refused_as_too_large(value, suffix):
    factor, unit = UNITS[suffix]
    if value * factor <= LARGEST:
        assert number(f"{value}{suffix}") == (value * factor * 1000, unit)
    else:
        with pytest.raises(LiteralError, match="too large"):
            number(f"{value}{suffix}")


@given(st.from_regex(r"[0-9][0-9A-Za-z_%]{0,40}(\.[0-9A-Za-z_%]{1,40})?", fullmatch=True))
def test_anything_that_begins_like_a_number_is_read_within_bounds_or_refused(text):
    with suppress(LiteralError):
        milli, _ = number(text)
        assert 0 <= milli <= LARGEST * 1000


@given(st.text(st.characters(exclude_characters="\t")))
def test_quoting_and_unquoting_a_text_gives_it_back(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    assert unquote(f'"{escaped}"') == text
