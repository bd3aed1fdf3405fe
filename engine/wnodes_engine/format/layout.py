"""Lays the words of one statement out: on one line where they fit, else a line for each clause."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from wnodes_engine.format.pieces import Word
from wnodes_engine.language import syntax as tree

WIDTH: Final = 100
"""The longest line that words are put on; a longer word stands alone."""

INDENT: Final = "    "

_CLAUSES: Final[dict[type, frozenset[str]]] = {
    tree.Preempt: frozenset(
        {"when", "unless", "sparing", "taking", "at", "by", "after", "including", "even"}
    ),
    tree.Order: frozenset({"by"}),
    tree.Route: frozenset({"through", "queue", "account", "image", "flavour", "when", "unless"}),
    tree.Share: frozenset({"borrow", "lend"}),
}
"""By statement: the words that begin a clause; of the others `when` and `unless` do."""

_GUARD: Final = frozenset({"when", "unless"})
_OPERATORS: Final = frozenset(
    {"==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "(", "{", ",", ":", "="}
    | {"when", "unless", "and", "or", "not", "in", "sparing"}
)
"""What a sign stands behind where it belongs to the number that follows."""

_OPENS: Final = frozenset({"(", "{"})
_CLOSES: Final = frozenset({")", "}"})


def lines_of(words: Sequence[Word], statement: tree.Statement | None, depth: int) -> Iterator[str]:
    """The lines of one statement, or of what stands before its block, `depth` blocks inside."""
    margin = INDENT * depth
    yield from comments(words[0].before, margin)
    words = [replace(words[0], before=()), *words[1:]]
    joined = _joiner(words, statement)
    if all(word.is_bare for word in words[1:-1]) and _stays_whole(words):
        line = margin + joined(0, len(words))
        if len(line) <= WIDTH or len(words) == 1:
            yield _with(line, words[-1].after)
            return
    bounds = [0, *_clauses(words, statement), len(words)]
    for at, (begin, end) in enumerate(pairwise(bounds)):
        inner = margin + INDENT if at else margin
        yield from _filled(words, begin, end, joined, inner, margin + INDENT if not at else inner + INDENT)


def comments(before: Sequence[str], margin: str) -> Iterator[str]:
    """Comments on lines of their own, and the empty lines among them."""
    for comment in before:
        yield margin + comment if comment else ""


def _stays_whole(words: Sequence[Word]) -> bool:
    """Whether no comment stands inside: behind the first word, or before the last."""
    return len(words) == 1 or (words[0].after is None and not any(words[-1].before))


def _filled(
    words: Sequence[Word], begin: int, end: int, joined: Callable[[int, int], str], margin: str, inner: str
) -> Iterator[str]:
    """The words on as few lines as they fit on; a line ends after a comma, or before `and` or `or`."""
    start = begin
    while start < end:
        lead = margin if start == begin else inner
        yield from (lead + comment for comment in words[start].before if comment)
        stop = _end_of_line(words, start, end, joined, WIDTH - len(lead))
        yield _with(lead + joined(start, stop), words[stop - 1].after)
        start = stop


def _end_of_line(
    words: Sequence[Word], start: int, end: int, joined: Callable[[int, int], str], room: int
) -> int:
    """Behind which word the line ends that begins with the one at `start`."""
    best = 0
    for at in range(start + 1, end + 1):
        has_to = at == end or words[at - 1].after is not None or any(words[at].before)
        if not (has_to or words[at].text in ("and", "or") or words[at - 1].text == ","):
            continue
        if best and len(joined(start, at)) > room:
            return best
        if has_to:
            return at
        best = at
    return end


def _clauses(words: Sequence[Word], statement: tree.Statement | None) -> list[int]:
    """Where the clauses begin that may stand on lines of their own."""
    begins = _CLAUSES.get(type(statement), _GUARD)
    found: list[int] = []
    depth, guarded = 0, False
    for at, word in enumerate(words):
        depth += (word.text in _OPENS) - (word.text in _CLOSES)
        if depth or not at:
            continue
        if word.text in begins and (word.text in _GUARD or not guarded or type(statement) is tree.Preempt):
            acts = bool(found) and words[found[-1]].text == "by"
            if word.text != "after" or not acts:
                found.append(at)
        elif words[at - 1].text == ":" and type(statement) is tree.Quota:
            found.append(at)
        guarded |= word.text in _GUARD
    return found


def _joiner(words: Sequence[Word], statement: tree.Statement | None) -> Callable[[int, int], str]:
    """What joins a stretch of the words, with a blank between two of them where one belongs."""
    blanks = ["" if _is_glued(words, at, statement) else " " for at in range(len(words))]

    def joined(begin: int, end: int) -> str:
        rest = (blanks[at] + words[at].text for at in range(begin + 1, end))
        return words[begin].text + "".join(rest)

    return joined


def _is_glued(words: Sequence[Word], at: int, statement: tree.Statement | None) -> bool:
    """Whether no blank stands before the word."""
    if not at:
        return True
    before, text = words[at - 1].text, words[at].text
    if text in (",", ":", ")", "}") or before in _OPENS:
        return True
    return before in ("+", "-") and _is_sign(words, at - 1, statement)


def _is_sign(words: Sequence[Word], at: int, statement: tree.Statement | None) -> bool:
    """Whether the `+` or `-` there belongs to the number behind it."""
    if at == 1 and isinstance(statement, tree.Priority):
        return True
    if at == 2 and isinstance(statement, tree.Default | tree.Cap):
        return True
    return words[at - 1].text in _OPERATORS


def _with(line: str, comment: str | None) -> str:
    return line if comment is None else f"{line}  {comment}"
