"""From the parser's reductions to the syntax tree: one method for each rule of grammar.lark.

A method gets the rule's children in order: nodes, the tokens that the rule names, and None for what is
optional and absent. The methods run inside the LALR parser, bottom up, so that no second pass is needed.
"""

# ruff: noqa: D102 - each method is the rule of the same name in grammar.lark

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from lark import Token
from msgspec.structs import replace

from wnodes_engine.findings import Note
from wnodes_engine.language import syntax as tree
from wnodes_engine.language.expressions import ExpressionBuilder
from wnodes_engine.language.source import Span

VICTIM_ORDERS: Final = {
    "priority": ("lowest", "highest"),
    "runtime": ("shortest", "longest"),
    "start": ("latest", "earliest"),
    "size": ("smallest", "largest"),
}
"""What victims may be ordered by, and from which end."""

_NEVER_EVEN: Final = {
    "reclaim": ("reclaim", "it takes back what others borrow; for more, write `preempt`"),
    "self": ("preempt self", "inside a leaf amounts play no part: leave it out"),
    "fairly": ("preempt fairly", "it compares how far above their amounts shares are: leave it out"),
}
"""The rules to which no `even …` belongs: how they are written, and the mend."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a statement, until the statement is whole; `word` is what it is called."""

    word: str
    value: Any
    span: Span


