"""Reads sound texts quickly: the same grammar, the same tables, and a loop of a few lines.

Lark reads everything, and is asked wherever this gives up; of a sound text both make the same tree. What is
saved is time: one expression cuts the text into words, keywords are looked up, and what a rule of the grammar
does when it is complete is known beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

from lark import Lark, Token
from lark.parse_tree_builder import ExpandSingleChild
from lark.parsers.lalr_analysis import Shift

_END: Final = "$END"

_Make = Callable[[list[Any]], Any]

_Action = int | tuple[int, str, _Make | None]
"""A token is taken, and this is the next state; or so many values become one, which is called so.

Without a function to make it, the one value stays what it is.
"""


class UnsoundError(Exception):
    """The text is not what the grammar says."""


class QuickParser:
    """Reads what `lark` reads, as long as it is sound; `bound` stands between the words and the rules."""

    def __init__(self, lark: Lark, bound: Callable[[Iterator[Token]], Iterator[Token]]) -> None:
        parser: Any = lark.parser.parser.parser
        table = parser.parse_table
        self._bound = bound
        self._start: int = table.start_states["start"]
        self._end: int = table.end_states["start"]
        self._actions = _Actions(table.states, parser.callbacks)
        self._renamed: dict[tuple[int, int, str], int] = {}
        """Where rules that only rename a value lead: by the state below it, its own, and the next token."""
        lexer: Any = lark.parser.lexer.lexer
        patterns = {t.name: t.pattern.to_regexp() for t in lexer.terminals}
        name = re.compile(patterns["NAME"])
        self._keywords: dict[str, str] = {
            t.pattern.value: t.name
            for t in lexer.terminals
            if t.pattern.type == "str" and name.fullmatch(t.pattern.value)
        }
        ignored = "|".join(patterns[kind] for kind in lexer.ignore_types)
        apart = lexer.ignore_types.union(self._keywords.values())
        words = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in patterns.items() if kind not in apart)
        self._word: Any = re.compile(f"(?>(?:{ignored})*)(?:{words})", lexer.g_regex_flags)

    def parse(self, text: str) -> Any:
        """What the grammar makes of the text; raises UnsoundError."""
        actions = self._actions
        states: list[int] = [self._start]
        values: list[Any] = []
        for token in chain(self._bound(self.words(text)), (Token(_END, ""),)):
            kind = token.type
            while True:
                action = actions[states[-1]].get(kind)
                if action is None:
                    raise UnsoundError
                if isinstance(action, int):
                    states.append(action)
                    values.append(token)
                    break
                size, made, make = action
                if make is None:
                    states[-1] = self._rename(states[-2], states[-1], kind)
                    continue
                children = values[-size:] if size else []
                if size:
                    del states[-size:], values[-size:]
                values.append(make(children))
                states.append(actions[states[-1]][made])  # type: ignore[arg-type]
                if kind == _END and states[-1] == self._end:
                    return values[-1]
        raise UnsoundError

    def _rename(self, below: int, state: int, kind: str) -> int:
        """The state once every rule is through that only gives the last value another name."""
        key = (below, state, kind)
        known = self._renamed.get(key)
        if known is None:
            action = self._actions[state].get(kind)
            while isinstance(action, tuple) and action[2] is None:
                state = self._actions[below][action[1]]  # type: ignore[assignment]
                action = self._actions[state].get(kind)
            known = self._renamed[key] = state
        return known

    def words(self, text: str) -> Iterator[Token]:
        """The text's tokens."""
        keywords, new = self._keywords, str.__new__
        line, begin, last = 1, 0, 0
        for found in iter(self._word.scanner(text).match, None):
            kind = found.lastgroup
            start, end = found.span(kind)
            lines = text.count("\n", last, start)
            if lines:
                line += lines
                begin = text.rfind("\n", last, start) + 1
            value = found[kind]
            # As Token(…) does, but for the checks of its arguments. No token spans lines.
            token = new(Token, value)
            token.type = keywords.get(value, kind) if kind == "NAME" else kind
            token.value = value
            token.start_pos, token.end_pos = start, end
            token.line = token.end_line = line
            token.column, token.end_column = start - begin + 1, end - begin + 1
            last = end
            yield token


class _Actions(dict[int, dict[str, _Action]]):
    """What is done in each state with each token, and with each value; worked out when it is first asked."""

    def __init__(self, states: dict[int, dict[str, tuple[object, Any]]], callbacks: dict[Any, _Make]) -> None:
        super().__init__()
        self._states = states
        self._callbacks = callbacks

    def __missing__(self, state: int) -> dict[str, _Action]:
        actions = {
            name: int(to) if action is Shift else self._reduction(to)
            for name, (action, to) in self._states[state].items()
        }
        self[state] = actions
        return actions

    def _reduction(self, rule: Any) -> _Action:
        size, make = len(rule.expansion), self._callbacks[rule]
        return size, rule.origin.name, None if size == 1 and isinstance(make, ExpandSingleChild) else make
