"""Which requests an expression holds for: a request that makes it hold, or the proof that there is none.

The expression is evaluated on a request of which little is known; where an attribute is missing for the
answer, the search branches over the values of it that could make a difference: those that the expression
compares it with, and one beside. What compares attributes with each other is taken as free to hold or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.arithmetic import compare
from wnodes_engine.check.literals import show
from wnodes_engine.check.report import an
from wnodes_engine.language.vocabulary import ATTRIBUTES, MEMBERS, Type

PATIENCE: Final = 400_000
"""How many nodes of expressions one search may look at before it gives up."""

_DEEPEST: Final = 100

Value = str | int | bool
Key = tuple[object, ...]
Known = dict[Key, Value]

LEAST: Final = {"cores": 1, "count": 1, "at_least": 1, "walltime": 1}
"""What a request cannot ask less of; of all else it may ask 0."""
BELOW_ZERO: Final = frozenset({"priority", "victim.priority"})
"""What may be less than that; so may what a site declares."""

_NUMBERS: Final = frozenset({Type.NUMBER, Type.DURATION, Type.SIZE})
_GUARDED: Final = {a.guard: a.kinds for a in ATTRIBUTES.values() if a.guard}
_FLIPPED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
_KIND: Final[Key] = ("value", "kind")
_ORIGIN: Final[Key] = ("value", "origin")


class TooMuch(Exception):  # noqa: N818 - a limit, not a mistake
    """The search was given up: nothing is known."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The answer depends on this: the key of a value, and what it may be."""

    key: Key
    choices: tuple[Value, ...]


class Search:
    """Looks for a request; `leaves` are the shares that one may be assigned to."""

    def __init__(self, leaves: Iterable[int] = ()) -> None:
        self._leaves = tuple(leaves)
        self._left = 0
        self._guessing = False
        self._choices: dict[Key, tuple[Value, ...]] = {}
        self._opaques: dict[int, Key] = {}  # by the identity of the goal's own nodes

    def find(self, goal: checked.Expr, patience: int = PATIENCE) -> Known | None:
        """What is to be known of a request for `goal` to hold; None if it never does. Raises TooMuch."""
        self._left = patience
        self._choices = self._interesting(goal)
        self._opaques = {}
        return self._guess(goal) or self._search(goal, {})

    @property
    def left(self) -> int:
        """What the last search did not use of its patience."""
        return max(0, self._left)

    def _guess(self, goal: checked.Expr) -> Known | None:
        """The plainest requests first, one of each kind and origin: long lists rarely leave out others."""
        self._guessing = True
        try:
            kinds, origins = self._choices.get(_KIND, ("job",)), self._choices.get(_ORIGIN, ("local",))
            for kind, origin in product(kinds, origins):
                known: Known = {_KIND: kind, _ORIGIN: origin}
                if self._holds(goal, known) is True:
                    return known
        finally:
            self._guessing = False
        return None

    def _search(self, goal: checked.Expr, known: Known) -> Known | None:
        answer = self._holds(goal, known)
        if answer is True:
            return known
        if isinstance(answer, Unknown):
            if len(known) >= _DEEPEST:
                raise TooMuch
            for choice in answer.choices:
                found = self._search(goal, {**known, answer.key: choice})
                if found is not None:
                    return found
        return None

    # ------------------------------------------------------------ evaluation

    def _holds(self, expr: checked.Expr, known: Known) -> bool | Unknown:
        self._left -= 1
        if self._left < 0:
            raise TooMuch
        match expr:
            case checked.Const():
                return bool(expr.value)
            case checked.Not():
                answer = self._holds(expr.operand, known)
                return answer if isinstance(answer, Unknown) else not answer
            case checked.And() | checked.Or():
                return self._junction(expr, known)
            case checked.Has():
                return self._has(expr, known)
            case checked.InShare():
                leaf = self._value(("value", "share"), known)
                return leaf if isinstance(leaf, Unknown) else leaf in expr.leaves
            case checked.Attr():
                value = self._value(("value", expr.name), known)
                return value if isinstance(value, Unknown) else bool(value)
            case checked.Member(left=checked.Const(value=str() as element), right=checked.Attr(name=name)):
                return self._truth(("member", name, element), known)
            case checked.Member(
                left=checked.Attr(name=name), right=checked.Const(value=frozenset() as among)
            ):
                value = self._value(("value", name), known)
                return value if isinstance(value, Unknown) else value in among
            case checked.Match(left=checked.Attr(name=name)):
                value = self._value(("value", name), known)
                return value if isinstance(value, Unknown) else _matches(expr, str(value))
            case checked.Compare() if (told := plain(expr)) is not None:
                op, name, constant = told
                value = self._value(("value", name), known)
                return value if isinstance(value, Unknown) else compare(op, value, constant)
            case _:
                return self._truth(self._opaque(expr), known)

    def _junction(self, expr: checked.And | checked.Or, known: Known) -> bool | Unknown:
        """One operand can decide, though others before it are not known."""
        decides = isinstance(expr, checked.Or)
        open_: Unknown | None = None
        for operand in expr.operands:
            answer = self._holds(operand, known)
            if answer is decides:
                return decides
            if isinstance(answer, Unknown) and open_ is None:
                open_ = answer
        return open_ if open_ is not None else not decides

    def _has(self, expr: checked.Has, known: Known) -> bool | Unknown:
        if kinds := _GUARDED.get(expr.name):
            kind = self._value(_KIND, known)
            if isinstance(kind, Unknown) or kind in kinds:
                return kind if isinstance(kind, Unknown) else True
        return self._truth(("has", expr.name), known)

    def _value(self, key: Key, known: Known) -> Value | Unknown:
        value = known.get(key)
        if value is not None:
            return value
        choices = self._choices.get(key, (False, True))
        if not self._guessing:
            return Unknown(key, choices)
        return known.setdefault(key, choices[0])

    def _truth(self, key: Key, known: Known) -> bool | Unknown:
        value = self._value(key, known)
        return value if isinstance(value, Unknown) else bool(value)

    def _opaque(self, expr: checked.Expr) -> Key:
        key = self._opaques.get(id(expr))
        if key is None:
            key = self._opaques[id(expr)] = ("opaque", str(shape(expr)))
        return key

    # ---------------------------------------------------------------- choices

    def _interesting(self, goal: checked.Expr) -> dict[Key, tuple[Value, ...]]:
        """For each attribute the values that can make a difference."""
        constants: dict[str, set[Value]] = {}
        types: dict[str, Type] = {}
        of_site: set[str] = set()
        for expr in walk(goal):
            match expr:
                case checked.Attr():
                    types[expr.name] = expr.type
                    if expr.site:
                        of_site.add(expr.name)
                case checked.Has():
                    types["kind"] = Type.KIND
                case checked.InShare():
                    types["share"] = Type.SHARE
                case checked.Compare() if (told := plain(expr)) is not None:
                    constants.setdefault(told[1], set()).add(told[2])
                case checked.Member(
                    left=checked.Attr(name=name), right=checked.Const(value=frozenset() as among)
                ):
                    constants.setdefault(name, set()).update(among)
                case checked.Match(left=checked.Attr(name=name)):
                    constants.setdefault(name, set()).add(_example(expr))
                case _:
                    pass
        return {
            ("value", name): self._values(name, type_, constants.get(name, set()), name in of_site)
            for name, type_ in types.items()
        }

    def _values(self, name: str, type_: Type, constants: set[Value], of_site: bool) -> tuple[Value, ...]:
        if type_ in MEMBERS:
            return MEMBERS[type_]
        if type_ is Type.TRUTH:
            return (True, False)
        if type_ is Type.SHARE:
            return self._leaves
        if type_ in _NUMBERS:
            least = LEAST.get(name, 0)
            near = {int(constant) + step for constant in constants for step in (-1, 0, 1)}
            most = 23 if name == "time.hour" else checked.UNLIMITED
            below_zero = of_site or name in BELOW_ZERO
            return tuple(sorted(value for value in near | {least} if below_zero or least <= value <= most))
        texts = sorted(str(constant) for constant in constants)
        other = "other"
        while other in constants:
            other += "s"
        return (other, *texts)


