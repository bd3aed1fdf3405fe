"""The grammar: without ambiguity, its tables up to date, its words apart."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from wnodes_engine.language import complaints, tables
from wnodes_engine.language.builder import Builder
from wnodes_engine.language.parser import parse
from wnodes_engine.language.source import Source

POLICIES = Path(__file__).parents[2] / "policies"
ALSO_NAMES = sorted(word.lower() for word in complaints._SOFT)


def test_the_grammar_has_no_conflicts_and_its_terminals_no_collisions():
    tables.make(strict=True)


def test_the_shipped_tables_belong_to_the_grammar():
    heading = tables.TABLES.read_bytes().split(b"\n", 1)[0]
    assert heading.split()[2] == tables._heading().split()[2], "run: python -m wnodes_engine.language.tables"


def test_the_shipped_tables_say_nothing_of_the_machine_they_were_made_on():
    assert str(tables.GRAMMAR.parent).encode() not in tables.TABLES.read_bytes()


@pytest.mark.parametrize("policy", sorted(POLICIES.glob("*.policy")), ids=lambda path: path.stem)
def test_the_tables_and_the_grammar_make_the_same_tree(policy):
    text = policy.read_text()
    assert tables.load(Builder()).parse(text) == tables.make(Builder()).parse(text)


def test_tables_of_another_grammar_are_not_used(tmp_path, monkeypatch):
    other = tmp_path / "grammar.tables"
    other.write_bytes(b"lark 0.0 of another grammar\nnot a pickle")
    monkeypatch.setattr(tables, "TABLES", other)
    assert tables.load(Builder()).parse("policy a").name == "a"


@pytest.mark.parametrize("policy", sorted(POLICIES.glob("*.policy")), ids=lambda path: path.stem)
def test_line_ends_mean_nothing(policy):
    text = policy.read_text()
    lines = [line.partition("#")[0] for line in text.splitlines()]
    assert without_spans(parsed(" ".join(lines)[:9_000])) == without_spans(parsed("\n".join(lines)[:9_000]))


@pytest.mark.parametrize(
    "text",
    [
        "share a 5% borrowany",
        "share a 5%borrow any",
        "share a 5% lendnone",
        "order any by agepriority 5",
        "order any by age bestfort",
        "order any by age besteffort",
        "quota foreach user: cores <= 1",
        "quota for eachuser: cores <= 1",
        "quota for each user: cores <= 1elsedeny",
        "priority +10 per 1hwaited",
        "priority 5x",
        "order any by fairshare of group half-life7d",
        "order any by fairshare of group half -life 7d",
        'deny "x" when aand b',
        'deny "x" when a andb == 1',
        'deny "x" whena',
        'deny "x" when notin a',
        "assign aotherwise",
        "preempt selfwhen a",
    ],
)
def test_words_that_are_glued_together_are_errors(text):
    assert parse(Source("x.policy", text)).policy is None


@pytest.mark.parametrize("word", ALSO_NAMES)
def test_soft_keywords_are_names_too(word):
    text = f"""
        policy {word}
        let {word} = 5
        share {word} 50% {{ share {word} 100% }}
        deny "x" when {word} > 1 and share == {word}.{word} and {word} in {{{word}}}
        window {word} = "Mon"
        group {word} = nodes {word}, "x*"
        order {word} by {word if word in {"priority", "age", "size"} else "age"}
        quota for each {word} in {word}: {word} <= {word}
        assign {word} otherwise
    """
    assert parsed(text).name == word


@given(st.sampled_from(ALSO_NAMES), st.sampled_from(ALSO_NAMES))
def test_soft_keywords_are_names_before_any_statement(word, other):
    assert (
        len(
            parsed(
                f'deny "x" when {word} == 1 share {other} 5% priority 7 group {word} = nodes all'
            ).statements
        )
        == 4
    )


def parsed(text):
    result = parse(Source("x.policy", text))
    assert result.findings == ()
    return result.policy


def without_spans(node):
    if isinstance(node, tuple):
        return tuple(without_spans(item) for item in node)
    if not isinstance(node, Struct):
        return node
    fields = (getattr(node, name) for name in node.__struct_fields__ if not name.endswith("span"))
    return type(node).__name__, *(without_spans(value) for value in fields)


def test_the_example_of_the_languages_design_is_read_whole():
    text = Path(__file__).with_name("example.policy").read_text()
    kinds = Counter(type(statement).__name__ for statement in parsed(text).statements)
    assert kinds == Counter(
        Let=1, Share=3, Default=1, Cap=1, Assign=5, Deny=2, Quota=4, Priority=2, Order=2,
        Preempt=2, Window=1, During=1, NodeRule=1, Place=1, Downtime=1, Route=2,
    )  # fmt: skip
