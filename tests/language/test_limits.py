"""Texts that are too large, too deep, or not text: a finding each, in bounded time and memory."""

from __future__ import annotations

import tracemalloc

import pytest
from wnodes_engine.language import parser, tables
from wnodes_engine.language.parser import parse
from wnodes_engine.language.source import Source

MANY = 20_000


@pytest.mark.parametrize(
    "text",
    [
        "let a =\n" + "(\n" * MANY + "1" + ")\n" * MANY,
        "let a =\n" + "{\n" * MANY,
        "share a 5% {\n" * MANY + "}\n" * MANY,
        "let a =\n" + "(a + \n" * 51 + "1" + ")" * 51,
    ],
    ids=["brackets", "sets", "shares", "sums in brackets"],
)
def test_deep_nesting_is_one_finding(text):
    assert found(text) == ["E004"]


def test_a_long_sum_is_deep_too():
    assert found("let a = 1" + "\n+ 1" * MANY) == ["E004"]


def test_long_chains_of_conditions_are_not_deep():
    assert found('deny "x" when a' + "\nand not b" * 5_000 + "\nor c" * 5_000) == []


def test_as_much_nesting_as_is_allowed_is_read():
    depth = tables.DEEPEST
    assert found("let a = " + "(" * depth + "1" + ")" * depth) == []
    assert found("let a = 1" + " + 1" * depth) == []
    assert found("let a = " + "(" * (depth - 1) + "1 + 1" + ")" * (depth - 1)) == []
    assert found("share a 5% {" * depth + "}" * depth) == []


def test_depth_counts_in_each_expression_alone():
    assert found("let a = (((1 + 2) * (3 + 4)) + 5)\n" * 2_000) == []


@pytest.mark.parametrize("word", ["not", "-"])
def test_repeated_signs_do_not_nest(word):
    assert found("let a =\n" + f"  {word}\n" * MANY + "  b") == ["E010"]


def test_a_file_that_is_too_large_is_not_read():
    tracemalloc.start()
    assert found(" " * (parser.LARGEST + 1)) == ["E002"]
    assert tracemalloc.get_traced_memory()[1] < 3 * parser.LARGEST
    tracemalloc.stop()


def test_too_many_words_are_a_finding(monkeypatch):
    monkeypatch.setattr(tables, "MOST_TOKENS", 1_000)
    assert found("let a = 1\n" * 250) == []
    assert found("let a = 1\n" * 251) == ["E002"]
    assert found("let = a 1\n" * 251) == ["E002"]


def test_a_line_that_is_too_long_is_a_finding_at_that_line():
    (finding,) = parse(Source("x", "# short\n# " + "x" * parser.LONGEST_LINE)).findings
    assert (finding.code, finding.span.line, finding.span.column) == ("E002", 2, 1)
    assert found("# " + "x" * (parser.LONGEST_LINE - 2)) == []


@pytest.mark.parametrize(
    ("character", "message"),
    [
        ("\0", "there is a NUL byte here"),
        ("\x1b", "the control character U+001B does not belong here"),
        ("\x0b", "the control character U+000B does not belong here"),
        ("\x85", "the control character U+0085 does not belong here"),
        ("\u2028", "the control character U+2028 does not belong here"),
        ("\ud800", "the control character U+D800 does not belong here"),
        ("\r", "there is a carriage return alone here"),
        ("\u202e", "the character U+202E makes text show in another order than it is read"),
    ],
)
@pytest.mark.parametrize("around", ["let a = 1\n# b{}c", 'let a = 1\ndeny "{}"', "let a = 1\nlet b{} = 2"])
def test_characters_that_are_not_text_are_findings_wherever_they_stand(character, message, around):
    text = around.replace("{}", character)
    (finding,) = parse(Source("x", text)).findings
    assert (finding.code, finding.message, finding.span.line) == ("E003", message, 2)
    assert text[finding.span.start : finding.span.end] == character


def test_line_ends_of_windows_are_line_ends():
    result = parse(Source("x", "let a = 1\r\nlet b = 2\r\n"))
    assert [statement.span.line for statement in result.policy.statements] == [1, 2]


def test_an_unreadable_text_yields_a_bounded_number_of_findings():
    assert len(found("\0" * MANY)) < 20


def found(text):
    return [finding.code for finding in parse(Source("x.policy", text)).findings]
