"""Expressions as Python source: each becomes one expression over the local variables of `admit`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Any, Final

from wnodes_engine.check.checked import (
    And,
    Arithmetic,
    Attr,
    Compare,
    Const,
    Expr,
    Has,
    InShare,
    Match,
    Member,
    Not,
    Or,
)
from wnodes_engine.language.vocabulary import RESOURCES

DEFAULTS: Final = {
    "cores": "1",
    "memory": "0",
    "gpus": "0",
    "disk": "0",
    "volumes": "0",
    "count": "1",
    "walltime": "UNLIMITED",
}
"""What a request asks that leaves an amount out and meets no default."""

_WHO: Final = ("kind", "origin", "user", "group", "project", "roles")
_WHAT: Final = ("queue", "account", "flavour", "name", "tags", "image")
PLAIN: Final = frozenset((*_WHO, *_WHAT))
"""Attributes that are read from the request as they are."""

_FARM: Final = {
    "farm.cores": "s.up[0]",
    "farm.memory": "s.up[1]",
    "farm.gpus": "s.up[2]",
    "farm.used.cores": "s.tree.held[0][0]",
    "farm.waiting": "len(s.waiting)",
    "share.nominal.cores": "s.tree.live.amount[0][leaf]",
    "time.hour": "s.time.hour",
    "time.weekday": "s.time.weekday",
}
_SCOPES: Final = {"user": "user", "group": "group", "project": "project", "share": "leaf"}

Gauges = dict[tuple[str, str], int]
"""The meter that counts (scope, resource) where a rule reads it, as `user.running`."""


def gauge(name: str) -> tuple[str, str] | None:
    """The (scope, resource) that an attribute like `user.running` reads from a meter, or None."""
    scope, _, resource = name.partition(".")
    if scope not in _SCOPES or "." in resource or not resource:
        return None
    if scope == "share" and resource in RESOURCES:
        return None
    return scope, resource


_CHILDREN: Final[dict[type, Callable[[Any], tuple[Expr, ...]]]] = {
    Not: lambda expr: (expr.operand,),
    And: lambda expr: expr.operands,
    Or: lambda expr: expr.operands,
    Compare: lambda expr: (expr.left, expr.right),
    Member: lambda expr: (expr.left, expr.right),
    Arithmetic: lambda expr: (expr.left, expr.right),
    Match: lambda expr: (expr.left,),
}
"""The operands of an expression, by its class: policies of thousands of rules are walked through by it."""


def parts(expr: Expr) -> list[Expr]:
    """An expression and everything in it."""
    found = [expr]
    for part in found:
        operands = _CHILDREN.get(type(part))
        if operands is not None:
            found += operands(part)
    return found


def attributes(expr: Expr) -> list[Attr | Has]:
    """Every attribute that an expression reads or asks for."""
    return [part for part in parts(expr) if isinstance(part, Attr | Has)]


def variables(expr: Expr) -> set[str]:
    """The local variables of `admit` that an expression's source reads; `s` is the state."""
    found: set[str] = set()
    for part in parts(expr):
        if isinstance(part, InShare):
            found.add("leaf")
        elif isinstance(part, Attr | Has):
            name = part.name
            scope, dot, _ = name.partition(".")
            if part.site:
                found.add(local(name))
            elif name in _FARM or (dot and scope in _SCOPES):
                found |= {"s", _SCOPES.get(scope, "leaf")}
            else:
                found.add("leaf" if scope == "share" else scope)
    return found


def local(name: str) -> str:
    """The local variable that holds an attribute of the site's own."""
    return "site_" + "".join(c if c.isalnum() else f"_{ord(c):x}_" for c in name)


class Writer:
    """Writes expressions; sets and patterns go into the module's constants."""

    def __init__(self, gauges: Gauges) -> None:
        self.constants: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._gauges = gauges
        self._lifted: list[object] | None = None
        self._matchers: dict[str, Callable[[str], object]] = {}

    def constant(self, source: str) -> str:
        """The name of a module-level constant with this source, made once."""
        name = self._names.get(source)
        if name is None:
            name = self._names[source] = f"_K{len(self._names)}"
            self.constants[name] = source
        return name

    def lift(self, expr: Expr, constants: list[object]) -> str:
        """The expression with its constants as variables `k0`, `k1` …, which join `constants`.

        Expressions that differ in their constants alone become the same text.
        """
        self._lifted = constants
        text = self.write(expr)
        self._lifted = None
        return text

    def write(self, expr: Expr) -> str:
        """The expression, in parentheses where it is not a single word or call."""
        match expr:
            case Const(value):
                return self._literal(value)
            case Attr():
                return self._attribute(expr)
            case Has(name, site):
                return f"({local(name) if site else name} is not None)"
            case Not(operand):
                return f"(not {self.write(operand)})"
            case And(operands):
                return "(" + " and ".join(map(self.write, operands)) + ")"
            case Or(operands):
                return "(" + " or ".join(map(self.write, operands)) + ")"
            case Compare(op, left, right):
                return f"({self.write(left)} {op} {self.write(right)})"
            case Member(left, right):
                return f"({self.write(left)} in {self.write(right)})"
            case InShare(_, leaves):
                if len(leaves) == 1:
                    return f"(leaf == {self._literal(min(leaves))})"
                return f"(leaf in {self._literal(leaves)})"
            case Match("startswith", left, pattern):
                return f"{self.write(left)}.startswith({self._literal(pattern)})"
            case Match(_, left, pattern):
                return f"({self._matcher(pattern)}({self.write(left)}) is not None)"
            case Arithmetic(op, left, right):
                return f"({self.write(left)} {'//' if op == '/' else op} {self.write(right)})"

    def _literal(self, value: str | int | bool | frozenset[str] | frozenset[int]) -> str:
        if self._lifted is not None:
            return _variable(value, self._lifted)
        if isinstance(value, frozenset):
            items = ", ".join(repr(item) for item in sorted(value, key=str))
            return self.constant(f"frozenset(({items},))" if value else "frozenset()")
        return repr(value)

    def _matcher(self, pattern: str) -> str:
        expression = fnmatch.translate(glob(pattern))
        if self._lifted is None:
            return self.constant(f"re.compile({expression!r}).match")
        if pattern not in self._matchers:
            self._matchers[pattern] = re.compile(expression).match
        return _variable(self._matchers[pattern], self._lifted)

    def _attribute(self, attr: Attr) -> str:
        name = attr.name
        if attr.site:
            return local(name)
        if name == "share":
            return "leaf"
        if name in _FARM:
            return _FARM[name]
        counted = gauge(name)
        if counted is not None:
            return f"s.meters[{self._gauges[counted]}].get({_SCOPES[counted[0]]}, 0)"
        if name.startswith("share."):
            return f"s.tree.held[{RESOURCES.index(name.removeprefix('share.'))}][leaf]"
        return name.replace("victim.", "victim_")


def _variable(value: object, lifted: list[object]) -> str:
    """A constant that is lifted out, as the variable that stands for it."""
    lifted.append(value)
    return f"k{len(lifted) - 1}"


def glob(pattern: str) -> str:
    """Only `*` and `?` are special in `like`: brackets stand for themselves."""
    return pattern.replace("[", "[[]")
