"""Laws of the canonical layout, over random policies with comments and blanks in every place."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from strategies.policies import Asking, policies
from wnodes_engine.format import formatted
from wnodes_engine.format.layout import WIDTH
from wnodes_engine.language.parser import parse, words
from wnodes_engine.language.source import Source

EVERYTHING = Asking(hs23=True, state=True, time=True, groups=True, room=True)
BETWEEN = (
    "", "", "", "", " ", "  ", "\n", "\n\n\n", " \t\n",
    "  # why\n", "\n# above\n", "\n# one\n\n\n# two\n\n", " #\n",
)  # fmt: skip


@st.composite
def scattered(draw: st.DrawFn) -> str:
    """A policy whose words stand anywhere, with comments between any two of them."""
    text = draw(policies(EVERYTHING))
    pieces, last = [], 0
    for word in words(text):
        between = draw(st.sampled_from(BETWEEN))
        pieces += [" " if between == "" and last else between, text[word.start_pos : word.end_pos]]
        last = word.end_pos
    return "".join(pieces) + draw(st.sampled_from(BETWEEN))


def layout(text: str) -> str:
    result = formatted(Source("random.policy", text))
    assert result.text is not None, result.findings
    return result.text


def comments(text: str) -> list[str]:
    return [line.strip() for line in re.findall("#[^\n]*", text)]


@settings(max_examples=150, deadline=None)
@given(text=scattered())
def test_words_and_comments_stay_in_their_order_and_doing_it_again_changes_nothing(text: str) -> None:
    laid_out = layout(text)
    assert [str(word) for word in words(laid_out)] == [str(word) for word in words(text)]
    assert comments(laid_out) == comments(text)
    assert layout(laid_out) == laid_out


@settings(max_examples=60, deadline=None)
@given(text=policies(EVERYTHING))
def test_the_layout_depends_on_the_words_alone(text: str) -> None:
    one_line = "policy random\n" + " ".join(text.split("\n")[1:])
    assert re.sub("\n+", "\n", layout(text)) == re.sub("\n+", "\n", layout(one_line))


@settings(max_examples=60, deadline=None)
@given(text=scattered())
def test_lines_are_no_longer_than_they_have_to_be(text: str) -> None:
    for line in layout(text).split("\n"):
        code = line.partition("#")[0].rstrip()
        assert line == line.rstrip()
        assert len(code) <= WIDTH or not re.search(r", | and | or ", code.strip())


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=st.sampled_from('policyshare{}"#\n <=5%,'), max_size=60))
def test_what_cannot_be_read_is_told_and_not_touched(text: str) -> None:
    result = formatted(Source("random.policy", text))
    read = parse(Source("random.policy", text))
    assert (result.text is None) == (read.policy is None)
    assert result.findings == read.findings
