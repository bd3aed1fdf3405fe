"""Writes the specialised module: one function `admit` that has the whole of a policy's rules in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from wnodes_engine.check.checked import (
    Attr,
    CheckedPolicy,
    Compare,
    Condition,
    Const,
    Expr,
    Member,
    Place,
    Route,
)
from wnodes_engine.compile.expressions import DEFAULTS, PLAIN, Writer, local, variables
from wnodes_engine.compile.plan import Plan, conjuncts, expressions
from wnodes_engine.compile.quotas import gauge_lines, quota_rule
from wnodes_engine.compile.room import asked_later, at_the_door, functions
from wnodes_engine.compile.routes import Routes, routes
from wnodes_engine.compile.sections import Chain, Rule, Section
from wnodes_engine.compile.tables import Table
from wnodes_engine.core.meters import MeterSpec
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import MEMBERS, Type

_AT_LEAST: Final = "at_least = count if r.at_least is None or r.at_least > count else r.at_least"

_ALWAYS: Final = frozenset({"project", "queue", "account"})
"""Attributes that every claim has."""


class ModuleWriter:
    """Writes one policy's module; `source()` is its text, and has to be asked before the rest."""

    def __init__(self, policy: CheckedPolicy, plan: Plan) -> None:
        self.policy = policy
        self.plan = plan
        self.writer = Writer(plan.gauges)
        self.values: dict[str, tuple[object, ...]] = {}
        """Constants of the module that are not in its text."""
        self.tables: list[Table] = []
        """Its tables, of which the same is true."""
        self.rules: list[tuple[str, tuple[Rule, ...]]] = []
        """All rules by the name of their section or chain."""
        self.routes = Routes([], [])
        self._top: list[str] = []

    def source(self) -> str:
        """The module's text."""
        body = [
            *self._defaults(),
            *self._assign(),
            *self._limits_on_asking(),
            *self._priority(),
            *self._nodes(),
            *self._route(),
            *self._quotas(),
            *at_the_door(self.policy, self.writer),
            *self._claim(),
        ]
        self.routes = routes(self.policy)
        room = functions(self.policy, self.writer)
        bounds = [self._bound(spec) for spec in self.plan.meters]
        lines = [
            f'"""Policy {self.policy.name}, compiled. Generated: edit the policy instead."""',
            "",
            "import re",
            "",
            "from wnodes_engine.check.checked import UNLIMITED",
            "from wnodes_engine.core.claim import Claim",
            "from wnodes_engine.core.claim import Part",
            "from wnodes_engine.core.tree import INFINITE",
            "from wnodes_engine.values import Route",
            "",
            f"DIGEST = {self.policy.digest!r}",
            *(f"{name} = {source}" for name, source in self.writer.constants.items()),
            *self._top,
            *self.routes.top,
            *room,
            "",
            "def bounds(s):",
            '    """The limit of every meter, for the farm as it is."""',
            f"    return [{', '.join(bounds)}]",
            "",
            "def admit(r, s):",
            '    """The claim of a request, and which rules refuse it."""',
            *(f"    {line}" for line in (*self._prologue(), *body)),
            "",
        ]
        return "\n".join(lines)

    # ------------------------------------------------------------- what it reads

    def _names_read(self) -> set[str]:
        policy, names = self.policy, set(_ALWAYS)
        for expr in (*expressions(policy), *asked_later(policy)):
            names.update(variables(expr))
        names |= {"roles" if quota.key == "role" else quota.key for quota in policy.quotas}
        names |= {scope for scope, _ in self.plan.gauges}
        names |= {key.of or "" for order in policy.orders.values() for key in order.keys}
        of_kinds = (*(place.kinds for place in policy.places), *(route.kinds for route in policy.routes))
        by_kind = any(map(_some, of_kinds))
        return (names | {"kind"} if by_kind or self._counts_machines() else names) & PLAIN

    def _prologue(self) -> list[str]:
        lines = [f"{name} = r.{name}" for name in sorted(self._names_read())]
        for name, default in DEFAULTS.items():
            lines += [f"{name} = r.{name}", f"if {name} is None:", f"    {name} = {default}"]
        lines.append(_AT_LEAST)
        for site in self.policy.attributes:
            if site.name in self.plan.site_attributes:
                lines.append(f"{local(site.name)} = r.attributes.get({site.name!r}, {site.default!r})")
        return lines

    def _section(self, name: str, rules: Sequence[Rule]) -> Section:
        section = Section(name, rules, self.writer)
        self.rules.append((name, tuple(rules)))
        self._top += section.top
        self.tables += section.tables
        return section

    def _chain(
        self,
        name: str,
        target: str,
        rules: Iterable[Rule],
        otherwise: Sequence[str] = (),
        then: Sequence[str] = (),
    ) -> list[str]:
        self.rules.append((name, tuple(rules)))
        chain = Chain(name, target, self.rules[-1][1], self.writer, otherwise, then)
        self._top += chain.top
        self.tables += chain.tables
        self.values |= chain.values
        return chain.lines

    # ------------------------------------------------------------------ the rules

    def _defaults(self) -> list[str]:
        """One chain for each run of defaults of the same attribute: later ones see what it filled in."""
        runs = [list(run) for _, run in groupby(self.policy.defaults, key=lambda d: d.attribute)]
        times = Counter(run[0].attribute for run in runs)
        several = sorted(name for name in times if times[name] > 1)
        # Amounts have the engine's own default by now: what was left out is read off the request.
        lines = [f"open_{name} = r.{name} is None" for name in several]
        for i, run in enumerate(runs):
            name = run[0].attribute
            rules = [_choice(d.condition, d.span, d.value) for d in run]
            then = [_AT_LEAST] if name == "count" else []
            then += [f"open_{name} = False"] if name in several else []
            lines.append(f"if open_{name}:" if name in several else f"if r.{name} is None:")
            lines += (f"    {line}" for line in self._chain(f"default_{i}", name, rules, then=then))
        return lines

    def _assign(self) -> list[str]:
        rules = [_choice(rule.condition, rule.span, rule.share) for rule in self.policy.assigns]
        return self._chain("assign", "leaf", rules, ["return None, [(0, 0, 0)]"])

    def _limits_on_asking(self) -> list[str]:
        caps = []
        for i, cap in enumerate(self.policy.caps):
            asked = Attr(cap.attribute, Type.NUMBER, False, cap.span)
            over = Compare(">", asked, Const(cap.value, Type.NUMBER, cap.span), cap.span)
            note = f"refusals.append((1, {{0}}, {cap.attribute}))"
            reads = frozenset(("refusals", cap.attribute))
            caps.append(_rule(cap.condition, cap.span, note, (i,), reads, over))
        note, reads = "refusals.append((2, {0}, 0))", frozenset(("refusals",))
        denies = [
            _rule(rule.condition, rule.span, note, (i,), reads) for i, rule in enumerate(self.policy.denies)
        ]
        return [
            "refusals = []",
            *self._section("cap", caps).lines,
            *self._section("deny", denies).lines,
        ]

    def _priority(self) -> list[str]:
        bases = [_choice(p.condition, p.span, p.amount) for p in self.policy.priorities if p.is_base]
        reads = frozenset(("gains",))
        adds = [
            _rule(p.condition, p.span, "gains.append({0})", ((p.amount, p.per or 0),), reads)
            for p in self.policy.priorities
            if not p.is_base
        ]
        lines = self._chain("base", "base", bases, ["base = 0"])
        if not adds:
            return [*lines, "rates = ()"]
        return [
            *lines,
            "gains = []",
            *self._section("priority", adds).lines,
            "rates = ()",
            "if gains:",
            "    base += sum(amount for amount, per in gains if not per)",
            "    rates = tuple(gain for gain in gains if gain[1])",
        ]

    def _nodes(self) -> list[str]:
        rules = [
            _rule(rule.condition, rule.span, "met.append({0})", (1 << i,), frozenset(("met",)))
            for i, rule in enumerate(self.policy.node_rules)
        ]
        lines = ["rules = 0"]
        if rules:
            lines += ["met = []", *self._section("nodes", rules).lines, "if met:", "    rules = sum(met)"]
        places = [
            _of_kinds(place, (place.spread, i if place.groups else -1))
            for i, place in enumerate(self.policy.places)
        ]
        return [*lines, *self._chain("place", "spread, over", places, ["spread, over = False, -1"])]

    def _route(self) -> list[str]:
        ways = [_of_kinds(route, i) for i, route in enumerate(self.policy.routes)]
        return self._chain("route", "route", ways, ["route = -1", "refusals.append((3, 0, 0))"])

    # ------------------------------------------------------------------ the quotas

    def _counts_machines(self) -> bool:
        return any(spec.resource == "machines" for spec in self.plan.meters)

    def _quotas(self) -> list[str]:
        rules = [
            quota_rule(self.policy, quota, self.plan.by_quota[i], _at(quota.span))
            for i, quota in enumerate(self.policy.quotas)
        ]
        section = self._section("quota", rules)
        notes = [*section.lines, *gauge_lines(self.plan.gauges)]
        lines = ["all_cores = cores * at_least", "all_memory = memory * at_least"]
        if self._counts_machines():
            lines.append("machines = 0 if kind == 'job' else at_least")
        used = {name: any(name in rule.reads for rule in rules) for name in "mwhp"}
        used["m"] |= any(resource != "waiting" for _, resource in self.plan.gauges)
        used["w"] |= any(resource == "waiting" for _, resource in self.plan.gauges)
        lines += [f"{name} = {'[]' if needed else '()'}" for name, needed in used.items()]
        lines += notes
        for name, needed in used.items():
            if needed:
                # What is looked up takes its turn by table: reasons are given in the policy's order.
                made = f"sorted({name})" if section.tables else name
                lines.append(f"{name} = tuple({made})")
        return lines

    def _bound(self, spec: MeterSpec) -> str:
        return "INFINITE" if spec.bound is None else self.writer.write(spec.bound)

    # ------------------------------------------------------------------- the claim

    def _claim(self) -> list[str]:
        by_names: dict[tuple[str, ...], list[int]] = {}
        for leaf, order in self.policy.orders.items():
            names = tuple(key.of or "" for key in order.keys if key.key == "fairshare")
            by_names.setdefault(names, []).append(leaf)
        # At most one way for each sequence of fairshare keys: few enough to nest.
        lines: list[str] = []
        for i, (names, leaves) in enumerate(by_names.items(), start=1):
            test = f"leaf in {self.writer.constant(f'frozenset({leaves!r})')}"
            word = "elif" if lines else "if"
            values = "".join(
                f"{name}, " if name in ("user", "group") else f"{name} or '', " for name in names
            )
            if i < len(by_names):
                lines += [f"{word} {test}:", f"    accounts = ({values})"]
            else:
                lines += ["else:", f"    accounts = ({values})"] if lines else [f"accounts = ({values})"]
        return [
            *lines,
            "asks = ((0, all_cores), (1, all_memory)) if memory else ((0, all_cores),)",
            "if gpus:",
            "    asks += ((2, gpus * at_least),)",
            "if disk:",
            "    asks += ((3, disk * at_least),)",
            "claim = Claim(",
            "    leaf, Part(cores, memory, gpus, disk), at_least, at_least, count, volumes, walltime, asks,",
            "    m, w, h, p, rules, spread, over, base, rates, accounts, project, queue, account, route,",
            f"    {'takes, reads' if self.policy.preempts else '0, ()'},",
            ")",
            "return claim, refusals or None",
        ]


