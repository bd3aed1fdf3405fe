"""Rules about requests: defaults, caps, assignments, denials, priorities, placement and routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from wnodes_engine.check import checked
from wnodes_engine.check.expressions import Typer
from wnodes_engine.check.groups import groups
from wnodes_engine.check.literals import count, duration
from wnodes_engine.check.presence import NOTHING_KNOWN, Facts, Place, learn
from wnodes_engine.check.report import listed
from wnodes_engine.language import syntax
from wnodes_engine.language.vocabulary import CAPPABLE, DEFAULTABLE, MEMBERS, TEMPLATE_FIELDS, Phase, Type

_KINDS: Final = MEMBERS[Type.KIND]
_AT_LEAST_ONE: Final = frozenset({"cores", "count", "walltime"})
_AT_SITE: Final = {"queue": "queue", "account": "account", "image": "image", "flavour": "flavour"}
_FIELD: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Rules:
    """Checks statements one by one; `window` is that of the `during` around them."""

    typer: Typer
    window: int | None = None

    def condition(self, guard: syntax.Guard, place: Place) -> checked.Condition | None:
        """`when` and `unless` as one expression; None, and findings, where one of them is wrong."""
        when = unless = None
        sound = True
        if guard.when is not None:
            when = self.typer.condition(guard.when, place)
            sound = when is not None
        if guard.unless is not None:
            facts = learn(place.facts, when, True) if sound else Facts(frozenset())
            wary = place.wary or "who is excepted"
            unless = self.typer.condition(guard.unless, replace(place, facts=facts, wary=wary))
            sound = sound and unless is not None
        return checked.Condition(_both(when, unless), self.window) if sound else None

    def default(self, statement: syntax.Default) -> checked.Default | None:
        """`default walltime 12h when …`."""
        attribute = self._target(statement.attribute, DEFAULTABLE, "a default")
        condition = self.condition(statement.guard, Place(Phase.DEFAULT))
        value = None if attribute is None else self._value(attribute, statement.value, Phase.DEFAULT)
        if attribute is None or condition is None or value is None:
            return None
        if attribute in ("queue", "account", "flavour", "project"):
            self.typer.names.known_at_site(attribute, str(value), statement.value.span)
        return checked.Default(attribute, value, condition, statement.span)

    def cap(self, statement: syntax.Cap) -> checked.Cap | None:
        """`cap walltime 7d unless …`."""
        attribute = self._target(statement.attribute, CAPPABLE, "a cap")
        condition = self.condition(statement.guard, Place(Phase.CAP))
        value = None if attribute is None else self._value(attribute, statement.value, Phase.CAP)
        if attribute is None or condition is None or not isinstance(value, int):
            return None
        return checked.Cap(attribute, value, condition, statement.span)

    def assign(self, statement: syntax.Assign) -> checked.Assign | None:
        """`assign grid.lhc when …`."""
        share = self.typer.names.leaf(statement.share)
        condition = self.condition(
            statement.guard, Place(Phase.ASSIGN, wary="which share a request belongs to")
        )
        if share is None or condition is None:
            return None
        return checked.Assign(share, condition, statement.span)

    def deny(self, statement: syntax.Deny) -> checked.Deny | None:
        """`deny "reason" when …`."""
        condition = self.condition(statement.guard, Place(Phase.DENY))
        if not statement.reason.value.strip():
            self._error("E107", "the reason is empty", statement.reason, "say to the requester why")
            return None
        return None if condition is None else checked.Deny(statement.reason.value, condition, statement.span)

    def priority(self, statement: syntax.Priority) -> checked.Priority | None:
        """`priority 100`, `priority +10 per 1h waited`."""
        report = self.typer.names.report
        amount = count(statement.value, report, 0, "a priority")
        per = None
        sound = amount is not None
        if statement.per is not None:
            per = duration(statement.per, report, 1, "a step of waiting")
            sound = sound and per is not None
            if not statement.sign:
                mend = f"write `priority +{statement.value.text} per {statement.per.text} waited`"
                self._error(
                    "E151", "what grows with the wait is added to the priority", statement.value, mend
                )
                sound = False
            elif statement.sign == "-":
                # Who waits longest would come last: nobody could count on ever being started.
                mend = f"write `priority +{statement.value.text} per {statement.per.text} waited`"
                self._error("E151", "a priority grows with the wait", statement.value, mend)
                sound = False
        condition = self.condition(statement.guard, Place(Phase.PRIORITY, wary="a priority"))
        if amount is None or condition is None or not sound:
            return None
        amount = -amount if statement.sign == "-" else amount
        return checked.Priority(amount, not statement.sign, per, condition, statement.span)

    def node_rule(self, statement: syntax.NodeRule) -> checked.NodeRule | None:
        """`nodes "gpu*" only when …`."""
        nodes = self.typer.names.nodes(statement.nodes)
        condition = self.condition(statement.guard, Place(Phase.NODES))
        if nodes is None or condition is None:
            return None
        return checked.NodeRule(nodes, not statement.preferred, condition, statement.span)

    def place(self, statement: syntax.Place) -> checked.Place | None:
        """`place pool spread`, `place job pack in one of islandA, islandB`."""
        kinds = self.kinds(statement.kinds)
        facts = NOTHING_KNOWN if kinds is None else Facts(kinds)
        condition = self.condition(statement.guard, Place(Phase.PLACE, facts))
        over = groups(statement.groups, self.typer.names, self.typer.names.nodes_of_site)
        if kinds is None or condition is None or over is None:
            return None
        return checked.Place(kinds, statement.spread, over, statement.in_one, condition, statement.span)

    def route(self, statement: syntax.Route) -> checked.Route | None:
        """`route vm to openstack through slurm queue "cloud"`."""
        kinds = self.kinds(statement.kinds)
        facts = NOTHING_KNOWN if kinds is None else Facts(kinds)
        condition = self.condition(statement.guard, Place(Phase.ROUTE, facts))
        if condition is not None:
            facts = learn(facts, condition.expr, True)
        sound = self._carriers(statement, kinds or frozenset())
        texts = {
            "queue": statement.queue,
            "account": statement.account,
            "image": statement.image,
            "flavour": statement.flavour,
        }
        for what, text in texts.items():
            sound = (text is None or self._template(what, text, facts)) and sound
        if kinds is None or condition is None or not sound:
            return None
        told = {what: text.value if text else None for what, text in texts.items()}
        through = statement.through.dotted if statement.through else None
        return checked.Route(
            kinds, statement.target.dotted, through, **told, condition=condition, span=statement.span
        )

    def kinds(self, names: Iterable[syntax.Name]) -> frozenset[str] | None:
        """The kinds that a statement names."""
        found: set[str] = set()
        sound = True
        for name in names:
            if name.dotted not in _KINDS:
                mend = self.typer.names.report.meant(
                    name.dotted, _KINDS, f"a kind is one of {listed(_KINDS)}"
                )
                self._missing("E101", f"there is no kind `{name.dotted}`", name, mend)
                sound = False
            elif name.dotted in found:
                self._error("W110", f"`{name.dotted}` stands here twice", name, "leave one out")
            else:
                found.add(name.dotted)
        return frozenset(found) if sound else None

    # ---------------------------------------------------------------- details

    def _target(self, name: syntax.Name, allowed: tuple[str, ...], what: str) -> str | None:
        if name.dotted in allowed:
            return name.dotted
        mend = self.typer.names.report.meant(
            name.dotted, allowed, f"{what} can be given to {listed(allowed)}"
        )
        known = name.dotted in self.typer.names.attributes
        told = f"{what} cannot be given to `{name.dotted}`" if known else f"unknown name `{name.dotted}`"
        self._error("E104" if known else "E101", told, name, mend)
        return None

    def _value(self, attribute: str, written: syntax.Expr, phase: Phase) -> int | str | None:
        type_ = self.typer.names.attributes[attribute].type
        const = self.typer.constant(written, type_, Place(phase), f"a {phase}")
        if const is None or isinstance(const.value, frozenset):
            return None
        least = 1 if attribute in _AT_LEAST_ONE else 0
        if isinstance(const.value, int) and const.value < least:
            self._error("E112", f"{attribute} cannot be below {least}", written, f"write {least} or more")
            return None
        return const.value

    def _carriers(self, statement: syntax.Route, kinds: frozenset[str]) -> bool:
        """Whether the site has what a route names, in the part that it gives it."""
        site = self.typer.names.site
        if site is None or not (site.backends or site.executors):  # what is not declared is not checked
            return True
        sound = True
        target, through = statement.target, statement.through
        both = [*site.backends, *site.executors]
        if target.dotted not in both:
            mend = self.typer.names.report.meant(target.dotted, both, f"the site has {listed(both)}")
            self._missing("E181", f"the site has no backend or executor `{target.dotted}`", target, mend)
            sound = False
        elif target.dotted in site.executors and "job" in kinds:
            mend = f"send jobs to {listed(site.backends)}" if site.backends else "jobs need a backend"
            self._error("E182", f"`{target.dotted}` runs machines, not jobs", target, mend)
            sound = False
        elif target.dotted in site.executors and through is None:
            mend = f"add `through {next(iter(site.backends), 'BACKEND')}`"
            self._error("E182", f"machines on `{target.dotted}` need cores from a batch system", target, mend)
            sound = False
        if through is not None and through.dotted not in site.backends:
            mend = self.typer.names.report.meant(
                through.dotted, site.backends, f"the site has {listed(site.backends)}"
            )
            self._missing("E181", f"the site has no backend `{through.dotted}`", through, mend)
            sound = False
        return sound

    def _template(self, what: str, text: syntax.Text, facts: Facts) -> bool:
        """Whether a text's `{field}`s are surely there; a text without any is looked up at the site."""
        names = self.typer.names
        fields = _FIELD.findall(text.value)
        rest = _FIELD.sub("", text.value)
        if "{" in rest or "}" in rest:
            self._error("E180", "a brace without its partner", text, 'fields are written like "{share}"')
            return False
        if not text.value.strip():
            self._error("E180", f"the {what} is empty", text, "leave the clause out")
            return False
        if not fields:
            return names.known_at_site(_AT_SITE[what], text.value, text.span)
        sound = True
        for field in fields:
            attribute = names.attributes.get(field)
            if field not in TEMPLATE_FIELDS:
                mend = self.typer.names.report.meant(
                    field, TEMPLATE_FIELDS, f"fields are {listed(TEMPLATE_FIELDS)}"
                )
                self._error("E180", f"there is no field `{{{field}}}`", text, mend)
                sound = False
            elif attribute is not None and field not in names.present and not facts.allow(attribute):
                mend = f'add `when has {attribute.guard}`, or a default before it: `default {field} "…"`'
                self._error(
                    "E114",
                    f"a request may have no {field}, and `{{{field}}}` is filled in all the same",
                    text,
                    mend,
                )
                sound = False
        return sound

    def _missing(self, code: str, message: str, name: syntax.Name, mend: str | None) -> None:
        self.typer.names.report.add_missing(code, message, name.span, mend)

    def _error(self, code: str, message: str, at: syntax.Expr | syntax.Text, mend: str | None = None) -> None:
        self.typer.names.report.add(code, message, at.span, mend)


def _both(when: checked.Expr | None, unless: checked.Expr | None) -> checked.Expr | None:
    """`when and not unless`; None where that always holds."""
    if isinstance(when, checked.Const) and when.value is True:
        when = None
    if isinstance(unless, checked.Const) and unless.value is False:
        unless = None
    if unless is None:
        return when
    no = checked.Not(unless, unless.span)
    if when is None:
        return no
    return checked.And((when, no), when.span.to(unless.span))
