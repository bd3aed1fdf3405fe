"""The whole check: from a policy's statements to a checked policy, or to everything that is wrong with it."""

from __future__ import annotations

import hashlib
import json
from collections import ChainMap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from wnodes_engine.check import checked, orders, preemption, quotas, redundancy, shares, times
from wnodes_engine.check.expressions import Typer
from wnodes_engine.check.names import FARM, Names
from wnodes_engine.check.presence import Facts, Place
from wnodes_engine.check.report import Report
from wnodes_engine.check.rules import Rules
from wnodes_engine.check.totality import EVERY_KIND, Totality
from wnodes_engine.findings import Finding, Note, has_errors, in_order
from wnodes_engine.language import syntax
from wnodes_engine.language.source import Source, Span
from wnodes_engine.language.vocabulary import REQUEST_PHASES, Attribute, Phase
from wnodes_engine.values import Node as FarmNode

if TYPE_CHECKING:
    from wnodes_engine.language.load import Program
    from wnodes_engine.site import Site

MOST_WINDOWS: Final = 200
"""Each window is a share tree of its own."""

Made = TypeVar("Made")
Node = TypeVar("Node")


def check_policy(
    program: Program, site: Site | None = None, nodes: Sequence[FarmNode] = (), *, hints: bool = True
) -> tuple[checked.CheckedPolicy | None, list[Finding]]:
    """The checked policy, None if there are errors, and all findings in source order.

    With `nodes`, those of the site, groups of nodes are looked at on them. Without `hints` nobody is told
    what is needless or never applies, which takes longer than all the rest of a long policy.
    """
    if program.policy is None:
        return None, list(program.findings)
    checker = _Checker(program.policy, program.sources, site, nodes)
    policy = checker.check(hints)
    findings = in_order(checker.report.findings)
    return (None if has_errors(findings) else policy), findings