def _rule(
    condition: Condition,
    span: Span,
    body: str,
    constants: tuple[object, ...],
    reads: frozenset[str],
    *first: Expr,
) -> Rule:
    """A rule of a section; `first` is asked before its condition."""
    tests = (*first, *conjuncts(condition.expr))
    return Rule(_at(span), condition.window, tests, (body,), constants, reads)


def _choice(condition: Condition, span: Span, value: object, *first: Expr) -> Rule:
    """A rule of a chain that gives this value."""
    return Rule(_at(span), condition.window, (*first, *conjuncts(condition.expr)), (), (value,))


def _of_kinds(rule: Place | Route, value: object) -> Rule:
    """A rule of a chain that speaks of some kinds."""
    if not _some(rule.kinds):
        return _choice(rule.condition, rule.span, value)
    kind = Attr("kind", Type.KIND, False, rule.span)
    some = Const(frozenset(rule.kinds), Type.KINDS, rule.span)
    return _choice(rule.condition, rule.span, value, Member(kind, some, rule.span))


def _some(kinds: Iterable[str]) -> bool:
    """Whether these are some kinds only, and not all."""
    return not set(MEMBERS[Type.KIND]).issubset(kinds)


def _at(span: Span) -> str:
    """Where a rule stands, as a comment that stays on its line."""
    path = span.path.encode("ascii", "backslashreplace").decode()
    return f"{path}:{span.line}".replace("\n", " ").replace("\r", " ")
