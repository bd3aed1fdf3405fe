"""The quick reader beside lark: the same words, the same tree of what is sound, nothing of what is not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark, Token, UnexpectedInput
from strategies.policies import Asking, policies
from wnodes_engine.language import tables
from wnodes_engine.language.builder import Builder
from wnodes_engine.language.quick import QuickParser, UnsoundError

POLICIES = sorted((Path(__file__).parents[2] / "policies").rglob("*.policy"))
PIECES = sorted(
    {word for path in POLICIES for word in path.read_text().split()} | {"(", ")", '"', "#", "\n", "é"}
)


@cache
def both() -> tuple[Lark, QuickParser]:
    lark = tables.load(Builder())
    return lark, QuickParser(lark, tables.Bounds().process)


def by_lark(text: str) -> Any:
    try:
        return both()[0].parse(text)
    except UnexpectedInput:
        return None


def quickly(text: str) -> Any:
    try:
        return both()[1].parse(text)
    except UnsoundError:
        return None


def told(token: Token) -> tuple[object, ...]:
    place = (token.line, token.column, token.end_line, token.end_column, token.start_pos, token.end_pos)
    return (token.type, token.value, str(token), *place)


def read_alike(text: str) -> bool:
    """Whether it is sound; both say so, and read the same."""
    lark, quick = both()
    assert list(map(told, quick.words(text))) == list(map(told, tables.tokens(lark, text)))
    tree = by_lark(text)
    assert quickly(text) == tree
    return tree is not None


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_the_policies_are_read_alike(path):
    text = path.read_text()
    assert read_alike(text)
    assert read_alike(text.replace("\n", "\r\n"))


@given(policies(Asking(state=True, time=True, hs23=True)))
def test_random_policies_are_read_alike(text):
    assert read_alike(text)


@given(st.data())
def test_policies_with_pieces_cut_out_and_put_in_are_read_alike(data):
    text = data.draw(st.sampled_from(POLICIES)).read_text()
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = begin + data.draw(st.sampled_from([0, 1, 20]))
        text = text[:begin] + data.draw(st.sampled_from(["", *PIECES])) + text[end:]
    read_alike(text)


@given(st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join))
def test_any_text_is_read_alike(text):
    read_alike(text)


@pytest.mark.parametrize(
    "text", ["", "  ", "# only\n# words", "policy a # end", "policy a\n\n  # b\n", "let a = 1 §"]
)
def test_ends_and_comments_are_read_alike(text):
    read_alike(text)
