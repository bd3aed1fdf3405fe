"""Writes the specialised module: one function `admit` that has the whole of a policy's rules in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from wnodes_engine.check.checked import CheckedPolicy, Condition, InShare, Quota
from wnodes_engine.compile.expressions import DEFAULTS, PLAIN, Writer, attributes, local
from wnodes_engine.compile.plan import Lookup, Plan, expressions, lookup
from wnodes_engine.compile.room import asked_later, at_the_door, functions
from wnodes_engine.compile.routes import routes
from wnodes_engine.compile.sections import Rule, Section
from wnodes_engine.core.meters import MeterSpec
from wnodes_engine.language.source import Span

_AMOUNTS = {
    "cores": "cores * at_least",
    "memory": "memory * at_least",
    "gpus": "gpus * at_least",
    "disk": "disk * at_least",
    "volumes": "volumes * at_least",
    "machines": "machines",
    "running": "1",
}
_PER_PART = {"cores": "cores", "memory": "memory", "gpus": "gpus", "disk": "disk", "volumes": "volumes",
             "machines": "(machines > 0)", "hs23": "cores"}  # fmt: skip
_AT_LEAST = "at_least = count if r.at_least is None or r.at_least > count else r.at_least"
_ALWAYS = frozenset({"kind", "project", "queue", "account"})


class ModuleWriter:
    """Writes one policy's module; `source()` is its text."""

    def __init__(self, policy: CheckedPolicy, plan: Plan) -> None:
        self.policy = policy
        self.plan = plan
        self.writer = Writer(plan.gauges)
        self._read = self._names_read()
        self._parameters = ", ".join(
            ["r", "s", "out", "leaf", "cores", "memory", "gpus", "disk", "volumes", "count", "at_least",
             "walltime",
             *sorted(self._read), *map(local, plan.site_attributes)]
        )  # fmt: skip
        self._top: list[str] = []

    def source(self) -> str:
        """The module's text."""
        body = [
            *self._prologue(),
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
        ways = [*routes(self.policy), *functions(self.policy, self.writer)]
        bounds = [self._bound(spec) for spec in self.plan.meters]
        lines = [
            f'"""Policy {self.policy.name}, compiled. Generated: edit the policy instead."""',
            "",
            "import re",
            "",
            "from wnodes_engine.check.checked import UNLIMITED",
            "from wnodes_engine.core.claim import Claim",
            "from wnodes_engine.core.farm import Part",
            "from wnodes_engine.core.tree import INFINITE",
            "from wnodes_engine.values import Route",
            "",
            f"DIGEST = {self.policy.digest!r}",
            *(f"{name} = {source}" for name, source in self.writer.constants.items()),
            *self._top,
            *ways,
            "",
            "def bounds(s):",
            '    """The limit of every meter, for the farm as it is."""',
            f"    return [{', '.join(bounds)}]",
            "",
            "def admit(r, s):",
            '    """The claim of a request, and which rules refuse it."""',
            *(f"    {line}" for line in body),
            "",
        ]
        return "\n".join(lines)

    # ------------------------------------------------------------- what it reads

    def _names_read(self) -> set[str]:
        names = set(_ALWAYS)
        for expr in (*expressions(self.policy), *asked_later(self.policy)):
            names |= {attr.name.partition(".")[0] for attr in attributes(expr) if not attr.site}
        names |= {quota.key for quota in self.policy.quotas}
        names |= {"roles"} if "role" in names else set()
        names |= {scope for scope, _ in self.plan.gauges}
        names |= {key.of or "" for order in self.policy.orders.values() for key in order.keys}
        return names & PLAIN

    def _prologue(self) -> list[str]:
        lines = [f"{name} = r.{name}" for name in sorted(self._read)]
        for name, default in DEFAULTS.items():
            lines += [f"{name} = r.{name}", f"if {name} is None:", f"    {name} = {default}"]
        lines.append(_AT_LEAST)
        for site in self.policy.attributes:
            if site.name in self.plan.site_attributes:
                lines.append(f"{local(site.name)} = r.attributes.get({site.name!r}, {site.default!r})")
        return lines

    def _condition(self, condition: Condition) -> str | None:
        """The condition as source, with the window that it stands in; None where it always holds."""
        tests = []
        if condition.window is not None:
            tests.append(f"s.time.open >> {condition.window} & 1")
        if condition.expr is not None:
            tests.append(self.writer.write(condition.expr))
        return " and ".join(tests) if tests else None

    def _rule(self, condition: Condition, span: Span, body: Sequence[str]) -> Rule:
        return Rule(_at(span), lookup(condition.expr), self._condition(condition), tuple(body))

    def _section(self, name: str, rules: Sequence[Rule]) -> list[str]:
        section = Section(name, rules, self._parameters)
        self._top += section.top
        return section.lines

    def _first(self, rules: Iterable[tuple[Condition, Span, str]], otherwise: Sequence[str]) -> list[str]:
        """A chain of which the first that holds is done, or else `otherwise`."""
        lines: list[str] = []
        for condition, span, body in rules:
            test = self._condition(condition)
            if test is None:
                return (
                    [*lines, "else:", f"    {body}  # {_at(span)}"] if lines else [f"{body}  # {_at(span)}"]
                )
            lines += [f"{'elif' if lines else 'if'} {test}:  # {_at(span)}", f"    {body}"]
        if not lines:
            return list(otherwise)
        return [*lines, "else:", *(f"    {line}" for line in otherwise)] if otherwise else lines

    # ------------------------------------------------------------------ the rules

    def _defaults(self) -> list[str]:
        several = {
            name for name, times in Counter(d.attribute for d in self.policy.defaults).items() if times > 1
        }
        lines = [f"open_{name} = r.{name} is None" for name in sorted(several)]
        for default in self.policy.defaults:
            name = default.attribute
            # Amounts have the engine's own default by now: what was left out is read off the request.
            test = self._condition(default.condition)
            missing = f"open_{name}" if name in several else f"r.{name} is None"
            lines += [f"if {missing}{f' and {test}' if test else ''}:  # {_at(default.span)}"]
            lines += [f"    {name} = {default.value!r}"]
            lines += [f"    {_AT_LEAST}"] if name == "count" else []
            lines += [f"    open_{name} = False"] if name in several else []
        return lines

    def _assign(self) -> list[str]:
        chain = [(rule.condition, rule.span, f"leaf = {rule.share}") for rule in self.policy.assigns]
        return self._first(chain, ["return None, [(0, 0, 0)]"])

    def _limits_on_asking(self) -> list[str]:
        caps = []
        for i, cap in enumerate(self.policy.caps):
            condition = self._condition(cap.condition)
            over = f"{cap.attribute} > {cap.value}"
            test = f"{over} and {condition}" if condition else over
            body = (f"out.append((1, {i}, {cap.attribute}))",)
            caps.append(Rule(_at(cap.span), lookup(cap.condition.expr), test, body))
        denies = [
            self._rule(rule.condition, rule.span, [f"out.append((2, {i}, 0))"])
            for i, rule in enumerate(self.policy.denies)
        ]
        return ["out = refusals = []", *self._section("cap", caps), *self._section("deny", denies)]

    def _priority(self) -> list[str]:
        bases = [(p.condition, p.span, f"base = {p.amount}") for p in self.policy.priorities if p.is_base]
        adds = []
        for priority in self.policy.priorities:
            if not priority.is_base:
                what = f"({priority.amount}, {priority.per or 0})"
                adds.append(self._rule(priority.condition, priority.span, [f"out.append({what})"]))
        lines = self._first(bases, ["base = 0"])
        if not adds:
            return [*lines, "rates = ()"]
        return [
            *lines,
            "out = []",
            *self._section("priority", adds),
            "rates = ()",
            "if out:",
            "    base += sum(amount for amount, per in out if not per)",
            "    rates = tuple(rate for rate in out if rate[1])",
        ]

    def _nodes(self) -> list[str]:
        lines = ["rules = 0"]
        for i, rule in enumerate(self.policy.node_rules):
            lines += self._rule(rule.condition, rule.span, [f"rules |= {1 << i}"]).lines()
        places = []
        for place in self.policy.places:
            test = f"kind in {self.writer.constant(f'frozenset({sorted(place.kinds)!r})')}"
            places.append((place, test))
        spread: list[str] = []
        over = any(place.groups for place in self.policy.places)
        for i, (place, kinds) in enumerate(places):
            condition = self._condition(place.condition)
            test = f"{kinds} and {condition}" if condition else kinds
            spread += [
                f"{'elif' if spread else 'if'} {test}:  # {_at(place.span)}",
                f"    spread = {place.spread}",
                *([f"    over = {i if place.groups else -1}"] if over else []),
            ]
        otherwise = ["spread = False", "over = -1"]
        if not spread:
            return [*lines, *otherwise]
        if not over:
            lines.append(otherwise.pop())
        return [*lines, *spread, "else:", *(f"    {line}" for line in otherwise)]

    def _route(self) -> list[str]:
        lines: list[str] = []
        for i, route in enumerate(self.policy.routes):
            kinds = f"kind in {self.writer.constant(f'frozenset({sorted(route.kinds)!r})')}"
            condition = self._condition(route.condition)
            test = f"{kinds} and {condition}" if condition else kinds
            lines += [f"{'elif' if lines else 'if'} {test}:  # {_at(route.span)}", f"    route = {i}"]
        refused = ["route = -1", "refusals.append((3, 0, 0))"]
        return [*lines, "else:", *(f"    {line}" for line in refused)] if lines else refused

    # ------------------------------------------------------------------ the quotas

    def _quotas(self) -> list[str]:
        rules = [self._quota(quota, self.plan.by_quota[i]) for i, quota in enumerate(self.policy.quotas)]
        lines = ["machines = 0 if kind == 'job' else at_least", "out = m, w, h, p = [], [], [], []"]
        if any("machines" in line for rule in rules for line in rule.body):
            self._parameters += ", machines"
        lines += self._section("quota", rules)
        for (scope, resource), meter in self.plan.gauges.items():
            key = "leaf" if scope == "share" else scope
            count = f"w.append(({meter}, {key}))" if resource == "waiting" else (
                f"m.append(({meter}, {key}, {_AMOUNTS[resource]}))"
            )  # fmt: skip
            lines += ["if project is not None:", f"    {count}"] if scope == "project" else [count]
        return lines

    def _quota(self, quota: Quota, specs: Sequence[MeterSpec]) -> Rule:
        tests, key, found = self._scope(quota)
        found = found or lookup(quota.condition.expr)
        if quota.within is not None:
            within = InShare(0, quota.within, quota.span)
            tests.append(self.writer.write(within))
            found = found or Lookup("leaf", quota.within)
        if quota.condition.expr is not None:
            tests.append(self.writer.write(quota.condition.expr))
        body: list[str] = []
        for spec in specs:
            body += self._count(quota, spec, key)
        if quota.key == "role" and quota.value is None:
            body = ["for role in sorted(roles):", *(f"    {line}" for line in body)]
        return Rule(_at(quota.span), found, " and ".join(tests) or None, tuple(body), ("m, w, h, p = out",))

    def _count(self, quota: Quota, spec: MeterSpec, key: str) -> list[str]:
        if spec.resource == "waiting":
            return [f"w.append(({spec.index}, {key}))"]
        if spec.resource == "core_hours":
            return [f"h.append(({spec.index}, {key}))"]
        if quota.nodes is not None or spec.resource == "hs23":
            amount, target = _PER_PART[spec.resource], "p"
        else:
            amount, target = _AMOUNTS[spec.resource], "m"
        entry = f"{target}.append(({spec.index}, {key}, {amount}))"
        if spec.resource in ("cores", "hs23", "running"):
            return [entry]
        # Whoever asks nothing of a resource is not stopped by its quota.
        test = {
            "memory": "memory",
            "gpus": "gpus",
            "disk": "disk",
            "volumes": "volumes",
            "machines": "machines",
        }
        return [f"if {test[spec.resource]}:", f"    {entry}"]

    def _scope(self, quota: Quota) -> tuple[list[str], str, Lookup | None]:
        """The tests that a request is counted at all, the key it is counted under, and how to look it up."""
        value = quota.value
        match quota.key:
            case "nodes":
                return [], "0", None
            case "role":
                return ([], "role", None) if value is None else ([f"{value!r} in roles"], repr(value), None)
            case "share" if isinstance(value, int):
                leaves = self._leaves(value)
                test = self.writer.write(InShare(value, leaves, quota.span))
                return [test], repr(value), Lookup("leaf", leaves)
            case "share":
                return [], "leaf", None
            case "image":
                there = "image is not None"
                if value is None:
                    return [there], "image.name", None
                return [there, f"(image.name == {value!r} or image.id == {value!r})"], repr(value), None
        if value is not None:
            return [f"{quota.key} == {value!r}"], repr(value), Lookup(quota.key, frozenset((str(value),)))
        optional = quota.key in ("project", "queue", "account")
        return ([f"{quota.key} is not None"] if optional else []), quota.key, None

    def _leaves(self, share: int) -> frozenset[int]:
        node = self.policy.shares[share]
        if node.is_leaf:
            return frozenset((share,))
        return frozenset().union(*(self._leaves(child) for child in node.children))

    def _bound(self, spec: MeterSpec) -> str:
        return "INFINITE" if spec.bound is None else self.writer.write(spec.bound)

    # ------------------------------------------------------------------- the claim

    def _claim(self) -> list[str]:
        by_names: dict[tuple[str, ...], list[int]] = {}
        for leaf, order in self.policy.orders.items():
            names = tuple(key.of or "" for key in order.keys if key.key == "fairshare")
            by_names.setdefault(names, []).append(leaf)
        lines: list[str] = []
        for names, leaves in by_names.items():
            test = f"leaf in {self.writer.constant(f'frozenset({leaves!r})')}"
            values = "".join(f"{name} or '', " for name in names)
            lines += [f"{'elif' if lines else 'if'} {test}:", f"    accounts = ({values})"]
        return [
            *lines,
            "asks = ((0, cores * at_least), (1, memory * at_least)) if memory else ((0, cores * at_least),)",
            "if gpus:",
            "    asks += ((2, gpus * at_least),)",
            "if disk:",
            "    asks += ((3, disk * at_least),)",
            "claim = Claim(",
            "    leaf, Part(cores, memory, gpus, disk), at_least, at_least, count, volumes, walltime, asks,",
            "    tuple(m), tuple(w), tuple(h), tuple(p),",
            "    rules, spread, over, base, rates, accounts, project, queue, account, route,",
            f"    {'takes, reads' if self.policy.preempts else '0, ()'},",
            ")",
            "return claim, refusals or None",
        ]


def _at(span: Span) -> str:
    """Where a rule stands, as a comment that stays on its line."""
    path = span.path.encode("ascii", "backslashreplace").decode()
    return f"{path}:{span.line}".replace("\n", " ").replace("\r", " ")
