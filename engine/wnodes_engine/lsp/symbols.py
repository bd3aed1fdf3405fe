"""What a policy gives names to, and every place that speaks of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from lark import Token
from msgspec import Struct

from wnodes_engine.language import syntax as tree
from wnodes_engine.language.complaints import STATEMENTS
from wnodes_engine.language.expressions import token_span
from wnodes_engine.language.recovery import with_line_starts
from wnodes_engine.language.source import Span


class Sort(StrEnum):
    """What can be given a name."""

    SHARE = "share"
    VALUE = "let"
    WINDOW = "window"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Mention:
    """One place that names something; of a share's path each part is a place of its own.

    `name` is the whole name: of a share its path from the top.
    """

    sort: Sort
    name: str
    span: Span
    defines: bool = False


def mentions(statements: Sequence[tree.Statement]) -> list[Mention]:
    """Every mention in a sound policy, in no particular order."""
    values = frozenset(let.name for let in statements if isinstance(let, tree.Let))
    return list(_Walk(values).all(statements))


class _Walk:
    """Goes through a tree; a bare word is a value's name only where a `let` has it."""

    def __init__(self, values: frozenset[str]) -> None:
        self._values = values

    def all(self, statements: Iterable[tree.Statement]) -> Iterator[Mention]:
        for statement in statements:
            if isinstance(statement, tree.Share):
                yield from self._share(statement, "")
            elif isinstance(statement, tree.During):
                yield Mention(Sort.WINDOW, statement.window.dotted, statement.window.span)
                for inner in statement.body:
                    yield from self._override(inner)
            else:
                yield from self._node(statement)

    def _override(self, statement: tree.Statement) -> Iterator[Mention]:
        yield from _path(statement.path) if isinstance(statement, tree.Share) else self._node(statement)

    def _share(self, share: tree.Share, above: str) -> Iterator[Mention]:
        path = f"{above}.{share.name}" if above else share.name
        yield Mention(Sort.SHARE, path, share.name_span, True)
        for child in share.children:
            yield from self._share(child, path)

    def _node(self, node: object) -> Iterator[Mention]:
        if isinstance(node, tuple):
            for part in node:
                yield from self._node(part)
        elif isinstance(node, tree.Name):
            if node.dotted in self._values:
                yield Mention(Sort.VALUE, node.dotted, node.span)
        elif isinstance(node, Struct):
            yield from _own(node)
            named = _elsewhere(node)
            for field in node.__struct_fields__:
                if field not in named:
                    yield from self._node(getattr(node, field))


def _own(node: object) -> Iterator[Mention]:
    """What a node itself defines or speaks of."""
    match node:
        case tree.Let(name=name, name_span=span):
            yield Mention(Sort.VALUE, name, span, True)
        case tree.Window(name=name, name_span=span):
            yield Mention(Sort.WINDOW, name, span, True)
        case tree.NodeGroup(name=name, name_span=span):
            yield Mention(Sort.GROUP, name, span, True)
        case tree.Nodes(groups=groups) | tree.Place(groups=groups):
            yield from (Mention(Sort.GROUP, group.dotted, group.span) for group in groups)
        case tree.Preempt(victim=victim, beneficiary=beneficiary):
            for share in (victim, beneficiary):
                yield from _path(share)
        case tree.Assign(share=share) | tree.InShare(share=share) | tree.Order(share=share):
            yield from _path(share)
        case tree.Quota(within=share) | tree.Scope(key="share", value=tree.Name() as share):
            yield from _path(share)
        case tree.Compare(left=tree.Name(parts=("share",)), right=tree.Name() as share):
            yield from _path(share)
        case tree.Compare(left=tree.Name() as share, right=tree.Name(parts=("share",))):
            yield from _path(share)
        case tree.Member(left=tree.Name(parts=("share",)), right=tree.SetLiteral(items=items)):
            for item in items:
                if isinstance(item, tree.Name):
                    yield from _path(item)


_ELSEWHERE: Final[dict[type, frozenset[str]]] = {
    tree.Assign: frozenset({"share"}),
    tree.InShare: frozenset({"share"}),
    tree.Order: frozenset({"share"}),
    tree.Quota: frozenset({"within"}),
    tree.Preempt: frozenset({"victim", "beneficiary"}),
    tree.Nodes: frozenset({"groups"}),
    tree.Place: frozenset({"groups", "kinds"}),
    tree.Default: frozenset({"attribute"}),
    tree.Cap: frozenset({"attribute"}),
    tree.Has: frozenset({"name"}),
    tree.Route: frozenset({"kinds", "target", "through"}),
    tree.Act: frozenset({"kinds"}),
}
"""The fields whose names are not those of values."""


def _elsewhere(node: object) -> frozenset[str]:
    match node:
        case tree.Scope(key="share"):
            return frozenset({"value"})
        case (
            tree.Compare(left=tree.Name(parts=("share",)))
            | tree.Compare(right=tree.Name(parts=("share",)))
            | tree.Member(left=tree.Name(parts=("share",)), right=tree.SetLiteral())
        ):
            return frozenset({"left", "right"})
    return _ELSEWHERE.get(type(node), frozenset())


def _path(name: tree.Name | None) -> Iterator[Mention]:
    """A share's path: each part names the share down to there."""
    if name is None:
        return
    span, column, start = name.span, name.span.column, name.span.start
    for at, part in enumerate(name.parts):
        end = len(part)
        place = Span(span.path, span.line, column, span.line, column + end, start, start + end)
        yield Mention(Sort.SHARE, ".".join(name.parts[: at + 1]), place)
        column, start = column + end + 1, start + end + 1


# ------------------------------------------------------------ half-written files

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SORTS: Final = {"LET": Sort.VALUE, "WINDOW": Sort.WINDOW, "GROUP": Sort.GROUP, "SHARE": Sort.SHARE}


def defined(path: str, tokens: Sequence[Token]) -> list[Mention]:
    """What the tokens of a file define, as far as that shows: the file may be half-written."""
    found: list[Mention] = []
    blocks: list[str | None] = []  # the share that each open brace belongs to; None where it is none
    pending: str | None = None
    words = list(with_line_starts(tokens))
    for (token, is_first), (name, _) in pairwise(words):
        begins = is_first or (bool(blocks) and blocks[-1] is not None and token.type == "SHARE")
        if token.type == "LBRACE":
            blocks.append(pending)
            pending = None
        elif token.type == "RBRACE" and blocks:
            blocks.pop()
        elif begins and token.type in _SORTS and _NAME.fullmatch(name) and None not in blocks:
            sort = _SORTS[token.type]
            whole = ".".join([*(block for block in blocks if block), str(name)])
            found.append(
                Mention(sort, whole if sort is Sort.SHARE else str(name), token_span(path, name), True)
            )
            pending = whole if sort is Sort.SHARE else None
        elif begins and token.type in STATEMENTS:
            pending = None
    return found
