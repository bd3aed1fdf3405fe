"""Which rules a request met, in the policy's order, and what each part of their conditions came to.

The conditions are evaluated by the very expressions that the compiler writes, part by part, so that what is
told here is what decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from wnodes_engine.check.checked import UNLIMITED, And, Attr, Condition, Expr, InShare, Not, Or, Place, Route
from wnodes_engine.compile.expressions import DEFAULTS, PLAIN, Writer, attributes, local
from wnodes_engine.compile.plan import plan
from wnodes_engine.compile.quotas import scope_tests
from wnodes_engine.core import State
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.language.parser import words
from wnodes_engine.language.source import Span
from wnodes_engine.values import Request

_LEFT_OUT: Final = {
    name: UNLIMITED if value == "UNLIMITED" else int(value) for name, value in DEFAULTS.items()
}
"""What a request asks of each amount that it leaves out and meets no default."""

_HEAD_ENDS: Final = frozenset({"when", "unless", "otherwise", ":"})
_LONGEST: Final = 80


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a condition: its text, and whether it holds; None where it was not asked, or cannot be.

    A part without `parts` is a test; `values` are the attributes that it read, by name.
    """

    text: str
    expr: Expr
    holds: bool | None
    parts: tuple[Part, ...] = ()
    values: tuple[tuple[str, Any], ...] = ()

    def tests(self) -> Iterable[Part]:
        """The tests that it consists of, from left to right."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.tests()


@dataclass(frozen=True, slots=True)
class Tried:
    """One rule: `phase` says of what kind it is, `index` which of them, `head` what it says of itself.

    `asked` tells whether it had a turn (of some rules the first that holds counts), `open` whether its
    window is. `condition` is None where it has none.
    """

    phase: str
    index: int
    span: Span
    head: str
    asked: bool
    open: bool
    holds: bool
    condition: Part | None


@dataclass(frozen=True, slots=True)
class Trace:
    """All rules of a policy that a request can meet, in the order in which they are asked."""

    tried: tuple[Tried, ...]
    leaf: int | None
    values: Mapping[str, Any]


class Tracer:
    """Follows requests through one policy."""

    def __init__(self, policy: CompiledPolicy) -> None:
        self._policy = policy
        self._plan = plan(policy.checked)
        self._writer = Writer(self._plan.gauges)
        self._codes: dict[int, tuple[Expr, CodeType]] = {}
        self._globals: dict[str, Any] = {"re": re, "UNLIMITED": UNLIMITED, "__builtins__": {"len": len}}
        self._texts = {source.path: source.text for source in policy.checked.sources}
        self._heads: dict[Span, str] = {}
        checked = policy.checked
        self._scopes = [scope_tests(checked, quota) for quota in checked.quotas]
        """By quota: what a request has to meet to be counted, its condition aside."""

    def trace(self, state: State, request: Request) -> Trace:
        """What the request meets now; the state is only read."""
        checked = self._policy.checked
        run = _Run(self, state, request)
        for index, default in enumerate(checked.defaults):
            open_ = run.is_open(default.attribute)
            if run.meets("default", index, default.condition, default.span, asked=open_):
                run.fill(default.attribute, default.value)
        for index, assign in enumerate(checked.assigns):
            asked = run.leaf is None
            if run.meets("assign", index, assign.condition, assign.span, asked=asked):
                run.assign(assign.share)
        if run.leaf is not None:
            self._after_assign(run)
        return Trace(tuple(run.tried), run.leaf, run.env)

    def _after_assign(self, run: _Run) -> None:
        checked = self._policy.checked
        for index, cap in enumerate(checked.caps):
            run.meets("cap", index, cap.condition, cap.span)
        for index, deny in enumerate(checked.denies):
            run.meets("deny", index, deny.condition, deny.span)
        based = False
        for index, priority in enumerate(checked.priorities):
            asked = not (priority.is_base and based)
            holds = run.meets("priority", index, priority.condition, priority.span, asked=asked)
            based |= holds and priority.is_base
        for index, rule in enumerate(checked.node_rules):
            run.meets("nodes", index, rule.condition, rule.span)
        for phase, rules in (("place", checked.places), ("route", checked.routes)):
            self._first_of(run, phase, rules)
        for index, quota in enumerate(checked.quotas):
            counts = all(self.value(test, run.env) for test in self._scopes[index])
            run.meets("quota", index, quota.condition, quota.span, asked=counts)

    @staticmethod
    def _first_of(run: _Run, phase: str, rules: Sequence[Place | Route]) -> None:
        found = False
        for index, rule in enumerate(rules):
            asked = not found and run.request.kind in rule.kinds
            found |= run.meets(phase, index, rule.condition, rule.span, asked=asked)

    # ------------------------------------------------------------- what is asked

    def value(self, expr: Expr, env: dict[str, Any]) -> Any:
        """What the expression comes to."""
        known = self._codes.get(id(expr))
        if known is None:
            text = self._writer.write(expr)
            for name, source in self._writer.constants.items():
                if name not in self._globals:
                    self._globals[name] = eval(source, {"re": re})  # noqa: S307 - our own text
            known = self._codes[id(expr)] = (expr, compile(text, "<condition>", "eval"))
        return eval(known[1], self._globals, env)  # noqa: S307 - our own text, from a checked policy

    def text(self, span: Span) -> str:
        """What is written there, on one line."""
        return " ".join(self._texts[span.path][span.start : span.end].split())

    def head(self, span: Span) -> str:
        """A statement up to its condition, on one line."""
        if (known := self._heads.get(span)) is None:
            text = self._texts[span.path][span.start : span.end]
            end = next((word.start_pos for word in words(text) if word.value in _HEAD_ENDS), len(text))
            known = " ".join(text[:end].split())
            if len(known) > _LONGEST:
                known = f"{known[: _LONGEST - 1]}…"
            self._heads[span] = known
        return known

    def part(self, expr: Expr, env: dict[str, Any], *, asked: bool = True) -> Part:
        """The parts of a condition, each with what it came to; parts that were not asked are None."""
        match expr:
            case Not(operand):
                inner = self.part(operand, env, asked=asked)
                # What `unless` says has no word `not` of its own.
                text = self.text(expr.span) if expr.span != operand.span else f"not ({inner.text})"
                return Part(text, expr, _negated(inner.holds), (inner,))
            case And(operands) | Or(operands):
                stops = isinstance(expr, Or)
                parts: list[Part] = []
                for operand in operands:
                    parts.append(self.part(operand, env, asked=asked))
                    asked = asked and parts[-1].holds is not stops
                holds = _joined([part.holds for part in parts], stops)
                return Part(self.text(expr.span), expr, holds, tuple(parts))
            case _:
                values = tuple(self._read(expr, env)) if asked else ()
                return Part(
                    self.text(expr.span), expr, bool(self.value(expr, env)) if asked else None, (), values
                )

    def _read(self, test: Expr, env: dict[str, Any]) -> Iterable[tuple[str, Any]]:
        """The attributes that a test reads, each once, with their values."""
        if isinstance(test, InShare):
            yield "share", env["leaf"]
        for attr in {attr.name: attr for attr in attributes(test) if isinstance(attr, Attr)}.values():
            yield attr.name, self.value(attr, env)


class _Run:
    """One request on its way through the rules; `env` are the variables that conditions read."""

    def __init__(self, tracer: Tracer, state: State, request: Request) -> None:
        self.request = request
        self.tried: list[Tried] = []
        self.leaf: int | None = None
        self._tracer = tracer
        self._state = state
        asked = {name: getattr(request, name) for name in DEFAULTS}
        amounts = {name: _LEFT_OUT[name] if value is None else value for name, value in asked.items()}
        self._left_out = {name for name, value in asked.items() if value is None}
        site = {
            local(attr.name): request.attributes.get(attr.name, attr.default)
            for attr in state.policy.checked.attributes
        }
        self.env: dict[str, Any] = {
            "r": request, "s": state, **{name: getattr(request, name) for name in PLAIN}, **amounts, **site,
        }  # fmt: skip
        self._at_least()

    def is_open(self, attribute: str) -> bool:
        """Whether a default may still fill the attribute in."""
        if attribute in DEFAULTS:
            return attribute in self._left_out
        return self.env[attribute] is None

    def fill(self, attribute: str, value: Any) -> None:
        """A default has filled the attribute in."""
        self._left_out.discard(attribute)
        self.env[attribute] = value
        self._at_least()

    def _at_least(self) -> None:
        count, asked = self.env["count"], self.request.at_least
        self.env["at_least"] = count if asked is None or asked > count else asked

    def assign(self, leaf: int) -> None:
        """The request belongs to that share."""
        self.leaf = self.env["leaf"] = leaf

    def meets(self, phase: str, index: int, condition: Condition, span: Span, *, asked: bool = True) -> bool:
        """Whether the rule holds for the request; noted in any case."""
        open_ = condition.window is None or bool(self._state.time.open >> condition.window & 1)
        has_turn = asked and (open_ or phase == "quota")  # a quota counts in its window or not
        part = None
        if condition.expr is not None:
            part = self._tracer.part(condition.expr, self.env, asked=has_turn)
        holds = has_turn and (part is None or bool(part.holds))
        self.tried.append(Tried(phase, index, span, self._tracer.head(span), asked, open_, holds, part))
        return holds


def tests_of(expr: Expr) -> Iterable[Expr]:
    """The tests that a condition consists of, from left to right."""
    match expr:
        case Not(operand):
            yield from tests_of(operand)
        case And(operands) | Or(operands):
            for operand in operands:
                yield from tests_of(operand)
        case _:
            yield expr


def _negated(holds: bool | None) -> bool | None:
    return None if holds is None else not holds


def _joined(holds: Sequence[bool | None], any_: bool) -> bool | None:
    """What `and`, or with `any_` `or`, makes of its operands, of which those not asked are None."""
    if any_ in holds:
        return any_
    return None if None in holds else not any_