class _Checker:
    """One run over one policy; the order of the steps is that in which names become known."""

    def __init__(
        self,
        policy: syntax.Policy,
        sources: Iterable[Source],
        site: Site | None,
        nodes: Sequence[FarmNode],
    ) -> None:
        self.policy = policy
        self.sources = sources
        self.site = site
        self.report = Report()
        self.names = Names(self.report, site, tuple(nodes))
        self.typer = Typer(self.names)
        self.statements: dict[type[object], list[tuple[syntax.Statement, syntax.During | None]]] = {}
        self.window_of: dict[int, int] = {}  # by the identity of each `during`

    def check(self, hints: bool) -> checked.CheckedPolicy:
        policy = self.policy
        heading = policy.name_span or Span(policy.span.path, 1, 1, 1, 1, 0, 0)
        self._sort(policy.statements)
        self._site_attributes()
        self._lets()
        self._groups()
        outside = [share for share, during in self._sorted(syntax.Share) if during is None]
        shares.grow(outside, self.names)
        periods = self._windows()
        self.window_of = {id(during): self._window(during) for during in self._all(syntax.During)}
        tree, spans = self._shares(heading)
        windows = self._overrides(periods, tree, spans)
        defaults = self._made(syntax.Default, Rules.default)
        self.names.present = frozenset(
            rule.attribute
            for rule in defaults
            if rule.condition.expr is None and rule.condition.window is None
        )
        assigns = self._made(syntax.Assign, Rules.assign)
        caps = self._made(syntax.Cap, Rules.cap)
        denies = self._made(syntax.Deny, Rules.deny)
        priorities = self._made(syntax.Priority, Rules.priority)
        limits = self._quotas()
        leaf_orders, halflife = orders.orders(self._all(syntax.Order), self.names)
        preempts = self._preemption()
        node_rules = self._made(syntax.NodeRule, Rules.node_rule)
        places = self._made(syntax.Place, Rules.place)
        downtimes = [
            made
            for rule in self._all(syntax.Downtime)
            if (made := times.downtime(rule, self.names)) is not None
        ]
        routes = self._made(syntax.Route, Rules.route)

        result = checked.CheckedPolicy(
            name=policy.name or "",
            title=policy.title.value if policy.title else "",
            shares=tuple(
                checked.Share(
                    node.index, node.name, node.path, node.parent, tuple(node.children), tree.get(node.index),
                    node.statement.span if node.statement else heading,
                )
                for node in self.names.shares
            ),
            defaults=tuple(defaults),
            assigns=tuple(assigns),
            caps=tuple(caps),
            denies=tuple(denies),
            priorities=tuple(priorities),
            quotas=tuple(limits),
            orders=leaf_orders,
            halflife=halflife,
            preempts=tuple(preempts),
            windows=windows,
            node_rules=tuple(node_rules),
            places=tuple(places),
            downtimes=tuple(downtimes),
            routes=tuple(routes),
            attributes=self.site.attributes if self.site else (),
            time_zone=self.site.time_zone if self.site else "UTC",
            digest=self._digest(),
            sources=tuple(self.sources),
        )  # fmt: skip
        totality = Totality(self.names, result)
        self._holes(result, heading, totality)
        if not hints:
            return result
        self._needless(result, totality)
        self._contradictions(result)
        if not self.report.has_errors:  # else what seems not to be used may only be misspelt elsewhere
            self._unused(result)
        return result

    # -------------------------------------------------------------- statements

    def _sort(self, statements: Iterable[syntax.Statement], during: syntax.During | None = None) -> None:
        """By sort, in source order: what stands in a `during` comes where that stands."""
        for statement in statements:
            self.statements.setdefault(type(statement), []).append((statement, during))
            if isinstance(statement, syntax.During):
                self._sort(statement.body, statement)

    def _sorted(self, type_: type[Node]) -> list[tuple[Node, syntax.During | None]]:
        return [
            (found, during) for found, during in self.statements.get(type_, ()) if isinstance(found, type_)
        ]

    def _with(self, type_: type[Node]) -> list[tuple[Node, int | None]]:
        """The statements of one sort, each with the window that it stands in."""
        return [
            (found, None if during is None else self.window_of[id(during)])
            for found, during in self._sorted(type_)
        ]

    def _all(self, type_: type[Node]) -> list[Node]:
        return [statement for statement, _ in self._sorted(type_)]

    def _made(self, type_: type[Node], check: Callable[[Rules, Node], Made | None]) -> list[Made]:
        """What the statements of one sort come to; those with mistakes are left out."""
        made = (check(Rules(self.typer, window), statement) for statement, window in self._with(type_))
        return [rule for rule in made if rule is not None]

    # ------------------------------------------------------------------- names

    def _site_attributes(self) -> None:
        for own in self.site.attributes if self.site else ():
            guard = own.name if own.default is None else None
            self.names.attributes[own.name] = Attribute(
                own.name, own.type, own.trust, "declared by the site", REQUEST_PHASES, guard
            )
        self.names.of_site = frozenset(own.name for own in self.site.attributes) if self.site else frozenset()

    def _lets(self) -> None:
        place = Place(Phase.DENY, Facts(frozenset()))
        for let in self._all(syntax.Let):
            value = self.typer.constant(let.value, None, place, f"the value of `{let.name}`")
            if let.name in self.names.attributes:
                message = f"`{let.name}` already names what a request has"
                self.report.add("E107", message, let.name_span, "choose another name")
            else:
                self.names.define(self.names.lets, let.name, let.name_span, value, "value")

    def _groups(self) -> None:
        for group in self._all(syntax.NodeGroup):
            nodes = self.names.nodes(group.nodes)
            self.names.define(self.names.groups, group.name, group.name_span, nodes, "group")

    def _windows(self) -> list[tuple[syntax.Window, tuple[checked.Period, ...]]]:
        made: list[tuple[syntax.Window, tuple[checked.Period, ...]]] = []
        windows = self._all(syntax.Window)
        if len(windows) > MOST_WINDOWS:
            message = f"there are more than {MOST_WINDOWS} windows"
            mend = 'a window may have many times: `window w = "Mon 08:00-12:00", "Tue 14:00-18:00"`'
            self.report.add("E172", message, windows[MOST_WINDOWS].name_span, mend)
        for at, window in enumerate(windows):
            index = at if at < MOST_WINDOWS else None
            self.names.define(self.names.windows, window.name, window.name_span, index, "window")
            made.append((window, times.periods(window, self.report) or ()))
        return made

    def _window(self, during: syntax.During) -> int:
        """The index of a window; -1 where there is none such, which is an error, and belongs to no window."""
        named = self.names.windows.get(during.window.dotted)
        if named is None:
            word = during.window.dotted
            mend = self.report.meant(
                word, self.names.windows, f'define it: `window {word} = "Mon-Fri 20:00-08:00"`'
            )
            self.report.add_missing("E105", f"there is no window `{word}`", during.window.span, mend)
            return -1
        named.used = True
        return -1 if named.value is None else named.value

    # ------------------------------------------------------------------ shares

    def _shares(self, heading: Span) -> tuple[dict[int, checked.Portions | None], dict[int, Span]]:
        tree: dict[int, checked.Portions | None] = {}
        spans: dict[int, Span] = {}
        for node in self.names.shares:
            if node.statement is not None:
                tree[node.index] = shares.portions(node.statement, self.report)
                spans[node.index] = shares.amounts_span(node.statement)
        if not tree:
            self.report.add("E120", "the policy has no shares", heading, "begin with `share everything 100%`")
        shares.check_sums(self.names, tree, spans)
        return tree, spans

    def _overrides(
        self,
        windows: list[tuple[syntax.Window, tuple[checked.Period, ...]]],
        tree: dict[int, checked.Portions | None],
        spans: dict[int, Span],
    ) -> tuple[checked.Window, ...]:
        """The windows, with what each of them changes about the shares."""
        changed: list[dict[int, syntax.Share]] = [{} for _ in windows]
        for statement, window in self._with(syntax.Share):
            if window is None or (index := self.names.share(statement.path)) is None or window < 0:
                continue
            first = changed[window].setdefault(index, statement)
            if first is not statement:
                message = f"`{statement.path.dotted}` is changed twice in the same window"
                notes = [Note("the first one is here", first.span)]
                self.report.add("E124", message, statement.name_span, "keep one of the two", notes)
        made: list[checked.Window] = []
        for (named, periods), statements in zip(windows, changed, strict=True):
            own: dict[int, checked.Portions | None] = {
                index: shares.portions(statement, self.report, tree[index]) if tree[index] else None
                for index, statement in statements.items()
            }
            where = {index: shares.amounts_span(statement) for index, statement in statements.items()}
            if own:
                shares.check_sums(
                    self.names,
                    ChainMap(own, tree),
                    ChainMap(where, spans),
                    f" during {named.name}",
                    frozenset(own),
                )
            sound = {index: portions for index, portions in own.items() if portions is not None}
            made.append(checked.Window(named.name, periods, sound, named.span))
        self._overlaps(made, changed)
        return tuple(made)

    def _overlaps(self, windows: list[checked.Window], changed: list[dict[int, syntax.Share]]) -> None:
        """At no time two windows change shares side by side: together they might not add up."""
        families: dict[int | None, list[tuple[int, int, int]]] = {}
        for at, (window, own) in enumerate(zip(windows, changed, strict=True)):
            for parent in {self.names.shares[index].parent for index in own}:
                times_of = families.setdefault(parent, [])
                times_of += [(begin, end, at) for begin, end in times.stretches(window.periods)]
        for parent, times_of in families.items():
            reach, holder = 0, None
            for begin, end, at in sorted(times_of):
                if holder is not None and holder != at and begin < reach:
                    self._overlap(parent, min(at, holder), max(at, holder), windows, changed)
                if end > reach:
                    reach, holder = end, at

    def _overlap(
        self,
        parent: int | None,
        first: int,
        second: int,
        windows: list[checked.Window],
        changed: list[dict[int, syntax.Share]],
    ) -> None:
        earlier, later = (
            next(share for index, share in changed[at].items() if self.names.shares[index].parent == parent)
            for at in (first, second)
        )
        one, other = windows[second].name, windows[first].name
        message = f"`{one}` and `{other}` overlap, and both change these shares"
        notes = [Note(f"`{other}` changes them here", earlier.name_span)]
        self.report.add("E171", message, later.name_span, "let one window end where the other begins", notes)

    # ------------------------------------------------------- quotas, preemption

    def _quotas(self) -> list[checked.Quota]:
        def check(rules: Rules, statement: syntax.Quota) -> checked.Quota | None:
            condition = rules.condition(statement.guard, Place(Phase.QUOTA, quotas.facts_of(statement.scope)))
            return quotas.quota(statement, condition, self.typer)

        limits = self._made(syntax.Quota, check)
        quotas.check_repeated(limits, self.names)
        return limits

    def _preemption(self) -> list[checked.Preempt]:
        def check(rules: Rules, statement: syntax.Preempt) -> checked.Preempt | None:
            condition = rules.condition(statement.taking.guard, Place(Phase.PREEMPT))
            return preemption.preempt(statement, condition, self.typer)

        preempts = self._made(syntax.Preempt, check)
        preemption.check_circles(preempts, self.typer)
        return preempts

    # -------------------------------------------------------------- whole policy

    def _holes(self, policy: checked.CheckedPolicy, heading: Span, totality: Totality) -> None:
        """Only where every rule of a list is sound: a hole that a mistake leaves is no news."""
        if len(policy.assigns) == len(self._all(syntax.Assign)) and self.names.paths:
            totality.assignments(policy.assigns, heading)
        if len(policy.routes) == len(self._all(syntax.Route)):
            totality.routes(policy.routes, heading)

    def _needless(self, policy: checked.CheckedPolicy, totality: Totality) -> None:
        """Rules that never apply, that others make needless, or that this farm does."""
        for attribute in {rule.attribute: None for rule in policy.defaults}:
            defaults = [rule for rule in policy.defaults if rule.attribute == attribute]
            totality.first_match([(rule.condition, EVERY_KIND, rule.span) for rule in defaults], "default")
        bases = [rule for rule in policy.priorities if rule.is_base]
        totality.first_match([(rule.condition, EVERY_KIND, rule.span) for rule in bases], "priority")
        totality.first_match([(rule.condition, rule.kinds, rule.span) for rule in policy.places], "rule")
        for what, rules in (
            ("default", policy.defaults),
            ("cap", policy.caps),
            ("rule", policy.denies),
            ("quota", policy.quotas),
            ("priority", policy.priorities),
            ("rule", policy.node_rules),
            ("rule", policy.places),
        ):
            totality.conditions([(rule.condition, rule.span) for rule in rules], what)
        totality.conditions([(rule.taking.condition, rule.span) for rule in policy.preempts], "rule")
        redundancy.refusals(policy, totality)
        redundancy.quotas(policy, totality)
        if self.names.nodes_of_site and not self.report.has_errors:
            from wnodes_engine.check import on_farm  # it needs the core, that a check without nodes does not

            on_farm.look(policy, self.names.nodes_of_site, totality)

    def _contradictions(self, policy: checked.CheckedPolicy) -> None:
        """Rules that deny everybody, and defaults that a cap denies."""
        for rule in policy.denies:
            if rule.condition == checked.Condition(None):
                self.report.add("W103", "this rule denies every request", rule.span, "add `when …`")
        lowest: dict[str, checked.Cap] = {}
        for cap in policy.caps:
            if cap.condition == checked.Condition(None):
                lowest[cap.attribute] = min(lowest.get(cap.attribute, cap), cap, key=lambda each: each.value)
        for default in policy.defaults:
            bound = lowest.get(default.attribute)
            if bound is not None and isinstance(default.value, int) and default.value > bound.value:
                message = f"a request without a {default.attribute} gets this one, and is denied for it"
                notes = [Note("this cap is lower", bound.span)]
                self.report.add("W109", message, default.span, "lower the default to the cap", notes)

    def _unused(self, policy: checked.CheckedPolicy) -> None:
        for table, what in (
            (self.names.lets, "value"),
            (self.names.windows, "window"),
            (self.names.groups, "group"),
        ):
            for named in table.values():
                if not named.used:
                    message = f"nothing uses the {what} `{named.name}`"
                    self.report.add("W105", message, named.span, "remove it")
        assigned = {rule.share for rule in policy.assigns}
        if not policy.assigns or len(policy.assigns) < len(self._all(syntax.Assign)):
            return
        for leaf in sorted(self.names.shares[FARM].leaves - assigned - {FARM}):
            share = self.names.shares[leaf]
            if share.statement is not None:
                message = f"no request is ever assigned to `{share.path}`"
                self.report.add(
                    "W106", message, share.statement.name_span, f"add `assign {share.path} when …`"
                )

    def _digest(self) -> str:
        """Of every text, and of what the site adds to its meaning."""
        digest = hashlib.sha256()
        for source in self.sources:
            digest.update(json.dumps(source.text).encode() + b"\n")
        own = [(a.name, a.type, a.trust, a.default) for a in self.site.attributes] if self.site else []
        digest.update(json.dumps([own, self.site.time_zone if self.site else "UTC"]).encode())
        return digest.hexdigest()
