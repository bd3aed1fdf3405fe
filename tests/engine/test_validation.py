"""What breaks a schema is told in the words of its author, with the mend, and in little time."""

import pytest
from wnodes_engine.validation import problems

REQUEST = {"kind": "job", "origin": "local", "user": "ada", "group": "lab"}
SITE = {"name": "x", "timezone": "UTC"}


@pytest.mark.parametrize(
    ("key", "value", "message", "mend"),
    [
        ("cores", "four", "'four' is not of the right form", "a whole number from 1 to 1000000"),
        ("cores", 1.0, "1.0 is not of the right form", "a whole number from 1 to 1000000"),
        ("cores", True, "true is not of the right form", "a whole number from 1 to 1000000"),
        ("cores", [], "a list is not of the right form", "a whole number from 1 to 1000000"),
        ("memory", "1TB", "'1TB' is not of the right form", "whole MiB"),
        ("walltime", "1y", "'1y' is not of the right form", "whole seconds"),
        ("user", 3, "this has to be a text, not 3", "a text of 1 to 256 characters"),
        ("user", "-rf", "'-rf' is not of the right form", "not beginning with '-'"),
    ],
)
def test_a_value_of_the_wrong_form_is_told_with_the_right_one(
    key: str, value: object, message: str, mend: str
) -> None:
    (problem,) = problems(REQUEST | {key: value}, "request")
    assert problem.message == message
    assert mend in (problem.help or "")
    assert problem.path[0] == key


@pytest.mark.parametrize(
    ("groups", "repeats"),
    [
        (["a", "b"], False),
        (["a", "b", "a"], True),
        ([f"g{n}" if n % 2 else n for n in range(50_000)], False),  # kinds that do not sort together
        ([{"a": n} for n in range(50_000)] + [{"a": 7}], True),
    ],
    ids=["different", "twice", "many of two kinds", "many maps"],
)
def test_entries_that_stand_there_twice_are_found(groups: list[object], repeats: bool) -> None:
    found = [problem.message for problem in problems(SITE | {"groups": groups}, "site")]
    assert ("the same entry stands here twice" in found) is repeats
