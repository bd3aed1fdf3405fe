"""Expressions, literals and names: the part of the syntax tree's making that every statement uses."""

# ruff: noqa: D102 - each method is the rule of the same name in grammar.lark

from __future__ import annotations

from typing import Any, TypeVar

from lark import Token
from msgspec.structs import replace

from wnodes_engine.findings import Finding, Note
from wnodes_engine.language import literals
from wnodes_engine.language import syntax as tree
from wnodes_engine.language.source import Span
from wnodes_engine.language.tables import DEEPEST

E = TypeVar("E", bound=tree.Expr)


def token_span(path: str, token: Any) -> Span:
    """Where a token of the file at `path` stands; lark numbers lines, columns and offsets as spans do."""
    return Span(
        path, token.line, token.column, token.end_line, token.end_column, token.start_pos, token.end_pos
    )


class ExpressionBuilder:
    """Makes the expressions of one source at a time; `open` says which."""

    def __init__(self) -> None:
        self.open("")

    def open(self, path: str) -> None:
        """Begins a source: forgets the findings of the one before."""
        self._file = path
        self.findings: list[Finding] = []
        self._depths: dict[int, tuple[int, tree.Expr]] = {}

    def span_of(self, first: Any, *rest: Any) -> Span:
        """From the first piece to the last one that is there; pieces are tokens, nodes, guards and tuples."""
        last = first
        for piece in rest:
            if isinstance(piece, tuple):
                last = piece[-1] if piece else last
            elif isinstance(piece, tree.Guard):
                last = piece.unless or piece.when or last
            elif piece is not None:
                last = piece
        begin = token_span(self._file, first) if isinstance(first, Token) else first.span
        if last is first:
            return begin
        return begin.to(token_span(self._file, last) if isinstance(last, Token) else last.span)

    def _report(self, code: str, message: str, span: Span, mend: str, *notes: Note) -> None:
        self.findings.append(Finding(code, message, span, mend, notes))

    def _deep(self, made: E, *parts: tree.Expr, levels: int = 0) -> E:
        """The node itself, `levels` deeper than its deepest part; too deep is a finding.

        A long `a + b + …` is a deep tree too, and every later stage walks the tree by recursion. Depths are
        kept beside the nodes, by identity, and the nodes with them, so that no identity is used again.
        """
        depth = levels + max(
            (self._depths[id(part)][0] for part in parts if id(part) in self._depths), default=0
        )
        if levels and depth == DEEPEST + 1:
            mend = f"at most {DEEPEST} levels are read; give parts of it a name with `let`"
            self._report("E004", "this expression nests too deeply", made.span, mend)
        if depth:
            self._depths[id(made)] = depth, made
        return made

    def any_of(self, *operands: tree.Expr) -> tree.Or:
        return self._deep(tree.Or(operands, self.span_of(*operands)), *operands)

    def all_of(self, *operands: tree.Expr) -> tree.And:
        return self._deep(tree.And(operands, self.span_of(*operands)), *operands)

    def negated(self, keyword: Token, operand: tree.Expr) -> tree.Expr:
        span = self.span_of(keyword, operand)
        if isinstance(operand, tree.InShare) and not operand.negated:
            return tree.InShare(operand.share, True, span)
        return self._deep(tree.Not(operand, span), operand)

    def compare(self, left: tree.Expr, op: Token, right: tree.Expr) -> tree.Compare:
        return self._deep(tree.Compare(op.value, left, right, self.span_of(left, right)), left, right)

    def member(self, left: tree.Expr, negated: Token | None, right: tree.Expr) -> tree.Member:
        made = tree.Member(left, right, negated is not None, self.span_of(left, right))
        return self._deep(made, left, right)

    def in_share(self, keyword: Token, share: tree.Name) -> tree.InShare:
        return tree.InShare(share, False, self.span_of(keyword, share))

    def has(self, keyword: Token, name: tree.Name) -> tree.Has:
        return tree.Has(name, self.span_of(keyword, name))

    def match(self, left: tree.Expr, op: Token, right: tree.Expr) -> tree.Match:
        return self._deep(tree.Match(op.value, left, right, self.span_of(left, right)), left, right)

    def arithmetic(self, left: tree.Expr, op: Token, right: tree.Expr) -> tree.Arithmetic:
        made = tree.Arithmetic(op.value, left, right, self.span_of(left, right))
        return self._deep(made, left, right, levels=1)

    def negative(self, sign: Token, operand: tree.Expr) -> tree.Negative:
        return self._deep(tree.Negative(operand, self.span_of(sign, operand)), operand)

    def brackets(self, left: Token, inner: tree.Expr, right: Token) -> tree.Expr:
        """The inner expression, whose span now takes in its brackets."""
        return self._deep(replace(inner, span=self.span_of(left, right)), inner, levels=1)

    def set(self, left: Token, *rest: Any) -> tree.SetLiteral:
        *items, right = rest
        present = tuple(item for item in items if item is not None)
        return self._deep(tree.SetLiteral(present, self.span_of(left, right)), *present)

    def truth(self, word: Token) -> tree.Truth:
        return tree.Truth(word.value == "true", self.span_of(word))

    def unlimited(self, word: Token) -> tree.Unlimited:
        return tree.Unlimited(self.span_of(word))

    def number(self, token: Token) -> tree.Number:
        span = self.span_of(token)
        try:
            milli, unit = literals.number(token.value)
        except literals.LiteralError as problem:
            self._report("E013", str(problem), span, problem.help)
            milli, unit = 0, tree.Unit.NONE
        return tree.Number(milli, unit, token.value, span)

    def text(self, token: Token) -> tree.Text:
        span = self.span_of(token)
        try:
            return tree.Text(literals.unquote(token.value), span)
        except literals.LiteralError as problem:
            self._report("E003", str(problem), span, problem.help)
            return tree.Text("", span)

    def path(self, token: Token) -> tree.Name:
        return tree.Name(tuple(token.value.split(".")), self.span_of(token))
