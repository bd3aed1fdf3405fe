"""Several errors in one run: reading on after each, and no errors that only follow from others."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wnodes_engine.language import recovery
from wnodes_engine.language.parser import parse
from wnodes_engine.language.source import Source

BROKEN_STATEMENTS = [
    "share a 5% borow any",
    "asign a otherwise",
    'deny "x" when a = b',
    "let default = 5",
    "quota for each user: cores < 4",
    "place pool spred",
    "priority 10GB",
    "route job to slurm queue q",
    'deny "x" when (a or) and b',
    "let a = {b, , c}",
    "during n { share a 5% borow any }",
]
SOUND_STATEMENTS = [
    "let x = 1",
    "share s 5% {\n  share t 1%\n}",
    'deny "x"\n  when a',
    "during n { priority 5 }",
]


@given(st.lists(st.sampled_from(BROKEN_STATEMENTS + SOUND_STATEMENTS), max_size=12))
@settings(max_examples=60, deadline=None)
def test_each_broken_statement_is_reported_and_no_sound_one(statements):
    lines, broken = 1, []
    for statement in statements:
        if statement in BROKEN_STATEMENTS:
            broken.append(lines)
        lines += statement.count("\n") + 1
    assert lines_of("\n".join(statements)) == broken


def test_errors_inside_the_blocks_of_shares_are_all_reported():
    text = """
share a 50% {
    share b 5% borow any
    share c 5% {
        share d 5 % lend none
        share e 5%
        share f 5 % lend none
    }
    share g 5%,
}
share h 5
share i x
"""
    assert lines_of(text) == [3, 5, 7, 9, 12]


def test_a_misspelt_statement_with_a_block_does_not_lose_what_follows():
    assert lines_of("shar a 50% {\n  share b 5%\n}\nlet c = = 5") == [1, 4]


def test_an_error_before_a_block_skips_the_block():
    assert lines_of("share a 50 % {\n  share b 5 %\n}\nlet c = 5") == [1]


def test_a_brace_that_is_never_closed_hides_no_other_error():
    text = "share a 5% {\n  share b 5% {\n    share c 5%\n  share d 5 %\n}\nlet e = = 5\nlet f = 6"
    assert found(text) == [("E011", 2), ("E003", 4), ("E010", 6)]


def test_several_brackets_without_partners_are_all_reported():
    text = "let a = (b or c\nlet d = {e, f\nshare g 5%\n}\nlet h = i)"
    assert found(text) == [("E011", 1), ("E011", 2), ("E011", 4), ("E011", 5)]


def test_brackets_that_pair_are_left_alone_however_they_are_indented():
    assert found("  share a 5% {\nshare b 5% {\nshare c 5%\n}\n}\nlet d = = 5") == [("E010", 6)]


def test_a_block_that_ends_without_a_statement_being_whole_points_into_the_block():
    assert found("during n {\n  deny\n}\npriority") == [("E016", 2), ("E016", 4)]


def test_findings_come_in_the_order_of_the_text():
    lines = lines_of("let a = 5GB\nlet b = = 5\nlet c = 5GB\nlet d = = 5\n")
    assert lines == sorted(lines)
    assert lines == [1, 2, 3, 4]


def test_no_more_errors_are_reported_than_anybody_mends_in_one_go():
    assert len(found("let a = = 5\n" * 1_000)) == recovery.MOST_FINDINGS


@pytest.mark.parametrize("statement", SOUND_STATEMENTS)
def test_a_sound_statement_after_a_heading_that_is_broken_is_not_reported(statement):
    assert lines_of(f"policy 5\n{statement}") == [1]


def found(text):
    return [(finding.code, finding.span.line) for finding in parse(Source("x.policy", text)).findings]


def lines_of(text):
    return [line for _, line in found(text)]
