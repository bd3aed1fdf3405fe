"""The tables beside a policy's module: rules by the values that they are looked up by.

Rules that differ in nothing but their constants share one function of the module. What each has of its own,
where it stands in the policy and its constants, are defaults of the function's last parameters. So tables
are data, and a policy of thousands of rules is little Python to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from wnodes_engine.core.claim import Claim
from wnodes_engine.values import Request, Route

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One rule: its number, its values, and the name of its function, None where it holds anyway."""

    number: int
    values: Iterable[object]
    function: str | None
    constants: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the module, by name: of a section, all of whose rules are tried, or of a chain."""

    name: str
    rows: list[Row]
    chain: bool

    def load(self, module: Mapping[str, Any]) -> dict[object, tuple[Any, ...]]:
        """By value: each rule's function, in the rules' order; in a chain, its number and function."""
        table: dict[object, list[Any]] = {}
        for row in self.rows:
            rule = None if row.function is None else bound(module[row.function], row.constants)
            entry = (row.number, rule) if self.chain else rule
            for value in row.values:
                table.setdefault(value, []).append(entry)
        return {value: tuple(rules) for value, rules in table.items()}


def bound(function: FunctionType, constants: tuple[object, ...]) -> Function:
    """The function with its last parameters given."""
    return FunctionType(function.__code__, function.__globals__, function.__name__, constants)


def fixed(*texts: str | None) -> Callable[[Request, Claim], Route]:
    """A route in which nothing is to be filled in."""
    route = Route(*texts)  # type: ignore[arg-type]
    return lambda _request, _claim: route
