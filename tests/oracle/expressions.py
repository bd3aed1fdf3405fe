"""What an expression of a checked policy is worth, read straight off the tree."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from wnodes_engine.check import checked

Read = Callable[[str, bool], Any]
"""The value of an attribute by its dotted name (the flag: declared by the site); None where it is absent."""


def value(expr: checked.Expr, read: Read) -> Any:
    """The value of an expression: str, int, bool or frozenset of str."""
    match expr:
        case checked.Const():
            return expr.value
        case checked.Attr():
            return read(expr.name, expr.site)
        case checked.Has():
            return read(expr.name, expr.site) is not None
        case checked.Not():
            return not value(expr.operand, read)
        case checked.And():
            return all(value(operand, read) for operand in expr.operands)
        case checked.Or():
            return any(value(operand, read) for operand in expr.operands)
        case checked.Compare():
            return compared(expr.op, value(expr.left, read), value(expr.right, read))
        case checked.Member():
            return value(expr.left, read) in value(expr.right, read)
        case checked.InShare():
            return read("share", False) in expr.leaves
        case checked.Match(op="startswith"):
            return str(value(expr.left, read)).startswith(expr.pattern)
        case checked.Match():
            return globbed(expr.pattern, value(expr.left, read))
        case checked.Arithmetic():
            return calculated(expr.op, value(expr.left, read), value(expr.right, read))


def compared(op: str, left: Any, right: Any) -> bool:
    """`left op right`."""
    if op in ("==", "!="):
        return bool(left == right) is (op == "==")
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op])


def calculated(op: str, left: int, right: int) -> int:
    """`left op right` in whole numbers; division rounds down."""
    return {"+": left + right, "-": left - right, "*": left * right, "/": left // right if right else 0}[op]


def globbed(pattern: str, text: str) -> bool:
    """Whether the whole text is matched by a pattern: `*` is anything, `?` one character."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(globbed(pattern[1:], text[begin:]) for begin in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and globbed(pattern[1:], text[1:])


def holds(condition: checked.Condition, read: Read) -> bool:
    """Whether a condition holds, whatever window it stands in; no condition is always."""
    return condition.expr is None or bool(value(condition.expr, read))


def in_set(nodes: checked.NodeSet, name: str, properties: frozenset[str]) -> bool:
    """Whether a node belongs to a set: one of the patterns (none: every name), and all the properties."""
    named = not nodes.patterns or any(fnmatchcase(name, pattern) for pattern in nodes.patterns)
    return named and all(wanted in properties for wanted in nodes.properties)
