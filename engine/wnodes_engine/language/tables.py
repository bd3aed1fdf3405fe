"""The LALR parser: its tables, made once from grammar.lark and shipped beside it.

Making them takes longer than checking a policy, loading them a tenth of that. Tables that do not belong to
this grammar and this lark are not used: then the parser is made from the grammar. To make them anew:
`python -m wnodes_engine.language.tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast

import lark
from lark import Lark, Token, Transformer

GRAMMAR: Final = Path(__file__).with_name("grammar.lark")
TABLES: Final = Path(__file__).with_name("grammar.tables")

DEEPEST: Final = 50
"""How deep brackets, blocks and arithmetic may nest."""

MOST_TOKENS: Final = 500_000
"""How many words, numbers and signs one file may have; it bounds the parser's memory."""

_OPENS: Final = frozenset({"LBRACE", "LPAR"})
_CLOSES: Final = frozenset({"RBRACE", "RPAR"})


class TooMuchError(Exception):
    """Nesting (`deep`) or sheer number of tokens beyond what is read; `token` is where it was noticed."""

    def __init__(self, token: Token, *, deep: bool) -> None:
        super().__init__(token)
        self.token = token
        self.deep = deep


class Bounds:
    """Stands between lexer and parser, and stops at input that would take too much of either."""

    always_accept = ("BAD", "BAD_STRING")

    def process(self, tokens: Iterator[Token]) -> Iterator[Token]:
        """The same tokens; raises TooMuchError."""
        depth = 0
        for count, token in enumerate(tokens):
            if token.type in _OPENS:
                depth += 1
            elif token.type in _CLOSES:
                depth -= 1
            if depth > DEEPEST or count >= MOST_TOKENS:
                raise TooMuchError(token, deep=depth > DEEPEST)
            yield token


class Methods:
    """What a builder makes of each rule, in the form in which lark calls it: with a list of its pieces."""

    def __init__(self, builder: object) -> None:
        self._builder = builder

    def __getattr__(self, rule: str) -> Callable[[list[Any]], Any]:
        method = getattr(self._builder, rule)
        return lambda pieces: method(*pieces)


def make(builder: object | None = None, *, strict: bool = False) -> Lark:
    """The parser from the grammar; `strict` (which needs interegular) refuses every ambiguity."""
    return Lark(
        GRAMMAR.read_text(encoding="utf-8"),
        parser="lalr",
        lexer="basic",
        transformer=None if builder is None else cast("Transformer[Token, Any]", Methods(builder)),
        postlex=Bounds(),
        strict=strict,
    )


def load(builder: object) -> Lark:
    """The parser from its tables, or from the grammar where they do not fit."""
    try:
        with TABLES.open("rb") as file:
            if file.readline() == _heading():
                # What Lark.load does, with a transformer inside the parser.
                parser = Lark.__new__(Lark)
                return parser._load(file, transformer=Methods(builder), postlex=Bounds())  # noqa: SLF001
    except OSError:
        pass
    return make(builder)


def tokens(parser: Lark, text: str) -> list[Token]:
    """All tokens of a text; raises TooMuchError, and nothing else: the lexer is total."""
    thread = parser.parse_interactive(text).lexer_thread
    return list(thread.lex(None))  # type: ignore[no-untyped-call]


def write() -> None:
    """Makes the tables anew."""
    with TABLES.open("wb") as file:
        file.write(_heading())
        make().save(file, exclude_options={"transformer", "postlex"})


def _heading() -> bytes:
    return f"lark {lark.__version__} {sha256(GRAMMAR.read_bytes()).hexdigest()}\n".encode()


if __name__ == "__main__":
    write()