def walk(expr: checked.Expr) -> Iterator[checked.Expr]:
    """An expression and everything inside it."""
    yield expr
    match expr:
        case checked.Not():
            yield from walk(expr.operand)
        case checked.And() | checked.Or():
            for operand in expr.operands:
                yield from walk(operand)
        case checked.Compare() | checked.Member() | checked.Arithmetic():
            yield from walk(expr.left)
            yield from walk(expr.right)
        case checked.Match():
            yield from walk(expr.left)
        case _:
            pass


def shape(expr: checked.Expr) -> Key:
    """What an expression says, wherever it stands."""
    match expr:
        case checked.Const():
            return ("const", expr.value)
        case checked.Attr() | checked.Has():
            return (type(expr).__name__, expr.name)
        case checked.Not():
            return ("not", shape(expr.operand))
        case checked.And() | checked.Or():
            return (type(expr).__name__, *map(shape, expr.operands))
        case checked.Compare() | checked.Arithmetic():
            return (expr.op, shape(expr.left), shape(expr.right))
        case checked.Member():
            return ("in", shape(expr.left), shape(expr.right))
        case checked.InShare():
            return ("in share", expr.share)
        case checked.Match():
            return (expr.op, shape(expr.left), expr.pattern)


def describe(known: Known, shares: Iterable[str] = ()) -> str:
    """The request that was found, as an admin would say it."""
    paths = list(shares)
    told: list[str] = []
    for key, value in sorted(known.items(), key=_in_reading_order):
        match key:
            case ("value", "share"):
                told.append(f"share {paths[int(value)]}")
            case ("value", str() as name):
                attribute = ATTRIBUTES.get(name)
                type_ = attribute.type if attribute else Type.STRING
                if type_ is Type.TRUTH or isinstance(value, bool):
                    told.append(name if value else f"not {name}")
                elif type_ is Type.STRING and str(value).startswith("other"):
                    told.append(f"some other {name}")
                else:
                    told.append(f"{name} {show(value, type_)}")
            case ("member", str() as name, str() as element) if value:
                told.append(f'"{element}" in {name}')
            case ("has", str() as name):
                told.append(an(name) if value else f"no {name}")
            case _:
                pass
    return ", ".join(told[:8]) or "any request"


def _in_reading_order(item: tuple[Key, Value]) -> tuple[int, str]:
    first = ("kind", "origin", "user", "group", "project")
    name = str(item[0][1])
    return (first.index(name) if name in first else len(first), name)


def plain(expr: checked.Compare) -> tuple[str, str, Value] | None:
    """The operator, attribute and constant of a comparison of these two, the attribute first."""
    match expr.left, expr.right:
        case checked.Attr(name=name), checked.Const(value=str() | int() as constant):
            return expr.op, name, constant
        case checked.Const(value=str() | int() as constant), checked.Attr(name=name):
            return _FLIPPED[expr.op], name, constant
        case _:
            return None


def _matches(expr: checked.Match, value: str) -> bool:
    if expr.op == "startswith":
        return value.startswith(expr.pattern)
    from fnmatch import fnmatchcase

    return fnmatchcase(value, expr.pattern.replace("[", "[[]"))


def _example(expr: checked.Match) -> str:
    return expr.pattern if expr.op == "startswith" else expr.pattern.replace("*", "").replace("?", "x")
