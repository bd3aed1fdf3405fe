"""Sections of rules: a few are written in line, many are looked up by an attribute they pin.

A section is a list of rules that are all tried. With more than a handful, every rule whose condition pins
an attribute becomes a function in a table by that attribute's value, so that a request meets only the
rules that could match it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wnodes_engine.compile.plan import Lookup

IN_LINE: Final = 4
"""So many rules are cheaper to try than to look up."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: where it can be looked up, its condition as source (None: always), and what it then does."""

    comment: str
    lookup: Lookup | None
    condition: str | None
    body: tuple[str, ...]
    setup: tuple[str, ...] = ()
    """What the body needs first when it stands in a function of its own."""

    def lines(self) -> list[str]:
        """The rule as statements."""
        if self.condition is None:
            return [f"# {self.comment}", *self.body]
        return [f"if {self.condition}:  # {self.comment}", *(f"    {line}" for line in self.body)]


class Section:
    """The source of one section: `top` for the module, `lines` for the body of `admit`."""

    def __init__(self, name: str, rules: Sequence[Rule], parameters: str) -> None:
        """`parameters` are the local variables that the rules' functions are given."""
        self.top: list[str] = []
        self.lines: list[str] = []
        looked_up: list[Rule] = []
        tables: dict[str, dict[object, list[str]]] = {}
        for rule in rules:
            if rule.lookup is None or len(rules) <= IN_LINE:
                self.lines += rule.lines()
            else:
                looked_up.append(rule)
        for i, rule in enumerate(looked_up):
            function = f"_{name}_{i}"
            self.top += [
                "",
                f"def {function}({parameters}):",
                *(f"    {line}" for line in (*rule.setup, *rule.lines())),
            ]
            if rule.lookup is not None:
                table = tables.setdefault(rule.lookup.attribute, {})
                for value in sorted(rule.lookup.values, key=str):
                    table.setdefault(value, []).append(function)
        for attribute, table in tables.items():
            constant = f"_{name}_by_{attribute}".upper()
            self.top += ["", f"{constant} = {{"]
            self.top += [f"    {value!r}: ({', '.join(names)},)," for value, names in table.items()]
            self.top += ["}"]
            self.lines += [
                f"for f in {constant}.get({attribute}, ()):",
                f"    f({parameters})",
            ]
