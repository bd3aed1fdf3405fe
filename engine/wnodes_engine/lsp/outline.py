"""The outline of one file: its statements, with shares inside of each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lsprotocol import types

from wnodes_engine.language import syntax as tree
from wnodes_engine.language.parser import parse, tokens
from wnodes_engine.language.source import Source
from wnodes_engine.lsp.positions import Measure
from wnodes_engine.lsp.symbols import Sort, defined

_KINDS: Final = {
    Sort.SHARE: types.SymbolKind.Class,
    Sort.VALUE: types.SymbolKind.Constant,
    Sort.WINDOW: types.SymbolKind.Event,
    Sort.GROUP: types.SymbolKind.Namespace,
}
_NAMED: Final = {tree.Let: Sort.VALUE, tree.Window: Sort.WINDOW, tree.NodeGroup: Sort.GROUP}


def outline(source: Source, measure: Measure) -> list[types.DocumentSymbol]:
    """The symbols of a file; of one that cannot be read, what it seems to define."""
    policy = parse(source).policy
    if policy is not None:
        return _all(policy.statements, source.text, measure)
    return [
        types.DocumentSymbol(
            one.name, _KINDS[one.sort], measure.range(one.span), measure.range(one.span), detail=str(one.sort)
        )
        for one in defined(source.path, tokens(source.text))
    ]


def _all(statements: Iterable[tree.Statement], text: str, measure: Measure) -> list[types.DocumentSymbol]:
    return [_symbol(statement, text, measure) for statement in statements]


def _symbol(statement: tree.Statement, text: str, measure: Measure) -> types.DocumentSymbol:
    whole = measure.range(statement.span)
    name, kind, chosen = _first_line(statement, text), types.SymbolKind.Event, whole
    inner: Iterable[tree.Statement] = ()
    match statement:
        case tree.Share():
            name, kind, chosen = statement.name, _KINDS[Sort.SHARE], measure.range(statement.name_span)
            inner = statement.children
        case tree.Let() | tree.Window() | tree.NodeGroup():
            name, kind = statement.name, _KINDS[_NAMED[type(statement)]]
            chosen = measure.range(statement.name_span)
        case tree.During():
            name, chosen, inner = (
                f"during {statement.window.dotted}",
                measure.range(statement.window.span),
                statement.body,
            )
        case _:
            kind = types.SymbolKind.Function
    return types.DocumentSymbol(name, kind, whole, chosen, children=_all(inner, text, measure))


def _first_line(statement: tree.Statement, text: str) -> str:
    return text[statement.span.start : statement.span.end].split("\n", 1)[0].strip()