class Builder(ExpressionBuilder):
    """Makes the statements, and the policy of them all."""

    def _once(self, clauses: Iterable[Clause]) -> dict[str, Any]:
        """The clauses' values by their words; one that is written twice is a finding."""
        seen: dict[str, Clause] = {}
        for clause in clauses:
            first = seen.setdefault(clause.word, clause)
            if first is not clause:
                message, note = f"`{clause.word}` is written twice", Note("the first one is here", first.span)
                self._report("E014", message, clause.span, "keep one of the two", note)
        return {word: clause.value for word, clause in seen.items()}

    def _known(self, token: Token, words: Iterable[str], what: str) -> str:
        """The token's text; a finding if it is none of `words`."""
        words = tuple(words)
        if token.value not in words:
            close = get_close_matches(token.value, words, n=1)
            mend = f"did you mean `{close[0]}`?" if close else f"it is one of {', '.join(words)}"
            self._report("E015", f"`{token.value}` is not {what}", self.span_of(token), mend)
        return str(token.value)

    def _needs_guard(self, guard: tree.Guard, after: Any, what: str) -> None:
        if guard.when is None and guard.unless is None:
            self._report("E016", f"{what} needs a condition", self.span_of(after), "add `when …`")

    # ------------------------------------------------------------ whole files

    def start(self, header: Clause | None, *statements: tree.Statement) -> tree.Policy:
        name, title = header.value if header else (None, None)
        whole = (header, *statements) if header else statements
        return tree.Policy(
            name.value if name else None,
            self.span_of(name) if name else None,
            title,
            statements,
            self.span_of(*whole) if whole else Span(self._file, 1, 1, 1, 1, 0, 0),
        )

    def header(self, keyword: Token, name: Token, title: tree.Text | None) -> Clause:
        return Clause("policy", (name, title), self.span_of(keyword, name, title))

    def include(self, keyword: Token, path: tree.Text) -> tree.Include:
        return tree.Include(path, self.span_of(keyword, path))

    def let(self, keyword: Token, name: Token, value: tree.Expr) -> tree.Let:
        return tree.Let(name.value, self.span_of(name), value, self.span_of(keyword, value))

    # ----------------------------------------------------------------- shares

    def share(
        self, keyword: Token, name: Token, amounts: tuple[tree.Amount, ...] | None, *rest: Clause | None
    ) -> tree.Share:
        *clauses, block = rest
        path = tree.Name((name.value,), self.span_of(name))
        given = self._once(clause for clause in clauses if clause)
        return tree.Share(
            name.value,
            path.span,
            path,
            amounts or (),
            given.get("borrow"),
            given.get("lend"),
            block.value if block else (),
            self.span_of(keyword, name, amounts, *rest),
        )

    def share_block(self, *children: Any) -> Clause:
        *shares, brace = children
        return Clause("{", tuple(shares), self.span_of(brace))

    def share_override(
        self, keyword: Token, path: tree.Name, amounts: tuple[tree.Amount, ...] | None, *clauses: Clause
    ) -> tree.Share:
        given = self._once(clauses)
        span = self.span_of(keyword, path, amounts, *clauses)
        borrow, lend = given.get("borrow"), given.get("lend")
        return tree.Share(path.parts[-1], path.span, path, amounts or (), borrow, lend, (), span)

    def borrow(self, keyword: Token, limit: Token | tuple[tree.Amount, ...]) -> Clause:
        if isinstance(limit, Token):
            made = tree.Limit(limit.value, (), self.span_of(limit))
        else:
            made = tree.Limit(None, limit, self.span_of(limit[0], limit))
        return Clause(keyword.value, made, self.span_of(keyword, limit))

    lend = borrow

    def amounts(self, *amounts: tree.Amount) -> tuple[tree.Amount, ...]:
        return amounts

    def amount(self, value: tree.Number, resource: Token | None) -> tree.Amount:
        named = resource.value if resource else None
        return tree.Amount(value, False, named, self.span_of(value, resource))

    def weight(self, keyword: Token, value: tree.Number) -> tree.Amount:
        return tree.Amount(value, True, None, self.span_of(keyword, value))

    # ------------------------------------------------------------------ rules

    def default(
        self, keyword: Token, attribute: tree.Name, value: tree.Expr, guard: tree.Guard
    ) -> tree.Default:
        return tree.Default(attribute, value, guard, self.span_of(keyword, value, guard))

    def cap(self, keyword: Token, attribute: tree.Name, value: tree.Expr, guard: tree.Guard) -> tree.Cap:
        return tree.Cap(attribute, value, guard, self.span_of(keyword, value, guard))

    def assign(self, keyword: Token, share: tree.Name, condition: Token | tree.Guard) -> tree.Assign:
        span = self.span_of(keyword, share, condition)
        if isinstance(condition, Token):
            return tree.Assign(share, tree.Guard(None, None), True, span)
        if condition.when is None and condition.unless is None:
            self._report(
                "E016", "an assignment needs a condition", span, "add `when …`, or `otherwise` to the last"
            )
        return tree.Assign(share, condition, False, span)

    def deny(self, keyword: Token, reason: tree.Text, guard: tree.Guard) -> tree.Deny:
        return tree.Deny(reason, guard, self.span_of(keyword, reason, guard))

    def priority(
        self,
        keyword: Token,
        sign: Token | None,
        value: tree.Number,
        per: tree.Number | None,
        waited: Token | None,
        guard: tree.Guard,
    ) -> tree.Priority:
        span = self.span_of(keyword, value, waited, guard)
        return tree.Priority(sign.value if sign else "", value, per, guard, span)

    def guard(self, when: tree.Expr | None, unless: tree.Expr | None) -> tree.Guard:
        return tree.Guard(when, unless)

    # ----------------------------------------------------------------- quotas

    def quota(
        self,
        keyword: Token,
        scope: tree.Scope,
        within: tree.Name | None,
        guard: tree.Guard,
        ceilings: tuple[tree.Ceiling, ...],
        outcome: Token | None,
    ) -> tree.Quota:
        otherwise = outcome.value if outcome else None
        return tree.Quota(scope, within, guard, ceilings, otherwise, self.span_of(keyword, ceilings, outcome))

    def scope_each(self, keyword: Token, key: Token) -> tree.Scope:
        return tree.Scope(key.value, True, None, None, self.span_of(keyword, key))

    def scope_one(self, key: Token, value: tree.Name | tree.Text) -> tree.Scope:
        return tree.Scope(key.value, False, value, None, self.span_of(key, value))

    def scope_nodes(self, keyword: Token, nodes: tree.Nodes) -> tree.Scope:
        return tree.Scope(keyword.value, False, None, nodes, self.span_of(keyword, nodes))

    def ceilings(self, *ceilings: tree.Ceiling) -> tuple[tree.Ceiling, ...]:
        return ceilings

    def ceiling(self, resource: Token, bound: tree.Expr, per: tree.Number | None) -> tree.Ceiling:
        return tree.Ceiling(resource.value, bound, per, self.span_of(resource, bound, per))

    # --------------------------------------------------- order and preemption

    def order(
        self,
        keyword: Token,
        share: tree.Name | Token,
        keys: tuple[tree.OrderKey, ...],
        mode: Clause | None,
    ) -> tree.Order:
        span = self.span_of(keyword, keys, mode)
        return tree.Order(_share_or_none(share), keys, mode.value if mode else None, span)

    def order_keys(self, *keys: tree.OrderKey) -> tuple[tree.OrderKey, ...]:
        return keys

    def fairshare(self, keyword: Token, of: Token, half_life: tree.Number | None) -> tree.OrderKey:
        return tree.OrderKey(keyword.value, of.value, half_life, self.span_of(keyword, of, half_life))

    def plain_key(self, key: Token) -> tree.OrderKey:
        return tree.OrderKey(key.value, None, None, self.span_of(key))

    def order_mode(self, *words: Token) -> Clause:
        return Clause("strict", words[0].value == "strict", self.span_of(*words))

    def reclaim(self, keyword: Token, share: tree.Name | Token, *clauses: Clause) -> tree.Preempt:
        return self._preempt(keyword, "reclaim", None, _share_or_none(share), clauses, share)

    def preempt(
        self, keyword: Token, victim: tree.Name, beneficiary: tree.Name, *clauses: Clause
    ) -> tree.Preempt:
        return self._preempt(keyword, "for", victim, beneficiary, clauses)

    def preempt_self(
        self, keyword: Token, own: Token, within: tree.Name | None, *clauses: Clause
    ) -> tree.Preempt:
        return self._preempt(keyword, own.value, within, None, clauses, own)

    preempt_fairly = preempt_self

    def _preempt(
        self,
        keyword: Token,
        how: str,
        victim: tree.Name | None,
        beneficiary: tree.Name | None,
        clauses: Sequence[Clause],
        *words: tree.Name | Token,
    ) -> tree.Preempt:
        given = self._once(clauses)
        for clause in clauses:
            if how != "for" and clause.word.startswith("even"):
                written, mend = _NEVER_EVEN[how]
                message = f"`{clause.word}` does not belong to `{written}`"
                self._report("E160", message, clause.span, mend)
        return tree.Preempt(
            how,
            victim,
            beneficiary,
            "even below nominal" in given,
            "even borrowing" in given,
            self._taking(given),
            self.span_of(keyword, *words, victim, beneficiary, *clauses),
        )

    def _taking(self, given: dict[str, Any]) -> tree.Taking:
        return tree.Taking(
            tree.Guard(given.get("when"), given.get("unless")),
            given.get("sparing"),
            given.get("taking", ()),
            given.get("at most", ()),
            given.get("by", ()),
            given.get("after"),
            "including native" in given,
        )

    def when(self, keyword: Token, value: tree.Expr | tree.Number) -> Clause:
        return Clause(keyword.value, value, self.span_of(keyword, value))

    unless = sparing = after = when

    def taking(self, keyword: Token, *keys: tree.VictimKey) -> Clause:
        return Clause("taking", keys, self.span_of(keyword, keys))

    def victim_key(self, extreme: Token, of: Token) -> tree.VictimKey:
        span = self.span_of(extreme, of)
        if self._known(of, VICTIM_ORDERS, "what victims are ordered by") in VICTIM_ORDERS:
            self._known(extreme, VICTIM_ORDERS[of.value], f"an end of {of.value}")
        return tree.VictimKey(extreme.value, of.value, span)

    def at_most(self, keyword: Token, *budgets: tree.Budget) -> Clause:
        return Clause("at most", budgets, self.span_of(keyword, budgets))

    def budget(self, count: tree.Number, of: Token) -> tree.Budget:
        return tree.Budget(count, of.value, self.span_of(count, of))

    def acts(self, keyword: Token, *items: tree.Act | Token) -> Clause:
        """A kind after a comma belongs to the action before it: `requeue for job, shelve for vm, pool`."""
        acts: list[tree.Act] = []
        for item in items:
            if isinstance(item, tree.Act):
                acts.append(item)
                continue
            last, kind = acts[-1], self.path(item)
            if not last.kinds:
                mend = f"write `{last.action} for …, {item.value}`"
                self._report("E016", f"`{item.value}` follows an action without `for`", kind.span, mend)
            acts[-1] = replace(last, kinds=(*last.kinds, kind), span=self.span_of(last, kind))
        return Clause("by", tuple(acts), self.span_of(keyword, tuple(acts)))

    def act(self, action: Token, kind: Token | None) -> tree.Act:
        kinds = (self.path(kind),) if kind else ()
        return tree.Act(action.value, kinds, self.span_of(action, kind))

    def native(self, *words: Token) -> Clause:
        return Clause(" ".join(word.value for word in words), True, self.span_of(*words))

    even = native

    # ---------------------------------------------------------- time and nodes

    def window(self, keyword: Token, name: Token, *times: tree.Text) -> tree.Window:
        return tree.Window(name.value, self.span_of(name), times, self.span_of(keyword, times))

    def during(self, keyword: Token, window: tree.Name, *children: Any) -> tree.During:
        *body, brace = children
        return tree.During(window, tuple(body), self.span_of(keyword, brace))

    def group(self, keyword: Token, name: Token, nodes: tree.Nodes) -> tree.NodeGroup:
        return tree.NodeGroup(name.value, self.span_of(name), nodes, self.span_of(keyword, nodes))

    def node_rule(self, keyword: Token, nodes: tree.Nodes, how: Token, guard: tree.Guard) -> tree.NodeRule:
        self._needs_guard(guard, how, f"`{how.value}`")
        return tree.NodeRule(nodes, how.value == "preferred", guard, self.span_of(keyword, how, guard))

    def place(
        self,
        keyword: Token,
        kinds: tuple[tree.Name, ...],
        how: Token,
        groups: Clause | None,
        guard: tree.Guard,
    ) -> tree.Place:
        named, in_one = (groups.value, groups.word == "one") if groups else ((), False)
        span = self.span_of(keyword, how, groups, guard)
        return tree.Place(kinds, how.value == "spread", named, in_one, guard, span)

    def over(self, keyword: Token, *groups: tree.Name) -> Clause:
        return Clause("over", groups, self.span_of(keyword, groups))

    def in_one(self, keyword: Token, *groups: tree.Name) -> Clause:
        return Clause("one", groups, self.span_of(keyword, groups))

    def downtime(
        self, keyword: Token, begin: tree.Text, finish: tree.Text, nodes: tree.Nodes
    ) -> tree.Downtime:
        return tree.Downtime(begin, finish, nodes, self.span_of(keyword, nodes))

    def nodes(self, first: Clause | Token, properties: Clause | None = None) -> tree.Nodes:
        span = self.span_of(first, properties)
        if isinstance(first, Token):
            return tree.Nodes((), (), (), span)
        if first.word == "with":
            return tree.Nodes((), (), first.value, span)
        patterns = tuple(item for item in first.value if isinstance(item, tree.Text))
        groups = tuple(item for item in first.value if isinstance(item, tree.Name))
        return tree.Nodes(patterns, groups, properties.value if properties else (), span)

    def node_names(self, *names: tree.Text | tree.Name) -> Clause:
        return Clause("names", names, self.span_of(*names))

    def properties(self, keyword: Token, *properties: tree.Text) -> Clause:
        return Clause("with", properties, self.span_of(keyword, properties))

    # ----------------------------------------------------------------- routes

    def route(
        self, keyword: Token, kinds: tuple[tree.Name, ...], target: tree.Name, *rest: Clause | tree.Guard
    ) -> tree.Route:
        clauses, guard = [clause for clause in rest if isinstance(clause, Clause)], rest[-1]
        given = self._once(clauses)
        return tree.Route(
            kinds,
            target,
            given.get("through"),
            given.get("queue"),
            given.get("account"),
            given.get("image"),
            given.get("flavour"),
            guard if isinstance(guard, tree.Guard) else tree.Guard(None, None),
            self.span_of(keyword, target, *rest),
        )

    def told(self, keyword: Token, value: tree.Text | tree.Name) -> Clause:
        return Clause(keyword.value, value, self.span_of(keyword, value))

    through = told

    def kinds(self, *kinds: tree.Name) -> tuple[tree.Name, ...]:
        return kinds


def _share_or_none(share: tree.Name | Token) -> tree.Name | None:
    """`any` is no share in particular."""
    return None if isinstance(share, Token) else share
