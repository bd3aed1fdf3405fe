"""Reading on after a syntax error, so that one run reports them all.

It runs only when the plain parse has failed. Brackets come first: what is never closed is closed where the
indentation says that its block ends. After each error the parser drops what it holds of the broken statement
and goes on with the next token that begins a line and a statement of the same block, or that ends the block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lark import Lark, Token

from wnodes_engine.findings import Finding, Note
from wnodes_engine.language.complaints import STATEMENTS, Place, complain
from wnodes_engine.language.expressions import token_span

MOST_FINDINGS: Final = 50
"""So many errors are reported; nobody mends more in one go."""

_CLOSER: Final = {"LBRACE": ("RBRACE", "}"), "LPAR": ("RPAR", ")")}
_PARTNER: Final = {"RBRACE": "LBRACE", "RPAR": "LPAR"}
_ALSO_NAMES: Final = frozenset({"SHARE", "PRIORITY", "GROUP"})
_END: Final = "$END"


def errors(parser: Lark, path: str, tokens: Sequence[Token]) -> list[Finding]:
    """Every syntax error among the tokens of a file, up to MOST_FINDINGS."""
    whole, findings = balance(path, tokens)
    return findings + _Reader(parser, path, whole).read(MOST_FINDINGS - len(findings))


def expected(parser: Lark, tokens: Sequence[Token]) -> frozenset[str]:
    """The types of tokens that may follow these; none where they are wrong by themselves."""
    return _Reader(parser, "", tokens).expected()


# --------------------------------------------------------------------- brackets


@dataclass(frozen=True, slots=True)
class _Open:
    """A bracket that waits for its partner, and how far its line is indented."""

    token: Token
    indent: int


def balance(path: str, tokens: Sequence[Token]) -> tuple[list[Token], list[Finding]]:
    """The tokens with every bracket paired, and a finding for each that had no partner.

    Where all are paired, nothing is changed. Closing brackets that are added have no width.
    """
    if _is_balanced(tokens):
        return list(tokens), []
    paired: list[Token] = []
    findings: list[Finding] = []
    waiting: list[_Open] = []
    indent = 1

    def close(before: Token | None) -> None:
        opened = waiting.pop().token
        type_, closer = _CLOSER[opened.type]
        where = f"before line {before.line}" if before else "at the end of the file"
        span = token_span(path, opened)
        notes = (Note("this begins outside of it", token_span(path, before)),) if before else ()
        findings.append(
            Finding("E011", f"this `{opened}` is never closed", span, f"add `{closer}` {where}", notes)
        )
        last = paired[-1]
        paired.append(
            Token(
                type_,
                closer,
                last.end_pos,
                last.end_line,
                last.end_column,
                last.end_line,
                last.end_column,
                last.end_pos,
            )
        )

    for token, is_first in with_line_starts(tokens):
        if is_first:
            indent = _column(token)
            while waiting and _lies_outside(token, waiting[-1]):
                close(token)
        if token.type in _CLOSER:
            waiting.append(_Open(token, indent))
        elif token.type in _PARTNER:
            if _PARTNER[token.type] not in {opened.token.type for opened in waiting}:
                span = token_span(path, token)
                findings.append(Finding("E011", f"this `{token}` closes nothing", span, "remove it"))
                continue
            while waiting[-1].token.type != _PARTNER[token.type]:
                close(token)
            waiting.pop()
        paired.append(token)
    while waiting:
        close(None)
    return paired, findings


def _is_balanced(tokens: Sequence[Token]) -> bool:
    waiting: list[str] = []
    for token, is_first in with_line_starts(tokens):
        inside = waiting[-1] if waiting else None
        if token.type in _CLOSER:
            waiting.append(token.type)
        elif token.type in _PARTNER:
            if inside != _PARTNER[token.type]:
                return False
            waiting.pop()
        elif is_first and inside == "LPAR" and token.type in STATEMENTS.keys() - _ALSO_NAMES:
            return False
    return not waiting


def _lies_outside(token: Token, opened: _Open) -> bool:
    """Whether a token that begins a line shows, by what it is and its column, that the bracket is over."""
    if token.type == "RBRACE":
        return _column(token) < opened.indent
    if token.type not in STATEMENTS:
        return False
    in_expression = opened.token.type == "LPAR" and token.type not in _ALSO_NAMES
    return in_expression or _column(token) <= opened.indent


def _column(token: Token) -> int:
    return token.column or 1  # lark allows tokens that come from no text


def with_line_starts(tokens: Sequence[Token]) -> Iterator[tuple[Token, bool]]:
    """Each token, and whether it is the first on its line."""
    line: int | None = 0
    for token in tokens:
        yield token, token.line != line
        line = token.end_line


# ---------------------------------------------------------------------- reading


class _Reader:
    """Feeds the tokens to the parser and gets it going again after each error."""

    def __init__(self, parser: Lark, path: str, tokens: Sequence[Token]) -> None:
        self._state = parser.parse_interactive().parser_state
        self._table = self._state.parse_conf.states
        self._path = path
        last = tokens[-1] if tokens else None
        end = Token.new_borrow_pos(_END, "", last) if last else Token(_END, "", 0, 1, 1, 1, 1, 0)
        self._tokens = [*tokens, end]
        self._is_first = [is_first for _, is_first in with_line_starts(self._tokens)]
        self._floors: list[int] = []  # for each open brace, the parser's stack that must stay

    def read(self, most: int) -> list[Finding]:
        """The errors, `most` at the most."""
        findings: list[Finding] = []
        at = 0
        while at < len(self._tokens) and len(findings) < most:
            token = self._tokens[at]
            if self._takes(self._state.state_stack, token.type):
                self._feed(token)
                at += 1
                continue
            if token.type == _END or token.start_pos != token.end_pos:
                place = self._place(at)
                findings.append(complain(place))
                if place.begins_line and place.complete:
                    self._finish()
            at = self._resume(at)
        return findings

    def expected(self) -> frozenset[str]:
        """What may stand behind all the tokens, if they can be read."""
        for token in self._tokens[:-1]:
            if not self._takes(self._state.state_stack, token.type):
                return frozenset()
            self._feed(token)
        return self._takeable()

    def _finish(self) -> None:
        """Lets the builder see the statement before the error as a whole, for what it finds in it."""
        ender = Token("RBRACE", "}") if self._floors else Token(_END, "")
        self._state.copy(deepcopy_values=False).feed_token(ender, ender.type == _END)

    def _feed(self, token: Token) -> None:
        self._state.feed_token(token, token.type == _END)
        if token.type == "LBRACE":
            self._floors.append(len(self._state.state_stack))
        elif token.type == "RBRACE":
            self._floors.pop()

    def _takes(self, stack: Sequence[int], type_: str) -> bool:
        """Whether the parser, with these states on its stack, would take a token of this type."""
        stack = list(stack)
        end = self._state.parse_conf.end_state
        while (step := self._table[stack[-1]].get(type_)) is not None:
            rule = step[1]
            if isinstance(rule, int):
                return True
            if rule.expansion:
                del stack[-len(rule.expansion) :]
            stack.append(self._table[stack[-1]][rule.origin.name][1])
            if stack[-1] == end:
                return type_ == _END
        return False

    def _resume(self, at: int) -> int:
        """The position to go on from, with the broken statement off the parser's stack."""
        floor = self._floors[-1] if self._floors else 1
        kept = self._state.state_stack[:floor]
        column = self._tokens[max(self._statement(at), 0)].column
        inner = 0
        for here in range(at, len(self._tokens)):
            token = self._tokens[here]
            begins = token.type in STATEMENTS and self._is_first[here]
            ends = token.type in {"RBRACE", _END}
            is_misspelt = (
                token.type == "NAME" and here > at and self._is_first[here] and token.column == column
            )
            if inner == 0 and (is_misspelt or ((begins or ends) and self._takes(kept, token.type))):
                del self._state.state_stack[floor:]
                del self._state.value_stack[floor - 1 :]
                return here
            inner += (token.type == "LBRACE") - (token.type == "RBRACE")
        return len(self._tokens)

    def _place(self, at: int) -> Place:
        statement = self._statement(at)
        return Place(
            self._path,
            self._tokens[at],
            self._tokens[at - 1] if at else None,
            self._tokens[statement] if statement >= 0 else None,
            self._block_around(at),
            self._is_first[at],
            self._takeable(),
        )

    def _takeable(self) -> frozenset[str]:
        """The types of tokens that the parser would take now."""
        stack = self._state.state_stack
        types = {type_ for state in stack for type_ in self._table[state] if type_.isupper()}
        return frozenset(type_ for type_ in types if self._takes(stack, type_))

    def _statement(self, at: int) -> int:
        """The position of the token that began the statement before `at`, or -1."""
        begin = at - 1
        while begin >= 0 and not self._begins_statement(begin):
            begin -= 1
        return begin

    def _begins_statement(self, at: int) -> bool:
        type_ = self._tokens[at].type
        return type_ in STATEMENTS and (type_ not in _ALSO_NAMES or at == 0 or self._is_first[at])

    def _block_around(self, at: int) -> Token | None:
        """The token that began the statement in whose braces this one stands."""
        depth = 0
        for here in range(at - 1, -1, -1):
            type_ = self._tokens[here].type
            depth += (type_ == "RBRACE") - (type_ == "LBRACE")
            if depth < 0 and self._begins_statement(here):
                return self._tokens[here]
        return None
