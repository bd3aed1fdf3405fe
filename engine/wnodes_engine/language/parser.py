"""From policy text to the syntax tree: `parse`, the bounds of what it reads, and its findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from threading import Lock
from typing import Final

from lark import Lark, Token, UnexpectedInput

from wnodes_engine.findings import Finding, in_order
from wnodes_engine.language.builder import Builder
from wnodes_engine.language.source import Source
from wnodes_engine.language.syntax import Policy


@dataclass(frozen=True, slots=True)
class ParseResult:
    """The tree of one source, None if there are errors, and what was found, in source order."""

    policy: Policy | None
    findings: tuple[Finding, ...]


class TokenStream:
    always_accept = ("BAD", "BAD_STRING")

    def process(self, tokens: Iterator[Token]) -> Iterator[Token]:
        return tokens


_lock: Final = Lock()


@lru_cache(maxsize=1)
def _parser() -> tuple[Lark, Builder]:
    builder = Builder()
    grammar = files("wnodes_engine.language").joinpath("grammar.lark").read_text()
    return Lark(grammar, parser="lalr", lexer="basic", transformer=builder, postlex=TokenStream()), builder


def parse(source: Source) -> ParseResult:
    """The syntax tree of a policy, with an exact span on every node, or what is wrong with its text."""
    with _lock:
        lark, builder = _parser()
        builder.open(source.path)
        try:
            policy = lark.parse(source.text)
        except UnexpectedInput as problem:
            token = problem.token
            span = builder.span_of(token)
            return ParseResult(None, (Finding("E010", f"unexpected {token}", span),))
        findings = tuple(in_order(builder.findings))
    return ParseResult(None if findings else policy, findings)
