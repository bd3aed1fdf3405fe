"""Sections of rules: a few are written in line, many are looked up by an attribute they pin.

A `Section` is a list of rules that are all tried; of a `Chain` the first that holds counts. Where more than
a handful pin the same attribute, they stand in a table by that attribute's value, so that a request meets
only the rules that could match it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wnodes_engine.check.checked import Expr
from wnodes_engine.compile.expressions import Writer, variables
from wnodes_engine.compile.plan import Lookup, lookup
from wnodes_engine.compile.tables import Row, Table

IN_LINE: Final = 4
"""So many rules that pin one attribute are cheaper to try than to look up."""

LONGEST: Final = 8
"""So many rules of a chain are written as one `if … elif`, which nests in Python's own compiler."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: where it stands, and what it does where its window is open and all its conjuncts hold.

    In `body`, {0}, {1} … stand for `constants`; `reads` are its local variables. A rule of a chain has no
    body, and one constant: the value that it gives.
    """

    place: str
    window: int | None
    conjuncts: tuple[Expr, ...]
    body: tuple[str, ...]
    constants: tuple[object, ...] = ()
    reads: frozenset[str] = frozenset()

    @property
    def always(self) -> bool:
        """Whether nothing is asked."""
        return self.window is None and not self.conjuncts

    def test(self, writer: Writer) -> str:
        """The condition as source; empty where it always holds."""
        tests = [] if self.window is None else [f"s.time.open >> {self.window} & 1"]
        return " and ".join((*tests, *map(writer.write, self.conjuncts)))

    def lines(self, writer: Writer) -> list[str]:
        """The rule as statements."""
        body = [line.format(*map(repr, self.constants)) for line in self.body]
        if self.always:
            return [f"# {self.place}", *body]
        return [f"if {self.test(writer)}:  # {self.place}", *(f"    {line}" for line in body)]


class _TableWriter:
    """Writes the functions of one table: one for all rules that differ in their constants alone."""

    def __init__(self, name: str, rules: Sequence[tuple[int, Rule, Lookup]], writer: Writer) -> None:
        self.top: list[str] = []
        self._name = name
        self._writer = writer
        self._functions: dict[str, str] = {}
        read: set[str] = set()
        for _, rule, found in rules:
            read |= rule.reads
            read.update(*map(variables, found.rest))
            if rule.window is not None:
                read.add("s")
        self.parameters = sorted(read)
        """The local variables of `admit` that its functions are given."""
        self.rows = [self._row(*entry) for entry in rules]

    def _row(self, number: int, rule: Rule, found: Lookup) -> Row:
        """A function without a body tells whether the rule holds."""
        constants = list(rule.constants) if rule.body else []
        body = [line.format(*(f"k{i}" for i in range(len(constants)))) for line in rule.body]
        tests = []
        if rule.window is not None:
            tests.append(f"s.time.open >> k{len(constants)} & 1")
            constants.append(rule.window)
        tests += [self._writer.lift(expr, constants) for expr in found.rest]
        test = " and ".join(tests)
        if body and test:
            body = [f"if {test}:", *(f"    {line}" for line in body)]
        elif test:
            body = [f"return {test}"]
        elif not body:
            return Row(number, found.values, None)
        parameters = [*self.parameters, "at", *(f"k{i}" for i in range(len(constants)))]
        text = "\n".join([f"({', '.join(parameters)}):", *(f"    {line}" for line in body)])
        function = self._functions.get(text)
        if function is None:
            function = self._functions[text] = f"{self._name}_{len(self._functions)}"
            self.top += ["", *f"def {function}{text}".split("\n")]
        return Row(number, found.values, function, (rule.place, *constants))


def lookups(rules: Sequence[Rule]) -> dict[str, dict[int, Lookup]]:
    """By attribute, where more than a handful pin it: the rules to be looked up, by their numbers."""
    tables: dict[str, dict[int, Lookup]] = {}
    for i, rule in enumerate(rules):
        found = lookup(rule.conjuncts)
        if found is not None:
            tables.setdefault(found.attribute, {})[i] = found
    return {attribute: found for attribute, found in tables.items() if len(found) > IN_LINE}


class Section:
    """Rules that are all tried: `top` and `tables` are for the module, `lines` for the body of `admit`.

    Rules that are looked up do not take their turns in the policy's order.
    """

    def __init__(self, name: str, rules: Sequence[Rule], writer: Writer) -> None:
        self.top: list[str] = []
        self.lines: list[str] = []
        self.tables: list[Table] = []
        tables = lookups(rules)
        looked_up = {i for found in tables.values() for i in found}
        for i, rule in enumerate(rules):
            if i not in looked_up:
                self.lines += rule.lines(writer)
        for attribute, found in tables.items():
            by = f"_{name}_by_{attribute}"
            made = _TableWriter(by, [(i, rules[i], found[i]) for i in found], writer)
            self.top += made.top
            self.tables.append(Table(by.upper(), made.rows, chain=False))
            self.lines += [
                f"if {attribute} in {by.upper()}:",
                f"    for f in {by.upper()}[{attribute}]:",
                f"        f({', '.join(made.parameters)})",
            ]


class Chain:
    """Rules of which the first that holds gives `target` its value; else `otherwise` is done.

    `then` is done where one holds. `top`, `tables` and `lines` are as in a section; `values` are those of
    the rules, where they are looked up.
    """

    def __init__(
        self,
        name: str,
        target: str,
        rules: Iterable[Rule],
        writer: Writer,
        otherwise: Sequence[str] = (),
        then: Sequence[str] = (),
    ) -> None:
        self.top: list[str] = []
        self.lines: list[str] = []
        self.tables: list[Table] = []
        self.values: dict[str, tuple[object, ...]] = {}
        self._name = name
        self._target = target
        self._writer = writer
        self._then = then
        tried: list[Rule] = []
        for rule in rules:
            if rule.always:
                otherwise = [f"{line}  # {rule.place}" for line in self._given(repr(rule.constants[0]))]
                break
            tried.append(rule)
        if not tried:
            self.lines = list(otherwise)
        elif len(tried) <= LONGEST:
            self._written(tried, otherwise)
        else:
            self._looked_up(tried, otherwise)

    def _given(self, value: str) -> list[str]:
        return [f"{self._target} = {value}", *self._then]

    def _written(self, rules: Sequence[Rule], otherwise: Sequence[str]) -> None:
        """One `if … elif … else`."""
        for rule in rules:
            word = "elif" if self.lines else "if"
            self.lines.append(f"{word} {rule.test(self._writer)}:  # {rule.place}")
            self.lines += (f"    {line}" for line in self._given(repr(rule.constants[0])))
        if otherwise:
            self.lines += ["else:", *(f"    {line}" for line in otherwise)]

    def _looked_up(self, rules: Sequence[Rule], otherwise: Sequence[str]) -> None:
        """The least number of all that hold: of each table the first one, then of those that are in none."""
        none, tables = len(rules), lookups(rules)
        self.lines.append(f"found = {none}")
        for attribute, found in tables.items():
            self._table(attribute, attribute, [(i, rules[i], found[i]) for i in found])
        looked_up = {i for found in tables.values() for i in found}
        rest = [i for i in range(none) if i not in looked_up]
        if len(rest) > LONGEST:
            anything = frozenset(("",))
            self._table(
                "nothing", "''", [(i, rules[i], Lookup("", anything, rules[i].conjuncts)) for i in rest]
            )
        else:
            for at, i in enumerate(rest):
                word, test = "elif" if at else "if", rules[i].test(self._writer)
                self.lines += [f"{word} found > {i} and {test}:  # {rules[i].place}", f"    found = {i}"]
        values = f"_{self._name}_VALUES".upper()
        self.values[values] = tuple(rule.constants[0] for rule in rules)
        self.lines.append(f"if found < {none}:")
        self.lines += (f"    {line}" for line in self._given(f"{values}[found]"))
        if otherwise:
            self.lines += ["else:", *(f"    {line}" for line in otherwise)]

    def _table(self, by: str, value: str, rules: Sequence[tuple[int, Rule, Lookup]]) -> None:
        """The first of a table's rules that holds, if that comes before what is found already."""
        name = f"_{self._name}_by_{by}"
        made = _TableWriter(name, rules, self._writer)
        self.top += made.top
        self.tables.append(Table(name.upper(), made.rows, chain=True))
        self.lines += [
            f"for i, f in {name.upper()}.get({value}, ()):",
            "    if i >= found:",
            "        break",
            f"    if f is None or f({', '.join(made.parameters)}):",
            "        found = i",
            "        break",
        ]
