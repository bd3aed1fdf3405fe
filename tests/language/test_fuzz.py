"""Whatever is written, the parser answers: a tree or findings inside the text, and never an exception."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wnodes_engine.findings import CODES
from wnodes_engine.frames import as_json, as_text
from wnodes_engine.language import complaints
from wnodes_engine.language.parser import parse
from wnodes_engine.language.source import Source, span_at
from wnodes_engine.language.tables import GRAMMAR

TEXTS = [path.read_text() for path in sorted((Path(__file__).parents[2] / "policies").rglob("*.policy"))]
WORDS = sorted(
    {line.split('"')[1] for line in GRAMMAR.read_text().splitlines() if line[:1].isupper() and '"' in line}
    | {word.lower() for word in complaints.STATEMENTS}
    | {
        "a",
        "b.c",
        "5",
        "50%",
        "7d",
        "5x",
        '"t"',
        '"',
        "'",
        "=",
        ":",
        ",",
        "&&",
        "\n",
        "é",
        "victim",
        "job",
        "for",
    }
)

thorough = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(st.text(max_size=200))
@thorough
def test_any_text_is_answered(text):
    check_answer(text)


@given(st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))
@thorough
def test_any_row_of_words_is_answered(text):
    check_answer(text)


@given(st.data())
@thorough
def test_a_policy_with_pieces_cut_out_and_put_in_is_answered(data):
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 30))
        text = text[:start] + data.draw(st.sampled_from(["", *WORDS, "{", "}", "(", ")"])) + text[end:]
    check_answer(text)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:30])
def test_a_policy_that_ends_early_is_answered(text):
    for end in range(0, len(text), 37):
        check_answer(text[:end])


def check_answer(text):
    source = Source("x.policy", text)
    result = parse(source)
    assert (result.policy is None) == bool(result.findings)
    for finding in result.findings:
        assert finding.code in CODES
        assert finding.message
        assert finding.help
        assert 0 <= finding.span.start <= finding.span.end <= len(text)
        assert finding.span == span_at(source, finding.span.start, finding.span.end)
    assert as_text(result.findings, {"x.policy": text}).count(": error[") == len(result.findings)
    as_json(result.findings)
