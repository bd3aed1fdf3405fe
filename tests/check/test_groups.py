"""When two patterns of names can mean the same node."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_engine.check.groups import can_meet


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("a*", "b*", False),
        ("a*", "*b", True),
        ("a?", "a", False),
        ("wn[1-4]*", "wn[5-9]*", False),
        ("wn[1-5]*", "wn[5-9]*", True),
        ("wn[!0-4]", "wn[!5-9]", True),
        ("wn[!0-9]", "wn[0-9]", False),
        ("*1*2*", "*2*1*", True),
        ("rack1-*", "rack10-*", False),
        ("rack1*", "rack10*", True),
        ("a[]x]", "a]", True),
        ("a[", "a?", True),
        ("", "*", True),
        ("", "?", False),
    ],
)
def test_patterns_meet_where_some_name_fits_both(one: str, other: str, meet: bool) -> None:
    assert can_meet(one, other) is can_meet(other, one) is meet


patterns = st.lists(st.sampled_from(["a", "b", "c", "?", "*", "[ab]", "[!a]", "[b-c]"]), max_size=6).map(
    "".join
)


@given(patterns, patterns, st.text("abcd", max_size=6))
def test_no_name_fits_two_patterns_that_do_not_meet(one: str, other: str, name: str) -> None:
    assert can_meet(one, other) or not (fnmatchcase(name, one) and fnmatchcase(name, other))
